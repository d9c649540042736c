"""The formats: one file each, Report -> pieces of a document.

To add one, write its file, with a `FORMAT`, and add its name to FORMATS. Rendering is pure, and the
same report gives the same bytes. Text in a report came from AWS as it was: each format escapes
it for where it is shown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.config.schema import Config
    from sweeper.reporting.formats.base import Format

# Names, so that a format that is not used is not imported.
FORMATS = ("csv", "html", "json", "junit", "markdown", "ocsf", "sarif", "text")


def load_format(name: str) -> Format:
    """Return the format of this name, which is one of FORMATS."""
    from importlib import import_module

    format_: Format = import_module(f"{__name__}.{name}").FORMAT
    return format_


def chosen_formats(config: Config) -> tuple[Format, ...]:
    """Return the formats of `report.formats`; raises ConfigurationError."""
    from sweeper.config.plugins import load_plugin
    from sweeper.domain.errors import ConfigurationError
    from sweeper.reporting.formats.base import Format

    key = "report.formats"
    chosen = tuple(
        load_format(name)
        if name in FORMATS
        else load_plugin("sweeper.formats", Format, name, key=key, own=FORMATS)
        for name in config.report.formats
    )
    # report.json is stored even where it is not chosen.
    counted = Counter(each.extension for each in {*chosen, load_format("json")})
    if twice := [extension for extension, count in counted.items() if count > 1]:
        raise ConfigurationError(f"{key}: two formats would write report.{twice[0]}")
    return chosen
