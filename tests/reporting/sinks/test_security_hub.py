from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from sweeper.aws.client.clients import Clients, Session
from sweeper.aws.client.credentials import MemberSessions
from sweeper.config.schema import Config, ReportConfig, SecurityHubConfig
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, Report
from sweeper.reporting.sinks.base import SinkContext
from sweeper.reporting.sinks.security_hub import SecurityHubSink
from tests.aws.support import quick_stop
from tests.cases import case
from tests.factories import change, earlier, finding, hostile_report, report, since_last
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Caller, Fault, World

HUB = "us-east-2"
CENTRAL = "111111111111"
DELIVERED = Delivery("security_hub", f"Security Hub in {HUB}", "delivered")


@pytest.fixture(scope="module")
def process() -> Iterator[FakeAws]:
    with FakeAws(World.generate(accounts=2, regions=2)) as aws:
        yield aws


@pytest.fixture
def aws(process: FakeAws) -> FakeAws:
    enter(process)
    return process


@pytest.fixture(scope="module")
def sink(process: FakeAws) -> SecurityHubSink:
    """The sink with the clients that a run gives it; the waits between attempts take no time."""

    def unused(_: str) -> Any:
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        for name, value in process.environment.items():
            patch.setenv(name, value)
        clients = Clients(Session(), MemberSessions(unused), max_workers=1, stop=quick_stop())
        clients._delivery_retries = clients._retries
        made = SecurityHubSink(HUB, clients.central)
        clients.central("securityhub", HUB)  # while the environment is there
    return made


def enter(aws: FakeAws, actions: tuple[str, ...] = ("*",), hubs: tuple[str, ...] = (HUB,)) -> None:
    caller = Caller(CENTRAL, f"arn:aws:iam::{CENTRAL}:user/central", actions=actions)
    aws.load(
        World.generate(
            accounts=2,
            regions=2,
            caller=caller,
            caller_mode="not_allowed",
            security_hub_regions=hubs,
        )
    )


def of_central(item: Report, day: int = 24) -> Report:
    at = f"2026-11-{day}T01:00:00Z"
    return replace(item, run=replace(item.run, account_id=CENTRAL, started_at=at, finished_at=at))


def many(count: int) -> Report:
    return of_central(report([finding(f"app-{number:04}") for number in range(count)]))


def states(aws: FakeAws) -> dict[str, tuple[str, str]]:
    return {
        each["Resources"][0]["Id"].rpartition("/")[2]: (
            each["Compliance"]["Status"],
            each["RecordState"],
        )
        for each in aws.findings()
    }


def test_in_batches_as_the_caller_in_one_region(aws: FakeAws, sink: SecurityHubSink) -> None:
    assert sink.deliver(many(250), ()) == DELIVERED
    found = aws.findings()
    assert len(found) == 250
    assert {each["region"] for each in found} == {HUB}
    assert {each["AwsAccountId"] for each in found} == {CENTRAL}
    assert aws.statistics().calls == {"securityhub:BatchImportFindings": 3}


def test_a_finding_is_followed_from_sweep_to_sweep(aws: FakeAws, sink: SecurityHubSink) -> None:
    sink.deliver(of_central(report([finding("a"), finding("b"), finding("c")])), ())
    assert states(aws) == dict.fromkeys("abc", ("FAILED", "ACTIVE"))
    later = replace(
        report([finding("a", change=change()), finding("d")]),
        since_last=since_last(resolved=[earlier("b")], not_visible=[earlier("c")]),
    )
    sink.deliver(of_central(later, day=25), ())
    archived = ("PASSED", "ARCHIVED")
    assert states(aws) == {
        "a": archived,
        "b": archived,
        "c": ("FAILED", "ACTIVE"),
        "d": ("FAILED", "ACTIVE"),
    }
    assert {each["Workflow"]["Status"] for each in aws.findings()} == {"NEW"}


def test_everything_hostile_is_taken(aws: FakeAws, sink: SecurityHubSink) -> None:
    item = of_central(hostile_report())
    assert sink.deliver(item, ()) == DELIVERED
    assert len(aws.findings()) > len(item.findings)


def test_nothing_to_import_calls_nothing(aws: FakeAws, sink: SecurityHubSink) -> None:
    assert sink.deliver(of_central(report()), ()) == replace(DELIVERED, status="not_needed")
    assert aws.statistics().calls == {}


def failure(sink: SecurityHubSink, item: Report) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        sink.deliver(item, ())
    return caught.value


def test_a_hub_that_is_not_enabled(aws: FakeAws, sink: SecurityHubSink) -> None:
    enter(aws, hubs=("us-east-1",))
    failed = failure(sink, many(1))
    assert failed.reason is Reason.DESTINATION_MISSING
    assert failed.error_code == "InvalidAccessException"
    assert HUB in failed.message
    assert " 0 findings" in failed.message


def test_a_caller_who_may_not(aws: FakeAws, sink: SecurityHubSink) -> None:
    enter(aws, actions=("sns:*",))
    failed = failure(sink, many(1))
    assert failed.reason is Reason.DENIED_BY_IDENTITY_POLICY
    assert f"securityhub:BatchImportFindings in {HUB}" in failed.message


def test_another_account_than_the_callers_is_refused(aws: FakeAws, sink: SecurityHubSink) -> None:
    item = many(1)
    other = replace(item, run=replace(item.run, account_id="222222222222"))
    assert failure(sink, other).error_code == "AccessDeniedException"
    assert aws.findings() == []


def test_passing_trouble_passes(aws: FakeAws, sink: SecurityHubSink) -> None:
    aws.faults(
        [Fault("throttle", times=2), Fault("server_error", times=1), Fault("reset", times=1)]
    )
    assert sink.deliver(many(1), ()) == DELIVERED


def test_trouble_that_stays_says_how_far_it_came(aws: FakeAws, sink: SecurityHubSink) -> None:
    aws.faults([Fault("throttle", service="securityhub", skip=1)])
    failed = failure(sink, many(150))
    assert (failed.reason, failed.error_code) == (Reason.THROTTLED, "LimitExceededException")
    assert " 100 findings" in failed.message
    assert len(aws.findings()) == 100


def test_one_finding_that_is_refused_keeps_back_no_other(
    aws: FakeAws, sink: SecurityHubSink
) -> None:
    item = many(150)
    bad = replace(item.findings[20], check=" ")  # whose GeneratorId AWS does not take
    failed = failure(sink, replace(item, findings=(*item.findings[:20], bad, *item.findings[21:])))
    assert (failed.reason, failed.error_code) == (Reason.REQUEST_REFUSED, "InvalidInput")
    for explanation in ("1 findings", "InvalidInput 1", "149 findings"):
        assert explanation in failed.message
    assert len(aws.findings()) == 149


def test_refusals_are_counted_by_their_code() -> None:
    answers = iter(
        (
            {"SuccessCount": 98, "FailedFindings": refused(("InvalidInput", "b"), ("Other", "c"))},
            {"SuccessCount": 49, "FailedFindings": refused(("InvalidInput", "a"))},
        )
    )

    class Client:
        def batch_import_findings(self, *, Findings: Sequence[Any]) -> Any:  # noqa: N803
            return next(answers)

    with pytest.raises(OperationFailed) as caught:
        SecurityHubSink(HUB, lambda *_: Client()).deliver(many(150), ())
    for explanation in (
        "3 findings",
        "InvalidInput 2, Other 1",
        "b: it was InvalidInput",
        "147 findings",
    ):
        assert explanation in caught.value.message


def test_a_hub_that_is_disabled_refuses_each_finding() -> None:
    class Client:
        def batch_import_findings(self, *, Findings: Sequence[Any]) -> Any:  # noqa: N803
            codes = [("InvalidAccess", each["Id"]) for each in Findings]
            return {"SuccessCount": 0, "FailedFindings": refused(*codes)}

    with pytest.raises(OperationFailed, match=HUB) as caught:
        SecurityHubSink(HUB, lambda *_: Client()).deliver(many(2), ())
    assert caught.value.reason is Reason.DESTINATION_MISSING


def refused(*items: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"Id": identifier, "ErrorCode": code, "ErrorMessage": f"it was {code}"}
        for code, identifier in items
    ]


def test_it_is_a_sink_where_a_region_is_given() -> None:
    def no_client(service: str, region: str | None) -> Any:
        raise AssertionError("making the sink must call nothing")

    def made(config: ReportConfig) -> SecurityHubSink | None:
        return SecurityHubSink.make(SinkContext(Config(report=config), (), no_client))

    assert made(ReportConfig()) is None
    with_hub = made(ReportConfig(security_hub=SecurityHubConfig(region=HUB)))
    assert with_hub is not None
    assert HUB in with_hub.location


def test_an_answer_about_other_findings_than_were_sent_is_none() -> None:
    refused = {"Id": "x", "ErrorCode": "InvalidInput", "ErrorMessage": "no"}
    cases: list[dict[str, Any]] = [
        {},
        {"SuccessCount": 0, "FailedCount": 0, "FailedFindings": []},
        {"SuccessCount": 2},
        {"SuccessCount": 1, "FailedFindings": [refused]},
        {"SuccessCount": 3, "FailedFindings": [refused]},
    ]
    for answer in cases:
        with case(answer):
            hub = SimpleNamespace(batch_import_findings=Mock(return_value=answer))
            odd = SecurityHubSink(HUB, Mock(return_value=hub))
            with pytest.raises(OperationFailed) as caught:
                odd.deliver(many(3), ())
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
            assert "of 3 findings" in caught.value.message
            assert caught.value.message.endswith("; 0 findings were imported")
