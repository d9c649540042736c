import json
from dataclasses import fields, replace
from datetime import date
from types import MappingProxyType

import pytest

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery, Report
from tests.factories import (
    HOSTILE,
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    run,
    since_last,
    target,
)
from tests.rendering import as_json


def test_keys_are_the_model_s_in_its_order() -> None:
    parsed = json.loads(as_json(report([finding()])))
    assert list(parsed) == [field.name for field in fields(Report)]
    assert list(parsed["findings"][0])[:3] == ["check", "account_id", "account_name"]


def test_each_item_has_a_line_of_its_own() -> None:
    lines = (
        as_json(
            report(
                [finding("a"), finding("b")],
                [(target(region="eu-west-1"), failed())],
                [(account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED))],
            )
        )
        .decode()
        .splitlines()
    )
    items = [json.loads(line.rstrip(",")) for line in lines if line.startswith("    {")]
    assert [item.get("repository") or item.get("reason") for item in items] == [
        None,  # the accounts
        None,
        "a",
        "b",
        "account_suspended",
        "denied_by_scp",
    ]
    assert '  "deliveries": [],' in lines


def test_what_changed_has_a_line_for_each_item_too() -> None:
    changed = since_last(new=1, resolved=(earlier("a"), earlier("b")), not_visible=[earlier("c")])
    text = as_json(replace(report(), since_last=changed)).decode()
    items = [line.strip(" ,") for line in text.splitlines() if line.startswith("      {")]
    assert [json.loads(item)["repository"] for item in items] == ["a", "b", "c"]
    assert '    "not_visible": []' in as_json(replace(report(), since_last=since_last())).decode()
    assert json.loads(text)["since_last"]["new"] == 1


def test_values_are_plain_json() -> None:
    item = finding(exemption=exemption(expires=date(2026, 10, 31), expired=True), change=change())
    parsed = json.loads(as_json(report([item])))
    [shown] = parsed["findings"]
    assert shown["compliance"] == "non_compliant"
    assert shown["exemption"]["expires"] == "2026-10-31"
    assert shown["change"] == {
        "status": "applied",
        "to_mutability": "IMMUTABLE",
        "to_exclusion_filters": [],
        "reason": None,
        "error": None,
        "uncertain": False,
        "due": None,
    }
    assert parsed["accounts"][0]["regions"] == {"eu-central-1": [1, 1, 0]}


def test_nothing_seen() -> None:
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST, "denied"))
    parsed = json.loads(as_json(early))
    assert parsed["accounts"] == parsed["findings"] == []
    assert parsed["failures"][0]["account_id"] is None


def test_hostile_text_comes_back_as_it_was_and_shows_nothing_hidden() -> None:
    text = as_json(hostile_report())
    assert text.endswith(b"\n}\n")
    assert not any(is_hidden(char) for char in text.decode().replace("\n", ""))
    assert [item["repository"] for item in json.loads(text)["findings"]] == list(HOSTILE)


def test_names_stay_readable() -> None:
    assert "Zürich" in as_json(report([finding(account_name="Zürich")])).decode()


def test_a_mapping_of_any_kind_is_an_object() -> None:
    item = report()
    frozen = replace(item.accounts[0], regions=MappingProxyType(item.accounts[0].regions))
    assert as_json(replace(item, accounts=(frozen,))) == as_json(item)


def test_what_has_no_place_in_a_report_is_refused() -> None:
    wrong = replace(report(), deliveries=(Delivery("s3", object(), "failed"),))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="object has no place"):
        as_json(wrong)
