"""Which configuration a run has, where it came from, and what narrows it: for report and log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sweeper.config.layers import Key
from sweeper.domain.report_model import Configuration, ConfigurationSource, Provenance

if TYPE_CHECKING:
    from sweeper.config.schema import Config

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
