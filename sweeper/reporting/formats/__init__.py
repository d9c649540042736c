"""The formats: one file each, Report -> pieces of a document.

A module here that has a `FORMAT` is a format; nothing else names it. Rendering is pure, and the
same report gives the same bytes. Text in a report came from AWS as it was: each format escapes
it for where it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sweeper.config.discovery import discover
from sweeper.domain.report_model import Report


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a report: ``report.<extension>``.

    `render` gives the document in pieces of whole lines; see `sweeper.domain.pieces`.
    """

    name: str
    extension: str
    media_type: str
    render: Callable[[Report], Iterator[bytes]]


def formats() -> dict[str, Format]:
    """Every format there is, by its name."""
    found = discover(sys.modules[__name__], "FORMAT").values()
    return {format_.name: format_ for format_ in found}
