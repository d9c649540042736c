"""One client for each service and region, and no call that this run may not make."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sweeper import __version__
from sweeper.aws.client.clients import CONNECT_TIMEOUT, READ_TIMEOUT, ActionRefused
from sweeper.aws.client.credentials import bound_to
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.aws.conftest import Enter
from tests.aws.support import REGION, make_cloud, opened, quick_stop
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import World

THREADS = 8
WRITE = {"repositoryName": "x", "imageTagMutability": "IMMUTABLE"}
OWN_ACCOUNT: dict[str, Any] = {"organization": {"role_name": None}}


@pytest.mark.parametrize("kind", ["member", "central"])
def test_many_threads_build_one_client(aws: FakeAws, kind: str) -> None:
    clients = make_cloud().clients
    together = threading.Barrier(THREADS)

    def ask() -> object:
        together.wait()
        return getattr(clients, kind)("ecr", REGION)

    with ThreadPoolExecutor(THREADS) as pool:
        got = [future.result() for future in [pool.submit(ask) for _ in range(THREADS)]]
    assert len({id(client) for client in got}) == 1


def test_regions_services_and_callers_have_clients_of_their_own(aws: FakeAws) -> None:
    clients = make_cloud().clients
    made = [
        clients.member("ecr", "us-east-1"),
        clients.member("ecr", "us-east-2"),
        clients.member("account", "us-east-1"),
        clients.central("ecr", "us-east-1"),
        clients.central("sts", "us-east-1"),
    ]
    assert len({id(client) for client in made}) == len(made)
    assert clients.member("ecr", "us-east-2") is made[1]
    assert [client.meta.region_name for client in made[:2]] == ["us-east-1", "us-east-2"]


def test_without_a_region_a_central_client_is_in_the_callers(aws: FakeAws) -> None:
    assert make_cloud().clients.central("s3").meta.region_name == REGION


@pytest.mark.parametrize("kind", ["member", "central"])
def test_waits_pools_and_name_are_set(aws: FakeAws, kind: str) -> None:
    clients = make_cloud(limits={"max_workers": 17}).clients
    config = getattr(clients, kind)("ecr", REGION).meta.config
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT, READ_TIMEOUT)
    assert (CONNECT_TIMEOUT, READ_TIMEOUT) == (5, 10)
    assert config.max_pool_connections == 17
    assert config.retries["total_max_attempts"] == 1
    assert config.user_agent.startswith(f"sweeper/{__version__} ")


def test_aws_is_told_who_asks(aws: FakeAws) -> None:
    opened(aws)
    agents = aws.statistics().user_agents
    assert agents
    assert all(agent.startswith(f"sweeper/{__version__} boto3/") for agent in agents)


def test_with_the_callers_own_credentials_a_dry_run_cannot_write(enter: Enter) -> None:
    # Here no session policy stands between the run and a write.
    aws = enter(World.generate(accounts=2, regions=1))
    cloud = opened(aws, may_write=False, **OWN_ACCOUNT)
    aws.reset_statistics()
    client = cloud.clients.member("ecr", REGION)
    with bound_to(aws.world.caller.account):
        client.describe_repositories()
        with pytest.raises(ActionRefused, match="ecr:PutImageTagMutability"):
            client.put_image_tag_mutability(**WRITE)
    assert aws.statistics().calls == {"ecr:DescribeRepositories": 1}


def test_with_the_callers_own_credentials_a_run_that_may_write_can(enter: Enter) -> None:
    aws = enter(World.generate(accounts=2, regions=1))
    cloud = opened(aws, may_write=True, **OWN_ACCOUNT)
    own = aws.world.caller.account
    (name, *_) = [each.name for each in aws.repositories(own, REGION)]
    with bound_to(own):
        cloud.clients.member("ecr", REGION).put_image_tag_mutability(
            repositoryName=name, imageTagMutability="IMMUTABLE"
        )
    assert [each["accepted"] for each in aws.statistics().writes] == [True]


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("ecr", "delete_repository", {"repositoryName": "x"}),
        ("ecr", "batch_delete_image", {"repositoryName": "x", "imageIds": []}),
        ("account", "disable_region", {"RegionName": "us-east-2"}),
        ("sts", "get_caller_identity", {}),
    ],
)
def test_what_no_check_asks_for_is_refused_even_where_writing_is_allowed(
    enter: Enter, service: str, operation: str, parameters: dict[str, Any]
) -> None:
    aws = enter(World.generate(accounts=2, regions=1))
    cloud = opened(aws, may_write=True, **OWN_ACCOUNT)
    aws.reset_statistics()
    call = getattr(cloud.clients.member(service, REGION), operation)
    with bound_to(aws.world.caller.account), pytest.raises(ActionRefused):
        call(**parameters)
    assert aws.statistics().total_calls == 0


@pytest.mark.parametrize("reason", [Reason.INTERRUPTED, Reason.DEADLINE])
def test_no_call_begins_after_the_stop_but_those_that_deliver(aws: FakeAws, reason: Reason) -> None:
    stop = quick_stop()
    clients = opened(aws, stop=stop).clients
    aws.reset_statistics()
    stop.request(reason)
    calls = (
        clients.member("ecr", REGION).describe_repositories,
        clients.central("sts", REGION).get_caller_identity,
        clients.central("organizations", REGION).list_accounts,
    )
    with bound_to(aws.world.accounts[0].id):
        for call in calls:
            with pytest.raises(OperationFailed) as caught:
                call()
            assert caught.value.reason is reason
    clients.central("s3").list_objects_v2(Bucket=aws.world.buckets[0].name)
    assert aws.statistics().calls == {"s3:ListObjectsV2": 1}
    with pytest.raises(ClientError):  # what a sink of others calls is a delivery, too
        clients.central("kms", REGION).generate_data_key(KeyId="alias/none", KeySpec="AES_256")
