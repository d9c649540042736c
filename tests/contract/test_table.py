"""The list of differences says who is right, and compares what can be compared."""

from __future__ import annotations

from collections import Counter

from tests.contract.answers import ABSENT, differences
from tests.contract.scenarios import SCENARIOS
from tests.contract.table import FILE, SAME, read, shown

SECTIONS = tuple(read(FILE.read_text()))
ROWS = tuple(row for section in SECTIONS for row in section.rows)


def test_every_section_says_who_is_right_and_by_what() -> None:
    for section in SECTIONS:
        assert section.right in {"fake", "peers", "both"}, section.title
        assert "https://" in section.why, section.title
        assert section.rows, section.title


def test_every_row_is_of_a_step_and_says_something() -> None:
    steps = Counter(step.name for scenario in SCENARIOS for step in scenario.steps)
    assert max(steps.values()) == 1
    assert {row.step for row in ROWS} <= set(steps)
    assert max(Counter((row.step, row.path) for row in ROWS).values()) == 1
    for row in ROWS:
        assert set(row.peers.values()) - {SAME, row.fake}, row


def test_what_differs_is_found_at_its_place() -> None:
    left = {"status": 200, "a": [{"b": 1}, {"b": 2}], "c": [1], "d": "x"}
    right = {"status": 200, "a": [{"b": 1}, {"b": 3}], "c": [1, 2], "e": "y"}
    assert differences(left, left) == {}
    assert differences(left, right) == {
        "a[].b": (2, 3),
        "c": ("1 items", "2 items"),
        "d": ("x", ABSENT),
        "e": (ABSENT, "y"),
    }
    refused = {"refused": "400 No", "by": "a policy"}
    assert differences(left, refused) == {"refused": (ABSENT, "400 No")}
    assert differences({"refused": "403 No"}, refused) == {
        "refused": ("403 No", "400 No"),
        "by": (ABSENT, "a policy"),
    }


def test_a_cell_is_one_short_line() -> None:
    assert shown(ABSENT) == "-"
    assert shown("") == '""'
    assert shown("a|b\n c") == "a b c"
    assert len(shown(["x" * 100])) == 60
