"""Names that others chose cannot harm who reads the report."""

from __future__ import annotations

import csv
import dataclasses
import json
import re

import pytest

from tests.end_to_end.harness import Ended, run, small_world
from tests.fake_aws.process import FakeAws

NAMES = (
    "=cmd()",
    "<script>alert(1)</script>",
    "[red]painted[/red]",
    "bell\x07 escape\x1b[2Jcleared",
    "two\nlines\r\nof text",
    "right\u202eto left",
    "@sum(a1)",
)
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def ended(aws: FakeAws, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    world = small_world(accounts=len(NAMES), regions=1)
    accounts = tuple(
        dataclasses.replace(account, name=name)
        for account, name in zip(world.accounts, NAMES, strict=True)
    )
    aws.load(dataclasses.replace(world, accounts=accounts))
    return run(
        aws,
        tmp_path_factory.mktemp("hostile"),
        "--dry-run",
        config={"report": {"formats": ["json", "csv", "text", "html"]}},
    )


def _text(ended: Ended, name: str) -> str:
    return (ended.directory / "out" / name).read_bytes().decode()


def test_the_facts_are_kept(ended: Ended) -> None:
    assert {finding["account_name"] for finding in ended.report["findings"]} == set(NAMES)


def test_json_holds_nothing_that_a_terminal_obeys(ended: Ended) -> None:
    assert not CONTROLS.search(_text(ended, "report.json"))


@pytest.mark.parametrize("where", ["report.txt", "stdout"])
def test_text_holds_nothing_that_a_terminal_obeys(ended: Ended, where: str) -> None:
    text = ended.stdout if where == "stdout" else _text(ended, where)
    assert not CONTROLS.search(text)
    assert "[red]painted[/red]" in text
    assert r"two\x0alines\x0d\x0aof text" in text
    assert r"escape\x1b[2Jcleared" in text


def test_the_page_holds_no_markup_of_theirs(ended: Ended) -> None:
    page = _text(ended, "report.html")
    assert not CONTROLS.search(page)
    assert "<script>alert" not in page
    assert r"\u003cscript\u003ealert(1)\u003c/script\u003e" in page
    assert r"two\\x0alines\\x0d\\x0aof text" in page


def test_no_cell_is_a_formula(ended: Ended) -> None:
    rows = list(csv.reader(_text(ended, "report.csv").splitlines()))
    cells = {cell for row in rows for cell in row}
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+", "-"))]
    assert "'=cmd()" in cells
    assert "'@sum(a1)" in cells
    assert not [cell for cell in cells if CONTROLS.search(cell)]


def test_the_log_is_one_entry_a_line(ended: Ended) -> None:
    assert all(isinstance(json.loads(line), dict) for line in ended.stderr.splitlines())
    assert not CONTROLS.search(ended.stderr)
