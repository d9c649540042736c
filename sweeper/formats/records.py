"""A report's findings as systems keep them that follow a finding from sweep to sweep: pure.

What Security Hub, OCSF and others are told about a finding is decided here, once. Text is plain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sweeper.escaping import plain
from sweeper.formats.wording import exemption_text, number, outcome, setting
from sweeper.model import Compliance, EarlierFinding, Finding, Report, Run, Since
from sweeper.report import remains

GUIDE = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html"
_LONGEST_ID = 512  # ASFF: Id


class State(StrEnum):
    """How a finding stands when the sweep ends."""

    OPEN = "open"
    UNDETERMINED = "undetermined"
    EXEMPT = "exempt"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Record:
    """One finding, or one that is gone; `id` stays the same from sweep to sweep.

    `setting` is the mutability with its filters; `tags` are those of the account.
    """

    id: str
    check: str
    state: State
    since: Since | None
    account_id: str
    account_name: str
    region: str
    repository: str
    arn: str
    setting: str
    title: str
    description: str
    advice: str
    tags: Mapping[str, str] = field(default_factory=dict)


def records(report: Report) -> Iterator[Record]:
    """Every finding, then those of the previous sweep that are gone.

    What is not visible this time is left out: nothing is known of it.
    """
    tags = {account.id: account.tags for account in report.accounts if account.tags}
    gone = report.since_last.resolved if report.since_last else ()
    now = set()
    for finding in report.findings:
        record = _of_finding(finding, report.run, tags.get(finding.account_id, {}))
        if gone:
            now.add(record.id)
        yield record
    for earlier in gone:
        record = _of_earlier(earlier, report.run)
        if record.id not in now:
            yield record


def record_id(check: str, account_id: str, region: str, repository: str) -> str:
    """What a finding is known by; a name that ECR would not give is in it as a digest."""
    text = f"{check}/{account_id}/{region}/{repository}"
    if len(text) <= _LONGEST_ID and text.isascii() and text.isprintable():
        return text
    return f"{plain(check)}/{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def _of_finding(finding: Finding, run: Run, tags: Mapping[str, str]) -> Record:
    state = _state(finding)
    where = f"{plain(finding.repository)} ({plain(finding.account_id)}, {plain(finding.region)})"
    current = setting(finding.mutability, finding.exclusion_filters)
    done = outcome(finding, run)
    if finding.exemption:
        done += f"; its exemption: {exemption_text(finding.exemption)}"
    if finding.reopened:
        done += f"; open again after a sweep had closed it: {number(finding.reopened, 'time')}"
    return Record(
        id=record_id(finding.check, finding.account_id, finding.region, finding.repository),
        check=plain(finding.check),
        state=state,
        since=finding.since_last,
        account_id=plain(finding.account_id),
        account_name=plain(finding.account_name),
        region=plain(finding.region),
        repository=plain(finding.repository),
        arn=plain(finding.arn),
        setting=current,
        title=_TITLES[state].format(where=where),
        description=f"{plain(finding.reason)}. {current}: {done}",
        advice=_ADVICE[state],
        tags={plain(key): plain(value) for key, value in tags.items()},
    )


def _of_earlier(earlier: EarlierFinding, run: Run) -> Record:
    account, region = plain(earlier.account_id), plain(earlier.region)
    repository = plain(earlier.repository)
    return Record(
        id=record_id(earlier.check, earlier.account_id, earlier.region, earlier.repository),
        check=plain(earlier.check),
        state=State.CLOSED,
        since=None,
        account_id=account,
        account_name=plain(earlier.account_name),
        region=region,
        repository=repository,
        arn=f"arn:{run.partition or 'aws'}:ecr:{region}:{account}:repository/{repository}",
        setting=plain(earlier.mutability),
        title=_TITLES[State.CLOSED].format(where=f"{repository} ({account}, {region})"),
        description="The finding of the sweep before is gone: the repository was closed by others, "
        f"or deleted. It was {plain(earlier.mutability)}",
        advice=_ADVICE[State.CLOSED],
    )


def _state(finding: Finding) -> State:
    if finding.compliance is Compliance.EXEMPT:
        return State.EXEMPT
    if not remains(finding):
        return State.CLOSED
    return State.UNDETERMINED if finding.compliance is Compliance.UNDETERMINED else State.OPEN


_TITLES = {
    State.OPEN: "ECR image tags can be overwritten: {where}",
    State.UNDETERMINED: "Whether ECR image tags can be overwritten is not known: {where}",
    State.EXEMPT: "ECR image tags can be overwritten, which is exempt: {where}",
    State.CLOSED: "ECR image tags can no longer be overwritten: {where}",
}
_ADVICE = {
    State.OPEN: "Set the repository's image tag mutability to IMMUTABLE, exclude tags that must "
    "move by an exclusion filter that is allowed, or exempt the repository with a reason and an "
    "expiry.",
    State.UNDETERMINED: "Update sweeper: AWS has a setting that this version does not know.",
    State.EXEMPT: "Nothing, until the exemption ends.",
    State.CLOSED: "Nothing.",
}
