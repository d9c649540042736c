"""Read a report, whoever wrote it: the one reader of earlier reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sweeper.domain.model import ChangeStatus, Compliance, Finding
from sweeper.domain.report_model import Report
from sweeper.engine.ports import Source
from sweeper.storage.record_reader import Selection, read

MAX_SIZE = 100_000_000  # bytes: 100,000 findings and as many failures
_UNCOMPARED = frozenset(
    {"accounts", "skipped", "failures", "deliveries", "trend", "config_inventory"}
)


def _without_impact(item: Any) -> Any:
    """Return the item without what takes more memory than all the rest of a finding."""
    return replace(item, impact=None) if isinstance(item, Finding) and item.impact else item


# All of a report: 100,000 findings take half of the memory.
WHOLE = Selection(memory=400_000_000)
# What a comparison needs, in a sweep whose own report is in memory, too. A newer version may have
# written it: a word that this one does not know is read as one that claims nothing.
COMPARED = Selection(
    memory=200_000_000,
    omitted=_UNCOMPARED,
    trim=_without_impact,
    stand_ins=(Compliance.UNDETERMINED, ChangeStatus.FAILED),
)
# Which run the report is of.
ABOUT = replace(COMPARED, omitted=_UNCOMPARED | {"findings", "since_last"})


def parse_report(source: Source, selection: Selection = WHOLE) -> Report:
    """Return the report in `source`, of version 1 or 2; lists that are not selected are empty.

    Raises Invalid, OtherVersion and TooLarge.
    """
    return read(Report, source, limit=MAX_SIZE, selection=selection)
