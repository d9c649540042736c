"""The page of 200 accounts in Chromium: its filters, groups, widths and print."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from sweeper.domain.report_model import Report
from tests.cases import case
from tests.factories import impact
from tests.reporting.formats.html.pages import IN_CHROMIUM, Open, column, table
from tests.reporting.formats.html.reports import eventful_report, organization_report

pytestmark = IN_CHROMIUM


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
