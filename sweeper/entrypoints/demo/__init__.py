"""The embedded organization that `sweeper demo` sweeps: moto's, in memory, nothing outside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweeper.domain.errors import ConfigurationError


@contextmanager
def demo_organization() -> Iterator[dict[str, Any]]:
    """Start the organization for as long as the context lasts; yield options of `Config`.

    Sessions and clients made inside, and only those, talk to it. Credentials in the environment
    are invented ones meanwhile. Raises ConfigurationError where moto is not installed.
    """
    try:
        from moto import mock_aws

        from sweeper.entrypoints.demo import moto_additions, organization
    except ImportError as error:
        raise ConfigurationError(
            f"the demo needs moto ({error}): in a clone of the repository, run make demo, or "
            "pip install '.[demo]'"
        ) from None
    with organization.credentials(), mock_aws(), moto_additions.install() as additions:
        organization.build(additions)
        yield organization.options()
