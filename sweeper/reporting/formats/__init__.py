"""The formats: one file each, Report -> pieces of a document.

To add one, write its file, with a `FORMAT`, and add its name to FORMATS. Rendering is pure, and the
same report gives the same bytes. Text in a report came from AWS as it was: each format escapes
it for where it is shown.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweeper.reporting.formats.base import Format

# Names, so that a format that is not used is not imported.
FORMATS = ("csv", "html", "json", "junit", "ocsf", "text")


def load_format(name: str) -> Format:
    """Return the format of this name, which is one of FORMATS."""
    format_: Format = import_module(f"{__name__}.{name}").FORMAT
    return format_
