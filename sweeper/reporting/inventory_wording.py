"""What AWS Config recorded beside a sweep, in the words of every format for people."""

from __future__ import annotations

from collections.abc import Iterator

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.inventory_model import ConfigInventory, RecordedPlace, RecordingGap
from sweeper.reporting.wording import number

_STATUSES = {
    "failed": "the aggregator does not get the data of",
    "outdated": "the aggregator has old data of",
    "no_record": "no repository is recorded, though the sweep found some, in",
}


def inventory_name(inventory: ConfigInventory) -> str:
    """Return which aggregator it is."""
    return plain(f"aggregator {inventory.aggregator} in {inventory.region}")


def inventory_sentences(inventory: ConfigInventory) -> Iterator[str]:
    """Yield what the aggregator has, and how it differs from the sweep."""
    if inventory.unavailable:
        yield f"AWS Config could not be read ({shorten(inventory.unavailable, 600)})."
        return
    repositories = number(inventory.repositories, "repository", "repositories")
    yield (
        f"AWS Config has recorded {repositories} in the scope of this sweep, "
        f"{inventory.mutable:,} mutable. What it recorded does not count as checked."
    )
    if count := inventory.deleted_since:
        was = number(count, "recorded repository was", "recorded repositories were")
        yield f"{was} not there any more when the sweep read the region: deleted since then."
    if count := inventory.recorded_since:
        was = number(count, "repository was", "repositories were")
        yield f"{was} recorded after the sweep began, in regions that it did not know of."
    if why := inventory.sources_unavailable:
        yield f"Which accounts are not recorded is not known ({shorten(why, 600)})."


def recorded_words(place: RecordedPlace) -> str:
    """Return what was last recorded there."""
    if not place.repositories:
        return "no repository recorded"
    undetermined = f", {place.undetermined:,} undetermined" if place.undetermined else ""
    repositories = number(place.repositories, "repository", "repositories")
    return (
        f"{repositories}, {place.mutable:,} mutable{undetermined}, last recorded "
        f"{plain(place.captured_at or 'at an unknown time')}"
    )


def recording_words(gap: RecordingGap) -> str:
    """Return why AWS Config knows nothing, or nothing recent, of the account."""
    words = f"{_STATUSES[gap.status]} {number(gap.regions, 'region')}"
    if gap.updated_at:
        words += f", last updated {plain(gap.updated_at)}"
    return f"{words} ({shorten(gap.error, 200)})" if gap.error else words
