"""Events of CloudTrail: where they hint, and which repositories are made mutable again and again.

An event may be late, delivered twice, incomplete, or from an account that is not ours. So it is a
hint, never a fact: it names an account, a region and a repository, which are then read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from sweeper.domain.model import Change, ChangeStatus, Finding, utc_text
from sweeper.domain.planning import Outcome, Remedy, map_changes
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import SCHEMA_VERSION

_MAX_ACTOR_LENGTH = 300  # characters of who did something
# CloudTrail's names of the calls after which something may be mutable.
_CREATED = "CreateRepository"
_CHANGED = "PutImageTagMutability"
_TEMPLATE_CALLS = ("CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate")
_SOURCE = ("aws.ecr", "AWS API Call via CloudTrail", "ecr.amazonaws.com")
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}", re.ASCII)
_NAME_LENGTHS = range(2, 257)  # ECR: RepositoryName
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_EVENT_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
# What a user agent or `invokedBy` says about the tool, and where that tool sets the mutability.
_TOOLS = (
    ("terraform", 'Terraform: set image_tag_mutability = "IMMUTABLE"'),
    ("cloudformation", "CloudFormation: set ImageTagMutability: IMMUTABLE"),
)
_ANY_TOOL = (
    'set it where the repository is defined: image_tag_mutability = "IMMUTABLE" in Terraform, '
    "ImageTagMutability: IMMUTABLE in CloudFormation, imageTagMutability: "
    "TagMutability.IMMUTABLE in CDK"
)


RepositoryKey = tuple[str, str, str | None]  # account id, region and repository


@dataclass(frozen=True, slots=True)
class Hint:
    """The repository or creation template that an event names.

    `repository` is None for a creation template. `reopens` is whether the setting of a repository
    was written; `by` is who did that, and `where` says where to change it permanently.
    """

    account_id: str
    region: str
    repository: str | None
    event_id: str
    reopens: bool = False
    by: str = ""
    where: str = _ANY_TOOL

    @property
    def key(self) -> RepositoryKey:
        """Account id, region and repository."""
        return self.account_id, self.region, self.repository


def read_hint(
    event: object, role_name: str | None, known_region: Callable[[str], bool]
) -> Hint | str:
    """Return the event's hint, or why it is ignored.

    `role_name` is the member role's, whose own calls are ignored, as is an event that does not have
    AWS's structure.
    """
    detail = _mapping(event, "detail")
    identity, asked = _mapping(detail, "userIdentity"), _mapping(detail, "requestParameters")
    made = _mapping(_mapping(detail, "responseElements"), "repository")
    name = _text(detail, "eventName")
    account, region = _text(event, "account"), _text(event, "region")
    repository = _text(asked, "repositoryName") or _text(made, "repositoryName")
    event_id = _text(detail, "eventID") or _text(event, "id")
    source = tuple(_text(event, key) for key in ("source", "detail-type"))
    named = len(repository) in _NAME_LENGTHS and _NAME.fullmatch(repository)
    registries = {_text(asked, "registryId"), _text(made, "registryId")}
    refusals = (
        ((*source, _text(detail, "eventSource")) != _SOURCE, "it is not a call to ECR"),
        (name not in (_CREATED, _CHANGED, *_TEMPLATE_CALLS), "it is not about tag mutability"),
        ("errorCode" in detail, "the call failed"),
        (not _ACCOUNT.fullmatch(account), "its account is not 12 digits"),
        (
            not (_REGION.fullmatch(region) and known_region(region)),
            "its region is not one that this version knows",
        ),
        (registries - {"", account}, "it is about the registry of another account"),
        (_is_own(identity, account, role_name), "the member role did it"),
        (not named and name not in _TEMPLATE_CALLS, "its repository has no valid name"),
        (not _EVENT_ID.fullmatch(event_id), "it has no id"),
    )
    if why := next((text for applies, text in refusals if applies), None):
        return why
    agent = f"{_text(detail, 'userAgent')} {_text(identity, 'invokedBy')}".lower()
    return Hint(
        account,
        region,
        None if name in _TEMPLATE_CALLS else repository,
        event_id,
        reopens=name == _CHANGED,
        by=_actor(identity),
        where=next((text for word, text in _TOOLS if word in agent), _ANY_TOOL),
    )


def join_hints(hints: Iterable[Hint]) -> tuple[Hint, ...]:
    """Return one hint for each resource: of several, the last that says who reopened it."""
    joined: dict[object, Hint] = {}
    for hint in hints:
        before = joined.get(hint.key)
        if before is None or hint.reopens or not before.reopens:
            joined[hint.key] = hint
    return tuple(joined.values())


def _is_own(identity: Mapping[str, Any], account: str, role_name: str | None) -> bool:
    """Tell whether the member role made the call, in the event's account."""
    if role_name is None or _text(identity, "type") != "AssumedRole":
        return False
    issuer = _text(_mapping(_mapping(identity, "sessionContext"), "sessionIssuer"), "arn")
    if issuer:
        return issuer.split(":", 2)[2:] == [f"iam::{account}:role/{role_name}"]
    session = _text(identity, "arn").split(":", 2)[2:]
    base = role_name.rpartition("/")[2]
    return session[:1] != [] and session[0].startswith(f"sts::{account}:assumed-role/{base}/")


def _actor(identity: Mapping[str, Any]) -> str:
    found = (_text(identity, key) for key in ("arn", "invokedBy", "principalId", "type"))
    return next(filter(None, found), "")[:_MAX_ACTOR_LENGTH]


def _mapping(value: object, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""


_WINDOW = timedelta(days=7)  # in which reopenings are counted
_SKEW = timedelta(minutes=10)  # of the clocks of two functions
_MAX_REOPENINGS = 2_000  # that are stored: the latest


@dataclass(frozen=True, slots=True)
class Reopening:
    """A repository that somebody made mutable again, and that was then made immutable again.

    `by` is who made it mutable, and `where` says where to change it permanently.
    """

    account_id: str
    region: str
    repository: str
    event_id: str
    finished_at: str
    by: str
    where: str

    @property
    def key(self) -> RepositoryKey:
        """Account id, region and repository."""
        return self.account_id, self.region, self.repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopenings:
    """The reopenings within the window: the content of reopened.json."""

    schema_version: Literal["2"] = SCHEMA_VERSION
    reopenings: tuple[Reopening, ...] = ()


def count_reopenings(
    before: Sequence[Reopening], due: Iterable[Hint], now: datetime, limit: int
) -> tuple[tuple[Reopening, ...], Mapping[RepositoryKey, str]]:
    """Return the reopenings to store, and why each repository above the limit is not changed.

    `due` are the hints whose repository was found mutable, and would be made immutable. An event
    counts once, however often it is delivered; a repository that is not changed is not counted.
    """
    kept = _recent(before, now)
    contested: dict[RepositoryKey, str] = {}
    for hint in due:
        if hint.repository is None:
            continue
        own = [each for each in kept if each.event_id == hint.event_id]
        count = sum(each.key == hint.key for each in kept if each not in own)
        if count >= limit:
            contested[hint.key] = _explain(count + 1, hint.by, hint.where)
        elif not own:
            key = (hint.account_id, hint.region, hint.repository)
            kept.append(Reopening(*key, hint.event_id, utc_text(now), hint.by, hint.where))
    return tuple(kept[-_MAX_REOPENINGS:]), contested


def events_without_result(counted: Iterable[Hint], findings: Iterable[Finding]) -> set[str]:
    """Return the ids of the counted events after which nothing was made immutable again.

    What is compliant now may have been made so for the same event, delivered twice: it counts.
    """
    changes: dict[RepositoryKey, Change | None] = {
        (each.account_id, each.region, each.repository): each.change
        for each in findings
        if each.resource == "repository"
    }
    return {
        hint.event_id
        for hint in counted
        if (change := changes.get(hint.key))
        and not change.may_be_made
        and change.reason not in (Reason.CONTESTED, Reason.NOW_COMPLIANT)
    }


def without_events(before: Sequence[Reopening], events: Container[str]) -> tuple[Reopening, ...]:
    """Return the reopenings without these events."""
    return tuple(each for each in before if each.event_id not in events)


def list_contested(
    before: Sequence[Reopening], now: datetime, limit: int
) -> Mapping[RepositoryKey, str]:
    """Return why each repository that has reached the limit is not changed."""
    kept = _recent(before, now)
    counts = Counter(each.key for each in kept)
    return {
        each.key: _explain(counts[each.key] + 1, each.by, each.where)
        for each in kept
        if counts[each.key] >= limit
    }


def withhold_contested(
    outcomes: Iterable[Outcome], contested: Mapping[RepositoryKey, str]
) -> list[Outcome]:
    """Return the outcomes, with the planned changes of contested repositories withheld."""

    def edit(finding: Finding, change: Change) -> Change:
        return _withhold_if_contested(finding, change, contested)

    return [map_changes(outcome, edit) if contested else outcome for outcome in outcomes]


def without_contested(
    remedies: Mapping[str, Remedy], contested: Callable[[], Mapping[RepositoryKey, str]]
) -> dict[str, Remedy]:
    """Return the remedies; they withhold the changes of contested repositories.

    Such a change does not count for any limit. `contested` is called once, for the first change.
    """
    known = cache(contested)

    def narrow(remedy: Remedy) -> Remedy:
        def remedy_unless_contested(finding: Finding) -> Change | None:
            change = remedy(finding)
            return change and _withhold_if_contested(finding, change, known())

        return remedy_unless_contested

    return {name: narrow(remedy) for name, remedy in remedies.items()}


def _withhold_if_contested(
    finding: Finding, change: Change, contested: Mapping[RepositoryKey, str]
) -> Change:
    why = contested.get((finding.account_id, finding.region, finding.repository))
    is_due = finding.resource == "repository" and change.status is ChangeStatus.PLANNED
    if why is None or not is_due:
        return change
    return replace(change, status=ChangeStatus.WITHHELD, reason=Reason.CONTESTED, error=why)


def _recent(before: Sequence[Reopening], now: datetime) -> list[Reopening]:
    # Nothing that is to come counts: it would never be over.
    since, until = utc_text(now - _WINDOW), utc_text(now + _SKEW)
    return [each for each in before if since < each.finished_at <= until]


def _explain(count: int, by: str, where: str) -> str:
    times = "once" if count == 1 else f"{count} times"
    who = by or "an unknown caller"
    return f"made mutable again {times} in {_WINDOW.days} days, last by {who}; {where}"
