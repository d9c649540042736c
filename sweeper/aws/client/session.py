"""The caller's session, as the environment and the profile describe it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.args import (
    VALID_ACCOUNT_ID_ENDPOINT_MODE_CONFIG,
    VALID_REGIONAL_ENDPOINTS_CONFIG,
    VALID_REQUEST_CHECKSUM_CALCULATION_CONFIG,
    VALID_RESPONSE_CHECKSUM_VALIDATION_CONFIG,
)
from botocore.exceptions import BotoCoreError
from botocore.session import Session as Core

from sweeper.aws.client import documents
from sweeper.aws.client.clients import Session
from sweeper.aws.client.credentials import CallersCredentialResolver, is_usable, refuse_prompt
from sweeper.aws.client.parsers import CheckedParsers
from sweeper.aws.client.partitions import FALLBACK_REGION, known_regions
from sweeper.domain import masking
from sweeper.domain.errors import ConfigurationError, allowed_words

if TYPE_CHECKING:
    from sweeper.config.schema import Config
    from sweeper.engine.ports import Source

T = TypeVar("T")

_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
)
# Parameters that are secrets, of the calls with which the SDK gets credentials.
_SECRET_PARAMETERS = ("accessToken", "clientSecret", "refreshToken", "WebIdentityToken")
_VENDORS = ("sts", "sso", "sso-oidc")
_STS_SETTING, _STS_VARIABLE = "sts_regional_endpoints", "AWS_STS_REGIONAL_ENDPOINTS"

_logger = logging.getLogger(__name__)


def callers_session(profile: str | None = None) -> Session:
    """Return a session with the caller's credentials and region; raise ConfigurationError.

    A `profile` that is named goes before the credentials in the environment and AWS_PROFILE.
    """
    _check_environment()
    try:
        if profile is not None and profile not in (known := Core().available_profiles):
            raise ConfigurationError(
                f"--profile: {profile!r} is not a profile of the AWS configuration; it has: "
                f"{', '.join(known) or 'none'}"
            )
        session = Session(profile)  # reads the profile, which may not exist
        core = session.core
        region = os.environ.get("AWS_REGION") or core.get_config_variable("region")
        core.set_config_variable("region", region or FALLBACK_REGION)
        # Tokens of the global endpoint fail in opt-in regions, whatever the profile prefers.
        core.set_config_variable("sts_regional_endpoints", "regional")
        _check_settings(core)
        # A caller's session is used before there are clients for a run.
        core.register_component("response_parser_factory", CheckedParsers())
        resolver = CallersCredentialResolver(core.get_component("credential_provider"))
        if not _has_terminal():
            provider: Any = resolver.get_provider("assume-role")
            provider._prompter = refuse_prompt  # noqa: SLF001 (the SDK has no public way)
    except (BotoCoreError, ValueError) as error:  # ValueError: a number that is none
        raise ConfigurationError(f"AWS configuration: {error}") from None
    core.register_component("credential_provider", resolver)
    for vendor in _VENDORS:
        handler: Any = _register_parameters  # the stubs know another signature
        core.register(f"before-parameter-build.{vendor}", handler)
    return session


def _check_environment() -> None:
    """Strip white space around credentials in the environment, as secrets that are mounted have.

    Raises ConfigurationError for what no request can be signed with.
    """
    masking.register_environment()
    for name in _CREDENTIALS:
        value = os.environ.get(name)
        if not value:
            continue
        stripped = value.strip()
        if not is_usable(stripped):
            raise ConfigurationError(
                f"environment: {name} is empty, or has a space, a control character or a character "
                "beyond ASCII; remove it"
            )
        if stripped != value:
            os.environ[name] = stripped
            _logger.warning("credentials.stripped", extra={"variable": name})


def _check_settings(core: Core) -> None:
    """Raise ConfigurationError for settings that would fail every client of the SDK."""
    modes = core.get_component("data_loader").load_data("sdk-default-configuration")["modes"]
    for name, allowed in (
        ("defaults_mode", ("legacy", "auto", *modes)),
        ("request_checksum_calculation", VALID_REQUEST_CHECKSUM_CALCULATION_CONFIG),
        ("response_checksum_validation", VALID_RESPONSE_CHECKSUM_VALIDATION_CONFIG),
        ("account_id_endpoint_mode", VALID_ACCOUNT_ID_ENDPOINT_MODE_CONFIG),
    ):
        value = str(core.get_config_variable(name)).lower()
        if value not in allowed:
            raise ConfigurationError(
                f"AWS configuration: {name} (environment: AWS_{name.upper()}): {value!r} is not "
                f"allowed; allowed: {', '.join(sorted(allowed))}"
            )
    value = os.environ.get(_STS_VARIABLE) or core.get_scoped_config().get(_STS_SETTING, "regional")
    if value.lower() not in VALID_REGIONAL_ENDPOINTS_CONFIG:
        raise ConfigurationError(
            f"AWS configuration: {_STS_SETTING} (environment: {_STS_VARIABLE}): {value!r} is not "
            f"allowed; allowed: {', '.join(VALID_REGIONAL_ENDPOINTS_CONFIG)}; sweeper uses regional"
        )


def _has_terminal() -> bool:
    """Tell whether a person can be asked: an MFA code is read from the terminal or from stdin."""
    streams = (sys.stdin, sys.stderr)
    return all(each is not None and not each.closed and each.isatty() for each in streams)


def _register_parameters(params: dict[str, Any], **_: Any) -> None:
    for name in _SECRET_PARAMETERS:
        if isinstance(value := params.get(name), str):
            masking.register(value)
    if isinstance(value := params.get("ExternalId"), str):
        masking.register_external_id(value)


def read_remote(location: str, *, profile: str | None = None) -> str:
    """Read the configuration at ``ssm:<name>`` or ``s3://<bucket>/<key>``.

    Raises ConfigurationError.
    """
    return documents.read_document(callers_session(profile), location)


def read_object(location: str, use: Callable[[Source], T], *, profile: str | None = None) -> T:
    """Return what `use` makes of the object at ``s3://<bucket>/<key>``.

    Raises ConfigurationError.
    """
    return documents.read_object(callers_session(profile), location, use)


def refuse_unknown_regions(
    config: Config, session: Session, include_from: str = "regions.include"
) -> None:
    """Raise ConfigurationError for a region that is named, not read from an account, and none.

    `include_from` is what named those of regions.include.
    """
    hub = config.report.security_hub
    aggregator = config.inventory.config_aggregator
    named = (
        (include_from, config.regions.include),
        ("regions.exclude", config.regions.exclude),
        ("organization.sts_region", tuple(filter(None, (config.organization.sts_region,)))),
        ("report.security_hub.region", (hub.region,) if hub else ()),
        ("inventory.config_aggregator.region", (aggregator.region,) if aggregator else ()),
    )
    if not any(regions for _, regions in named):
        return  # what the SDK knows is a large file
    known = known_regions(session)
    for key, regions in named:
        for region in regions:
            if region not in known:
                raise ConfigurationError(
                    f"{key}: {region!r} is not a region of any partition that this version knows; "
                    f"{allowed_words(region, known)}"
                )
