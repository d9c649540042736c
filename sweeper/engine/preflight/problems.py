"""Facts -> problems, each once, with its accounts and regions; and the exit status."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from sweeper.domain.errors import ExitStatus
from sweeper.domain.model import Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.selection import accept_known_gaps
from sweeper.engine.preflight.facts import Facts, Region
from sweeper.engine.probe import (
    NO_HINTS,
    DestinationProbe,
    Hints,
    ProbeResult,
    ProbeStatus,
    failed_probe,
)

if TYPE_CHECKING:
    from sweeper.config.schema import Config


class Kind(StrEnum):
    """The subject of a problem, the most serious first."""

    ORGANIZATION = "organization"
    ACCOUNT = "account"  # the role cannot be assumed
    REGIONS = "regions"  # the account's regions cannot be read
    REGION = "region"  # none of the actions works there
    READ = "read"
    WRITE = "write"
    DESTINATION = "destination"
    INVENTORY = "inventory"


# STS names these instead of sts:AssumeRole, where the caller's session passes on tags.
_REFUSED_WITH_TAGS = re.compile(r"sts:(TagSession|SetSourceIdentity)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or not known, in all its accounts and regions.

    `targets` are (account id, region); there are none for a problem of whole accounts.
    `whole_accounts`: every region of its accounts has it. `key` is the configuration's key of a
    destination, `location` its location, `hints` what to do about it. `message` is AWS's first.
    """

    kind: Kind
    answer: ProbeStatus
    reason: Reason | None
    message: str
    error_code: str | None = None
    actions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    targets: tuple[tuple[str, str], ...] = ()
    whole_accounts: bool = True
    key: str | None = None
    location: str | None = None
    hints: Hints = NO_HINTS

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that have it, in order."""
        return tuple(sorted({region for _, region in self.targets}))

    @property
    def status(self) -> ExitStatus:
        """The exit status that it causes."""
        if self.answer is ProbeStatus.NOT_KNOWN:
            return ExitStatus.CLEAN
        if self.reason is Reason.INTERNAL_ERROR:
            return ExitStatus.INTERNAL_ERROR
        if self.kind is Kind.ORGANIZATION and self.reason and self.reason.ends_run:
            return ExitStatus.UNUSABLE
        if self.kind is Kind.DESTINATION:
            return ExitStatus.NOT_DELIVERED
        return ExitStatus.COVERAGE_INCOMPLETE


@dataclass(frozen=True, slots=True)
class _Case:
    """A problem in one account, or one of its regions.

    `is_gap`: a sweep could not check it. Else it is about changes alone.
    """

    kind: Kind
    probed: ProbeResult
    actions: tuple[str, ...]
    account: str
    region: str | None = None
    is_gap: bool = True

    @property
    def key(self) -> tuple[str, str | None]:
        """Account id and region."""
        return self.account, self.region


@dataclass(frozen=True, slots=True)
class Verdict:
    """All problems, the most serious first, and how many gaps `coverage.accept` accepts."""

    problems: tuple[Problem, ...]
    accepted: int

    @property
    def status(self) -> ExitStatus:
        """The highest exit status of a problem."""
        return max((problem.status for problem in self.problems), default=ExitStatus.CLEAN)


def judge(facts: Facts, config: Config) -> Verdict:
    """Return what the facts mean for a sweep with this configuration."""
    cases = [*_of_accounts(facts), *_of_regions(facts)]
    accepted = {case.key for case in cases if _is_accepted(case, config)}
    if all(region.key in accepted for region in facts.regions):
        accepted.clear()  # a sweep that checks nothing is not complete, whatever is accepted
    counted = [
        case
        for case in cases
        if case.key not in accepted or (case.is_gap and not _is_accepted(case, config))
    ]
    found = [
        *_of_the_organization(facts),
        *_group(counted, facts.regions),
        *_of_destinations(facts.destinations),
    ]
    order = list(Kind)
    found.sort(
        key=lambda each: (
            each.answer is ProbeStatus.NOT_KNOWN,
            order.index(each.kind),
            -len(each.accounts),
            each.reason or "",
            each.actions,
            each.whole_accounts,
        )
    )
    return Verdict(tuple(found), len(cases) - len(counted))


def _of_the_organization(facts: Facts) -> Iterator[Problem]:
    if facts.leaves_no_region:
        message = "no account has enabled a region that regions.include and regions.exclude leave"
        yield Problem(Kind.ORGANIZATION, ProbeStatus.FAILED, Reason.REGION_EXCLUDED, message)
    if facts.listing is not None:
        failed = failed_probe(facts.listing)
        yield Problem(
            Kind.ORGANIZATION, failed.answer, failed.reason, failed.message, failed.error_code
        )
    if not facts.may_change:
        return
    # These withhold every change, and nothing else.
    if facts.unknown_exclusions:
        yield Problem(
            Kind.WRITE,
            ProbeStatus.FAILED,
            Reason.UNKNOWN_ACCOUNT,
            f"excluded, but not in the organization: {facts.unknown_exclusions}",
            accounts=tuple(facts.unknown_exclusions.split(", ")),
        )
    if facts.undecided_exemptions:
        yield Problem(
            Kind.WRITE,
            ProbeStatus.FAILED,
            Reason.EXEMPTION_UNDECIDED,
            "the accounts' OUs or tags could not be read",
            accounts=facts.undecided_exemptions,
        )
    if not facts.keeps_record:
        message = "no state.directory that can be written, and no report.s3"
        yield Problem(Kind.WRITE, ProbeStatus.FAILED, Reason.JOURNAL_UNAVAILABLE, message)


def _of_accounts(facts: Facts) -> Iterator[_Case]:
    for entered in facts.accounts:
        account = entered.account.id
        if entered.role.answer is not ProbeStatus.WORKS:
            action = _REFUSED_WITH_TAGS.search(entered.role.message)
            actions = (action[0] if action else "sts:AssumeRole",)
            yield _Case(Kind.ACCOUNT, entered.role, actions, account)
        elif isinstance(entered.regions, ProbeResult):
            yield _Case(Kind.REGIONS, entered.regions, ("account:ListRegions",), account)
    for left_out, region, outcome in facts.left_out:
        if isinstance(outcome, Failed):
            kind = Kind.ACCOUNT if region is None else Kind.REGION
            yield _Case(kind, failed_probe(outcome), (), left_out.id, region)


def _of_regions(facts: Facts) -> Iterator[_Case]:
    granted = {
        (region.account.id, action)
        for region in facts.regions
        for action, answer in region.writes.items()
        if answer.answer is ProbeStatus.WORKS
    }
    for region in facts.regions:
        writes = {
            action: _granted_in_part(answer) if (region.account.id, action) in granted else answer
            for action, answer in region.writes.items()
        }
        tried = {**region.reads, **region.writes}
        # Where nothing is granted, missing writes are no problem of their own.
        alike = {action: _granted_in_part(answer) for action, answer in tried.items()}
        kinds = {(each.answer, each.reason) for each in alike.values()}
        if len(tried) > 1 and len(kinds) == 1 and (ProbeStatus.WORKS, None) not in kinds:
            first = next(iter(alike.values()))
            # The same problem, whether or not writes were tried there, too.
            yield _Case(Kind.REGION, first, (), *region.key)
            continue
        for kind, answers in ((Kind.READ, region.reads), (Kind.WRITE, writes)):
            groups: dict[tuple[ProbeStatus, Reason | None], list[str]] = defaultdict(list)
            for action, answer in answers.items():
                if answer.answer is not ProbeStatus.WORKS:
                    groups[answer.answer, answer.reason].append(action)
            for actions in groups.values():
                is_gap = not facts.needed_reads.isdisjoint(actions)
                yield _Case(kind, answers[actions[0]], tuple(actions), *region.key, is_gap)


def _granted_in_part(answer: ProbeResult) -> ProbeResult:
    """Return the result of a write that is granted elsewhere: a sweep's change fails here."""
    if answer.reason is not Reason.WRITE_NOT_GRANTED:
        return answer
    return replace(answer, reason=Reason.DENIED_BY_IDENTITY_POLICY)


def _is_accepted(case: _Case, config: Config) -> bool:
    """Tell whether `coverage.accept` accepts it, by the reason that a sweep would give."""
    reason = case.probed.reason
    if not case.is_gap or reason is None or case.probed.answer is ProbeStatus.NOT_KNOWN:
        return False
    if case.kind is Kind.REGIONS and reason.is_denial:
        reason = Reason.REGIONS_UNREADABLE
    failed = Failed(Stage.EXAMINE, reason, "")
    rules = config.coverage.accept
    return isinstance(accept_known_gaps(failed, case.account, case.region, rules), Skipped)


_RegionNames = dict[str, set[str]]  # account id -> names of regions


def _group(cases: Iterable[_Case], regions: Sequence[Region]) -> Iterator[Problem]:
    """Yield one problem for equal cases; those of whole accounts apart from those of regions."""
    groups: dict[tuple[object, ...], list[_Case]] = defaultdict(list)
    for case in cases:
        groups[case.kind, case.probed.answer, case.probed.reason, case.actions].append(case)
    tried = _names((region.account.id, region.name) for region in regions)
    of_regions = (case for group in groups.values() for case in group if case.kind is Kind.REGION)
    unusable = _names((case.account, case.region) for case in of_regions)
    for group in groups.values():
        there = _names((case.account, case.region) for case in group)
        whole = set()
        for account, names in there.items():
            # Regions where nothing works say nothing about a single action.
            of_action = group[0].kind is not Kind.REGION
            left = tried[account] - unusable[account] if of_action else tried[account]
            if left and left <= names:
                whole.add(account)
        everywhere = [case for case in group if case.region is None or case.account in whole]
        elsewhere = [
            case for case in group if case.region is not None and case.account not in whole
        ]
        for part in (everywhere, elsewhere):
            if part:
                yield _problem(part, whole=part is everywhere)


def _names(targets: Iterable[tuple[str, str | None]]) -> _RegionNames:
    names: _RegionNames = defaultdict(set)
    for account, region in targets:
        if region is not None:
            names[account].add(region)
    return names


def _problem(cases: Sequence[_Case], *, whole: bool) -> Problem:
    first = cases[0]
    return Problem(
        first.kind,
        first.probed.answer,
        first.probed.reason,
        first.probed.message,
        first.probed.error_code,
        actions=first.actions,
        accounts=tuple(sorted({case.account for case in cases})),
        targets=tuple(
            sorted((case.account, case.region) for case in cases if case.region is not None)
        ),
        whole_accounts=whole,
    )


def _of_destinations(asked: Iterable[DestinationProbe]) -> Iterator[Problem]:
    """Yield one problem for each destination and reason."""
    alike: dict[tuple[object, ...], list[DestinationProbe]] = defaultdict(list)
    for each in asked:
        if each.probed.answer is not ProbeStatus.WORKS:
            alike[each.key, each.location, each.probed.answer, each.probed.reason].append(each)
    for first, *others in alike.values():
        yield Problem(
            Kind.DESTINATION if first.key.startswith("report.") else Kind.INVENTORY,
            first.probed.answer,
            first.probed.reason,
            first.probed.message,
            first.probed.error_code,
            actions=tuple(each.action for each in (first, *others)),
            key=first.key,
            location=first.location,
            hints=first.hints,
        )
