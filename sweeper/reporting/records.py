"""A report's findings for systems that track a finding from sweep to sweep: pure.

Security Hub, OCSF and the others get the same state, title and advice from here. Text is plain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import starmap

from sweeper.domain.escaping import plain
from sweeper.domain.model import (
    REGISTRY,
    ChangeStatus,
    Compliance,
    Finding,
    Resource,
    Since,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import is_remaining
from sweeper.domain.report_model import EarlierFinding, Report, Run
from sweeper.reporting.wording import (
    earlier_state,
    exemption_words,
    number,
    outcome_words,
    resource_kind,
    resource_name,
    setting_words,
)

_GUIDE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/"
_MAX_ID = 512  # ASFF: Id


class State(StrEnum):
    """The state of a finding when the sweep ends."""

    OPEN = "open"
    UNDETERMINED = "undetermined"
    EXEMPT = "exempt"
    FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Record:
    """One finding, or one that is gone; `id` stays the same from sweep to sweep.

    `resource_id` is the ARN where there is one. `resource_name` is the name of a repository alone,
    and the kind and name of anything else. `setting` is the mutability with its filters. `tags` are
    those of the account. `due` is the day from which on a waiting change will be made.
    """

    id: str
    check: str
    state: State
    since: Since | None
    account_id: str
    account_name: str
    region: str
    resource: Resource
    resource_id: str
    repository: str
    resource_name: str
    setting: str
    title: str
    description: str
    advice: str
    tags: Mapping[str, str] = field(default_factory=dict)
    due: date | None = None

    @property
    def is_minor(self) -> bool:
        """Whether it concerns future repositories only: no existing tag can be overwritten."""
        return self.resource == REGISTRY

    @property
    def guide(self) -> str:
        """Return the address of the AWS user guide's page."""
        return _guide(self.resource)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a check requires: its name, the title of a violation, and how to fix one."""

    check: str
    title: str
    advice: str
    guide: str


def records(report: Report) -> Iterator[Record]:
    """Yield a record of each of `list_items`."""
    return starmap(record_maker(report), list_items(report))


def list_items(report: Report) -> Iterator[tuple[State, Finding | EarlierFinding]]:
    """Yield each finding with its state, then those of the last sweep that are resolved.

    Findings of the last sweep that could not be checked this time are left out.
    """
    examined = {account.id: account.regions for account in report.accounts}
    resolved = report.since_last.resolved if report.since_last else ()
    current = set()
    for finding in report.findings:
        state = _finding_state(finding)
        # A change that was applied counts even where its region was not examined.
        is_known = finding.region in examined.get(finding.account_id, ()) or _is_applied(finding)
        if state and is_known:
            if resolved:
                current.add(_id(finding))
            yield state, finding
    yield from ((State.FIXED, earlier) for earlier in resolved if _id(earlier) not in current)


def earlier_not_checked(report: Report) -> Iterator[tuple[State, EarlierFinding]]:
    """Yield what was mutable in the last sweep and could not be checked this time."""
    earlier = report.since_last.not_visible if report.since_last else ()
    yield from ((State.UNDETERMINED, item) for item in earlier if item.was_open)


def check_rule(check: str, resource: Resource) -> _Rule:
    """Return what a check requires of such resources."""
    title = _TITLES.get(resource, _OTHER_TITLES)[State.OPEN].removesuffix(": {where}")
    return _Rule(
        plain(check),
        title.format(check=plain(check)),
        _advice(resource, State.OPEN),
        _guide(resource),
    )


def record_maker(report: Report) -> Callable[[State, Finding | EarlierFinding], Record]:
    """Return a function that makes a record of one of `list_items`.

    Records are large: make one at a time.
    """
    run = report.run
    tags = {
        account.id: {plain(key): plain(value) for key, value in account.tags.items()}
        for account in report.accounts
        if account.tags
    }

    def record(state: State, item: Finding | EarlierFinding) -> Record:
        if isinstance(item, Finding):
            return _record_of_finding(item, state, run, tags.get(item.account_id, {}))
        return _record_of_earlier(item, state, run)

    return record


def _id(item: Finding | EarlierFinding) -> str:
    """Return the finding's id; it has a digest where the name is not one that ECR gives."""
    text = f"{item.check}/{item.account_id}/{item.region}/{item.repository}"
    if len(text) <= _MAX_ID and text.isascii() and text.isprintable():
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{plain(item.check)}/{digest}"


def _record_of_finding(finding: Finding, state: State, run: Run, tags: Mapping[str, str]) -> Record:
    account, region, name = plain(finding.account_id), plain(finding.region), resource_name(finding)
    current = setting_words(finding.mutability, finding.exclusion_filters)
    if finding.compliance is Compliance.COMPLIANT and state is State.OPEN and finding.change:
        current = setting_words(finding.change.to_mutability, finding.change.to_exclusion_filters)
    done = outcome_words(finding, run)
    if finding.exemption:
        done += f"; its exemption: {exemption_words(finding.exemption)}"
    if finding.reopened:
        done += f"; mutable again after a sweep had fixed it: {number(finding.reopened, 'time')}"
    return Record(
        id=_id(finding),
        check=plain(finding.check),
        state=state,
        since=finding.since_last,
        account_id=account,
        account_name=plain(finding.account_name),
        region=region,
        resource=plain(finding.resource),
        resource_id=plain(finding.arn) or _resource_id(finding),
        repository=plain(finding.repository),
        resource_name=name,
        setting=current,
        title=_title(finding, state),
        description=f"{plain(finding.reason)}. {current}: {done}",
        advice=_advice(finding.resource, state),
        tags=tags,
        due=finding.change.due if finding.change else None,
    )


def _record_of_earlier(earlier: EarlierFinding, state: State, run: Run) -> Record:
    account, region = plain(earlier.account_id), plain(earlier.region)
    repository = plain(earlier.repository)
    kind = resource_kind(earlier)
    gone = (
        f"The finding of the sweep before is gone: the {kind} was fixed by others, or deleted. "
        f"It was {plain(earlier.mutability)}",
        _ADVICE[State.FIXED],
    )
    unknown = (
        f"The {kind} could not be checked this time. It was {earlier_state(earlier)}",
        "See what could not be checked, and why.",
    )
    description, to_do = gone if state is State.FIXED else unknown
    arn = f"arn:{run.partition or 'aws'}:ecr:{region}:{account}:repository/{repository}"
    return Record(
        id=_id(earlier),
        check=plain(earlier.check),
        state=state,
        since=None,
        account_id=account,
        account_name=plain(earlier.account_name),
        region=region,
        resource=plain(earlier.resource),
        resource_id=arn if earlier.resource == "repository" else _resource_id(earlier),
        repository=repository,
        resource_name=resource_name(earlier),
        setting=plain(earlier.mutability),
        title=_title(earlier, state),
        description=description,
        advice=to_do,
    )


def _resource_id(item: Finding | EarlierFinding) -> str:
    """Return an id for a resource without an ARN; it cannot be mistaken for one."""
    name = f"{plain(item.account_id)}/{plain(item.region)}/{plain(item.repository)}"
    return f"{plain(item.resource.replace('_', '-'))}/{name}"


def _title(item: Finding | EarlierFinding, state: State) -> str:
    title = _TITLES.get(item.resource, _OTHER_TITLES)[state]
    where = f"{resource_name(item)} ({plain(item.account_id)}, {plain(item.region)})"
    return title.format(check=plain(item.check), where=where)


def _guide(resource: Resource) -> str:
    if resource == REGISTRY:
        return _GUIDE + "repository-creation-templates.html"
    return _GUIDE + ("image-tag-mutability.html" if resource in _TITLES else "")


def _advice(resource: Resource, state: State) -> str:
    if resource == "repository_creation_template" and state is State.OPEN:
        return _FIX_TEMPLATE
    if resource == REGISTRY and state is State.OPEN:
        return _CREATE_TEMPLATE
    if resource not in _TITLES and state is State.OPEN:
        return "See the description: a check that is a plugin found it."
    return _ADVICE[state]


def _is_applied(finding: Finding) -> bool:
    return finding.change is not None and finding.change.status is ChangeStatus.APPLIED


def _finding_state(finding: Finding) -> State | None:
    """Return the finding's state; None if it was compliant and may not be any more."""
    change = finding.change
    match finding.compliance:
        case Compliance.EXEMPT:
            return State.EXEMPT
        case Compliance.COMPLIANT:  # before its change was reverted, or after it was reviewed
            status = change.status if change else None
            reason = change.reason if change else None
            if status is ChangeStatus.APPLIED or reason is Reason.ALREADY_RESTORED:
                return State.OPEN
            is_known = (
                status in (ChangeStatus.PLANNED, ChangeStatus.WITHHELD) or reason in _FIXED_REASONS
            )
            return State.FIXED if is_known else None
    if not is_remaining(finding):
        return State.FIXED
    return State.UNDETERMINED if finding.compliance is Compliance.UNDETERMINED else State.OPEN


_FIXED_REASONS = (Reason.NOW_COMPLIANT, Reason.REPOSITORY_DELETED)
_TITLES: dict[Resource, dict[State, str]] = {
    "repository": {
        State.OPEN: "ECR image tags can be overwritten: {where}",
        State.UNDETERMINED: "Whether ECR image tags can be overwritten is not known: {where}",
        State.EXEMPT: "ECR image tags can be overwritten, which is exempt: {where}",
        State.FIXED: "ECR image tags can no longer be overwritten: {where}",
    },
    "repository_creation_template": {
        State.OPEN: "ECR makes repositories whose image tags can be overwritten: {where}",
        State.UNDETERMINED: "Whether ECR makes repositories whose image tags can be overwritten is "
        "not known: {where}",
        State.EXEMPT: "ECR makes repositories whose image tags can be overwritten, which is "
        "exempt: {where}",
        State.FIXED: "ECR no longer makes repositories whose image tags can be overwritten: "
        "{where}",
    },
    REGISTRY: {
        State.OPEN: "ECR may make repositories whose image tags can be overwritten: {where}",
        State.UNDETERMINED: "Whether ECR may make repositories whose image tags can be overwritten "
        "is not known: {where}",
        State.EXEMPT: "ECR may make repositories whose image tags can be overwritten, which is "
        "exempt: {where}",
        State.FIXED: "ECR makes repositories whose image tags cannot be overwritten: {where}",
    },
}
# A report is shown where the plugin that made a finding need not be installed.
_OTHER_TITLES = {
    State.OPEN: "{check}, not compliant: {where}",
    State.UNDETERMINED: "{check}, not known whether it is compliant: {where}",
    State.EXEMPT: "{check}, not compliant, which is exempt: {where}",
    State.FIXED: "{check}, no longer found: {where}",
}
_CREATE_TEMPLATE = (
    "Create a creation template for ROOT with immutable tags, by hand or by "
    "remediation.root_template_applied_for, or exempt all repositories of the registry with a "
    "reason and an expiry."
)
_FIX_TEMPLATE = (
    "Set the creation template's image tag mutability to IMMUTABLE, exclude tags that must move by "
    "an exclusion filter that is allowed, or exempt all repositories below its prefix with a "
    "reason and an expiry."
)
_ADVICE = {
    State.OPEN: "Set the repository's image tag mutability to IMMUTABLE, exclude tags that must "
    "move by an exclusion filter that is allowed, or exempt the repository with a reason and an "
    "expiry.",
    State.UNDETERMINED: "Update sweeper: AWS has a setting that this version does not know.",
    State.EXEMPT: "Nothing, until the exemption ends.",
    State.FIXED: "Nothing.",
}
