"""What a sweep promises whatever happens, held against the fake's own knowledge of the truth."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.end_to_end.harness import Key
from tests.fake_aws.process import RepositoryState
from tests.reliability.scenarios import Scenario, Target

UNCERTAIN = "may have taken effect"
_SHOWN = 3  # examples of a broken promise
_SECRET_PART = 12  # characters: a message that is cut may hold the beginning of a secret
# Why a change need not have been written, beside what may fail it.
_NOT_WRITTEN = {"withheld": "pull_through_rules_unreadable", "superseded": "changed_since_examined"}


@dataclass(frozen=True)
class Facts:
    """What a run left behind; `before` and `after` are the fake's repositories."""

    scenario: Scenario
    report: Any
    status: int
    output: str
    accounts: Sequence[str]
    regions: Sequence[str]
    lasting_accounts: Mapping[str, str]
    lasting_targets: Mapping[Target, str]
    before: Sequence[RepositoryState]
    after: Sequence[RepositoryState]
    writes: Sequence[Mapping[str, Any]]
    secrets: Sequence[str]


Promise = Callable[[Facts], Iterator[str]]


def broken(facts: Facts) -> list[str]:
    """Every promise that was broken, in words; empty when all hold."""
    found: list[str] = []
    promises: tuple[Promise, ...] = (
        _outcomes,
        _reasons,
        _totals,
        _findings,
        _writes,
        _changed,
        _status,
        _secrets,
    )
    if ended_early(facts.report):
        promises = (_nothing_but_the_end, _writes, _status, _secrets)
    for promise in promises:
        examples = list(promise(facts))
        found += examples[:_SHOWN]
        if len(examples) > _SHOWN:
            found.append(f"… and {len(examples) - _SHOWN} more of {promise.__name__[1:]}")
    return found


def ended_early(report: Any) -> bool:
    """Whether the organization could not be listed: there is nothing else to say then."""
    return any(item["stage"] == "enumerate" for item in report["failures"])


def examined(report: Any) -> dict[Target, tuple[int, int, int]]:
    """The targets that the report calls examined, with their counts."""
    return {
        (account["id"], region): tuple(counts)
        for account in report["accounts"]
        for region, counts in account["regions"].items()
    }


def _failures(facts: Facts) -> list[tuple[tuple[str, str | None], str]]:
    """Each account and each target that failed, with its reason; one item may stand for many."""
    failed: list[tuple[tuple[str, str | None], str]] = []
    for item in facts.report["failures"]:
        account, reason = item["account_id"], item["reason"]
        regions = facts.regions if item["targets"] else (item["region"],)
        failed += [((account, region), reason) for region in regions]
    return failed


def _remaining(report: Any) -> int:
    """How many findings are not known to be closed; a doubtful write is not known to be one."""
    return sum(
        not item["change"] or item["change"]["status"] != "applied" for item in report["findings"]
    )


def _nothing_but_the_end(facts: Facts) -> Iterator[str]:
    """A sweep that could not list the organization has one failure, and calls nothing seen."""
    report = facts.report
    (failure, *others) = report["failures"]
    if failure["reason"] not in facts.scenario.reasons:
        yield f"the sweep ended with {failure}"
    if others or report["accounts"] or report["findings"] or report["coverage"]["complete"]:
        yield "a sweep that ended early says more than that"
    if facts.writes:
        yield "a sweep that ended early has written"


def _outcomes(facts: Facts) -> Iterator[str]:
    """Every account and every target is in the report exactly once."""
    report = facts.report
    listed = [
        (account["id"], region) for account in report["accounts"] for region in account["regions"]
    ]
    listed += [place for place, _ in _failures(facts)]
    listed += [(item["account_id"], item["region"]) for item in report["skipped"]]
    seen = Counter(listed)
    ids = Counter(account["id"] for account in report["accounts"])
    for account in facts.accounts:
        whole = seen.pop((account, None), 0)
        if whole > 1 or ids[account] > 1:
            yield f"account {account} is in the report more than once"
        for region in facts.regions:
            times = whole + seen.pop((account, region), 0)
            if times != 1:
                yield f"{account} {region} is in the report {times} times"
    for item in report["failures"]:
        if (count := item["targets"]) not in (None, len(facts.regions)):
            yield f"{item['account_id']} failed in {count} of {len(facts.regions)} regions"
    for place in seen:
        yield f"{place} is in the report and not in the organization"


def _reasons(facts: Facts) -> Iterator[str]:
    """Each failure has the reason that lasts there, or one of the faults that pass.

    A call may have had its last time-out before its endpoint was given up.
    """
    allowed = facts.scenario.reasons
    lasting: dict[tuple[str, str | None], str] = {
        (account, None): reason for account, reason in facts.lasting_accounts.items()
    }
    lasting.update(facts.lasting_targets.items())
    for place, reason in _failures(facts):
        lasts = lasting.get(place)
        dark = {"timed_out"} if lasts == "endpoint_unreachable" else frozenset()
        if reason != lasts and reason not in allowed | dark:
            yield f"{place} failed with {reason}; possible: {lasts}, {sorted(allowed | dark)}"
    seen = examined(facts.report)
    for account, region in seen:
        if account in facts.lasting_accounts or (account, region) in facts.lasting_targets:
            yield f"{account} {region} is called examined, and could not be"


def _totals(facts: Facts) -> Iterator[str]:
    """The totals and the coverage are those of what is listed."""
    report, seen = facts.report, examined(facts.report)
    failed = Counter(region is not None for (_, region), _ in _failures(facts))
    accounts, targets = len(facts.accounts), len(seen) + failed[True]
    opened = accounts - failed[False]
    undetermined = sum(item["compliance"] == "undetermined" for item in report["findings"])
    counts = [sum(each[kind] for each in seen.values()) for kind in range(3)]
    expected = {
        "accounts": {"planned": accounts, "opened": opened, "skipped": 0, "failed": failed[False]},
        "targets": {
            "planned": targets,
            "examined": len(seen),
            "skipped": 0,
            "failed": failed[True],
        },
        "repositories": {
            "examined": sum(counts) + undetermined,
            "compliant": counts[0],
            "non_compliant": counts[1],
            "exempt": counts[2],
            "undetermined": undetermined,
        },
    }
    for name, value in {**expected, "remaining": _remaining(report)}.items():
        if report["totals"][name] != value:
            yield f"totals.{name}: {report['totals'][name]}, counted: {value}"
    coverage = {
        "accounts": opened / accounts,
        "targets": len(seen) / targets if targets else 0.0,
        "complete": not report["failures"] and not undetermined and bool(seen),
    }
    if report["coverage"] != coverage:
        yield f"coverage: {report['coverage']}, counted: {coverage}"


def _findings(facts: Facts) -> Iterator[str]:
    """Exactly the open repositories of the examined targets are findings, and all are counted."""
    truth: dict[Target, dict[str, bool]] = defaultdict(dict)
    for each in facts.before:
        truth[each.account, each.region][each.name] = each.mutability != "IMMUTABLE"
    found: dict[Target, dict[str, str]] = defaultdict(dict)
    for item in facts.report["findings"]:
        here = found[item["account_id"], item["region"]]
        if item["repository"] in here:
            yield f"{item['repository']} is found twice in {item['account_id']} {item['region']}"
        here[item["repository"]] = item["compliance"]
    seen = examined(facts.report)
    for place in found.keys() - seen.keys():
        yield f"findings in {place}, which was not examined"
    for place, counts in seen.items():
        unsure = {name for name, word in found[place].items() if word == "undetermined"}
        if unsure and not facts.scenario.damages:
            yield f"{place}: undetermined without a damaged answer: {sorted(unsure)}"
        wanted = {name for name, is_open in truth[place].items() if is_open} - unsure
        if set(found[place]) - unsure != wanted:
            yield f"{place}: found {sorted(found[place])}, open are {sorted(wanted)}"
        if sum(counts) + len(unsure) != len(truth[place]) or counts[1] != len(wanted):
            yield f"{place}: {counts} of {len(truth[place])} repositories"


def _changes(report: Any) -> dict[Key, Any]:
    """What became of each finding's change, where it has one."""
    return {
        (item["account_id"], item["region"], item["repository"]): item["change"]
        for item in report["findings"]
        if item["change"]
    }


def _accepted(facts: Facts) -> dict[Key, list[Any]]:
    """The writes that took effect: the fault, if any, of each one's answer."""
    accepted: dict[Key, list[Any]] = defaultdict(list)
    for write in facts.writes:
        if write["accepted"]:
            accepted[write["account"], write["region"], write["repository"]].append(write["fault"])
    return accepted


def _writes(facts: Facts) -> Iterator[str]:
    """Every write that was accepted is recorded, and none was needless."""
    changes = _changes(facts.report)
    for key, faults in _accepted(facts).items():
        change = changes.get(key) or {"status": None, "error": None}
        if change["status"] != "applied" and UNCERTAIN not in (change["error"] or ""):
            yield f"{key} was written and is recorded as {change}"
        if None in faults[:-1]:
            yield f"{key} was written again after an answer that came whole: {faults}"


# The lease could not be taken or held, or the plan not be put beside the report.
_NOT_HAD = ("lease_unavailable", "lease_lost", "journal_unavailable")


def _changed(facts: Facts) -> Iterator[str]:
    """Every change has ended: applied is applied, and the others have a reason that fits."""
    reasons, accepted = facts.scenario.reasons, _accepted(facts)
    still_open = {
        (each.account, each.region, each.name)
        for each in facts.after
        if each.mutability != "IMMUTABLE"
    }
    changes = _changes(facts.report)
    # What a write needs beforehand could not be had: then no change is made, for one reason.
    held = {(change["status"], change["reason"]) for change in changes.values()}
    held -= {("withheld", _NOT_WRITTEN["withheld"])}
    if len(held) == 1 and not accepted:
        ((status, reason),) = held
        if status == "withheld" and reasons and reason in {*reasons, *_NOT_HAD}:
            return
    for key, change in changes.items():
        if change["status"] == "applied":
            good = key in accepted and key not in still_open
        elif change["status"] == "failed":
            good = change["reason"] in reasons
        else:
            good = bool(reasons) and change["reason"] == _NOT_WRITTEN.get(change["status"], "")
        if not good:
            yield f"{key} ended as {change}"


def _status(facts: Facts) -> Iterator[str]:
    """The exit status is the documented one."""
    report = facts.report
    if any(item["status"] == "failed" for item in report["deliveries"]):
        expected = 5
    elif report["failures"] or any(
        item["compliance"] == "undetermined" for item in report["findings"]
    ):
        expected = 4
    else:
        left = any(each.mutability != "IMMUTABLE" for each in facts.after)
        expected = 3 if left or _remaining(report) else 0
    if facts.status != expected:
        yield f"exit status {facts.status}, expected: {expected}"
    if "Traceback" in facts.output:
        yield f"a stack trace: {facts.output[facts.output.index('Traceback') :][:500]}"


def _secrets(facts: Facts) -> Iterator[str]:
    """No secret key and no session token is in what was printed, logged or delivered."""
    for part in quoted(facts.secrets, facts.output):
        start = facts.output.index(part)
        yield f"a secret is in the output: …{facts.output[max(0, start - 200) : start]}"


def quoted(secrets: Sequence[str], text: str) -> set[str]:
    """Return the beginnings of secrets, cut to _SECRET_PART characters, that `text` has anywhere.

    One pass for all of them, because a run may have thousands of secrets and tens of megabytes of
    text: a beginning lies whole in a run of characters that beginnings are made of.
    """
    if short := [secret for secret in secrets if len(secret) < _SECRET_PART]:
        raise ValueError(f"{len(short)} secrets are shorter than {_SECRET_PART} characters")
    parts = {secret[:_SECRET_PART] for secret in secrets}
    alphabet = re.escape("".join(sorted(set().union(*parts))))
    runs = set(re.findall(f"[{alphabet}]{{{_SECRET_PART},}}", text)) if parts else set()
    return {
        window
        for run in runs
        for start in range(len(run) - _SECRET_PART + 1)
        if (window := run[start : start + _SECRET_PART]) in parts
    }
