"""handle_events against the fake AWS: what events name is examined, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import ConfigurationError
from sweeper.entrypoints.events import batch as events_batch
from sweeper.entrypoints.events.run import WarmState
from sweeper.entrypoints.lambda_function import SweepFailed, handle_events, handler
from tests import cloudtrail
from tests.cases import case
from tests.end_to_end.harness import Here, calls, small_world, write_config, writes
from tests.end_to_end.test_lambda import Context
from tests.end_to_end.test_memory import put as store
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import CreationTemplate, Fault, Repository

WORLD = small_world(accounts=50, regions=2)
REGION = next(iter(WORLD.regions))
ACCOUNTS = [account.id for account in WORLD.accounts]
MEMBER_ROLE = "ecr-immutability-sweeper"
REPORT: dict[str, Any] = {
    "s3": {"bucket": WORLD.buckets[0].name, "prefix": "audit"},
    "sns_topic_arn": WORLD.topics[0],
}
CONFIG: dict[str, Any] = {"report": REPORT}
MAX_RECEIVE_COUNT = 5  # of the queue in central-events.yaml
BOTH = ["ecr-tag-immutability", "ecr-creation-template-immutability"]


@pytest.fixture
def aws(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """The fake AWS with 50 accounts, whose caller this process is; no session from before."""
    aws.load(WORLD)
    aws.reset_statistics()
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SWEEPER_LIMITS__DELIVERY_SECONDS", "0")
    monkeypatch.setattr(events_batch, "_warm", WarmState())
    write_config(Path(), CONFIG)
    return aws


def handled(*events: object) -> list[str]:
    """Which of the messages are to be delivered again, by position."""
    answer = handle_events(cloudtrail.batch(events), Context())
    assert list(answer) == ["batchItemFailures"]
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def put(aws: FakeAws, account: str, name: str, mutability: Any = "MUTABLE") -> None:
    aws.put_repository(account, REGION, Repository(name, mutability=mutability))


def setting(aws: FakeAws, account: str, name: str) -> str:
    (found,) = (each for each in aws.repositories(account, REGION) if each.name == name)
    return str(found.mutability)


def reports(aws: FakeAws) -> list[Any]:
    return [json.loads(each.body) for each in aws.objects() if each.key.endswith("/report.json")]


def reopened(aws: FakeAws) -> list[Any]:
    (kept,) = (each for each in aws.objects() if each.key == "audit/events/reopened.json")
    found: list[Any] = json.loads(kept.body)["reopenings"]
    return found


def member_calls(aws: FakeAws) -> dict[str, int]:
    """What was asked, but for Organizations, S3, SNS and who the caller is."""
    aside = ("organizations:", "s3:", "sns:", "sts:GetCallerIdentity")
    return {name: count for name, count in calls(aws).items() if not name.startswith(aside)}


def test_a_mutable_repository_is_immutable_with_five_calls(
    aws: FakeAws, capfd: pytest.CaptureFixture[str]
) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "team/payments")
    others = {(each.account, each.name): each.mutability for each in aws.repositories()}
    assert handled(cloudtrail.created(account, REGION, "team/payments")) == []
    assert setting(aws, account, "team/payments") == "IMMUTABLE"
    assert member_calls(aws) == {
        "sts:AssumeRole": 1,
        "ecr:DescribeRepositories": 2,
        "ecr:DescribePullThroughCacheRules": 1,
        "ecr:PutImageTagMutability": 1,
    }
    others[account, "team/payments"] = "IMMUTABLE"
    assert others == {(each.account, each.name): each.mutability for each in aws.repositories()}
    (report,) = reports(aws)
    run = report["run"]
    assert (run["kind"], run["source"]) == ("events", None)
    assert run["scope"] == {
        "accounts": 1,
        "accounts_listed": 1,
        "regions": [REGION],
        "regions_enabled": 1,
        "narrowed_by": ["only what events name, 1 repository"],
    }
    assert report["totals"]["repositories"]["examined"] == 1
    assert report["totals"]["changes"]["applied"] == 1
    assert report["since_last"] is None
    # Below events/ alone: no lease, no history, no last report.
    keys = {each.key.rpartition("/")[0] for each in aws.objects()}
    assert keys == {f"audit/events/{run['started_at'][:10]}/{run['id']}"}
    (message,) = aws.messages()
    assert message["subject"] == "sweeper events: 1 fixed"
    assert "only what events name, 1 repository" in message["message"]
    assert "All accounts and regions" not in message["message"]
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert lines[-1]["event"] == "events.handled"
    assert "sweep.metrics" not in {line["event"] for line in lines}


def test_a_warm_function_assumes_no_role_again(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    for name in ("one", "two"):
        put(aws, account, name)
        assert handled(cloudtrail.created(account, REGION, name)) == []
    assert calls(aws)["sts:AssumeRole"] == 1
    assert {setting(aws, account, name) for name in ("one", "two")} == {"IMMUTABLE"}
    # Entered in another way, it is assumed anew; so it is where the account may be written no more.
    write_config(Path(), {**CONFIG, "remediation": {"exclude_accounts": [account]}})
    put(aws, account, "three")
    assert handled(cloudtrail.created(account, REGION, "three")) == []
    assert calls(aws)["sts:AssumeRole"] == 2
    assert setting(aws, account, "three") == "MUTABLE"


@pytest.mark.slow
def test_the_accounts_are_listed_once_in_five_minutes(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(events_batch, "_warm", WarmState(lambda: now[0]))
    account = ACCOUNTS[7]

    def listings(event: Any) -> int:
        aws.reset_statistics()
        handled(event)
        return calls(aws).get("organizations:ListAccounts", 0)

    put(aws, account, "payments")
    pages = listings(cloudtrail.created(account, REGION, "payments"))
    assert pages == 3  # of 50 accounts, for the plan and for the write
    assert listings(cloudtrail.created(account, REGION, "payments")) == 0
    # Another account may be new.
    assert listings(cloudtrail.created("999999999999", REGION, "payments")) == pages
    now[0] += 301
    assert listings(cloudtrail.created(account, REGION, "payments")) == pages
    now[0] += 1
    write_config(Path(), {**CONFIG, "organization": {"exclude_accounts": [ACCOUNTS[1]]}})
    assert listings(cloudtrail.created(account, REGION, "payments")) == pages


@pytest.mark.slow
def test_a_warm_session_that_was_revoked_is_replaced(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "one")
    handled(cloudtrail.created(account, REGION, "one"))
    aws.expire_sessions()
    put(aws, account, "two")
    assert handled(cloudtrail.created(account, REGION, "two")) == []
    assert setting(aws, account, "two") == "IMMUTABLE"
    assert calls(aws)["sts:AssumeRole"] == 2


def test_what_is_no_hint_causes_no_call(aws: FakeAws) -> None:
    account, foreign = ACCOUNTS[7], "999999999999"
    put(aws, account, "payments")
    own = cloudtrail.role_session(account, MEMBER_ROLE, "sweeper-20261129T130000Z-abcdef")
    events: list[object] = [
        "no json",
        "[" * 100_000,
        [],
        {"source": "aws.ecr"},
        cloudtrail.refused(cloudtrail.created(account, REGION, "payments")),
        cloudtrail.changed(account, REGION, "payments", identity=own),
        cloudtrail.created("12345", REGION, "payments"),
        cloudtrail.created(account, "eu-nowhere-1", "payments"),
        cloudtrail.created(account, "cn-north-1", "payments"),
        cloudtrail.created(account, f"{REGION}.example.com", "payments"),
        cloudtrail.created(account, REGION, "../payments"),
        cloudtrail.created(account, REGION, "Payments\n"),
        cloudtrail.created(account, REGION, "a" * 257),
    ]
    assert handled(*events) == []
    assert calls(aws) == {}
    assert handled(cloudtrail.created(foreign, REGION, "payments")) == []
    assert member_calls(aws) == {}
    assert setting(aws, account, "payments") == "MUTABLE"
    assert reports(aws) == aws.messages() == []


def test_what_is_compliant_leaves_neither_report_nor_message(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "payments", "IMMUTABLE")
    gone = cloudtrail.created(account, REGION, "gone")
    assert handled(cloudtrail.created(account, REGION, "payments"), gone) == []
    # Both at once, and each alone, because one is gone.
    assert member_calls(aws) == {"sts:AssumeRole": 1, "ecr:DescribeRepositories": 3}
    assert reports(aws) == aws.messages() == []


@pytest.mark.slow
def test_the_whole_configuration_decides(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    for name in ("sandbox/one", "hub/alpine", "app"):
        put(aws, account, name)
    rule = {"repository": "sandbox/*", "reason": "tried out", "expires": "never"}
    remediation = {"exclusions": ["latest"]}
    write_config(Path(), {**CONFIG, "exemptions": [rule], "remediation": remediation})
    events = [cloudtrail.created(account, REGION, name) for name in ("sandbox/one", "app")]
    assert handled(*events) == []
    assert setting(aws, account, "sandbox/one") == "MUTABLE"
    assert setting(aws, account, "app") == "IMMUTABLE_WITH_EXCLUSION"
    (report,) = reports(aws)
    assert {each["repository"]: each["compliance"] for each in report["findings"]} == {
        "sandbox/one": "exempt",
        "app": "non_compliant",
    }
    # Left out of the sweep: neither read nor written.
    write_config(Path(), {**CONFIG, "regions": {"exclude": [REGION]}})
    aws.reset_statistics()
    assert handled(cloudtrail.created(account, REGION, "hub/alpine")) == []
    assert "ecr:DescribeRepositories" not in calls(aws)
    write_config(Path(), {**CONFIG, "organization": {"exclude_accounts": [account]}})
    aws.reset_statistics()
    assert handled(cloudtrail.created(account, REGION, "hub/alpine")) == []
    assert member_calls(aws) == {}


@pytest.mark.slow
def test_a_sweep_gives_the_notice_that_a_change_by_an_event_needs(aws: FakeAws, here: Here) -> None:
    account = ACCOUNTS[7]
    config = {**CONFIG, "remediation": {"grace_days": 3, "include_accounts": [account]}}
    put(aws, account, "announced")
    here.run(aws, config=config)
    put(aws, account, "new")
    events = [cloudtrail.created(account, REGION, name) for name in ("announced", "new")]
    assert handled(*events) == []
    assert {setting(aws, account, name) for name in ("announced", "new")} == {"MUTABLE"}
    (latest,) = (each for each in aws.objects() if each.key == "audit/latest.json")
    report = json.loads(latest.body)
    for finding in report["findings"]:
        finding["announced"] = finding["announced"] and "2026-01-01"
    store(aws, WORLD, latest.key, json.dumps(report).encode())
    assert handled(*events) == []
    assert setting(aws, account, "announced") == "IMMUTABLE"
    assert setting(aws, account, "new") == "MUTABLE"
    (due,) = (each for each in reports(aws)[-1]["findings"] if each["repository"] == "new")
    assert (due["change"]["reason"], due["change"]["due"]) == ("in_grace_period", None)
    assert "the next sweep announces it" in due["change"]["error"]


@pytest.mark.slow
def test_a_creation_template_is_checked_where_that_is_configured(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    aws.put_template(account, REGION, CreationTemplate("apps", applied_for=("REPLICATION",)))
    event = cloudtrail.template(account, REGION, "apps")
    assert handled(event) == []
    assert "ecr:DescribeRepositoryCreationTemplates" not in calls(aws)
    write_config(Path(), {**CONFIG, "checks": BOTH, "remediation": {"checks": BOTH}})
    assert handled(event) == []
    assert aws.templates(account, REGION)["apps"].mutability == "IMMUTABLE"
    assert "ecr:DescribeRepositories" not in calls(aws)
    (report,) = reports(aws)
    assert report["run"]["scope"]["narrowed_by"] == [
        "only what events name, the creation templates of 1 account-region"
    ]


@pytest.mark.slow
def test_an_event_about_a_repository_says_nothing_of_creation_templates(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "payments")
    remediation = {"checks": BOTH, "root_template_applied_for": ["REPLICATION"]}
    write_config(Path(), {**CONFIG, "checks": BOTH, "remediation": remediation})
    assert handled(cloudtrail.created(account, REGION, "payments")) == []
    (report,) = reports(aws)
    assert [each["repository"] for each in report["findings"]] == ["payments"]
    assert "ecr:DescribeRepositoryCreationTemplates" not in calls(aws)


def test_a_sweep_at_work_is_no_obstacle(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    handler({"accounts": [account]}, Context())
    before = {each.key: each.etag for each in aws.objects() if "/events/" not in each.key}
    put(aws, account, "payments")
    handled(cloudtrail.created(account, REGION, "payments"))
    assert setting(aws, account, "payments") == "IMMUTABLE"
    after = {each.key: each.etag for each in aws.objects() if "/events/" not in each.key}
    assert before == after
    assert {"audit/latest.json", "audit/history.json", "audit/lease.json"} <= set(after)


@pytest.mark.slow  # five attempts
def test_only_what_may_pass_is_delivered_again(aws: FakeAws) -> None:
    throttled, denied, fine = ACCOUNTS[3:6]
    for account in (throttled, denied, fine):
        put(aws, account, "payments")
    events = [
        cloudtrail.created(account, REGION, "payments") for account in (throttled, denied, fine)
    ]
    # Coverage is that of the batch: what is withheld for it comes again with what lowered it.
    write_config(Path(), {**CONFIG, "remediation": {"min_coverage": 1}})
    aws.faults([Fault("throttle", operation="DescribeRepositories", account=throttled, times=5)])
    assert handled(events[0], events[2]) == ["m-0", "m-1"]
    assert setting(aws, fine, "payments") == "MUTABLE"
    write_config(Path(), CONFIG)
    aws.load(WORLD)
    for account in (throttled, denied, fine):
        put(aws, account, "payments")
    aws.faults(
        [
            Fault("throttle", operation="DescribeRepositories", account=throttled),
            Fault("access_denied", operation="AssumeRole", account=denied),
        ]
    )
    assert handled(*events) == ["m-0"]
    assert setting(aws, fine, "payments") == "IMMUTABLE"
    (report,) = reports(aws)
    assert {item["account_id"]: item["reason"] for item in report["failures"]} == {
        throttled: "throttled",
        denied: "assume_role_denied",
    }
    aws.faults([])
    assert handled(events[0]) == []
    assert setting(aws, throttled, "payments") == "IMMUTABLE"


def test_what_is_undecided_is_delivered_again(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    rule = {"repository": "*", "account_tags": {"env": ["dev"]}, "reason": "x", "expires": "never"}
    event = cloudtrail.created(account, REGION, "team/payments")
    for operation, config, reason in (
        ("DescribePullThroughCacheRules", CONFIG, "pull_through_rules_unreadable"),
        ("ListTagsForResource", {**CONFIG, "exemptions": [rule]}, "exemption_undecided"),
    ):
        with case(operation):
            write_config(Path(), config)
            put(aws, account, "team/payments")
            aws.faults([Fault("access_denied", operation=operation)])
            assert handled(event) == ["m-0"]
            assert setting(aws, account, "team/payments") == "MUTABLE"
            assert reports(aws)[-1]["findings"][0]["change"]["reason"] == reason
            aws.faults([])
            assert handled(event) == []
            assert setting(aws, account, "team/payments") == "IMMUTABLE"
            aws.reset_statistics()
            assert handled(event) == []
            assert "organizations:ListAccounts" not in calls(aws)


def test_a_repository_with_a_policy_of_its_own_costs_no_other(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    for name in ("locked", "payments"):
        put(aws, account, name)
    message = "User: x is not authorized, with an explicit deny in a resource-based policy"
    denial = Fault(
        "error",
        operation="DescribeRepositories",
        code="AccessDeniedException",
        message=message,
        times=2,  # of both, and of the first alone
    )
    aws.faults([denial])
    events = [cloudtrail.created(account, REGION, name) for name in ("locked", "payments")]
    assert handled(*events) == []
    assert setting(aws, account, "payments") == "IMMUTABLE"
    assert setting(aws, account, "locked") == "MUTABLE"
    (report,) = reports(aws)
    (found,) = (each for each in report["findings"] if each["repository"] == "locked")
    assert (found["compliance"], found["change"]) == ("undetermined", None)
    assert found["reason"] == f"it could not be read: denied_by_resource_policy: {message}"
    assert report["totals"]["repositories"]["undetermined"] == 1
    assert report["coverage"]["complete"] is False
    (sent,) = aws.messages()
    assert "UNKNOWN: left as it is: it could not be read" in sent["message"]


def test_what_cannot_be_listed_or_stored_is_an_error_of_the_function(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "payments")
    event = cloudtrail.batch([cloudtrail.created(account, REGION, "payments")])
    aws.faults([Fault("access_denied", operation="PutObject")])
    with pytest.raises(SweepFailed, match="s3: denied"):
        handle_events(event, Context())
    assert setting(aws, account, "payments") == "MUTABLE"  # no record, no write
    aws.load(small_world(accounts=2, regions=1, caller_mode="not_allowed"))
    monkeypatch.setattr(events_batch, "_warm", WarmState())
    with pytest.raises(SweepFailed, match="not_allowed_to_list: "):
        handle_events(event, Context())


def test_no_batch_is_lost_for_a_listing_that_failed(aws: FakeAws) -> None:
    event = cloudtrail.batch([cloudtrail.created(ACCOUNTS[7], REGION, "payments")])
    for fault, reason in (
        (Fault("malformed", operation="ListAccounts"), "unexpected_response"),
        (Fault("error", operation="ListAccounts"), "request_refused"),
        (Fault("error", operation="ListAccounts", code="ExpiredToken"), "credentials_expired"),
    ):
        with case(reason):
            aws.faults([fault])
            with pytest.raises(SweepFailed, match=f"^{reason}: "):
                handle_events(event, Context())


@pytest.mark.slow  # five attempts
def test_a_listing_that_is_throttled_is_tried_again(aws: FakeAws) -> None:
    aws.faults([Fault("throttle", operation="ListAccounts")])
    events = [cloudtrail.created(account, REGION, "payments") for account in ACCOUNTS[:2]]
    assert handled(*events, "no json") == ["m-0", "m-1"]


def test_a_wrong_event_or_configuration_is_refused(aws: FakeAws) -> None:
    good = cloudtrail.batch([cloudtrail.created(ACCOUNTS[0], REGION, "payments")])
    cases: list[tuple[object, str]] = [
        ({}, "not a batch of SQS"),
        ({"Records": [{"body": "{}"}]}, "not a batch of SQS"),
        ({"Records": ["x"]}, "not a batch of SQS"),
        ({"Records": []}, "not a batch of SQS"),
        ({"Records": [{"messageId": "", "body": "{}"}]}, "not a batch of SQS"),
        (None, "not a batch of SQS"),
    ]
    for event, message in cases:
        with case(event), pytest.raises(ConfigurationError, match=message):
            handle_events(event, Context())
    write_config(Path(), {"report": {"directory": "out"}})
    with pytest.raises(ConfigurationError, match=r"report\.s3: null is not allowed for events"):
        handle_events(good, Context())
    write_config(Path(), {"report": {**CONFIG["report"], "plugins": {"nonsense": {}}}})
    with pytest.raises(ConfigurationError, match=r"report\.plugins: 'nonsense' is unknown"):
        handle_events(good, Context())
    assert calls(aws) == {}


@pytest.mark.slow
def test_what_an_event_led_to_can_be_undone(aws: FakeAws, here: Here) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "payments")
    handled(cloudtrail.created(account, REGION, "payments"))
    (key,) = (each.key for each in aws.objects() if each.key.endswith("/report.json"))
    location = f"s3://{WORLD.buckets[0].name}/{key}"
    assert here.command(aws, "undo", location, "--yes").status == 0
    assert setting(aws, account, "payments") == "MUTABLE"


# --- fights --------------------------------------------------------------------------------------


def test_a_fight_of_five_rounds_ends_contested_after_three(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    rounds = []
    for _ in range(5):
        put(aws, account, "payments")
        event = cloudtrail.changed(account, REGION, "payments", agent=cloudtrail.TERRAFORM)
        assert handled(event) == []
        rounds.append(setting(aws, account, "payments"))
    assert rounds == ["IMMUTABLE"] * 3 + ["MUTABLE"] * 2
    assert len(writes(aws)) == 3
    report = reports(aws)[-1]
    (finding,) = report["findings"]
    assert (finding["change"]["status"], finding["change"]["reason"]) == ("withheld", "contested")
    assert finding["change"]["error"] == (
        f"made mutable again 4 times in 7 days, last by "
        f"arn:aws:sts::{account}:assumed-role/deploy/ci; "
        'Terraform: set image_tag_mutability = "IMMUTABLE"'
    )
    message = aws.messages()[-1]
    assert "1 contested" in message["subject"]
    assert "assumed-role/deploy/ci" in message["message"]
    assert len(reopened(aws)) == 3


@pytest.mark.slow
def test_what_could_not_be_written_counts_for_nothing(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    denied = Fault("access_denied", operation="PutImageTagMutability")
    put(aws, account, "payments")
    for _ in range(4):
        aws.faults([denied])
        assert handled(cloudtrail.changed(account, REGION, "payments")) == []
        assert setting(aws, account, "payments") == "MUTABLE"
    aws.faults([])
    handler({"accounts": [account]}, Context())
    assert setting(aws, account, "payments") == "IMMUTABLE"


def test_what_another_delivery_counted_is_not_forgotten(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    event = cloudtrail.changed(account, REGION, "payments")
    put(aws, account, "payments")
    handled(event)
    before = reopened(aws)
    assert len(before) == 1
    put(aws, account, "payments")
    aws.faults([Fault("access_denied", operation="PutImageTagMutability")])
    handled(event)
    assert setting(aws, account, "payments") == "MUTABLE"
    assert reopened(aws) == before


@pytest.mark.slow
def test_a_sweep_leaves_alone_what_is_contested(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    write_config(Path(), {**CONFIG, "remediation": {"max_reopened": 1}})
    for _ in range(2):
        put(aws, account, "fought")
        handled(cloudtrail.changed(account, REGION, "fought"))
    assert setting(aws, account, "fought") == "MUTABLE"
    put(aws, account, "plain")
    handler({"accounts": [account]}, Context())
    assert setting(aws, account, "plain") == "IMMUTABLE"
    assert setting(aws, account, "fought") == "MUTABLE"
    (latest,) = (json.loads(each.body) for each in aws.objects() if each.key == "audit/latest.json")
    (change,) = (each["change"] for each in latest["findings"] if each["repository"] == "fought")
    assert (change["status"], change["reason"]) == ("withheld", "contested")
    assert change["error"].startswith("made mutable again 2 times in 7 days, last by arn:aws:sts::")


def test_an_earlier_event_does_not_change_what_is_contested(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    write_config(Path(), {**CONFIG, "remediation": {"max_reopened": 1}})
    put(aws, account, "fought")
    handled(cloudtrail.changed(account, REGION, "fought"))
    for name in ("fought", "new"):
        put(aws, account, name)
    # Its creation comes again: from an archive, or from the dead letters.
    assert handled(*(cloudtrail.created(account, REGION, name) for name in ("fought", "new"))) == []
    assert setting(aws, account, "fought") == "MUTABLE"
    assert setting(aws, account, "new") == "IMMUTABLE"
    changes = {each["repository"]: each["change"] for each in reports(aws)[-1]["findings"]}
    assert (changes["fought"]["status"], changes["fought"]["reason"]) == ("withheld", "contested")


@pytest.mark.slow
def test_where_that_cannot_be_read_a_sweep_goes_on(
    aws: FakeAws, capfd: pytest.CaptureFixture[str]
) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "plain")
    aws.faults([Fault("access_denied", operation="GetObject")])
    write_config(Path(), {"report": {"s3": {**REPORT["s3"], "lease": False}}})
    handler({"accounts": [account]}, Context())
    assert setting(aws, account, "plain") == "IMMUTABLE"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["reason"] for line in lines if line["event"] == "contested.unknown"] == ["denied"]


@pytest.mark.slow
def test_an_event_that_comes_twice_counts_once(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    event = cloudtrail.changed(account, REGION, "payments")
    for _ in range(5):
        put(aws, account, "payments")
        handled(event, event)
    assert setting(aws, account, "payments") == "IMMUTABLE"


def test_without_a_count_nothing_is_made_immutable_again(aws: FakeAws) -> None:
    account = ACCOUNTS[7]
    put(aws, account, "payments")
    put(aws, account, "fresh")
    aws.faults([Fault("access_denied", operation="GetObject")])
    events = (
        cloudtrail.changed(account, REGION, "payments"),
        cloudtrail.created(account, REGION, "fresh"),
    )
    assert handled(*events) == []
    assert setting(aws, account, "payments") == "MUTABLE"
    assert setting(aws, account, "fresh") == "IMMUTABLE"
    (report,) = reports(aws)
    changes = {each["repository"]: each["change"] for each in report["findings"]}
    assert changes["payments"]["reason"].startswith("denied")
    assert "could not be counted in reopened.json" in changes["payments"]["error"]


# --- a burst -------------------------------------------------------------------------------------


def _burst() -> Iterator[tuple[str, Any, str, str]]:
    """1,000 events for 20 accounts: kind, event, account and repository."""
    for number in range(800):
        account = ACCOUNTS[number % 20]
        name = f"burst/{number}"
        yield "real", cloudtrail.created(account, REGION, name), account, name
    for number in range(50):
        account = ACCOUNTS[number % 20]
        name = f"gone/{number}"
        yield "gone", cloudtrail.created(account, REGION, name), account, name
    for number in range(50):
        forged = (
            cloudtrail.created(f"9{number:011}", REGION, "forged/foreign"),
            cloudtrail.created(ACCOUNTS[number % 20], "eu-nowhere-1", "forged/region"),
            cloudtrail.created(ACCOUNTS[number % 20], REGION, "forged/../\u202ename"),
        )[number % 3]
        yield "forged", forged, "", ""


@pytest.mark.slow
def test_a_burst_of_1000_events_is_handled_once_each(
    aws: FakeAws, request: pytest.FixtureRequest
) -> None:
    burst = list(_burst())
    for kind, _, account, name in burst:
        if kind == "real":
            put(aws, account, name)
    twice = burst[:800:8]  # 10 % of 1,000 are duplicates, some in the batch of the first
    events = [each[1] for each in burst]
    for position, each in enumerate(twice):
        events.insert(9 * position + 1, each[1])
    assert len(events) == 1000
    # The first read in one account is throttled five times: that message comes again.
    aws.faults([Fault("throttle", operation="DescribeRepositories", account=ACCOUNTS[3], times=5)])
    queue = [(event, 1) for event in events]
    received = 0
    dead: list[Any] = []
    begun = time.monotonic()
    while queue:
        batch, queue = queue[:10], queue[10:]
        received += len(batch)
        again = {int(each.removeprefix("m-")) for each in handled(*(event for event, _ in batch))}
        for position in again:
            event, count = batch[position]
            (dead if count == MAX_RECEIVE_COUNT else queue).append((event, count + 1))
    seconds = time.monotonic() - begun
    assert dead == []
    assert received == 1000 + 1
    states = {each.mutability for each in aws.repositories() if each.name.startswith("burst/")}
    assert states == {"IMMUTABLE"}
    made = [each["repository"] for each in writes(aws)]
    assert sorted(made) == sorted(name for kind, _, _, name in burst if kind == "real")
    asked = calls(aws)
    assert asked["sts:AssumeRole"] == 20  # one for each account, over all batches
    assert set(aws.statistics().assume_roles) == set(ACCOUNTS[:20])
    said = f"1,000 events in batches of 10: {seconds:.0f} s, {sum(asked.values()):,} calls"
    request.node.user_properties.append(("summary", said))
