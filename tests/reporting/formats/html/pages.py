"""What the tests in Chromium share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page

from tests import chromium

IN_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.missing(), reason=chromium.REASON),
]

Open = Callable[..., Page]


def table(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}_wrapper")


def column(page: Page, name: str, title: str) -> list[str]:
    cells = table(page, name).locator(f"tbody td[data-title='{title}']")
    return cells.all_inner_texts()
