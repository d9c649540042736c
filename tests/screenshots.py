"""Pictures for docs/, from a demo run: `python -m tests.screenshots [DIRECTORY]`.

Each has the text that it shows in itself, so that a test can hold it against another run: pixels
are of a machine's fonts and browser.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import pexpect
from playwright.sync_api import Browser, ViewportSize
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests import chromium

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_COLUMNS = (80, 120)  # of the terminals
_PAPER: ViewportSize = {"width": 794, "height": 1123}  # A4 in pixels of CSS
_SHOWN: dict[str, dict[str, Any]] = {
    "report-desktop": {"viewport": {"width": 1280, "height": 1650}},
    "report-dark": {"viewport": {"width": 1280, "height": 1650}, "color_scheme": "dark"},
    "report-phone": {"viewport": {"width": 390, "height": 1650}},
}
_DESCRIPTION = b"iTXtDescription\0\0\0\0\0"  # a chunk of uncompressed UTF-8, in no language
_END_BYTES = 12  # the last chunk, which is empty
# Rich's own asks for a font from the network.
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" >
<style>.{unique_id}-matrix {{ font: {char_height}px monospace; }} {styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
<rect fill="#0c0c0c" width="{width}" height="{height}"/>
<g transform="translate(9, 9)" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def main(images: Path = IMAGES) -> None:
    """Run the demo in a terminal of its own, and write what it and its report look like."""
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium.browser() as browser:
        for columns in _COLUMNS:
            directory = Path(folder, str(columns))
            directory.mkdir()
            printed = _demo(directory, columns)
            _terminal(browser, printed, columns, images / f"terminal-{columns}.png")
        report = directory / "sweeper-demo" / "report.html"
        _print(browser, report, images / "report-print.png")
        for name, options in _SHOWN.items():
            with browser.new_context(**options) as context:
                page = context.new_page()
                page.goto(report.as_uri())
                text = "\n".join(page.locator("header, #verdict, #pictures").all_inner_texts())
                (images / f"{name}.png").write_bytes(_described(page.screenshot(), text))


def description(path: Path) -> str:
    """The text that a picture says it shows; raises ValueError where it says nothing."""
    content = path.read_bytes()
    start = content.index(_DESCRIPTION)
    (length,) = struct.unpack(">I", content[start - 4 : start])
    return content[start + len(_DESCRIPTION) : start + 4 + length].decode()


def _described(png: bytes, text: str) -> bytes:
    chunk = _DESCRIPTION + text.encode()
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:-_END_BYTES] + whole + png[-_END_BYTES:]


def _print(browser: Browser, report: Path, path: Path) -> None:
    """Take the first sheet of the printed report."""
    with browser.new_context(viewport=_PAPER) as context:
        page = context.new_page()
        page.goto(report.as_uri())
        page.evaluate("dispatchEvent(new Event('beforeprint'))")  # as a printer has it
        page.emulate_media(media="print")
        text = page.locator("header, #verdict").all_inner_texts()
        path.write_bytes(_described(page.screenshot(), "\n".join(text)))


def _demo(folder: Path, columns: int) -> str:
    """What the demo's first sweep prints to a terminal at its end, colours included."""
    demo = pexpect.spawn(
        sys.executable,
        ["-m", "sweeper", "demo"],
        cwd=str(folder),
        env={**os.environ, "COLUMNS": str(columns)},
        encoding="utf-8",
        timeout=120,
        dimensions=(50, columns),
    )
    demo.expect_exact("Second sweep")
    printed = str(demo.before)
    demo.expect(pexpect.EOF)
    demo.close()
    if demo.exitstatus:
        raise SystemExit(f"the demo ended with {demo.exitstatus}")
    # Before the cursor is shown again there was progress, which is erased at a terminal.
    _, _, shown = printed.rpartition("\x1b[?25h")
    return shown.replace("\r\n", "\n").replace("\r", "").removesuffix("=== ").strip()


def _terminal(browser: Browser, printed: str, columns: int, path: Path) -> None:
    with Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=columns, file=nowhere, force_terminal=True)
        text = Text.from_ansi(printed)
        console.print(text)
        picture = console.export_svg(theme=MONOKAI, code_format=_SVG)
    width = 10 * columns
    with browser.new_context(viewport={"width": width + 40, "height": 800}) as context:
        page = context.new_page()
        page.set_content(f"<style>svg {{ width: {width}px; height: auto }}</style>{picture}")
        path.write_bytes(_described(page.locator("svg").screenshot(), text.plain))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
