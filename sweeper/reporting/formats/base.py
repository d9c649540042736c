"""What a format is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sweeper.domain.report_model import Report


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write a report: ``report.<extension>``.

    `render` gives the document in pieces of whole lines; see `sweeper.domain.masking`.
    """

    name: str
    extension: str
    media_type: str
    render: Callable[[Report], Iterator[bytes]]
