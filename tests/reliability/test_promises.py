"""The promises are held against a true report that was tampered with: each lie is found."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reliability import faults
from tests.reliability.promises import Facts, broken, quoted
from tests.reliability.scenarios import Scenario, Size

THROTTLED = frozenset({"throttled"})
Tamper = Callable[[Any, Facts], Any]


@pytest.fixture(scope="module")
def true_facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    seen: list[Facts] = []

    def look(facts: Facts) -> list[str]:
        seen.append(facts)
        return broken(facts)

    scenario = Scenario("a role is missing", roleless=9, reasons=THROTTLED, denied_regions=1)
    directory: Path = tmp_path_factory.mktemp("true")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "broken", look)
        result = faults.play(scenario, 3, Size(accounts=4, regions=3), directory)
    assert result.broken == []
    assert result.status == 4
    return seen[0]


def _drop_target(report: Any, facts: Facts) -> None:
    report["accounts"][0]["regions"].popitem()


def _repeat_account(report: Any, facts: Facts) -> None:
    report["accounts"].append(report["accounts"][0])


def _strange_account(report: Any, facts: Facts) -> None:
    report["skipped"].append({"account_id": "1" * 12, "region": None, "reason": "denied"})


def _fail_too(report: Any, facts: Facts) -> None:
    report["failures"].append({**report["failures"][-1], "account_id": facts.accounts[0]})


def _another_reason(report: Any, facts: Facts) -> None:
    report["failures"][0]["reason"] = "internal_error"


def _wrong_counts(report: Any, facts: Facts) -> None:
    region = next(iter(report["accounts"][0]["regions"]))
    report["accounts"][0]["regions"][region][0] += 1


def _wrong_coverage(report: Any, facts: Facts) -> None:
    report["coverage"]["complete"] = True


def _lose_finding(report: Any, facts: Facts) -> None:
    report["findings"].pop()


def _repeat_finding(report: Any, facts: Facts) -> None:
    report["findings"].append(report["findings"][0])


def _strange_finding(report: Any, facts: Facts) -> None:
    report["findings"].append({**report["findings"][0], "region": "mars-1"})


def _doubt_finding(report: Any, facts: Facts) -> None:
    report["findings"][0]["compliance"] = "undetermined"


def _change(**members: Any) -> Tamper:
    def tamper(report: Any, facts: Facts) -> None:
        report["findings"][0]["change"].update(members)

    return tamper


def _written_twice(report: Any, facts: Facts) -> Facts:
    return dataclasses.replace(facts, writes=[*facts.writes, facts.writes[0]])


def _not_written(report: Any, facts: Facts) -> Facts:
    return dataclasses.replace(facts, writes=facts.writes[1:])


def _reopened(report: Any, facts: Facts) -> Facts:
    return dataclasses.replace(facts, after=facts.before)


def _called_examined(report: Any, facts: Facts) -> Facts:
    lasting = dict.fromkeys(facts.accounts, "assume_role_denied")
    return dataclasses.replace(facts, lasting_accounts=lasting)


def _told(text: str) -> Tamper:
    return lambda report, facts: dataclasses.replace(facts, output=facts.output + text)


def _quoted(report: Any, facts: Facts) -> Facts:
    return dataclasses.replace(facts, output=f"{facts.output} {facts.secrets[-1][:15]}")


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (_drop_target, "is in the report 0 times"),
        (_repeat_account, "is in the report more than once"),
        (_strange_account, "is in the report and not in the organization"),
        (_fail_too, "is in the report 2 times"),
        (_another_reason, "failed with internal_error; possible: "),
        (_called_examined, "is called examined, and could not be"),
        (_wrong_counts, "totals.repositories: "),
        (_wrong_counts, "repositories"),
        (_wrong_coverage, "coverage: "),
        (_lose_finding, "open are"),
        (_repeat_finding, "is found twice"),
        (_strange_finding, "which was not examined"),
        (_doubt_finding, "undetermined without a damaged answer"),
        (_change(status="failed", reason="throttled", error="no"), "was written and is recorded"),
        (_change(status="failed", reason="denied", error="may have taken effect"), "ended as"),
        (_change(status="superseded", reason="now_compliant"), "ended as"),
        (_change(status="planned"), "ended as"),
        (_written_twice, "was written again after an answer that came whole"),
        (_not_written, "ended as"),
        (_reopened, "ended as"),
        (lambda report, facts: dataclasses.replace(facts, status=0), "exit status 0, expected: 4"),
        (_told("\nTraceback (most recent call last):"), "a stack trace"),
        (_quoted, "a secret is in the output"),
    ],
)
def test_a_lie_is_found(true_facts: Facts, tamper: Tamper, words: str) -> None:
    report = copy.deepcopy(true_facts.report)
    facts = tamper(report, dataclasses.replace(true_facts, report=report))
    found = broken(facts or dataclasses.replace(true_facts, report=report))
    assert any(words in line for line in found), found


def test_what_is_true_passes(true_facts: Facts) -> None:
    report = copy.deepcopy(true_facts.report)
    change = report["findings"][0]["change"]
    change.update(status="failed", reason="throttled", error="Throttling: may have taken effect")
    report["totals"]["remaining"] += 1
    assert broken(dataclasses.replace(true_facts, report=report)) == []


def test_a_secret_is_found_wherever_it_is(true_facts: Facts) -> None:
    """Whole or cut off, at any place, with anything around it: every secret of a real run."""
    output = true_facts.output
    assert quoted(true_facts.secrets, output) == set()
    assert len(true_facts.secrets) > 5
    for number, secret in enumerate(true_facts.secrets):
        at = number * len(output) // (len(true_facts.secrets) - 1)  # both ends included
        for planted in (secret, secret[:12], f"x{secret[:12]}", f"{secret[:12]}x", f"-{secret}_0"):
            text = output[:at] + planted + output[at:]
            assert quoted(true_facts.secrets, text) == {secret[:12]}, (number, planted)
    assert quoted(true_facts.secrets, "\n".join(true_facts.secrets)) == {
        secret[:12] for secret in true_facts.secrets
    }


def test_less_than_the_beginning_of_a_secret_is_none() -> None:
    assert quoted(["abcdefghijkl-and-more"], "abcdefghijk bcdefghijkl-and-more") == set()
    assert quoted([], "abcdefghijkl") == set()


def test_a_secret_too_short_to_be_looked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="1 secrets are shorter than 12"):
        quoted(["short", "long-enough-to-be-one"], "")


@given(
    text=st.text(alphabet="ab-+/]^\\.", max_size=60),
    secrets=st.lists(st.text(alphabet="ab-+/]^\\", min_size=12, max_size=14), max_size=4),
    at=st.integers(0, 60),
    cut=st.integers(10, 14),
)
def test_one_pass_finds_what_one_search_for_each_finds(
    text: str, secrets: list[str], at: int, cut: int
) -> None:
    planted = text[:at] + "".join(secrets)[:cut] + text[at:]
    parts = {secret[:12] for secret in secrets}
    assert quoted(secrets, planted) == {part for part in parts if part in planted}


@pytest.mark.parametrize(
    ("deliveries", "failures", "status"), [("failed", [], 5), ("delivered", [], 3)]
)
def test_the_status_follows_from_the_report(
    true_facts: Facts, deliveries: str, failures: list[Any], status: int
) -> None:
    report = copy.deepcopy(true_facts.report)
    report["deliveries"][0]["status"] = deliveries
    report["failures"] = failures
    found = broken(dataclasses.replace(true_facts, report=report, status=status))
    assert not any("exit status" in line for line in found)


@pytest.mark.parametrize(
    ("reason", "more", "writes", "words"),
    [
        ("throttled", {}, 0, ""),
        ("internal_error", {}, 0, "the sweep ended with"),
        ("throttled", {"accounts": [{"id": "1", "regions": {}}]}, 0, "says more than that"),
        ("throttled", {}, 1, "has written"),
    ],
)
def test_a_sweep_that_ended_early_says_only_that(
    true_facts: Facts, reason: str, more: dict[str, Any], writes: int, words: str
) -> None:
    failure = {"stage": "enumerate", "account_id": None, "region": None, "reason": reason}
    report = {**true_facts.report, "failures": [failure], "accounts": [], "findings": [], **more}
    facts = dataclasses.replace(true_facts, report=report, writes=true_facts.writes[:writes])
    found = broken(facts)
    assert any(words in line for line in found) if words else found == []


def test_many_lies_are_told_in_short(true_facts: Facts) -> None:
    found = broken(dataclasses.replace(true_facts, accounts=["1" * 12], regions=["a", "b"]))
    assert any(line.startswith("… and ") for line in found)
