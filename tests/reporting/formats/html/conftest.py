"""The browser, and a page that must neither ask for anything nor break its policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from sweeper.domain.report_model import Report
from tests import chromium
from tests.rendering import rendered
from tests.reporting.formats.html.pages import Open

WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""


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
