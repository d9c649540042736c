"""What the HTML report of a large organization weighs, and how long a browser takes over it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, expect

from benchmarks.tables import Goal, Section
from sweeper.reporting.formats.html import _render
from tests import chromium
from tests.reporting.formats.html.reports import large_report

_ROUNDS = 5
# From the start of the navigation to when the page is loaded, drawn, and has time for a click.
_INTERACTIVE = """() => new Promise((done) =>
  requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"""


def html_report(
    sizes: tuple[tuple[int, int], ...] = ((1_000, 5_000), (10_000, 50_000)),
) -> list[Section]:
    """Measure the HTML report's size, and its time to interactive in Chromium."""
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as folder, chromium.browser() as browser:
        for accounts, findings in sizes:
            item = large_report(accounts, findings)
            started = time.perf_counter()
            content = b"".join(_render(item))
            rendering = time.perf_counter() - started
            path = Path(folder) / "report.html"
            path.write_bytes(content)
            interactive, search, sort = (
                median(times)
                for times in zip(*(_opened(browser, path) for _ in range(_ROUNDS)), strict=True)
            )
            megabytes = len(content) / 1e6
            figures = (rendering, megabytes, interactive, search, sort)
            rows.append((f"{findings:,} over {accounts:,}", *(f"{each:.2f}" for each in figures)))
            goals += [
                Goal(f"{findings:,} findings: MB", megabytes, 15),
                Goal(f"{findings:,} findings: s to interactive", interactive, 3),
            ]
    heading = (
        "findings over accounts x 17 regions",
        "rendered in s",
        "MB",
        "s to interactive",
        "s to filter",
        "s to sort",
    )
    return [Section("html", "The HTML report in Chromium", heading, tuple(rows), tuple(goals))]


def _opened(browser: Browser, path: Path) -> tuple[float, float, float]:
    """Seconds until it can be used, until the findings are filtered, until they are sorted."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        interactive = page.evaluate(_INTERACTIVE) / 1000
        findings = page.locator("#findings_wrapper")
        started = time.perf_counter()
        heading = findings.get_by_role("columnheader", name="Repository")
        heading.click()
        expect(heading).to_have_attribute("aria-sort", "ascending", timeout=60_000)
        sort = time.perf_counter() - started
        started = time.perf_counter()
        findings.locator("input").fill("component-000012")
        expect(findings.locator(".dt-info")).to_contain_text("(of ", timeout=60_000)
        return interactive, time.perf_counter() - started, sort
