"""When changes that wait will be made: in every format and message, with the day."""

from __future__ import annotations

import json
from datetime import date

import pytest

from sweeper.domain.model import REGISTRY, ChangeStatus
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.asff import findings as asff
from sweeper.reporting.notification import message, subject
from sweeper.reporting.notification_json import event
from sweeper.reporting.schedule_wording import due_changes, waves
from tests.factories import change, finding, report, template
from tests.golden.reports import scheduled
from tests.rendering import formats, rendered

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
    assert DAY in event(item, (), 10**6)
    fields = [each["ProductFields"] for each in asff(item, "eu-west-1")]
    assert [each.get("sweeper/ChangeDue") for each in fields].count(DAY) == 1


def test_the_changes_that_wait_in_a_sentence() -> None:
    days = [date(2027, 1, day) for day in (3, 1, 1, 2, 4, 5)]
    assert due_changes(report([finding()])) is None
    assert due_changes(waiting(days[0])) == "1 change announced: 1 from 2027-01-03 on"
    assert due_changes(waiting(*days)) == (
        "6 changes announced: 2 from 2027-01-01 on, 1 from 2027-01-02 on, 1 from 2027-01-03 on, "
        "2 later"
    )


def test_each_wave_has_its_day_its_accounts_and_its_changes() -> None:
    assert list(waves(report())) == []
    assert list(waves(scheduled())) == [
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
