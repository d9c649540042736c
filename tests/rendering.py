"""What the formats make, whole."""

from __future__ import annotations

from typing import Any

from sweeper.domain.json_encoding import document
from sweeper.domain.report_model import Report
from sweeper.reporting.formats import FORMATS, load_format
from sweeper.reporting.formats.base import Format


def rendered(name: str, report: Report) -> bytes:
    """The report in the format of that name."""
    return b"".join(load_format(name).render(report))


def as_json(value: Any) -> bytes:
    """A report, a history or an undo's report, as it is stored."""
    return b"".join(document(value))


def formats() -> dict[str, Format]:
    """Every format there is, by its name."""
    return {name: load_format(name) for name in FORMATS}
