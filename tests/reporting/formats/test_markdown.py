"""What a renderer makes of the summary, and its size; its words are a golden text."""

import re
from collections.abc import Iterator
from dataclasses import replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sweeper.domain.model import ChangeStatus, Compliance, Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.console import console_url
from sweeper.reporting.formats.markdown import _MAX_BYTES
from tests.cases import case
from tests.factories import (
    HOSTILE,
    account,
    change,
    failed,
    finding,
    hostile_report,
    report,
    since_last,
)
from tests.golden.reports import every
from tests.rendering import rendered

# What a name or a message could try in Markdown, and what GitHub makes a link of.
ATTACKS = (
    *HOSTILE[:-1],
    "`code` ``two`` |cell| \\| \\` \\",
    "[a link](https://example.com) ![an image](https://example.com/x.png) [ref][1]",
    "<img src=x onerror=alert(1)> <https://example.com> <!-- a comment",
    "https://example.com HTTP://example.com www.example.com WWW.example.com",
    "someone@example.com @someone @org/team #1 org/repository#1 @#@",
    "**bold** _slanted_ ~~gone~~ $x$ &lt; &#60; # title",
    "```\nfence",
    "[1]: https://example.com",
    "> quoted - item 1. item",
    "   ",
)


def text_of(item: Report) -> str:
    return rendered("markdown", item).decode()


def tokens(item: Report) -> list[Token]:
    """Every token that a renderer of GitHub's dialect makes of it, those within others too."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def flat(several: list[Token]) -> Iterator[Token]:
        for token in several:
            yield token
            yield from flat(token.children or [])

    return list(flat(parser.parse(text_of(item))))


def with_text(text: str) -> Report:
    """The text wherever somebody else could put it."""
    item = report(
        [
            finding(
                text or "x",
                account_name=text,
                region=text,
                mutability=text,
                exclusion_filters=(text, text),
                change=change(ChangeStatus.FAILED, reason=Reason.SERVICE_ERROR, error=text),
            ),
            finding("b", compliance=Compliance.UNDETERMINED, reason=text),
        ],
        [(account("333344445555", text), failed(message=text, error_code=text))],
        organization_id=text,
    )
    return replace(item, since_last=since_last(unavailable=text))


def shape(item: Report) -> list[str]:
    """What the document consists of, but for text and code."""
    return [
        each.type for each in tokens(item) if each.type not in ("text", "code_inline", "inline")
    ]


def test_no_text_is_markup_nor_ends_a_cell() -> None:
    expected = shape(with_text("x"))
    for attack in ATTACKS:
        with case(attack):
            assert shape(with_text(attack)) == expected


def test_no_text_is_taken_for_an_address_or_a_mention() -> None:
    for attack in ATTACKS:
        with case(attack):
            # What is in a code span is looked through by nobody.
            texts = [each.content for each in tokens(with_text(attack)) if each.type == "text"]
            for text in texts:
                assert "@" not in text
                assert not re.search(r"#\d", text)
            source = re.sub(r"`[^`]*`", "", text_of(with_text(attack)))
            assert not re.search(r"https?://|www\.", source, re.IGNORECASE)


def test_a_repository_leads_to_the_console_and_nothing_else_is_a_link() -> None:
    item = report([finding("team/a"), finding("not | a name")])
    links = [each.attrGet("href") for each in tokens(item) if each.type == "link_open"]
    assert links == [console_url(finding("team/a"), "aws")]
    assert not [each for each in tokens(hostile_report()) if each.type == "link_open"]


def test_verdict_and_coverage_come_first() -> None:
    for name, item in every().items():
        with case(name):
            title, _, coverage, *_ = text_of(item).splitlines()
            assert title.startswith("## sweeper")
            assert ("COVERAGE IS INCOMPLETE" in coverage or "NOTHING WAS CHECKED" in coverage) is (
                not item.coverage.complete
            )


def test_what_has_no_room_is_counted() -> None:
    many = [finding(f"team/{index:05}") for index in range(2000)]
    text = text_of(report(many))
    listed = len(re.findall(r"`team/\d+`", text))
    (left_out,) = re.findall(r"and ([\d,]+) more findings", text)
    assert 0 < listed < 2000
    assert listed + int(left_out.replace(",", "")) == 2000
    assert _MAX_BYTES * 0.98 < len(text.encode()) <= _MAX_BYTES


def test_the_size_is_bounded_whatever_is_in_it() -> None:
    long = "<&" * 3000
    places = [
        (
            account(f"{index:012}", long),
            Failed(Stage.EXAMINE, reason, f"{index}{long}", long),
        )
        for index, reason in enumerate([*Reason] * 2)
    ]
    findings = [finding(f"{index}{long}", reason=long) for index in range(500)]
    item = replace(report(findings, places), since_last=since_last(unavailable=long))
    for each in (item, hostile_report()):
        assert len(text_of(each).encode()) <= _MAX_BYTES
    text = text_of(item)
    reasons = len(re.findall(r"^- \*\*", text, re.MULTILINE))
    (left_out,) = re.findall(r"and (\d+) more reasons", text)
    assert reasons + int(left_out) == len(Reason)
