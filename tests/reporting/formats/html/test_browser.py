"""The page in Chromium: it sorts, filters, copies and prints, by keyboard too, and asks nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from tests import chromium
from tests.cases import case
from tests.factories import finding, hostile_report, impact, report, run
from tests.rendering import rendered
from tests.reporting.formats.html.reports import eventful_report, large_report, organization_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.missing(), reason=chromium.REASON),
]

Open = Callable[..., Page]
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""
REPORTS: dict[str, Callable[[], Report]] = {
    "eventful": eventful_report,
    "hostile": hostile_report,
    "organization": organization_report,
    "clean": report,
    "ended early": lambda: ended_early(
        run(), Failed(Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST, "no", "AccessDenied")
    ),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as started:
        yield started


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a report; at the end it has asked for nothing else, and its policy was kept."""
    contexts = []
    path = tmp_path / "report.html"
    asked: list[str] = []
    said: list[str] = []

    def opened(item: Report, *, width: int = 1280, **options: Any) -> Page:
        path.write_bytes(rendered("html", item))
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.add_init_script(WATCH)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            assert page.evaluate("window.violations ?? []") == []
        context.close()
    assert asked
    assert set(asked) == {path.as_uri()}
    assert said == []


def table(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}_wrapper")


def column(page: Page, name: str, title: str) -> list[str]:
    cells = table(page, name).locator(f"tbody td[data-title='{title}']")
    return cells.all_inner_texts()


def head(page: Page, name: str, title: str) -> Locator:
    return table(page, name).get_by_role("columnheader", name=title)


def test_findings_come_in_the_order_of_their_urgency(open_page: Open) -> None:
    page = open_page(eventful_report())
    assert column(page, "findings", "State") == [*["open"] * 4, "undetermined", "closed", "gone"]
    assert column(page, "findings", "Repository")[0] == "payments/refunds"


def test_a_column_sorts_either_way_by_click_and_by_key(open_page: Open) -> None:
    page = open_page(eventful_report())
    title = head(page, "findings", "Repository")
    title.click()
    expect(title).to_have_attribute("aria-sort", "ascending")
    names = column(page, "findings", "Repository")
    assert names == sorted(names)
    title.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(title).to_have_attribute("aria-sort", "descending")
    assert column(page, "findings", "Repository") == sorted(names, reverse=True)


def test_time_left_sorts_by_days(open_page: Open) -> None:
    page = open_page(eventful_report())
    left = ["expired 12 days ago", "last day", "20 days", "400 days", "no end"]
    assert column(page, "exemptions", "Time left") == left
    title = head(page, "exemptions", "Time left")
    title.click()
    expect(title).to_have_attribute("aria-sort", "ascending")
    assert column(page, "exemptions", "Time left") == left
    title.click()
    expect(title).to_have_attribute("aria-sort", "descending")
    assert column(page, "exemptions", "Time left") == left[::-1]


def test_rows_are_filtered_by_any_text(open_page: Open) -> None:
    page = open_page(eventful_report())
    table(page, "findings").get_by_label("Filter").fill("search/")
    expect(table(page, "findings").locator("tbody tr")).to_have_count(2)
    assert column(page, "findings", "Repository") == ["search/index", "search/query"]


def test_a_value_is_chosen_whole(open_page: Open) -> None:
    page = open_page(eventful_report())
    choice = table(page, "findings").locator(".tools").get_by_label("Since last")
    choice.select_option("still open")
    assert column(page, "findings", "Since last") == ["still open"] * 2
    choice.select_option("")
    assert len(column(page, "findings", "Since last")) == 7


def test_markup_is_found_as_text(open_page: Open) -> None:
    page = open_page(report([finding("<img src=x onerror=alert(1)>&amp;"), finding("other")]))
    table(page, "findings").get_by_label("Filter").fill("onerror=alert(1)>&amp;")
    expect(table(page, "findings").locator("tbody tr")).to_have_count(1)
    assert column(page, "findings", "Repository") == ["<img src=x onerror=alert(1)>&amp;"]
    assert page.locator("main img").count() == 0


def test_rows_are_copied_as_they_are_shown_and_none_is_a_formula(open_page: Open) -> None:
    names = ["=cmd()", "b\ttab", "+1", "\uff1dx"]
    page = open_page(
        report([finding(name) for name in names]),
        permissions=["clipboard-read", "clipboard-write"],
    )
    table(page, "findings").get_by_role("button", name="Copy rows").click()
    expect(table(page, "findings").locator("output")).to_have_text("4 rows copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    heading, *rows = [line.split("\t") for line in copied.splitlines()]
    assert heading == ["State", "Account", "Region", "Repository", "Setting", "What was done"]
    assert [row[3] for row in rows] == ["'+1", "'=cmd()", r"b\x09tab", "'\uff1dx"]
    assert {len(row) for row in rows} == {6}


def test_copying_works_without_the_clipboards_permission(open_page: Open) -> None:
    page = open_page(eventful_report())
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject('no'); }")
    table(page, "skipped").get_by_role("button", name="Copy rows").click()
    expect(table(page, "skipped").locator("output")).to_have_text("2 rows copied")
    assert page.locator("textarea").count() == 0


def test_where_nothing_can_be_copied_the_page_says_so(open_page: Open) -> None:
    page = open_page(eventful_report())
    page.evaluate("""() => {
      navigator.clipboard.writeText = () => Promise.reject("no");
      document.execCommand = () => false;
    }""")
    table(page, "skipped").get_by_role("button", name="Copy rows").click()
    expect(table(page, "skipped").locator("output")).to_contain_text("does not let")


def test_a_hostile_region_is_a_heading_and_nothing_else(open_page: Open) -> None:
    hostile = "<img src=x onerror=alert(1)>&lt;b&gt;"
    page = open_page(report([finding(region=hostile)]))
    heading = table(page, "map").locator("thead th").filter(has_text="onerror")
    expect(heading.locator(".dt-column-title")).to_have_text(hostile)
    assert page.locator("main img, main b").count() == 0
    table(page, "findings").locator(".tools").get_by_label("Filter").fill("onerror")
    assert column(page, "findings", "Region") == [hostile]


def test_the_most_open_accounts_come_first_by_one_click(open_page: Open) -> None:
    page = open_page(eventful_report())
    title = head(page, "map", "Open")
    title.click()
    expect(title).to_have_attribute("aria-sort", "descending")
    assert column(page, "map", "Open") == ["3", "2", "0", "0"]


def test_everything_is_reached_by_the_tab_key(open_page: Open) -> None:
    page = open_page(eventful_report())
    wanted = page.evaluate("""() => {
      const all = document.querySelectorAll(
        "a[href], button, input, select, summary, [role=button], [tabindex='0']");
      const found = [...all].filter((item) => item.checkVisibility() && item.tabIndex >= 0);
      found.forEach((item, index) => { item.dataset.stop = index; });
      return found.length;
    }""")
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.stop"))
    assert reached - {None} == {str(index) for index in range(wanted)}
    assert wanted > 60


def test_the_map_says_each_state_in_a_sign_and_in_words(open_page: Open) -> None:
    page = open_page(eventful_report())
    row = table(page, "map").get_by_role("row").filter(has_text="111122223333")
    cells = row.locator("td.state").all_text_contents()
    assert cells == ["?not checked", "22 open", "11 open", "", "\u2013skipped"]


def test_an_account_that_was_not_entered_is_one_cell(open_page: Open) -> None:
    page = open_page(eventful_report())
    for account, text in (("777788889999", "? not checked"), ("000011112222", "\u2013 skipped")):
        with case(account):
            row = table(page, "map").get_by_role("row").filter(has_text=account)
            cells = row.locator("td.state:visible")
            assert cells.all_text_contents() == [text]
            assert cells.evaluate("cell => cell.colSpan") == 5


def chosen(page: Page, label: str) -> Locator:
    of = page.locator("#filters label").filter(has_text=re.compile(f"^{label}"))
    return of.locator("input, select")


def counts(page: Page) -> list[int]:
    """The rows of the accounts, the findings, the failures and the exemptions."""
    return [
        page.evaluate(f"new DataTable.Api('#{name}').rows({{search: 'applied'}}).count()")
        for name in ("accounts", "findings", "not-checked", "exemptions")
    ]


def test_the_filters_of_the_page_act_on_all_tables(open_page: Open) -> None:
    page = open_page(organization_report())
    everything = [200, 373, 162, 27]
    assert counts(page) == everything
    cases: list[tuple[str, str, list[int]]] = [
        ("Account", "SHOP-00003", [1, 0, 8, 5]),
        ("Account", "100000039595", [1, 3, 8, 2]),
        ("OU", "Workloads / Shop", [40, 75, 32, 5]),
        ("Owner", "owner: team-52", [2, 5, 8, 0]),
        ("State", "open", [75, 248, 0, 0]),
        ("State", "not checked", [22, 0, 162, 0]),
        ("State", "exempt", [6, 0, 0, 27]),
    ]
    for label, value, expected in cases:
        with case(label, value):
            control = chosen(page, label)
            is_select = control.evaluate("control => control.tagName") == "SELECT"
            control.select_option(value) if is_select else control.fill(value)
            found = counts(page)
            assert found == expected
            told = f"{found[0]} of 200 accounts match"
            assert page.locator("#filters output").inner_text() == told
            page.locator("#filters").get_by_role("button", name="Clear").click()
            assert counts(page) == everything


def test_the_filters_of_the_page_add_up_and_work_by_keyboard(open_page: Open) -> None:
    page = open_page(organization_report())
    chosen(page, "Account").focus()
    page.keyboard.type("payments-00005")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("open")
    assert chosen(page, "State").input_value() == "open"
    assert counts(page) == [1, 2, 0, 0]
    assert set(column(page, "findings", "State")) == {"open"}
    assert page.locator("#not-checked_wrapper .groups li:visible").count() == 0
    assert Axe().run(page).violations_count == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert counts(page) == [200, 373, 162, 27]


def test_alike_failures_are_one_row_that_opens_to_its_places(open_page: Open) -> None:
    page = open_page(organization_report(), permissions=["clipboard-read", "clipboard-write"])
    groups = page.locator("#not-checked_wrapper .groups > li")
    assert groups.locator(".tally").all_inner_texts() == ["160", "2"]
    assert groups.locator("summary").count() == 2
    groups.first.locator("summary").press("Enter")
    places = groups.first.locator(".places li")
    expect(places).to_have_count(20)
    assert places.first.inner_text().startswith("payments-00000 100000000000: eu-west-1, eu-west-2")
    table(page, "not-checked").get_by_label("Filter").fill("eu-west-1")
    expect(groups.first.locator(".tally")).to_have_text("20")
    table(page, "not-checked").get_by_role("button", name="Copy rows").click()
    expect(table(page, "not-checked").locator("output")).to_have_text("20 rows copied")


# The parts of a cell's text that no line may end in.
BROKEN = """() => [...document.querySelectorAll("td:not(:has(.anywhere))")].flatMap((cell) => {
  const nodes = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
  for (let node; (node = nodes.nextNode()); )
    for (const { index, 0: word } of node.data.matchAll(/[\\w*]+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) found.push(word);
    }
  return found;
})"""


def wide_report() -> Report:
    """Each column that findings may have, with long values."""
    item = eventful_report()
    accounts = [replace(each, ou_names="Workloads / Production") for each in item.accounts]
    findings = [replace(each, impact=impact("pr-1", "main")) for each in item.findings]
    return replace(item, accounts=accounts, findings=findings)


@pytest.mark.parametrize("made", [organization_report, wide_report])
def test_no_column_is_cut_and_no_word_is_broken(open_page: Open, made: Any) -> None:
    page = open_page(made())
    cut = page.evaluate("""() => [...document.querySelectorAll(".table")]
      .filter((frame) => frame.scrollWidth > frame.clientWidth).map((frame) => frame.ariaLabel)""")
    assert cut == []
    assert page.evaluate(BROKEN) == []


def test_on_a_phone_tables_start_with_20_rows(open_page: Open) -> None:
    page = open_page(organization_report(), width=390)
    assert page.evaluate("document.documentElement.scrollHeight") < 6100
    rows = table(page, "findings").locator("tbody tr")
    expect(rows).to_have_count(20)
    table(page, "findings").get_by_role("button", name="Show 20 more").click()
    expect(rows).to_have_count(40)
    setting = rows.first.locator("td[data-title='Setting']")
    expect(setting).to_be_hidden()
    table(page, "findings").get_by_text("Filter and copy these rows").click()
    table(page, "findings").get_by_role("button", name="All columns").click()
    expect(setting).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(table(page, "accounts").get_by_label("Filter")).to_be_visible()


def test_the_trend_is_drawn_and_told(open_page: Open) -> None:
    page = open_page(eventful_report())
    drawing = page.get_by_role("img", name="over the last 14 sweeps")
    assert drawing.locator("canvas").evaluate("""canvas => {
      const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
      return data.some((value) => value > 0);
    }""")
    before = drawing.locator("canvas").evaluate("canvas => canvas.width")
    page.set_viewport_size({"width": 700, "height": 900})
    expect(drawing.locator("canvas")).to_have_count(1)
    page.wait_for_timeout(100)
    assert drawing.locator("canvas").evaluate("canvas => canvas.width") < before
    page.get_by_text("The figures of 14 sweeps").click()
    assert page.locator("table.plain tbody tr").count() == 14


def test_the_trend_has_the_colours_of_the_screen(open_page: Open) -> None:
    page = open_page(eventful_report(), color_scheme="dark")

    def dark_strokes() -> bool:
        drawn: bool = page.locator("#trend canvas").evaluate("""canvas => {
          const { data } = canvas.getContext("2d")
            .getImageData(0, 0, canvas.width, canvas.height);
          for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] > 200 && Math.max(data[i], data[i + 1], data[i + 2]) < 60) return true;
          return false;
        }""")
        return drawn

    assert not dark_strokes()
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(100)
    assert dark_strokes()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_no_axe_violation(open_page: Open, width: int, scheme: str) -> None:
    for name, made in REPORTS.items():
        with case(name):
            page = open_page(made(), width=width, color_scheme=scheme)
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_text_is_shown_and_does_nothing(open_page: Open, scheme: str) -> None:
    page = open_page(hostile_report(), color_scheme=scheme)
    text = page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in text
    assert r"abc\u202egnp.exe" in text
    assert not [character for character in text if is_hidden(character) and character not in "\n\t"]


def test_a_very_long_name_does_not_widen_the_page(open_page: Open) -> None:
    page = open_page(report([finding("x" * 5000, account_name="y" * 5000)]), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert len(column(page, "findings", "Repository")[0]) == 700


def test_without_scripts_the_verdict_and_the_figures_are_there(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(rendered("html", eventful_report()))
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        expect(page.get_by_text("4 repositories have image tags")).to_be_visible()
        expect(page.get_by_text("Coverage is incomplete").first).to_be_visible()
        expect(page.get_by_text("What to do:").first).to_be_visible()
        expect(page.get_by_text("The rows need JavaScript").first).to_be_visible()
        expect(page.locator("#findings")).to_be_hidden()


def test_a_large_organization_is_printed_on_few_pages(open_page: Open) -> None:
    page = open_page(organization_report())
    page.evaluate("""() => addEventListener("beforeprint", () => {
      window.printed = ["accounts", "findings"].map((id) =>
        document.querySelectorAll(`#${id} tbody tr`).length);
    })""")
    page.emulate_media(color_scheme="dark")
    paper = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) <= 6
    assert page.evaluate("window.printed") == [200, 100]
    said = page.locator("#printed").text_content() or ""
    assert "200 of 200 accounts" in said
    assert "100 of 248 open findings" in said
    assert "report.csv" in said
    assert counts(page) == [200, 373, 162, 27]
    assert table(page, "findings").locator("tbody tr").count() == 25


def test_only_open_findings_are_printed_and_the_map_of_few_accounts(open_page: Open) -> None:
    page = open_page(eventful_report())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert set(column(page, "findings", "State")) == {"open", "undetermined"}
    expect(page.locator("#map")).to_be_visible()
    expect(page.locator("#exemptions")).to_be_hidden()
    expect(page.get_by_text("What to do:").first).to_be_visible()


@pytest.mark.parametrize("item", [eventful_report(), organization_report()])
def test_what_is_printed_fits_the_paper(open_page: Open, item: Report) -> None:
    page = open_page(item, width=690)  # A4 but for its margins
    page.emulate_media(media="print")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") == 690


def test_pages_are_turned(open_page: Open) -> None:
    page = open_page(large_report(40, 60))
    expect(table(page, "findings").locator(".dt-info")).to_have_text("1 to 25 of 60 rows")
    table(page, "findings").get_by_role("link", name="Next").click()
    expect(table(page, "findings").locator(".dt-info")).to_have_text("26 to 50 of 60 rows")
