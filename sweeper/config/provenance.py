"""Where each value of the configuration came from, and what narrows a run: for report and log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sweeper.domain.report_model import Configuration, ConfigurationSource, Provenance

if TYPE_CHECKING:
    from sweeper.config.schema import Config


Values = dict[str, Any]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a file's location, a variable, or what the options came with."""

    kind: Literal["file", "environment", "option"]
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "option" else f"{self.kind}: {self.name}"

    def of(self, key: str) -> str:
        """The value's place, for an error: the key as it is written there."""
        if self.kind == "environment":
            return str(self)
        return ": ".join(part for part in (self.name, key) if part)


class Layers:
    """The values of all layers, of which each goes over those before it.

    Key by key where both are mappings; else the later stands in the place of the earlier.
    """

    def __init__(self) -> None:
        self.values: Values = {}
        self.origins: dict[Key, Origin] = {}

    def lay(self, values: Values, origin: Origin) -> None:
        """Lay `values` over what is there."""
        self.values = self._merged(self.values, values, origin, ())

    def origin(self, key: Key) -> Origin | None:
        """Where the value of the key came from, of a mapping the last that was laid over it."""
        within = [self.origins[each] for each in self._within(key)]
        return within[-1] if within else None

    def origin_of_error(self, key: Key) -> Origin | None:
        """Where that came from which stands at the key, or in the place of what holds it."""
        above = (self.origins.get(key[:depth]) for depth in range(len(key), 0, -1))
        return next(filter(None, above), None) or (self.origin(key) if key else None)

    def _within(self, key: Key) -> list[Key]:
        return [each for each in self.origins if each[: len(key)] == key]

    def _merged(self, below: Any, over: Any, origin: Origin, key: Key) -> Any:
        if not isinstance(over, dict) or (key and not over and below in (None, {})):
            for each in self._within(key):
                del self.origins[each]
            self.origins[key] = origin  # behind those of the layers before
            return over
        if below is None:
            self.origins.pop(key, None)
            below = {}
        if not isinstance(below, dict):
            return below  # where a mapping is expected: the error is about what stands there
        values = dict(below)
        for name, value in over.items():
            values[name] = self._merged(below.get(name), value, origin, (*key, name))
        return values


INCLUDE_REGIONS = ("regions", "include")
EXCLUDE_ACCOUNTS = ("organization", "exclude_accounts")
# What leaves accounts or regions out, and the value with which nothing is left out.
_FILTERS: Mapping[Key, object] = {
    ("organization", "enumerate"): True,
    ("organization", "include_ous"): (),
    ("organization", "within_ous"): (),
    ("organization", "exclude_ous"): (),
    ("organization", "include_accounts"): (),
    EXCLUDE_ACCOUNTS: (),
    ("organization", "include_tags"): {},
    ("organization", "exclude_tags"): {},
    INCLUDE_REGIONS: (),
    ("regions", "exclude"): (),
}


def provenance_of(
    config: Config,
    sources: Sequence[ConfigurationSource] = (),
    once: Mapping[Key, str] | None = None,
    also_configured: Sequence[Key] = (),
) -> Provenance:
    """The provenance of a configuration.

    `once` are the keys that options or an event narrow, and what those are called;
    `also_configured` those of them that the configuration itself narrows, too.
    """
    once = once or {}
    return Provenance(
        Configuration(digest(config), tuple(sources)),
        narrowed_by=tuple(_narrowed_by(config, once, also_configured)),
        once=bool(once),
        regions_from=once.get(INCLUDE_REGIONS, dotted(INCLUDE_REGIONS)),
    )


def digest(config: Config) -> str:
    """SHA-256 of every key and value, but for the external id, which is no reader's business."""
    values = config.model_dump(mode="json", exclude={"organization": {"external_id"}})
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def dotted(key: Key) -> str:
    """The key as it is written in text."""
    return ".".join(key)


def _narrowed_by(
    config: Config, once: Mapping[Key, str], also_configured: Sequence[Key]
) -> Iterator[str]:
    if config.organization.role_name is None:
        yield "organization.role_name"
    for (section, name), everything in _FILTERS.items():
        key = section, name
        if getattr(getattr(config, section), name) == everything:
            continue
        if key not in once or key in also_configured:
            yield dotted(key)
        if key in once:
            yield once[key]
