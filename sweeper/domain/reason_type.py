"""The type of the rows and members of `sweeper.domain.reasons`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Self


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of reasons; see `ReasonType` for its columns."""

    code: str
    meaning: str
    advice: str | None = None
    ends_run: bool = False
    is_acceptable: bool = False
    needs_review: bool = False
    withholds_plan: bool = False


run_ending = partial(Row, ends_run=True)
acceptable = partial(Row, is_acceptable=True)
needs_review = partial(Row, needs_review=True)
withholds_plan = partial(Row, withholds_plan=True)


class ReasonType(StrEnum):
    """A member is its code, with the other columns of its row as attributes."""

    # What happened, as a clause without a full stop.
    meaning: str
    # What to do about it, as a clause; None where there is nothing to do, or the message says it.
    advice: str | None
    # Whether nothing is left to check, also when the sweep runs again.
    ends_run: bool
    # Whether `coverage.accept` may name it: only lasting conditions that a person can know before.
    is_acceptable: bool
    # Whether a check withholds a change for it: the change waits for a person, not for a day.
    needs_review: bool
    # Whether it withholds all changes of a plan. Other reasons withhold single changes, which may
    # be meant to last: an alarm about them would never end.
    withholds_plan: bool

    def __new__(cls, row: Row) -> Self:
        """Create the member of a row."""
        member = str.__new__(cls, row.code)
        member._value_ = row.code
        member.meaning = row.meaning
        member.advice = row.advice
        member.ends_run = row.ends_run
        member.is_acceptable = row.is_acceptable
        member.needs_review = row.needs_review
        member.withholds_plan = row.withholds_plan
        return member

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Return the reason for its code in a report of schema_version "1"."""
        code = _CODES_OF_VERSION_1.get(str(value))
        return next((reason for reason in cls if reason.value == code), None)

    @property
    def is_denial(self) -> bool:
        """Tell whether AWS denied the call."""
        return self.value == "denied" or self.value.startswith("denied_by_")

    @property
    def is_stop(self) -> bool:
        """Tell whether the sweep was stopped first."""
        return self.value in ("deadline", "interrupted")


_CODES_OF_VERSION_1 = {
    "left_to_a_person": "manual_review_required",
    "facts_too_old": "plan_expired",
    "changed_meanwhile": "concurrent_modification",
    "not_recorded": "journal_unavailable",
}
