import csv
import io
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.escaping import csv_cell, is_hidden, plain, shorten
from tests.cases import case


def test_plain() -> None:
    cases: list[tuple[str, str]] = [
        ("", ""),
        ("product-a/service-one", "product-a/service-one"),
        ("Zürich 東京\u3000支店 🚀", "Zürich 東京\u3000支店 🚀"),
        ("<script>", "<script>"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("a\nb\r\tc", r"a\x0ab\x0d\x09c"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("abc\u202egnp.exe", r"abc\u202egnp.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("lone\ud800", r"lone\ud800"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("\u3164", r"\u3164"),
        ("\ufffe\uffff", r"\ufffe\uffff"),
    ]
    for text, shown in cases:
        with case(text, shown):
            assert plain(text) == shown


def test_csv_cell() -> None:
    cases: list[tuple[str, str]] = [
        ("", ""),
        ("name", "name"),
        ("a=b", "a=b"),
        ("=cmd()", "'=cmd()"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", r"'\x09=1"),
        ("\r=1", r"'\x0d=1"),
        ("\uff1d1", "'\uff1d1"),
        ("  =1", "'  =1"),
        ("\u3000=1", "'\u3000=1"),
        ('"=1"', '\'"=1"'),
        (' " "@a', '\' " "@a'),
        ("a;=1", "a;'=1"),
        ('a; "-1', "a;' \"-1"),
        (";;=1", ";;'=1"),
        ("a; b=1, -2", "a; b=1, -2"),
        ("\t", r"\x09"),
    ]
    for text, cell in cases:
        with case(text, cell):
            assert csv_cell(text) == cell


def test_shortened_says_that_it_cut() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert shorten("\n" * 6, 6) == r"\x0a\…"


@given(st.text(st.characters()))
def test_nothing_hidden_is_left_and_all_of_it_can_be_written(text: str) -> None:
    shown = plain(text)
    assert not any(map(is_hidden, shown))
    assert plain(shown) == shown
    assert len(shown.splitlines()) <= 1
    shown.encode()


# A spreadsheet's own separators; after "sep" what it trims.
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("trims", [False, True])
@given(text=st.text(st.one_of(st.sampled_from(' ";,=+-@\t\r\n\uff1d'), st.characters())))
def test_no_spreadsheet_finds_a_formula(text: str, delimiter: str, trims: bool) -> None:
    out = io.StringIO()
    csv.writer(out).writerow(["first", csv_cell(text), "last"])
    [cells] = csv.reader(
        io.StringIO(out.getvalue()), delimiter=delimiter, skipinitialspace=trims, strict=False
    )
    assert not [cell for cell in cells if cell.lstrip().startswith(tuple("=+-@\t\r\uff1d"))]


@given(st.text(st.characters()))
def test_xml_holds_all_of_it(text: str) -> None:
    element = ET.Element("a", name=plain(text))
    element.text = plain(text)
    parsed = ET.fromstring(ET.tostring(element))
    assert (parsed.text or "") == parsed.get("name") == plain(text)
