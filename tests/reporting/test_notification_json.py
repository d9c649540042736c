import json
from dataclasses import replace
from typing import Any

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.notification import LIMIT, message, size
from sweeper.reporting.notification_json import PROGRAMS, attributes, event, structured
from tests.cases import case
from tests.factories import (
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    since_last,
    target,
)
from tests.rendering import as_json

SO_FAR = (Delivery("s3", "s3://b/report.json", "delivered"),)
SNS_LIMIT = 256 * 1024  # bytes, attributes included


def told(item: Report, largest: int = 10**6) -> Any:
    return json.loads(event(item, SO_FAR, largest))


def test_people_get_the_text_and_programs_the_json() -> None:
    item = report([finding()])
    texts = json.loads(structured(item, SO_FAR))
    assert texts.pop("default") == message(item, SO_FAR)
    assert set(texts) == set(PROGRAMS)
    assert {json.dumps(json.loads(text)) for text in texts.values()} == {json.dumps(told(item))}


def test_a_program_reads_what_it_reads_in_the_report() -> None:
    item = report([finding("b"), finding("a", change=change())])
    whole = json.loads(as_json(item))
    got = told(item)
    for key in ("schema_version", "run", "totals", "coverage", "since_last"):
        assert got[key] == whole[key]
    assert sorted(got["findings"], key=str) == sorted(whole["findings"], key=str)
    assert (got["findings_left_out"], got["deliveries"][0]["location"]) == (0, "s3://b/report.json")


def test_the_urgent_ones_come_first_and_exempt_ones_not_at_all() -> None:
    broken = change(ChangeStatus.FAILED, reason=Reason.DENIED)
    item = report(
        [
            finding("applied", change=change()),
            finding("exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
            finding("open"),
            finding("failed", change=broken),
        ]
    )
    assert [each["repository"] for each in told(item)["findings"]] == ["failed", "open", "applied"]


def test_what_changed_is_counted() -> None:
    since = since_last(new=1, still_open=2, reopened=3, resolved=[earlier()], not_visible=[])
    assert told(replace(report(), since_last=since))["since_last"] == {
        "run_id": since.run_id,
        "new": 1,
        "still_open": 2,
        "reopened": 3,
        "resolved": 1,
        "not_visible": 0,
    }


def test_an_event_is_no_larger_and_says_what_it_leaves_out() -> None:
    for largest in [2_000, 5_000, 24_000]:
        with case(largest):
            item = report([finding(f"データ-{index:05}") for index in range(500)])
            text = event(item, SO_FAR, largest)
            assert largest - 600 < size(text) <= largest
            got = json.loads(text)
            assert len(got["findings"]) + got["findings_left_out"] == 500


def test_it_fits_with_its_attributes() -> None:
    for item in [
        report([finding(f"team-{index:05}/service") for index in range(20_000)]),
        report([finding("🚀" * 200, reason='"' * 4000) for _ in range(2000)]),
        hostile_report(),
    ]:
        with case(item):
            body = structured(item, SO_FAR)
            extra = "".join(
                f"{name}{value}"
                for name, each in attributes(item).items()
                for value in each.values()
            )
            assert len(body.encode()) <= LIMIT
            assert len(body.encode()) + len(extra.encode()) < SNS_LIMIT
            assert len(json.loads(body)["default"]) > 1000


def test_nothing_hidden_in_either() -> None:
    texts = json.loads(structured(hostile_report(), SO_FAR))
    for text in texts.values():
        assert not any(is_hidden(character) for character in text.replace("\n", ""))


def test_attributes() -> None:
    cases: list[tuple[Report, tuple[str, str]]] = [
        (report(), ("0", "false")),
        (report([finding(change=change())]), ("1", "false")),
        (report([finding()], [(target(region="us-east-1"), failed())]), ("1", "true")),
    ]
    for item, expected in cases:
        with case(item, expected):
            got = attributes(item)
            values = tuple(
                got[name]["StringValue"] for name in ("non_compliant", "coverage_incomplete")
            )
            assert values == expected
            assert got["run_id"]["StringValue"] == item.run.id
            assert got["non_compliant"]["DataType"] == "Number"
