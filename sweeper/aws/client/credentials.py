"""Credentials: the caller's, checked; and those of members, chosen for each call."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    Credentials,
    ReadOnlyCredentials,
)

from sweeper.aws.client.errors import translate_errors
from sweeper.domain import masking
from sweeper.domain.errors import OperationFailed, SweeperError
from sweeper.domain.reasons import PASSING_REASONS, Reason

RENEW_BEFORE = timedelta(minutes=5)

_bound_account: ContextVar[str | None] = ContextVar("bound_account", default=None)
_signed_with: ContextVar[MemberSession | None] = ContextVar("signed_with", default=None)


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
    """The sweep's sessions by account; shared by all threads.

    `assume` assumes an account's role, or raises OperationFailed. `sessions` are those of runs
    before, in the same process.
    """

    def __init__(
        self,
        assume: Callable[[str], MemberSession],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sessions: dict[str, MemberSession] | None = None,
    ) -> None:
        masking.forget_run()
        self._assume = assume
        self._now = now
        self._reuses = sessions is not None
        self._sessions = {} if sessions is None else sessions
        self._locks: dict[str, threading.Lock] = {}
        # By account: made because those before were not known. What does not know these either
        # is a region that is not enabled.
        self._fresh: dict[str, MemberSession] = {}

    def open(self, account_id: str) -> None:
        """Assume the account's role. Raises OperationFailed."""
        self._sessions[account_id] = self._assume(account_id)

    def holds(self, account_id: str, allowed_actions: frozenset[str]) -> bool:
        """Tell whether a run before left a session, good for a while, that allows just that."""
        session = self._sessions.get(account_id) if self._reuses else None
        if (
            session is None
            or session.allowed_actions != allowed_actions
            or self._is_expiring(session)
            or isinstance(session.keys, Credentials)
        ):
            return False
        for value in session.keys[:3]:
            masking.register(value or "", of_run=True)
        return True

    def forget(self) -> None:
        """Drop all credentials: nothing is called in the accounts any more."""
        self._sessions.clear()
        self._fresh.clear()

    def bound(self) -> MemberSession:
        """Return the session of the account that this thread is bound to; renew it in time.

        An account that an earlier process of the run had opened is opened here, with its first
        call. Raises UnboundAccount where none is bound: a call must never be signed for another
        account; OperationFailed where the role cannot be assumed.
        """
        account_id = _bound_account.get()
        if account_id is None:
            raise UnboundAccount("no account is bound to this call")
        session = self._sessions.get(account_id)
        if session is None or self._is_expiring(session):
            session = self._replace(account_id, session)
        _signed_with.set(session)
        return session

    def renew(self, refused: Reason) -> bool:
        """AWS refused the keys that this thread signed with last: whether there are others now.

        Keys that expired before their time are replaced. Keys that are not known may belong to a
        role that was deleted, or be good and the region not enabled: which of the two it is, new
        keys tell, which are made once for all the account's calls that used the old ones. Raises
        OperationFailed where the role cannot be assumed any more.
        """
        account_id, session = _bound_account.get(), _signed_with.get()
        if account_id is None or session is None:
            return False
        unknown = refused is Reason.REGION_NOT_ENABLED
        if unknown and self._fresh.get(account_id) is session:
            return False
        renewed = self._replace(account_id, session)
        if unknown:
            self._fresh[account_id] = renewed
        return True

    def _replace(self, account_id: str, old: MemberSession | None) -> MemberSession:
        """Return the session that replaces `old`, whichever thread assumed it."""
        with self._locks.setdefault(account_id, threading.Lock()):
            session = self._sessions.get(account_id)
            if session is None or session is old:
                session = self._sessions[account_id] = self._assume_again(account_id, old)
            return session

    def _assume_again(self, account_id: str, old: MemberSession | None) -> MemberSession:
        try:
            return self._assume(account_id)
        except OperationFailed as error:
            if old is None or error.reason is not Reason.ASSUME_ROLE_DENIED:
                raise
            raise OperationFailed(
                Reason.ACCESS_LOST,
                f"the role was assumed before, and cannot be any more: {error.message}",
                error.error_code,
            ) from None

    def _is_expiring(self, session: MemberSession) -> bool:
        return session.expires is not None and session.expires - RENEW_BEFORE <= self._now()


def is_usable(value: str) -> bool:
    """Tell whether a key id, a secret key or a token can stand in the header of a request."""
    return re.fullmatch(r"[!-~]+", value) is not None


# What has failed for now says nothing about where the credentials come from.
_PASSING = {*PASSING_REASONS, Reason.INTERRUPTED}
# By the SDK's name of where credentials come from.
_ADVICE = {
    "assume-role": "check the profile's role_arn and source",
    "assume-role-with-web-identity": "check AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, and the "
    "role's trust in the cluster's identity provider",
    "container-role": "check AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE and the pod's association",
    "custom-process": "run the profile's credential_process by hand: it must print keys that have "
    "not expired",
    "login": "run aws login",
    "sso": "run aws sso login, and check that the role is assigned",
}
# By the error, where the source is not what is wrong.
_ADVICE_ON = {
    "MfaCodeNeeded": "use a profile without mfa_serial, or start sweeper at a terminal",
    "MissingDependencyException": "install it beside sweeper, or use a profile with "
    "credential_process = aws configure export-credentials --profile PROFILE --format process",
}


class CredentialsFailed(OperationFailed):
    """The caller's credentials cannot be had or used; the message says what to do."""

    def __init__(self, message: str, error_code: str | None) -> None:
        super().__init__(Reason.NO_CREDENTIALS, message, error_code)


def refuse_prompt(_: str) -> str:
    """Refuse to ask for an MFA code: without a terminal that would read, or wait for, stdin."""
    raise OperationFailed(
        Reason.NO_CREDENTIALS,
        "the profile needs an MFA code (mfa_serial), and there is no terminal to ask for it",
        "MfaCodeNeeded",
    )


@contextmanager
def _explain_errors(source: str) -> Iterator[None]:
    """Raise CredentialsFailed with what to do, whatever a source fails with."""
    try:
        with translate_errors():
            yield
    except OperationFailed as error:
        if error.reason in _PASSING:
            raise
        message, code = error.message, error.error_code
    except (EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        message, code = f"{type(error).__name__}: {error}", type(error).__name__
    else:
        return
    advice = _ADVICE_ON.get(code or "") or _ADVICE.get(source)
    advice = advice or "check the profile and the environment"
    raise CredentialsFailed(f"{source}: {message.rstrip('.')}; {advice}", code)


class _CallersCredentials(Credentials):
    """The caller's credentials, checked and registered as secrets whenever they are new."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(access_key="", secret_key="", method=credentials.method)
        self._credentials = credentials
        self._known: ReadOnlyCredentials | None = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys. Raise OperationFailed if no request can be signed with them."""
        with _explain_errors(self.method):
            frozen = self._credentials.get_frozen_credentials()
        if frozen != self._known:
            values = [value for value in frozen[:3] if value]
            for value in values:
                masking.register(value)
            if not all(map(is_usable, values)):
                raise CredentialsFailed(
                    "the credentials have a space, a control character or a character beyond "
                    f"ASCII (they come from: {self.method}); remove it",
                    "InvalidCredentials",
                )
            self._known = frozen
        return frozen


class CallersCredentialResolver(CredentialResolver):
    """Finds the caller's credentials as `resolver` does."""

    def __init__(self, resolver: CredentialResolver) -> None:
        super().__init__(resolver.providers)

    def load_credentials(self) -> Credentials | None:
        """Return the checked credentials, None if there are none."""
        for provider in self.providers:
            with _explain_errors(provider.METHOD or "credentials"):
                credentials = provider.load()
            if credentials is not None:
                return _CallersCredentials(credentials)
        return None


class UnboundAccount(SweeperError):
    """A member call was about to be made for no account: a defect, refused."""


class _BoundCredentials(Credentials):
    """botocore's view of the sessions: it asks at every signature, retries included."""

    def __init__(self, sessions: MemberSessions) -> None:
        super().__init__(access_key="", secret_key="", method="sweeper-member")
        self._sessions = sessions

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys for the account that is bound."""
        keys = self._sessions.bound().keys
        # The caller's own, used where no role is assumed, know how to renew themselves.
        return keys.get_frozen_credentials() if isinstance(keys, Credentials) else keys


class BoundCredentialProvider(CredentialProvider):
    """The member session's only source of credentials: no environment, no profile, no role."""

    METHOD = "sweeper-member"
    CANONICAL_NAME = "sweeper-member"

    def __init__(self, sessions: MemberSessions) -> None:
        super().__init__()
        self._credentials = _BoundCredentials(sessions)

    def load(self) -> Credentials:
        """Return the one credentials object that stands for all accounts."""
        return self._credentials
