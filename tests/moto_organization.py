"""An organization on moto's server, as whoever signs in to its management account finds it.

`python -m tests.moto_organization` serves the demo's organization. moto gives each account that is
created in it the role OrganizationAccountAccessRole, as AWS does; the management account has none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication

from sweeper.entrypoints.demo import moto_additions, organization
from tests.contract.moto import serve, serving

ROLE = "OrganizationAccountAccessRole"
MANAGEMENT = organization.MANAGEMENT_ACCOUNT_ID
CALLER = {
    "AWS_ACCESS_KEY_ID": "AKIAQUICKSTART",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": organization.REGION,
}


def moto_organization() -> AbstractContextManager[str]:
    """Start the server and give its endpoint."""
    return serving(__name__)


def _main() -> None:
    with organization.credentials(), mock_aws(), moto_additions.install() as additions:
        organization.build(additions)
        with _one_request_at_a_time():
            serve()


def _one_request_at_a_time() -> AbstractContextManager[object]:
    """moto is not safe with threads in one process."""
    original: Callable[..., Any] = DomainDispatcherApplication.__call__
    lock = threading.Lock()

    def call(*arguments: Any) -> Any:
        with lock:
            return original(*arguments)

    return mock.patch.object(DomainDispatcherApplication, "__call__", call)


if __name__ == "__main__":
    _main()
