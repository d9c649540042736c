"""Sentences about a report: when changes that wait will be made, and what was checked of what."""

from __future__ import annotations

import json
from datetime import date

import pytest

from sweeper.domain.model import REGISTRY, ChangeStatus, Skipped
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report, Scope
from sweeper.reporting.formats.html.facts import facts
from sweeper.reporting.notification import message, subject
from sweeper.reporting.report_wording import (
    coverage_sentence,
    due_changes_sentence,
    scope_words,
    wave_rows,
)
from sweeper.reporting.sinks.security_hub import _findings as asff
from tests.factories import account, change, failed, finding, report, target, template
from tests.golden.reports import scheduled
from tests.rendering import formats, rendered
from tests.reporting.sinks.topics import event

DAY = "2027-01-15"


def waiting(*days: date) -> Report:
    held = ChangeStatus.WITHHELD
    return report(
        [
            finding(str(i), change=change(held, reason=Reason.IN_GRACE_PERIOD, due=day))
            for i, day in enumerate(days)
        ]
    )


@pytest.mark.parametrize("name", formats())
def test_every_format_names_the_day_of_each_change(name: str) -> None:
    assert DAY in rendered(name, scheduled()).decode()


def test_every_message_names_the_day_of_each_change() -> None:
    item = scheduled()
    assert DAY in message(item, ())
    assert DAY in event(item, ())
    fields = [each["ProductFields"] for each in asff(item, "eu-west-1")]
    assert [each.get("sweeper/ChangeDue") for each in fields].count(DAY) == 1


def test_the_changes_that_wait_in_a_sentence() -> None:
    days = [date(2027, 1, day) for day in (3, 1, 1, 2, 4, 5)]
    assert due_changes_sentence(report([finding()])) is None
    assert due_changes_sentence(waiting(days[0])) == "1 change announced: 1 from 2027-01-03 on"
    assert due_changes_sentence(waiting(*days)) == (
        "6 changes announced: 2 from 2027-01-01 on, 1 from 2027-01-02 on, 1 from 2027-01-03 on, "
        "2 later"
    )


def test_each_wave_has_its_day_its_accounts_and_its_changes() -> None:
    assert list(wave_rows(report())) == []
    assert list(wave_rows(scheduled())) == [
        ("2026-11-01", "open", "1 account", "2 changes"),
        (DAY, "later", "2 accounts", "1 change"),
    ]


def test_a_registry_default_is_no_repository_and_less_urgent_than_one() -> None:
    item = report([template("ROOT", resource=REGISTRY)], compliant=0)
    assert subject(item) == "sweeper: 1 mutable registry default"
    assert "1 registry has no creation template for ROOT" in message(item, ())
    (ocsf,) = map(json.loads, rendered("ocsf", item).splitlines())
    assert ocsf["severity"] == "Low"
    (security_hub,) = asff(item, "eu-west-1")
    assert security_hub["FindingProviderFields"]["Severity"] == {"Label": "LOW"}
    (result,) = json.loads(rendered("sarif", item))["runs"][0]["results"]
    assert result["level"] == "note"
    assert item.totals.repositories.non_compliant == 0


SKIPPED = (target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED))
NARROW = Scope(4, 6, ("us-east-1",), 3, ("organization.include_accounts", "--region"))


def narrowed() -> Report:
    return report([], (), [SKIPPED], scope=NARROW)


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (Scope(4, 4, ("a", "b", "c"), 3, ()), "4 accounts, 3 regions"),
        (
            Scope(4, 4, ("a",), 3, ("regions.include",)),
            "4 accounts, 1 of 3 regions: regions.include",
        ),
        (NARROW, "4 of 6 accounts, 1 of 3 regions: organization.include_accounts, --region"),
        (Scope(1, 1, ("a",), 1, ()), "1 account, 1 region"),
        (Scope(1, 1, (), 2, ("regions.include",)), "1 account, 0 of 2 regions: regions.include"),
        (None, None),
    ],
)
def test_the_scope_in_words(of: Scope | None, text: str | None) -> None:
    assert scope_words(report(scope=of)) == text


def test_the_first_line_names_the_scope() -> None:
    text = scope_words(narrowed())
    assert text is not None
    assert text in rendered("text", narrowed()).decode().splitlines()[0]
    assert text in message(narrowed(), ()).splitlines()[0]
    assert facts(narrowed()).scope == text


def test_where_something_was_skipped_nothing_claims_all() -> None:
    for item, everything in ((report(), True), (narrowed(), False)):
        assert item.coverage.complete
        assert facts(item).everything is everything
        text = [coverage_sentence(item), subject(item), message(item, ()).partition("\n\n")[0]]
        text += [banner.title for banner in facts(item).banners]
        scoped = ["in scope", "in this scope", "in what was checked"]
        for sentence in text:
            assert any(words in sentence for words in scoped) is not everything, sentence


def test_an_account_that_was_examined_in_part_is_told_from_one_that_was_not() -> None:
    unread = failed(Reason.REGIONS_UNREADABLE)
    item = report([], [(account(), unread), (account("777788889999"), unread)])
    assert coverage_sentence(item) == (
        "COVERAGE IS INCOMPLETE: 1 of 2 accounts could not be checked; of 1 of 2 accounts only "
        "the named regions were examined, others are unknown."
    )
