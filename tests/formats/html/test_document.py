import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from sweeper.escaping import hidden
from sweeper.formats import formats
from sweeper.formats.html import render
from sweeper.formats.html.document import LICENCES, SCRIPTS, STYLES, embedded
from sweeper.model import Failed, Finding, Reason, Report, Skipped, Stage
from sweeper.report import aggregate, ended_early
from tests.factories import account, finding, hostile_report, report, run
from tests.formats.html.reports import eventful_report, large_report

PACKAGE = files("sweeper.formats.html")
REPORTS = {
    "clean": report(),
    "empty": report(compliant=0),
    "eventful": eventful_report(),
    "dry run": replace(eventful_report(), run=run(dry_run=True)),
    "hostile": hostile_report(),
    "ended early": ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow")),
    "nothing examined": aggregate(run(), [(account(), Skipped(Reason.ACCOUNT_SUSPENDED))], []),
}
# In HTML5 these never have an end.
VOID = {"meta", "br", "input", "link", "img"}


class Page(HTMLParser):
    """Elements by name with their attributes and text; fails on elements that do not nest."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(content.decode())
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]][-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def policy(self) -> str:
        [meta] = [item for item in self.named("meta") if item.get("http-equiv")]
        assert meta["http-equiv"] == "Content-Security-Policy"
        return meta["content"] or ""


def text_of(item: Report) -> str:
    page = re.sub(rb"<(style|script).*?</\1>", b"", render(item), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def test_the_format_is_found() -> None:
    found = formats()["html"]
    assert (found.extension, found.media_type) == ("html", "text/html; charset=utf-8")
    assert found.render(report()) == render(report())


def test_what_renders_it_is_imported_only_then() -> None:
    code = "import sys, sweeper.formats as f; f.formats(); print('jinja2' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.split() == [b"False"]


@pytest.mark.parametrize("case", REPORTS)
def test_elements_nest_and_ids_are_given_once(case: str) -> None:
    page = Page(render(REPORTS[case]))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(link["href"]) for link in page.named("a")}
    assert links <= {f"#{name}" for name in ids}


@pytest.mark.parametrize("case", REPORTS)
def test_nothing_is_requested(case: str) -> None:
    page = Page(render(REPORTS[case]))
    for _, attributes in page.elements:
        assert not attributes.keys() & {"src", "srcset", "style", "action", "data", "poster"}
        assert not [name for name in attributes if name.startswith("on")]
    assert not page.named("link")
    assert "url(" not in "".join(page.texts["style"])


def test_the_policy_admits_this_pages_scripts_and_styles_and_nothing_else() -> None:
    page = Page(render(report()))
    scripts = [
        text
        for text, attributes in zip(page.texts["script"], page.named("script"), strict=True)
        if "type" not in attributes
    ]

    def sources(texts: list[str]) -> str:
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)

    assert page.policy == (
        f"default-src 'none'; script-src {sources(scripts)}; "
        f"style-src {sources(page.texts['style'])}; base-uri 'none'; form-action 'none'"
    )
    assert len(scripts) == len(SCRIPTS)
    assert "unsafe" not in page.policy


@pytest.mark.parametrize("name", [*STYLES, *SCRIPTS])
def test_no_file_can_end_its_element(name: str) -> None:
    text = (PACKAGE / name).read_text(encoding="utf-8")
    assert not re.search(r"</(script|style)|<!--|\r", text, re.IGNORECASE)


def test_the_vendored_files_are_the_recorded_ones() -> None:
    record = (PACKAGE / "vendor/README.md").read_text(encoding="utf-8")
    recorded = dict(re.findall(r"`([\w.]+)` \| `([0-9a-f]{64})`", record))
    present = {
        item.name: hashlib.sha256(item.read_bytes()).hexdigest()
        for item in (PACKAGE / "vendor").iterdir()
        if item.name != "README.md"
    }
    assert present == recorded
    assert {f"vendor/{name}" for name in present if name.startswith("LICENSE")} == set(LICENCES)


def test_the_licences_are_in_the_page() -> None:
    text = text_of(report())
    assert "Copyright SpryMedia Limited" in text
    assert "Copyright (c) 2022 Leon Sorokin" in text
    assert text.count("Permission is hereby granted, free of charge") == 2


@pytest.mark.parametrize(
    "text", ["</script>", "<!--<script>", "a&b", "\u2028", "quote\"'", "]]>", "<\\/script"]
)
def test_embedded_json_is_inert_and_the_same(text: str) -> None:
    written = embedded([text])
    assert not re.search("[<>&]", written)
    assert json.loads(written) == [text]


def test_hostile_text_stays_text() -> None:
    content = render(hostile_report()).decode()
    assert not [char for char in content if hidden(char) and char != "\n"]
    assert len(Page(content.encode()).named("script")) == 1 + len(SCRIPTS)
    assert "<script>alert" not in content
    named = report([finding(account_id="222233334444", account_name="<b>&amp;")])
    assert b"&lt;b&gt;&amp;amp;</small>" in render(named)


def test_long_text_is_shortened() -> None:
    long = "x" * 10_000
    content = render(report([finding(long, account_name=long, mutability=long)]))
    assert b"x" * 701 not in content
    assert b"x" * 699 in content


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (report(), "No image tag can be overwritten Of 1 repository that were seen"),
        (
            report(),
            "All accounts and regions were examined Seen: 1 repository in 1 account-region of 1",
        ),
        (report(dry_run=True), "ECR image tag mutability dry run"),
        (report(), "Organization o-exampleorg From account 999988887777"),
        (report(), "There is no earlier sweep to draw a line from"),
        (report(), "Findings None."),
        (report(), "Not seen, and why All accounts and regions were examined."),
        (report(), "Skipped on purpose Nothing."),
        (eventful_report(), "3 new 1 reopened 4 still open 1 resolved 1 no longer visible"),
        (eventful_report(), "1 throttled What to do: run again"),
        (eventful_report(), "7 were found open or could not be judged; 5 findings"),
        (eventful_report(), "1 finding has an expired one; 2 end within 30 days."),
        (eventful_report(), "2026-11-15T01:04:10Z 1,425 65 27 5 55 100 % 90 % (incomplete)"),
        (REPORTS["ended early"], "The sweep ended early timed_out: slow."),
        (REPORTS["ended early"], "None in what was seen, which was not everything."),
        (REPORTS["ended early"], "No account was seen."),
        (REPORTS["nothing examined"], "Nothing was seen"),
    ],
)
def test_the_page_says(item: Report, said: str) -> None:
    assert said in text_of(item)


def test_a_report_without_ids_shows_none() -> None:
    text = text_of(report(organization_id=None, account_id=None))
    assert "Organization" not in text.split("Sweep")[0]
    assert "None" not in text.split("Findings")[0]


@pytest.mark.parametrize("case", REPORTS)
def test_the_same_report_gives_the_same_bytes(case: str) -> None:
    assert render(REPORTS[case]) == render(REPORTS[case])


def test_the_order_of_the_outcomes_does_not_matter() -> None:
    items: list[Finding] = [finding(name) for name in ("c", "a", "b")]
    assert render(report(items)) == render(report(items[::-1]))


def test_fifty_thousand_findings_are_under_15_mb() -> None:
    item = large_report(10_000, 50_000)
    assert len(item.findings) == 50_000
    assert len(render(item)) < 15_000_000
