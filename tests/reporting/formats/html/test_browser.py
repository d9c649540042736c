"""The page in Chromium: it sorts, filters, copies and prints, by keyboard too, and asks nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from sweeper.reporting.console import console_url
from tests.cases import case
from tests.factories import finding, hostile_report, report, run
from tests.rendering import rendered
from tests.reporting.formats.html.pages import IN_CHROMIUM, Open, column, table
from tests.reporting.formats.html.reports import eventful_report, large_report, organization_report

pytestmark = IN_CHROMIUM

REPORTS: dict[str, Callable[[], Report]] = {
    "eventful": eventful_report,
    "hostile": hostile_report,
    "organization": organization_report,
    "clean": report,
    "ended early": lambda: ended_early(
        run(), Failed(Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST, "no", "AccessDenied")
    ),
}


def head(page: Page, name: str, title: str) -> Locator:
    return table(page, name).get_by_role("columnheader", name=title)


def test_findings_come_in_the_order_of_their_urgency(open_page: Open) -> None:
    page = open_page(eventful_report())
    assert column(page, "findings", "State") == [*["open"] * 4, "undetermined", "fixed", "gone"]
    assert column(page, "findings", "Repository")[0] == "payments/refunds"


def test_a_repository_leads_to_the_console(open_page: Open) -> None:
    item = report([finding("team/a"), finding("A name that ECR does not give")])
    page = open_page(item)
    links = table(page, "findings").locator("tbody a")
    expect(links).to_have_count(1)
    expect(links).to_have_text("team/a")
    expect(links).to_have_attribute("href", str(console_url(finding("team/a"), "aws")))
    expect(links).to_have_attribute("rel", "noreferrer")
    expect(links).to_have_attribute("target", "_blank")
    expect(
        table(open_page(report([finding()], partition="aws-iso")), "findings").locator("tbody a")
    ).to_have_count(0)


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
    page.wait_for_function(
        "before => document.querySelector('#trend canvas').width < before", arg=before
    )
    page.get_by_text("The figures of 14 sweeps").click()
    assert page.locator("table.plain tbody tr").count() == 14


def test_the_trend_has_the_colours_of_the_screen(open_page: Open) -> None:
    page = open_page(eventful_report(), color_scheme="dark")

    dark_strokes = """() => {
      const canvas = document.querySelector("#trend canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < data.length; i += 4)
        if (data[i + 3] > 200 && Math.max(data[i], data[i + 1], data[i + 2]) < 60) return true;
      return false;
    }"""
    assert not page.evaluate(dark_strokes)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(dark_strokes)  # it is drawn again


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
    page.wait_for_function("document.documentElement.scrollWidth === 690")


def test_pages_are_turned(open_page: Open) -> None:
    page = open_page(large_report(40, 60))
    expect(table(page, "findings").locator(".dt-info")).to_have_text("1 to 25 of 60 rows")
    table(page, "findings").get_by_role("link", name="Next").click()
    expect(table(page, "findings").locator(".dt-info")).to_have_text("26 to 50 of 60 rows")
