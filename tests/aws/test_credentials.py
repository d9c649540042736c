"""Member credentials: for the account that is bound, or none at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from botocore.credentials import ReadOnlyCredentials

from sweeper.aws.client.clients import ActionRefused
from sweeper.aws.client.credentials import (
    RENEW_BEFORE,
    BoundCredentialProvider,
    MemberSession,
    MemberSessions,
    UnboundAccount,
    bound_to,
)
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.aws.support import REGION, make_cloud, opened
from tests.fake_aws.process import FakeAws

T = TypeVar("T")
ACCOUNT, OTHER = "111111111111", "222222222222"
START = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
LIFE = timedelta(hours=1)
THREADS = 8


class Issuer:
    """STS whose sessions live an hour, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START
        self.issued: list[str] = []
        self.hold: Callable[[], object] = lambda: None

    def assume(self, account_id: str) -> MemberSession:
        self.hold()
        self.issued.append(account_id)
        number = len(self.issued)
        keys = ReadOnlyCredentials(f"AKIA-{account_id}-{number}", f"secret-{number}", "a-token")
        return MemberSession(keys, self.now + LIFE, frozenset())

    def sessions(self) -> MemberSessions:
        return MemberSessions(self.assume, lambda: self.now)


def test_the_session_is_that_of_the_bound_account() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    sessions.open(OTHER)
    with bound_to(ACCOUNT):
        assert ACCOUNT in str(sessions.bound().keys.access_key)
        with bound_to(OTHER):
            assert OTHER in str(sessions.bound().keys.access_key)
        assert ACCOUNT in str(sessions.bound().keys.access_key)
    assert issuer.issued == [ACCOUNT, OTHER]


def test_no_account_is_bound_outside() -> None:
    sessions = Issuer().sessions()
    sessions.open(ACCOUNT)
    with pytest.raises(UnboundAccount):
        sessions.bound()


def test_an_account_that_was_not_opened_is_opened_with_its_first_call() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    with bound_to(OTHER):
        assert sessions.bound() is sessions.bound()
    assert issuer.issued == [ACCOUNT, OTHER]


def test_what_is_forgotten_is_not_used_again() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    with bound_to(ACCOUNT):
        before = sessions.bound()
        sessions.forget()
        assert sessions.bound() is not before


def test_another_thread_is_bound_to_nothing() -> None:
    sessions = Issuer().sessions()
    sessions.open(ACCOUNT)
    with bound_to(ACCOUNT), ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(sessions.bound).exception(), UnboundAccount)


def test_a_session_is_kept_until_shortly_before_it_expires() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    with bound_to(ACCOUNT):
        first = sessions.bound()
        issuer.now = START + LIFE - RENEW_BEFORE - timedelta(seconds=1)
        assert sessions.bound() is first
        issuer.now = START + LIFE - RENEW_BEFORE
        second = sessions.bound()
        assert second is not first
        assert sessions.bound() is second
    assert issuer.issued == [ACCOUNT, ACCOUNT]


def test_a_session_without_an_end_is_kept() -> None:
    forever = MemberSession(ReadOnlyCredentials("key", "secret", None), None, frozenset())
    sessions = MemberSessions(lambda _: forever)
    sessions.open(ACCOUNT)
    with bound_to(ACCOUNT):
        assert sessions.bound() is forever


def test_many_threads_renew_once() -> None:
    issuer = Issuer()
    looked = threading.Semaphore(0)

    def now() -> datetime:
        looked.release()
        return issuer.now

    sessions = MemberSessions(issuer.assume, now)
    sessions.open(ACCOUNT)
    issuer.now = START + LIFE

    def wait_for_all() -> None:
        # Every thread has looked at the time, and found that the session expires.
        for _ in range(THREADS):
            assert looked.acquire(timeout=60)

    issuer.hold = wait_for_all

    def ask() -> MemberSession:
        with bound_to(ACCOUNT):
            return sessions.bound()

    with ThreadPoolExecutor(THREADS) as pool:
        got = [future.result() for future in [pool.submit(ask) for _ in range(THREADS)]]
    assert issuer.issued == [ACCOUNT, ACCOUNT]
    assert len({id(session) for session in got}) == 1


def test_a_renewal_that_fails_is_an_error_not_the_old_session() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    issuer.now = START + LIFE

    def refuse() -> object:
        raise OperationFailed(Reason.ASSUME_ROLE_DENIED, "no longer")

    issuer.hold = refuse
    with bound_to(ACCOUNT), pytest.raises(OperationFailed, match="no longer"):
        sessions.bound()


def in_a_thread(work: Callable[[], T]) -> T:
    """Of its own, so that nothing was signed in it before."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_keys_that_were_refused_as_expired_are_replaced_each_time() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    with bound_to(ACCOUNT):
        for _ in range(3):
            before = sessions.bound()
            assert sessions.renew(Reason.CREDENTIALS_EXPIRED)
            assert sessions.bound() is not before
    assert issuer.issued == [ACCOUNT] * 4


def test_whether_keys_that_are_not_known_are_good_is_found_out_once_an_account() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    for account_id in (ACCOUNT, OTHER):
        sessions.open(account_id)
        with bound_to(account_id):
            sessions.bound()
            assert sessions.renew(Reason.REGION_NOT_ENABLED)
            sessions.bound()
            assert not sessions.renew(Reason.REGION_NOT_ENABLED)
    assert issuer.issued == [ACCOUNT, ACCOUNT, OTHER, OTHER]


def test_who_used_the_keys_before_uses_the_new_ones_too() -> None:
    """Its call was under way when another one's keys were not known, and were replaced."""
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    signed, replaced = threading.Event(), threading.Event()

    def other() -> bool:
        with bound_to(ACCOUNT):
            sessions.bound()
            signed.set()
            assert replaced.wait(60)
            return sessions.renew(Reason.REGION_NOT_ENABLED)

    with ThreadPoolExecutor(1) as pool, bound_to(ACCOUNT):
        answer = pool.submit(other)
        sessions.bound()
        assert signed.wait(60)
        assert sessions.renew(Reason.REGION_NOT_ENABLED)
        replaced.set()
        assert answer.result()
    assert issuer.issued == [ACCOUNT, ACCOUNT]


def test_what_was_not_signed_here_is_not_replaced() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)

    def bound_but_not_signed() -> bool:
        with bound_to(ACCOUNT):
            return sessions.renew(Reason.CREDENTIALS_EXPIRED)

    assert not in_a_thread(lambda: sessions.renew(Reason.CREDENTIALS_EXPIRED))
    assert not in_a_thread(bound_but_not_signed)
    assert issuer.issued == [ACCOUNT]


def test_many_threads_whose_keys_were_refused_replace_them_once() -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)
    signed = threading.Barrier(THREADS)

    def refuse() -> bool:
        with bound_to(ACCOUNT):
            sessions.bound()
            signed.wait(60)
            return sessions.renew(Reason.CREDENTIALS_EXPIRED)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = [future.result() for future in [pool.submit(refuse) for _ in range(THREADS)]]
    assert answers == [True] * THREADS
    assert issuer.issued == [ACCOUNT, ACCOUNT]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.ASSUME_ROLE_DENIED, Reason.ACCESS_LOST),
        (Reason.THROTTLED, Reason.THROTTLED),
        (Reason.ACCOUNT_LEFT, Reason.ACCOUNT_LEFT),
    ],
)
def test_a_role_that_cannot_be_assumed_again_is_lost(reason: Reason, told: Reason) -> None:
    issuer = Issuer()
    sessions = issuer.sessions()
    sessions.open(ACCOUNT)

    def refuse() -> object:
        raise OperationFailed(reason, "no longer", "ItsCode")

    with bound_to(ACCOUNT):
        sessions.bound()
        issuer.hold = refuse
        with pytest.raises(OperationFailed, match="no longer") as caught:
            sessions.renew(Reason.CREDENTIALS_EXPIRED)
        assert (caught.value.reason, caught.value.error_code) == (told, "ItsCode")
    # Where it was never assumed, it is not lost.
    with bound_to(OTHER), pytest.raises(OperationFailed) as first:
        sessions.bound()
    assert first.value.reason is reason


def test_no_secret_is_shown() -> None:
    sessions = Issuer().sessions()
    sessions.open(ACCOUNT)
    provider = BoundCredentialProvider(sessions)
    with bound_to(ACCOUNT):
        session = sessions.bound()
        shown = f"{session!r} {session} {sessions!r} {provider!r} {provider.load()!r}"
    assert "secret-1" not in shown
    assert "a-token" not in shown


def test_an_unbound_call_does_not_fall_back_to_the_callers_credentials(aws: FakeAws) -> None:
    cloud = opened(aws)
    aws.reset_statistics()
    client = cloud.clients.member("ecr", REGION)
    with pytest.raises(UnboundAccount):
        client.describe_repositories()
    assert aws.statistics().total_calls == 0


def test_an_account_that_is_not_listed_is_told_nothing(aws: FakeAws) -> None:
    cloud = opened(aws)
    aws.reset_statistics()
    client = cloud.clients.member("ecr", REGION)
    with bound_to("999999999999"), pytest.raises(OperationFailed) as caught:
        client.describe_repositories()
    assert caught.value.reason is Reason.ACCOUNT_LEFT
    assert aws.statistics().total_calls == 0


def test_a_call_is_signed_for_the_bound_account(aws: FakeAws) -> None:
    cloud = make_cloud()
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    client = cloud.clients.member("ecr", REGION)
    for member in aws.world.accounts:
        with bound_to(member.id):
            answer = client.describe_repositories()
        assert {item["registryId"] for item in answer["repositories"]} == {member.id}


def test_a_session_that_expires_early_is_renewed_for_the_call(aws: FakeAws) -> None:
    # Sessions of four minutes are always within the time in which they are renewed.
    data = aws.world.to_json()
    data["role"] = {"session_seconds": 240}
    aws.load(data)
    cloud = opened(aws)
    before = len(aws.statistics().assume_role)
    with bound_to(aws.world.accounts[0].id):
        cloud.clients.member("ecr", REGION).describe_repositories()
    assert len(aws.statistics().assume_role) > before
    assert aws.statistics().expired == 0


def test_a_dry_run_opens_sessions_that_can_only_read(aws: FakeAws) -> None:
    cloud = make_cloud()
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    for record in aws.statistics().assume_role:
        (statement,) = json.loads(record["policy"])["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Action": [
                "account:ListRegions",
                "ecr:DescribePullThroughCacheRules",
                "ecr:DescribeRepositories",
            ],
            "Resource": "*",
        }
        assert record["session_name"] == "sweeper-read-run-1"


def test_only_the_write_scope_gets_sessions_that_can_write(aws: FakeAws) -> None:
    inside = aws.world.accounts[1].id
    cloud = make_cloud(may_write=True, remediation={"include_accounts": [inside]})
    for account in cloud.list_accounts().accounts:
        cloud.open_account(account)
    writable = {
        record["account"]
        for record in aws.statistics().assume_role
        if "ecr:PutImageTagMutability" in record["policy"]
    }
    assert writable == {inside}


def test_a_write_outside_the_write_scope_reaches_nobody(aws: FakeAws) -> None:
    outside = aws.world.accounts[0].id
    cloud = opened(aws, may_write=True, remediation={"exclude_accounts": [outside]})
    aws.reset_statistics()
    client = cloud.clients.member("ecr", REGION)
    with bound_to(outside), pytest.raises(ActionRefused, match="ecr:PutImageTagMutability"):
        client.put_image_tag_mutability(repositoryName="x", imageTagMutability="IMMUTABLE")
    assert aws.statistics().total_calls == 0
