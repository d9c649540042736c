"""Where each value of the configuration came from, and what narrows a run: for report and log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sweeper.domain.report_model import Configuration, ConfigurationSource

if TYPE_CHECKING:
    from sweeper.config.schema import Config


Values = dict[str, Any]
KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a file's location, a variable, or the source of the options."""

    kind: Literal["file", "environment", "option"]
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "option" else f"{self.kind}: {self.name}"

    def of(self, key: str) -> str:
        """Return where the value is, for an error: the key as it is written there."""
        if self.kind == "environment":
            return str(self)
        return ": ".join(part for part in (self.name, key) if part)


class Layers:
    """The values of all layers; each overrides those before it.

    Key by key where both values are mappings; else the later replaces the earlier.
    """

    def __init__(self) -> None:
        self.values: Values = {}
        self.origins: dict[KeyPath, Origin] = {}

    def lay(self, values: Values, origin: Origin) -> None:
        """Add a layer that overrides the others."""
        self.values = self._merge(self.values, values, origin, ())

    def origin(self, key: KeyPath) -> Origin | None:
        """Return the origin of the key's value; of a mapping the last that changed it."""
        within = [self.origins[each] for each in self._within(key)]
        return within[-1] if within else None

    def origin_of_error(self, key: KeyPath) -> Origin | None:
        """Return the origin of the value, or of the ancestor that replaced it."""
        above = (self.origins.get(key[:depth]) for depth in range(len(key), 0, -1))
        return next(filter(None, above), None) or (self.origin(key) if key else None)

    def _within(self, key: KeyPath) -> list[KeyPath]:
        return [each for each in self.origins if each[: len(key)] == key]

    def _merge(self, below: Any, over: Any, origin: Origin, key: KeyPath) -> Any:
        if not isinstance(over, dict) or (key and not over and below in (None, {})):
            for each in self._within(key):
                del self.origins[each]
            self.origins[key] = origin  # behind those of the layers before
            return over
        if below is None:
            self.origins.pop(key, None)
            below = {}
        if not isinstance(below, dict):
            return below  # a mapping is expected: the error is about this value
        values = dict(below)
        for name, value in over.items():
            values[name] = self._merge(below.get(name), value, origin, (*key, name))
        return values


INCLUDE_REGIONS = ("regions", "include")
EXCLUDE_ACCOUNTS = ("organization", "exclude_accounts")
# The keys that leave accounts or regions out, and the value with which they leave out nothing.
_FILTERS: Mapping[KeyPath, object] = {
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


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which configuration a run has, and what narrows it.

    `narrowed_by` names the keys, options and event keys that leave accounts or regions out. A run
    is narrowed `once` where an option or an event did; `regions_from` is what named the regions.
    """

    configuration: Configuration
    narrowed_by: tuple[str, ...] = ()
    once: bool = False
    regions_from: str = "regions.include"


def provenance_of(
    config: Config,
    sources: Sequence[ConfigurationSource] = (),
    once: Mapping[KeyPath, str] | None = None,
    also_configured: Sequence[KeyPath] = (),
) -> Provenance:
    """Return the provenance of a configuration.

    `once` has the keys that options or an event narrow, and the names of these;
    `also_configured` are those of them that the configuration itself narrows, too.
    """
    once = once or {}
    return Provenance(
        Configuration(digest(config), tuple(sources)),
        narrowed_by=tuple(_narrowed_by(config, once, also_configured)),
        once=bool(once),
        regions_from=once.get(INCLUDE_REGIONS, format_key(INCLUDE_REGIONS)),
    )


def digest(config: Config) -> str:
    """Return the SHA-256 of every key and value, the external id left out."""
    values = config.model_dump(mode="json", exclude={"organization": {"external_id"}})
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def format_key(key: KeyPath) -> str:
    """Return the key as it is written in text."""
    return ".".join(key)


def _narrowed_by(
    config: Config, once: Mapping[KeyPath, str], also_configured: Sequence[KeyPath]
) -> Iterator[str]:
    if config.organization.role_name is None:
        yield "organization.role_name"
    for (section, name), everything in _FILTERS.items():
        key = section, name
        if getattr(getattr(config, section), name) == everything:
            continue
        if key not in once or key in also_configured:
            yield format_key(key)
        if key in once:
            yield once[key]
