"""How much is logged and in which form; a --help imports it, and no logging library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LogStyle:
    """The options of a command about its logs, which decide what else a person is shown."""

    quiet: bool = False
    verbose: bool = False
    log_format: Literal["auto", "json", "text"] = "auto"

    def is_json(self, *, terminal: bool) -> bool:
        """Return whether the lines are JSON."""
        return not terminal if self.log_format == "auto" else self.log_format == "json"

    def level(self, *, terminal: bool) -> int:
        """Return the least level of this program's own lines that is logged."""
        import logging  # not for a --help

        if self.quiet:
            return logging.ERROR
        if self.verbose:
            return logging.DEBUG
        # At a terminal a person sees progress and a summary, unless all is to be JSON.
        return logging.WARNING if self.shows_summary(terminal=terminal) else logging.INFO

    def shows_summary(self, *, terminal: bool) -> bool:
        """Return whether a person is shown the end; else it is logged."""
        return terminal and not (self.quiet or self.log_format == "json")

    @property
    def shows_progress(self) -> bool:
        """Whether a person at a terminal sees bars; else what is done is logged."""
        return self.shows_summary(terminal=True) and not self.verbose


AUTO = LogStyle()
