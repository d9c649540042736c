"""The caller's session, as the environment and the profile describe it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from sweeper.aws import documents
from sweeper.aws.parsers import CheckedParsers
from sweeper.aws.partitions import FALLBACK_REGION, known_regions
from sweeper.errors import ConfigurationError

if TYPE_CHECKING:
    from sweeper.config import Config
    from sweeper.reading import Source

T = TypeVar("T")


def callers_session() -> Session:
    """A session with the caller's credentials and region; raises ConfigurationError."""
    session = Session()
    session.register_component("response_parser_factory", CheckedParsers())
    try:
        session.get_scoped_config()  # reads the profile, which may not be there
        if session.get_config_variable("region") is None:
            # Containers and functions have AWS_REGION, which this SDK does not read by itself.
            session.set_config_variable("region", os.environ.get("AWS_REGION") or FALLBACK_REGION)
        # Tokens of the global endpoint fail in opt-in regions, whatever the profile prefers.
        session.set_config_variable("sts_regional_endpoints", "regional")
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS configuration: {error}") from None
    return session


def read_remote(location: str) -> str:
    """The configuration at ``ssm:<name>`` or ``s3://<bucket>/<key>``; raises ConfigurationError."""
    return documents.read_document(callers_session(), location)


def read_object(location: str, use: Callable[[Source], T]) -> T:
    """What `use` makes of the object at ``s3://<bucket>/<key>``; raises ConfigurationError."""
    return documents.read_object(callers_session(), location, use)


def refuse_unknown_regions(
    config: Config, session: Session, include_from: str = "regions.include"
) -> None:
    """Raise ConfigurationError for a region that is named, not read from an account, and none.

    `include_from` is what named those of regions.include.
    """
    hub = config.report.security_hub
    named = (
        (include_from, config.regions.include),
        ("regions.exclude", config.regions.exclude),
        ("organization.sts_region", tuple(filter(None, (config.organization.sts_region,)))),
        ("report.security_hub.region", (hub.region,) if hub else ()),
    )
    if not any(regions for _, regions in named):
        return  # what the SDK knows is a large file
    known = known_regions(session)
    for key, regions in named:
        for region in regions:
            if region not in known:
                raise ConfigurationError(
                    f"{key}: {region!r} is not a region of any partition that this version "
                    f"knows; allowed: {', '.join(sorted(known))}"
                )
