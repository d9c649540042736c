"""Member credentials: one AssumeRole an account, chosen for each call, and never a fallback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials

from sweeper.errors import SweeperError

RENEW_BEFORE = timedelta(minutes=5)

_bound_account: ContextVar[str | None] = ContextVar("bound_account", default=None)


@contextmanager
def bound_to(account_id: str) -> Iterator[None]:
    """Sign the member calls of this thread for `account_id` inside."""
    token = _bound_account.set(account_id)
    try:
        yield
    finally:
        _bound_account.reset(token)


@dataclass(frozen=True, slots=True, repr=False)
class MemberSession:
    """Credentials in one account, and the IAM actions that this run may use there.

    Without a repr, so that no log or error shows a secret.
    """

    keys: ReadOnlyCredentials | Credentials
    expires: datetime | None
    allowed_actions: frozenset[str]


class MemberSessions:
    """The sweep's sessions by account; shared by all threads."""

    def __init__(
        self,
        assume: Callable[[str], MemberSession],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._assume = assume
        self._now = now
        self._sessions: dict[str, MemberSession] = {}
        self._locks: dict[str, threading.Lock] = {}

    def open(self, account_id: str) -> None:
        """Assume the account's role. Raises OperationFailed."""
        self._sessions[account_id] = self._assume(account_id)
        self._locks[account_id] = threading.Lock()

    def bound(self) -> MemberSession:
        """The session of the account that this thread is bound to, renewed before it expires.

        Raises UnboundAccount where none is: a call must never be signed for another account.
        """
        account_id = _bound_account.get()
        if account_id is None or account_id not in self._sessions:
            raise UnboundAccount(f"no open account is bound to this call (bound: {account_id})")
        session = self._sessions[account_id]
        if not self._expiring(session):
            return session
        with self._locks[account_id]:
            if self._expiring(self._sessions[account_id]):
                self._sessions[account_id] = self._assume(account_id)
            return self._sessions[account_id]

    def _expiring(self, session: MemberSession) -> bool:
        return session.expires is not None and session.expires - RENEW_BEFORE <= self._now()


class UnboundAccount(SweeperError):
    """A member call was about to be made for no account: a defect, refused."""


class BoundCredentials(Credentials):
    """botocore's view of the sessions: it asks at every signature, retries included."""

    def __init__(self, sessions: MemberSessions) -> None:
        super().__init__(access_key="", secret_key="", method="sweeper-member")
        self._sessions = sessions

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The keys for the account that is bound."""
        keys = self._sessions.bound().keys
        # The caller's own, used where no role is assumed, know how to renew themselves.
        return keys.get_frozen_credentials() if isinstance(keys, Credentials) else keys


class BoundCredentialProvider(CredentialProvider):
    """The member session's only source of credentials: no environment, no profile, no role."""

    METHOD = "sweeper-member"
    CANONICAL_NAME = "sweeper-member"

    def __init__(self, sessions: MemberSessions) -> None:
        super().__init__()
        self._credentials = BoundCredentials(sessions)

    def load(self) -> Credentials:
        """The one credentials object that stands for all accounts."""
        return self._credentials
