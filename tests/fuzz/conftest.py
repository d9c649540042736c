"""Says at the end how many runs each fuzzer made."""

from __future__ import annotations

import pytest

from tests.fuzz.support import RUNS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for fuzzer, runs in sorted(RUNS.items()):
        terminalreporter.write_line(f"fuzzed {fuzzer}: {runs:,} runs")
