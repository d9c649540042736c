"""The real adapters, as one run composes them, against the fake AWS."""

from __future__ import annotations

from typing import Any

from sweeper.aws.accounts import AwsCloud
from sweeper.aws.client.clients import Session
from sweeper.checks.tag_immutability import TagImmutability
from sweeper.config.schema import Config
from sweeper.domain.model import Account, Target
from sweeper.engine.attempts import Stop
from tests.fake_aws.process import FakeAws
from tests.fakes import TODAY, FakeClock, make_config

REGION = "us-east-1"


def quick_stop() -> Stop:
    """A Stop whose time passes only while it waits: retries take none."""
    clock = FakeClock()
    return Stop(clock=clock, sleep=clock.sleep)


def make_cloud(
    config: Config | None = None,
    *,
    session: Session | None = None,
    stop: Stop | None = None,
    may_write: bool = False,
    check: Any = TagImmutability,
    assesses: bool = False,
    **sections: Any,
) -> AwsCloud:
    return AwsCloud(
        config or make_config(**sections),
        session=session or Session(),
        stop=stop or quick_stop(),
        run_id="run-1",
        read_actions=check.read_actions | check.assess_actions if assesses else check.read_actions,
        write_actions=check.write_actions | check.create_actions,
        may_write=may_write,
        today=TODAY,
    )


def target(aws: FakeAws, place: int = 0, region: str = REGION) -> Target:
    account = aws.world.accounts[place]
    return Target(Account(account.id, account.name, "ACTIVE"), region)


def opened(aws: FakeAws, place: int = 0, **arguments: Any) -> AwsCloud:
    """A cloud that has listed the accounts and opened one."""
    cloud = make_cloud(**arguments)
    accounts = {account.id: account for account in cloud.list_accounts().accounts}
    cloud.open_account(accounts[aws.world.accounts[place].id])
    return cloud
