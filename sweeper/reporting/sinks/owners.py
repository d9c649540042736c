"""A message for each owner of accounts, to the SNS topic; subscriptions filter by owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from sweeper.aws.client.errors import shortened_message
from sweeper.domain.errors import OperationFailed
from sweeper.domain.escaping import plain, shorten
from sweeper.domain.model import ChangeStatus, Finding, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import Delivery, FailedItem, Report
from sweeper.reporting.notification import delivery_lines, findings_by_urgency, list_findings
from sweeper.reporting.report_wording import account_names, tags_unavailable_sentence
from sweeper.reporting.sinks.base import KEY_ACTIONS, Sink, SinkContext
from sweeper.reporting.sinks.topic import Topic, structured_message
from sweeper.reporting.wording import explanation, failure_target, number

if TYPE_CHECKING:
    from sweeper.config.schema import Notify

_UNOWNED = "unowned"  # of accounts without the tag
_MAX_OWNERS = 100  # that are notified by one run
_MAX_OWNER = 256  # characters of an owner: Organizations' limit of a tag's value
_MAX_NAME = 40  # characters of an owner in a subject
_MAX_FAILURES = 20
_MAX_MESSAGE = 160


@dataclass(frozen=True, slots=True)
class _OwnerFindings:
    """The findings and the failures in the accounts of one owner, the most urgent first."""

    owner: str
    accounts: int
    findings: Sequence[Finding]
    failures: Sequence[FailedItem]
    remaining: int


class OwnersSink(Sink):
    """A sink that notifies each owner of findings; a second delivery notifies no owner again."""

    name = "owners"
    content = "messages to owners"
    is_message = True
    actions = frozenset({"sns:Publish", *KEY_ACTIONS})

    def __init__(self, topic: Topic, tag: str, notify: Notify) -> None:
        self.location = topic.arn
        self._topic = topic
        self._tag = tag
        self._notify = notify
        self._notified: set[str] = set()

    @classmethod
    def make(cls, context: SinkContext) -> Self | None:
        """Return the sink, where report.owner_tag and report.sns_topic_arn are set."""
        config = context.config.report
        if not (config.owner_tag and config.sns_topic_arn):
            return None
        topic = Topic(config.sns_topic_arn, context.central)
        return cls(topic, config.owner_tag, config.notify)

    def deliver(self, report: Report, so_far: Sequence[Delivery]) -> Delivery:
        """Publish a message for each owner, at most `_MAX_OWNERS`.

        Raises OperationFailed where a call fails, which ends it, or a message was refused, which
        does not stop the others.
        """
        found = _owners_to_notify(report, self._tag, self._notify)
        refused: list[tuple[str, OperationFailed]] = []
        for owned in found[:_MAX_OWNERS]:
            if owned.owner in self._notified:
                continue
            try:
                self._notify_owner(owned, report, so_far)
            except OperationFailed as error:
                if error.reason is not Reason.REQUEST_REFUSED:
                    raise
                refused.append((owned.owner, error))
        if refused:
            raise _explain_refused(refused)
        if not found:
            return Delivery(self.name, self.location, "not_needed")
        left = len(found) - _MAX_OWNERS
        cut = (
            f"{number(left, 'more owner')} with fewer findings were not notified: at most "
            f"{_MAX_OWNERS} are"
        )
        return Delivery(self.name, self.location, "delivered", message=cut if left > 0 else None)

    def _notify_owner(
        self, owned: _OwnerFindings, report: Report, so_far: Sequence[Delivery]
    ) -> None:
        digest = sha256(owned.owner.encode()).hexdigest()[:16]
        self._topic.publish(
            _message(owned, self._tag, report, so_far),
            once=f"{report.run.id}-{digest}",
            subject=_subject(owned, report),
            attributes={
                "owner": owned.owner,
                "remaining": owned.remaining,
                "run_id": report.run.id,
            },
            by_protocol=True,
        )
        self._notified.add(owned.owner)


def _explain_refused(refused: Sequence[tuple[str, OperationFailed]]) -> OperationFailed:
    """Return the first error, with how many messages were refused."""
    (owner, error), *_ = refused
    message = (
        f"{number(len(refused), 'message')} to owners refused, such as the one to "
        f"{shorten(owner, _MAX_NAME)}: {error.message}"
    )
    return OperationFailed(error.reason, shortened_message(message), error.error_code)


def _owners_to_notify(report: Report, tag: str, notify: Notify) -> list[_OwnerFindings]:
    """Return the owners who need a message, those with the most remaining findings first."""
    of = {each.id: shorten(each.tags.get(tag) or _UNOWNED, _MAX_OWNER) for each in report.accounts}
    findings: dict[str, list[Finding]] = {}
    for finding in findings_by_urgency(report):
        findings.setdefault(of.get(finding.account_id, _UNOWNED), []).append(finding)
    failures: dict[str, list[FailedItem]] = {}
    for failure in report.failures:
        if failure.account_id:
            failures.setdefault(of.get(failure.account_id, _UNOWNED), []).append(failure)
    resolved = {
        of.get(item.account_id, _UNOWNED)
        for item in (report.since_last.resolved if report.since_last else ())
        if item.was_open
    }
    remains = remaining_rule(report.run.kind)
    made = []
    for owner in sorted(findings.keys() | failures.keys()):
        of_owner, unchecked = findings.get(owner, []), failures.get(owner, [])
        is_new = any(_is_new(finding, report) for finding in of_owner)
        is_news = is_new or owner in resolved or _are_new(report, unchecked)
        if notify != "on_change" or is_news:
            ids = {item.account_id for item in of_owner}
            ids |= {item.account_id for item in unchecked if item.account_id}
            left = sum(map(remains, of_owner))
            made.append(_OwnerFindings(owner, len(ids), of_owner, unchecked, left))
    return sorted(made, key=lambda each: (-each.remaining, -len(each.findings), each.owner))


def _is_new(finding: Finding, report: Report) -> bool:
    """Tell whether the last sweep did not have the finding, or this run tried or announced a fix.

    Where two sweeps of a day announce changes, those of the first count for the second, too.
    """
    status = finding.change.status if finding.change else None
    done = status in (ChangeStatus.APPLIED, ChangeStatus.FAILED)
    since = report.since_last
    announces = bool(since and since.announced) and (
        str(finding.announced) == report.run.started_at[:10]
    )
    return done or announces or finding.since_last is not Since.STILL_OPEN


def _are_new(report: Report, failures: Sequence[FailedItem]) -> bool:
    since = report.since_last
    return bool(failures) and (since is None or since.coverage_changed is not False)


def _subject(owned: _OwnerFindings, report: Report) -> str:
    """Return the subject: ASCII, and under 100 characters, as SNS asks for."""
    name = ""
    if owned.owner.isascii():
        name = shorten(owned.owner, _MAX_NAME - 2).replace("…", "...")
    dry_run = " (dry run)" if report.run.dry_run else ""
    of = f" of {name}" if name else ""
    return f"sweeper{dry_run}: {number(owned.remaining, 'finding')} in accounts{of}"


def _message(owned: _OwnerFindings, tag: str, report: Report, so_far: Sequence[Delivery]) -> str:
    """Return the message to an owner: JSON for programs, text for people."""
    head: dict[str, Any] = {
        "schema_version": report.schema_version,
        "run": report.run,
        "owner_tag": tag,
        "owner": owned.owner,
        "remaining": owned.remaining,
        "failures": owned.failures[:_MAX_FAILURES],
        "failures_left_out": max(0, len(owned.failures) - _MAX_FAILURES),
    }

    def text(limit: int) -> str:
        opening, closing = _opening(owned, tag, report), _closing(owned, report, so_far)
        return list_findings(owned.findings, report, opening, closing, limit)

    return structured_message(head, owned.findings, text)


def _opening(owned: _OwnerFindings, tag: str, report: Report) -> Iterator[str]:
    whose = f'with {plain(tag)} "{plain(owned.owner)}"'
    if owned.owner == _UNOWNED:
        whose = f"without the tag {plain(tag)}"
    yield (
        f"ECR image tag mutability in {number(owned.accounts, 'account')} {whose}: "
        f"{number(owned.remaining, 'finding')} open."
    )
    if report.run.dry_run:
        yield "This was a dry run: nothing was changed."
    if sentence := tags_unavailable_sentence(report):
        yield sentence
    yield ""


def _closing(owned: _OwnerFindings, report: Report, so_far: Sequence[Delivery]) -> Iterator[str]:
    names = account_names(report)
    if owned.failures:
        yield f"Could not be checked: {len(owned.failures):,}"
    for item in owned.failures[:_MAX_FAILURES]:
        yield f"- {failure_target(item, names)}: {item.reason}, {explanation(item, _MAX_MESSAGE)}"
    if len(owned.failures) > _MAX_FAILURES:
        yield f"  … and {len(owned.failures) - _MAX_FAILURES:,} more"
    yield ""
    yield from delivery_lines(so_far)
    yield plain(f"{report.run.kind.capitalize()} {report.run.id}, sweeper {report.run.version}")
