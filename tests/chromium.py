"""The Chromium of this machine, for tests and measurements of what it shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
REASON = (
    "no Chromium: install one (apt-get install chromium), or name it in CHROMIUM; "
    "REQUIRE_CHROMIUM=1 makes this a failure"
)


@cache
def executable() -> str | None:
    """Where it is; None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)


def missing() -> bool:
    """Whether tests that need it are to be skipped."""
    return executable() is None and not os.environ.get("REQUIRE_CHROMIUM")


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless one."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable())
        try:
            yield started
        finally:
            started.close()
