"""Preflight asks what a sweep would ask, and finds out a store that a sweep refuses."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sweeper.aws.client.clients import Session
from sweeper.domain.reasons import Reason
from sweeper.engine.probe import ProbeStatus
from sweeper.entrypoints.preflight import make_questions
from sweeper.reporting.sinks import make_sinks
from sweeper.reporting.sinks.base import SinkContext, probe_sink
from tests.aws.support import quick_stop
from tests.fake_aws.process import FakeAws
from tests.fakes import make_config

RULES = "ecr:DescribePullThroughCacheRules"


@pytest.mark.parametrize("exempts", [True, False])
def test_rules_of_caches_are_asked_for_only_where_they_exempt(aws: FakeAws, exempts: bool) -> None:
    config = make_config(policy={"exempt_pull_through_cache": exempts})
    with ExitStack() as at_the_end:
        _, asked = make_questions(
            config,
            session=Session(),
            stop=quick_stop(),
            run_id="preflight-1",
            write_probe=False,
            at_the_end=at_the_end,
        )
    assert (RULES in asked.reads) is exempts
    assert "ecr:DescribeRepositories" in asked.reads


def store(*, heeds: bool) -> Any:
    def missing(code: str, status: int) -> ClientError:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, "GetObject")

    def get_object(**_: Any) -> Any:
        raise missing("NoSuchKey", 404)

    def put_object(**parameters: Any) -> Any:
        if heeds:
            raise missing("PreconditionFailed", 412)
        return {"ETag": f'"{parameters["Key"]}"'}

    return SimpleNamespace(
        head_bucket=lambda **_: {"BucketRegion": "us-east-1"},
        get_object=get_object,
        put_object=put_object,
    )


@pytest.mark.parametrize("heeds", [True, False])
def test_a_store_that_ignores_conditional_writes_is_found_out(heeds: bool) -> None:
    config = make_config(report={"s3": {"bucket": "reports", "prefix": "sweeps"}})
    (sink,) = make_sinks(SinkContext(config, (), lambda *_: store(heeds=heeds)))
    (written,) = (each for each in probe_sink(sink) if each.action == "s3:PutObject")
    if heeds:
        assert written.probed.answer is ProbeStatus.WORKS
    else:
        assert (written.probed.answer, written.probed.reason) == (
            ProbeStatus.FAILED,
            Reason.UNEXPECTED_RESPONSE,
        )
        assert "s3://reports/sweeps/sweeper-preflight/" in written.probed.message
