"""Hostile names, tags and messages, in everything that a report is made into: one table.

What is particular to a form (markup, formulas, limits) is asserted beside that form, too.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sweeper.domain.escaping import csv_cell, is_hidden, plain
from sweeper.domain.report_model import Report
from sweeper.reporting.notification import message, subject
from sweeper.reporting.sinks.security_hub import _findings
from sweeper.reporting.sinks.sns import _message
from tests.cases import case
from tests.factories import HOSTILE, hostile_report
from tests.rendering import formats, rendered


def _rendered(name: str) -> Callable[[Report], str]:
    return lambda report: rendered(name, report).decode()


# What is written, as text.
FORMS: dict[str, Callable[[Report], str]] = {
    **{name: _rendered(name) for name in formats()},
    "message": lambda report: message(report, ()),
    "subject": subject,
    "structured": lambda report: _message(report, ()),
    "asff": lambda report: json.dumps([*_findings(report, "eu-west-1")], ensure_ascii=False),
}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, str):
        yield value


def _json_lines(text: str) -> list[str]:
    return [string for line in text.splitlines() for string in _strings(json.loads(line))]


# What a consumer reads out of it, where it is a format that is read.
READ: dict[str, Callable[[str], list[str]]] = {
    "json": lambda text: [*_strings(json.loads(text))],
    "ocsf": _json_lines,
    "asff": lambda text: [*_strings(json.loads(text))],
    "sarif": lambda text: [*_strings(json.loads(text))],
    "csv": lambda text: [cell for row in csv.reader(io.StringIO(text)) for cell in row],
    "junit": lambda text: [
        string
        for element in ET.fromstring(text).iter()
        for string in (element.text or "", *element.attrib.values())
    ],
}


@pytest.fixture(scope="module")
def forms() -> dict[str, str]:
    item = hostile_report()
    return {name: form(item) for name, form in FORMS.items()}


def test_nothing_hidden_is_written_and_no_text_forges_a_line(forms: dict[str, str]) -> None:
    """No control, bidirectional or invisible character; nothing that UTF-8 does not have."""
    for name, text in forms.items():
        with case(name):
            text.encode()
            assert not [char for char in set(text.replace("\n", "")) if is_hidden(char)]
            assert not [line for line in text.splitlines() if line.lstrip().startswith("Forged")]
            assert "Forged" in text or name == "subject"


def test_a_name_is_read_as_what_it_is(forms: dict[str, str]) -> None:
    """Escaped for where it stands, and there alone: a consumer reads it whole and as text."""
    for form, read in READ.items():
        strings = set(read(forms[form]))
        for name in HOSTILE[:-1]:  # the last is cut: see the limits of each form
            with case(form, name):
                shown = {"json": name, "csv": csv_cell(name)}.get(form, plain(name))
                assert shown in strings


def test_what_is_very_long_is_cut(forms: dict[str, str]) -> None:
    """report.json and the table keep the facts whole; what is shown or has limits does not."""
    for form in ("asff", "junit", "markdown", "message", "ocsf", "sarif", "text"):
        with case(form):
            text = forms[form].replace("}, {", "}\n{")
            assert "x" * 60 in text
            assert max(map(len, text.splitlines())) < 20_000
