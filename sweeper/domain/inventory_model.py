"""What AWS Config recorded, as a report has it; see `sweeper.domain.config_inventory`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RecordedPlace:
    """What AWS Config last recorded in a region of an account; `region` None: in several of them.

    `mutable` counts repositories with MUTABLE or MUTABLE_WITH_EXCLUSION, `undetermined` those whose
    setting AWS Config does not give. `captured_at` is its last capture there, None where it has
    recorded no repository.
    """

    account_id: str
    region: str | None
    repositories: int
    mutable: int
    undetermined: int
    captured_at: str | None


@dataclass(frozen=True, slots=True)
class RecordingGap:
    """An account that AWS Config does not record, or of which the aggregator has old data.

    `failed` and `outdated` are the aggregator's words for `regions` of the account, `no_record`:
    the sweep found repositories there, and AWS Config has recorded none. `updated_at` is the oldest
    last update of these regions, `error` the first error that the aggregator gives.
    """

    account_id: str
    status: Literal["failed", "outdated", "no_record"]
    regions: int
    updated_at: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigInventory:
    """What an aggregator of AWS Config has recorded, beside what the sweep checked.

    It never counts as checked. `not_checked` are the accounts and regions that could not be
    checked. `not_planned` are those that the sweep did not know of, in which repositories were
    recorded before it began: they make coverage incomplete. What was read completely is known
    better than AWS Config knows it: `deleted_since` counts repositories recorded before the sweep
    began that were not there any more. `recorded_since` counts those that were recorded, in places
    that were not read, only after it began.

    `unavailable` says why nothing could be read, `sources_unavailable` why nobody knows which
    accounts are not recorded.
    """

    aggregator: str
    region: str
    unavailable: str | None = None
    sources_unavailable: str | None = None
    repositories: int = 0
    mutable: int = 0
    deleted_since: int = 0
    recorded_since: int = 0
    not_checked: Sequence[RecordedPlace] = ()
    not_planned: Sequence[RecordedPlace] = ()
    not_recorded: Sequence[RecordingGap] = ()
