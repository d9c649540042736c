import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import aggregate, ended_early
from sweeper.reporting.formats.html.document import _LICENSES, _SCRIPTS, _STYLES, _embedded_json
from tests.cases import case
from tests.factories import account, finding, hostile_report, report, run
from tests.rendering import rendered
from tests.reporting.formats.html.reports import eventful_report, large_report

PACKAGE = files("sweeper.reporting.formats.html")
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


@cache
def pages() -> dict[str, tuple[bytes, Page]]:
    contents = {name: rendered("html", item) for name, item in REPORTS.items()}
    return {name: (content, Page(content)) for name, content in contents.items()}


def test_what_renders_it_is_imported_only_then() -> None:
    load = "from sweeper.reporting.formats import load_format; load_format('html')"
    code = f"import sys; {load}; print('jinja2' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.split() == [b"False"]


def test_elements_nest_and_ids_are_given_once() -> None:
    for name, (_, page) in pages().items():
        with case(name):
            ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
            assert len(ids) == len(set(ids))
            links = {str(link["href"]) for link in page.named("a")}
            assert links <= {f"#{identifier}" for identifier in ids}


def test_nothing_is_requested() -> None:
    for name, (_, page) in pages().items():
        with case(name):
            for _, attributes in page.elements:
                assert not attributes.keys() & {"src", "srcset", "style", "action", "data"}
                assert not [each for each in attributes if each.startswith("on")]
            assert not page.named("link")
            assert "url(" not in "".join(page.texts["style"])


def test_the_policy_admits_this_pages_scripts_and_styles_and_nothing_else() -> None:
    page = Page(rendered("html", report()))
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
    assert len(scripts) == len(_SCRIPTS)
    assert "unsafe" not in page.policy


def test_no_file_can_end_its_element() -> None:
    for name in [*_STYLES, *_SCRIPTS]:
        with case(name):
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
    assert {f"vendor/{name}" for name in present if name.startswith("LICENSE")} == set(_LICENSES)


def test_the_licences_are_in_the_page() -> None:
    content = pages()["clean"][0].decode()
    for name in _LICENSES:
        with case(name):
            license_text = (PACKAGE / name).read_text(encoding="utf-8")
            holder = re.search(r"Copyright .*", license_text)
            assert holder
            assert holder.group() in content


def test_embedded_json_is_inert_and_the_same() -> None:
    for text in ["</script>", "<!--<script>", "a&b", "\u2028", "quote\"'", "]]>", "<\\/script"]:
        with case(text):
            written = _embedded_json([text])
            assert not re.search("[<>&]", written)
            assert json.loads(written) == [text]


def test_hostile_text_stays_text() -> None:
    content = rendered("html", hostile_report()).decode()
    assert not [char for char in content if is_hidden(char) and char != "\n"]
    assert len(Page(content.encode()).named("script")) == 1 + len(_SCRIPTS)
    assert "<script>alert" not in content
    named = report([finding(account_id="222233334444", account_name="<b>&amp;")])
    assert b"&lt;b&gt;&amp;amp;</small>" in rendered("html", named)


def test_long_text_is_shortened() -> None:
    long = "x" * 10_000
    content = rendered("html", report([finding(long, account_name=long, mutability=long)]))
    assert b"x" * 701 not in content
    assert b"x" * 699 in content


def test_a_report_without_ids_shows_none() -> None:
    content = rendered("html", report(organization_id=None, account_id=None)).decode()
    assert not re.search(r">\s*None\s*<", content)


@pytest.mark.parametrize(
    ("accounts", "findings", "largest"),
    [(1_000, 5_000, 2_000_000), pytest.param(10_000, 50_000, 15_000_000, marks=pytest.mark.slow)],
)
def test_many_findings_are_few_bytes(accounts: int, findings: int, largest: int) -> None:
    item = large_report(accounts, findings)
    assert len(item.findings) == findings
    assert len(rendered("html", item)) < largest
