"""What is written, whole: one golden text for each format and message, of the same reports."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import product

from sweeper.domain.model import ChangeStatus, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.html.facts import facts
from sweeper.reporting.formats.html.tables import tables
from sweeper.reporting.notification import message, subject
from sweeper.reporting.sinks.security_hub import _findings
from sweeper.reporting.sinks.sns import _attributes
from sweeper.reporting.sinks.topic import encode_attributes
from sweeper.reporting.wording import advice, outcome_words
from tests.cases import case
from tests.factories import change, finding, report, run
from tests.golden import assert_golden, sections
from tests.golden.reports import DELIVERIES, every, planned, whole
from tests.rendering import formats, rendered
from tests.reporting.sinks.topics import event


def of_every(text: Callable[[Report], str]) -> str:
    return sections({name: text(item) for name, item in every().items()})


def test_json() -> None:
    assert_golden("report.json", rendered("json", every()["everything"]))


def test_csv() -> None:
    rows = [rendered("csv", item).decode() for item in (whole(), planned())]
    assert_golden("report.csv", "\n".join(rows))


def test_ocsf() -> None:
    assert_golden("report.ocsf.jsonl", rendered("ocsf", whole()))


def test_sarif() -> None:
    assert_golden("report.sarif", rendered("sarif", whole()))


def test_junit() -> None:
    assert_golden("report.junit.xml", rendered("junit", whole()))


def test_markdown() -> None:
    names = ("everything", "planned", "templates", "scheduled", "clean", "disabled", "ended early")
    shown = {name: rendered("markdown", every()[name]).decode() for name in names}
    assert_golden("report.md", sections(shown))


def test_text() -> None:
    assert_golden("report.txt", of_every(lambda item: rendered("text", item).decode()))


def test_html() -> None:
    names = (
        *("everything", "planned", "templates", "scheduled", "clean", "no repository"),
        *("ended early", "nothing examined"),
    )
    assert_golden("report.html.txt", sections({name: html(every()[name]) for name in names}))


def html(item: Report) -> str:
    """What is read on the page: its texts, how its figures are judged, and its tables' rows."""
    page = rendered("html", item).decode()
    page = re.sub(r"<(style|script)\b.*?</\1>|<details>.*?</details>", "", page, flags=re.DOTALL)
    lines = [
        text for text in (" ".join(each.split()) for each in re.split("<[^>]*>", page)) if text
    ]
    shown = facts(item)
    lines += [f"-- {each.level}: {each.title}" for each in shown.banners]
    for card in shown.cards:
        lines += [f"-- {card.title}: {each.label}: {each.level}" for each in card.figures]
    for table in tables(item):
        lines.append(f"-- {table.id}: {[column.title for column in table.columns]}")
        rows = zip(*(column.values for column in table.columns), strict=True)
        lines += [json.dumps(row, ensure_ascii=False) for row in rows]
    return "\n".join(lines)


def test_message() -> None:
    assert_golden(
        "message.txt",
        of_every(lambda item: f"Subject: {subject(item)}\n\n{message(item, item.deliveries)}"),
    )


def test_structured() -> None:
    item = whole()
    parsed = json.loads(event(item, DELIVERIES))
    attributes = encode_attributes(_attributes(item))
    assert_golden("message.jsonl", lines_of([attributes, *parsed.pop("findings"), parsed]))


def test_asff() -> None:
    assert_golden("findings.asff.jsonl", lines_of([*_findings(whole(), "eu-west-1")]))


def lines_of(values: Sequence[object]) -> str:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in values)


def test_words_of_every_reason() -> None:
    """What became of a change, and what to do about it: each text once, with its first reason."""
    texts: dict[str, str] = {}
    for status in ChangeStatus:
        for reason in (None, *Reason):
            with case(status, reason):
                words = outcome_words(finding(change=change(status, reason=reason)), run())
                if status is not ChangeStatus.SUPERSEDED:
                    assert "IMMUTABLE" in words
                texts.setdefault(words.replace(str(reason), "…"), f"{status}, {reason}")
    for stage, reason in product(Stage, Reason):
        words = advice(stage, reason) or ""
        if words != advice(Stage.EXAMINE, reason):  # which is in docs/reasons.md
            texts.setdefault(words, f"{stage}, {reason}")
    assert_golden("reasons.txt", "".join(f"{of}: {text}\n" for text, of in texts.items()))


def test_the_same_facts_give_the_same_bytes() -> None:
    items = [finding(name) for name in ("c", "a", "b")]
    one, other = report(items), report(items[::-1])
    for name, each in formats().items():
        with case(name):
            assert rendered(each.name, one) == rendered(each.name, other)
            assert rendered(each.name, one) == rendered(each.name, one)
    assert message(one, ()) == message(other, ())
