"""Two boto3 sessions; one client for each service and region, shared by accounts and threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum
from typing import Any

import boto3
import botocore
from botocore.client import BaseClient
from botocore.config import Config as ClientConfig
from botocore.credentials import CredentialResolver
from botocore.model import OperationModel
from botocore.session import Session as Core
from urllib3 import Timeout

from sweeper import __version__
from sweeper.aws.client.credentials import BoundCredentialProvider, MemberSessions
from sweeper.aws.client.parsers import CheckedParsers
from sweeper.aws.client.retries import Retries
from sweeper.aws.client.shared_http import SharedHttpSession
from sweeper.aws.client.total_time import TotalTime
from sweeper.domain.errors import OperationFailed, SweeperError
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop

CONNECT_TIMEOUT = 5  # seconds
READ_TIMEOUT = 10  # seconds
USER_AGENT = f"sweeper/{__version__} boto3/{boto3.__version__} botocore/{botocore.__version__}"
_SWEEP_SERVICES = {"account", "ecr", "organizations", "sts"}  # any other is a destination's
# Seconds after the stop in which the sweep's calls under way must end.
IN_FLIGHT = dict.fromkeys((Reason.INTERRUPTED, Reason.DEADLINE), 10.0)
# Seconds after a signal in which the delivery must end: containers are killed after 30.
DELIVERY_AFTER_SIGNAL = 25.0

_READS = ("Describe", "Get", "List")  # how the names of the operations begin that change nothing


class Session(boto3.Session):
    """A boto3 session, and the botocore session beneath it: `core`. `profile` is named or None."""

    def __init__(self, profile: str | None = None) -> None:
        self.profile = profile
        self.core = Core(profile=profile)
        super().__init__(botocore_session=self.core)


class ActionRefused(SweeperError):
    """A call that this run may not make was stopped before it was signed: a defect."""


class _Kind(Enum):
    CENTRAL = "central"
    UNTIL_STOPPED = "until stopped"
    MEMBER = "member"


class Clients:
    """`central` clients act as the caller, `member` clients as the account that is bound."""

    def __init__(
        self,
        central: Session,
        sessions: MemberSessions,
        *,
        max_workers: int,
        stop: Stop,
        own_sender: bool = True,
    ) -> None:
        self._central = central
        self._sessions = sessions
        self._member = Session(central.profile)
        core = self._member.core
        # One loader: the SDK's models are read, and kept, once.
        core.register_component("data_loader", central.core.get_component("data_loader"))
        # The caller's profile is not the member's: only the provider below gives credentials.
        core.register_component(
            "credential_provider", CredentialResolver([BoundCredentialProvider(sessions)])
        )
        central.core.register_component("response_parser_factory", CheckedParsers())
        parsers = CheckedParsers()
        # No timestamp of a member's response is used; parsing them costs a sixth of a call.
        parsers.set_parser_defaults(timestamp_parser=lambda value: value)
        core.register_component("response_parser_factory", parsers)
        self._stop = stop
        self._retries = Retries(stop)
        self._member_retries = Retries(stop, sessions.renew)
        self._in_flight = TotalTime(stop.followed_by(IN_FLIGHT))
        # The report of a sweep that was told to stop is still delivered, with retries.
        self._delivery_stop = stop.followed_by(
            {Reason.INTERRUPTED: DELIVERY_AFTER_SIGNAL, Reason.DEADLINE: stop.delivery_seconds}
        )
        self._delivery_retries = Retries(self._delivery_stop)
        self._delivery = TotalTime(self._delivery_stop)
        self._config = ClientConfig(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=max_workers,
            retries={"total_max_attempts": 1, "mode": "standard"},
            user_agent=USER_AGENT,
        )
        self._sender: SharedHttpSession | None = None
        # A profile with proxies_config (its own CA, client certificate) is left to the SDK.
        if own_sender and not central.core.get_config_variable("proxies_config"):
            self._sender = SharedHttpSession(
                central.core.get_config_variable("ca_bundle"),
                connections=max_workers,
                timeout=Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            )
        self._lock = threading.Lock()
        self._clients: dict[tuple[_Kind, str, str | None], Any] = {}
        # Called before each attempt of a member's write; may raise OperationFailed.
        self.guard: Callable[[], None] = lambda: None

    def central(self, service: str, region: str | None = None) -> Any:
        """Return the caller's client; `region` None is the caller's own region."""
        return self._client(_Kind.CENTRAL, service, region)

    def until_stopped(self, service: str, region: str | None = None) -> Any:
        """Return the caller's client of a delivery's service, for calls before the delivery."""
        return self._client(_Kind.UNTIL_STOPPED, service, region)

    def member(self, service: str, region: str) -> Any:
        """Return the client that signs for the account that is bound to the calling thread."""
        return self._client(_Kind.MEMBER, service, region)

    def _client(self, kind: _Kind, service: str, region: str | None) -> Any:
        key = (kind, service, region)
        client = self._clients.get(key)
        if client is None:
            with self._lock:  # building a client is not thread-safe
                client = self._clients.get(key)
                if client is None:
                    client = self._clients[key] = self._build(kind, service, region)
        return client

    def _build(self, kind: _Kind, service: str, region: str | None) -> BaseClient:
        session, config = self._central, self._config
        member = kind is _Kind.MEMBER
        if member:
            session = self._member
            # The parameters are this package's own: checking them costs an eighth of a call.
            config = config.merge(ClientConfig(parameter_validation=False))
        make: Any = session.client  # the stubs take no name that is not written out
        try:
            client: BaseClient = make(service, region_name=region, config=config)
        except ValueError as error:  # botocore's, for an endpoint URL that is none
            raise OperationFailed(
                Reason.AWS_CONFIGURATION_INVALID, str(error), type(error).__name__
            ) from None
        event = f"before-call.{client.meta.service_model.service_id.hyphenize()}"
        if service not in _SWEEP_SERVICES and kind is _Kind.CENTRAL:
            client.meta.events.register(event, lambda **_: self._delivery_stop.check())
            self._delivery.register(client)
            self._delivery_retries.register(client)
            return client
        client.meta.events.register(event, self._refuse_when_stopped)
        self._in_flight.register(client)
        if self._sender and service in _SWEEP_SERVICES:
            self._sender.register(client)
        if member:
            client.meta.events.register(event, self._refuse_what_is_not_allowed)
            sending = event.replace("before-call", "before-send")
            client.meta.events.register_first(sending, self._guard_writes)
        (self._member_retries if member else self._retries).register(client)
        return client

    def close(self) -> None:
        """Close every connection; no client can be used after it."""
        for client in self._clients.values():
            client.close()
        if self._sender:
            self._sender.close()

    def _refuse_when_stopped(self, **_: Any) -> None:
        """Begin no call once the sweep was told to stop: not a next page, nor a planned write."""
        self._stop.check()

    def _guard_writes(self, event_name: str, **_: Any) -> None:
        """Ask the guard before each attempt: between two of them a process may have slept."""
        if not event_name.rpartition(".")[2].startswith(_READS):
            self.guard()

    def _refuse_what_is_not_allowed(self, model: OperationModel, **_: Any) -> None:
        """Stop any member call outside the session policy, where no session policy is, too."""
        action = f"{model.service_model.signing_name}:{model.name}"
        if action not in self._sessions.bound().allowed_actions:
            raise ActionRefused(f"{action} is not among the actions of this run")
