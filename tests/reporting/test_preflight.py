"""The fix of each problem: the command or the key, with what is known filled in."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.aws import config_aggregator
from sweeper.checks import checks
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Caller, Facts, OrganizationRole, Region
from sweeper.engine.preflight.problems import Kind, Problem
from sweeper.engine.probe import NO_HINTS, ProbeStatus
from sweeper.reporting.preflight import problem_meaning, remedy
from sweeper.reporting.sinks import SINKS, chat, event_bus, make_sinks, s3, security_hub, sns
from sweeper.reporting.sinks.base import SinkContext, probe_sink
from sweeper.reporting.sinks.topic import _hints
from sweeper.reporting.wording import advice
from sweeper.storage.evidence.file import EvidenceFile
from tests.cases import case
from tests.engine.preflight.facts import CALLER, CLOSE, RULES, TEMPLATE, facts
from tests.fakes import account_id, failure, make_account, make_config
from tests.golden import assert_golden
from tests.stacksets import templates
from tests.stacksets.iam import listed

R = Reason
PERMITTED_BY = {
    action: name for kind in checks().values() for action, name in kind.permitted_by.items()
}
HINTS = {
    "report.directory": NO_HINTS,
    "report.s3.bucket": s3._HINTS,
    "report.s3.kms_key_id": s3._KEY_HINTS,
    **{key: _hints(key) for key in (sns.SnsSink.key, chat.ChatSink.key)},
    event_bus._KEY: event_bus._HINTS,
    "report.security_hub.region": security_hub._HINTS,
    config_aggregator._KEY: config_aggregator._HINTS,
}
KEYS: dict[Kind, tuple[str, ...]] = {
    Kind.DESTINATION: tuple(key for key in HINTS if key.startswith("report.")),
    Kind.INVENTORY: (config_aggregator._KEY,),
}


class DenyingClient:
    def __getattr__(self, operation: str) -> Any:
        def call(**_: object) -> None:
            raise failure(Reason.DENIED)

        return call


def test_the_hints_of_every_destination_are_here(tmp_path: Path) -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:"
    report = {
        "directory": tmp_path,
        "s3": {"bucket": "bucket", "kms_key_id": "alias/key"},
        "sns_topic_arn": f"{topic}report",
        "chat_topic_arn": f"{topic}chat",
        "event_bus": "arn:aws:events:eu-central-1:123456789012:event-bus/bus",
        "security_hub": {"region": "eu-central-1"},
        "account_tags": ["team"],
        "owner_tag": "team",
        "evidence": True,
    }
    context = SinkContext(
        make_config(report=report), (), lambda *_: DenyingClient(), evidence=EvidenceFile(None)
    )
    made = make_sinks(context)
    assert {type(sink) for sink in made} == set(SINKS), "configure each sink here"
    probed = {probe.key for sink in made for probe in probe_sink(sink)}
    assert probed | {config_aggregator._KEY} == set(HINTS)


def problem(kind: Kind, reason: Reason | None, **values: Any) -> Problem:
    answer = values.pop("answer", ProbeStatus.DENIED)
    values["hints"] = HINTS.get(values.get("key") or "", NO_HINTS)
    return Problem(kind, answer, reason, "what AWS said", **values)


def test_there_is_something_to_do_about_everything() -> None:
    """Whatever kind and reason there is; a remedy has its golden text once, with the first."""
    texts: dict[str, str] = {}
    for kind, reason, answer in product(Kind, Reason, (ProbeStatus.DENIED, ProbeStatus.FAILED)):
        for key in KEYS.get(kind, (None,)):
            with case(kind, reason, answer, key):
                found = problem(
                    kind,
                    reason,
                    answer=answer,
                    key=key,
                    actions=("ecr:Some",),
                    accounts=(account_id(1),),
                    targets=((account_id(1), "eu-west-1"),),
                )
                text = remedy(found, facts(), make_config()).text
                assert text.strip()
                assert problem_meaning(found)
                if text != advice(Stage.EXAMINE, reason):  # which is in docs/reasons.md
                    texts.setdefault(text, f"{kind}, {reason}, {answer}, {key}")
    for key, kind in product((None, *HINTS), (Kind.READ, Kind.WRITE)):
        with case(kind, key):
            found = problem(kind, None, answer=ProbeStatus.NOT_KNOWN, key=key)
            text = remedy(found, facts(), make_config()).text
            assert text.strip()
            assert problem_meaning(found)
            texts.setdefault(text, f"{kind}, {key}, not known")
    assert_golden("remedies.txt", "".join(f"{of}: {text}\n" for text, of in texts.items()))


def test_a_role_that_is_missing_somewhere_is_deployed() -> None:
    found = problem(Kind.ACCOUNT, R.ASSUME_ROLE_DENIED, accounts=(account_id(3),))
    text = remedy(found, facts(), make_config()).text
    assert "make stackset-status" in text
    assert 'make stackset-deploy OUS="…"' in text
    assert "stacksets/member-role.yaml" not in text  # which is for the management account


@pytest.mark.parametrize("action", ["sts:TagSession", "sts:SetSourceIdentity"])
def test_a_session_with_tags_is_let_in_by_its_parameter(action: str) -> None:
    """Also where no account admits the caller, which has other remedies."""
    every = tuple(account_id(number) for number in range(1, 4))
    for accounts in (every[:1], every):
        found = problem(Kind.ACCOUNT, R.ASSUME_ROLE_DENIED, accounts=accounts, actions=(action,))
        text = remedy(found, facts(), make_config()).text
        assert 'PARAMETERS="AllowSessionTags=true"' in text
        assert f"must allow {action}" in text
        assert "disableSessionTags" in text
    assert "AllowSessionTags" in templates.load("member-role")["Parameters"]


def test_stacksets_skip_the_management_account() -> None:
    found = problem(Kind.ACCOUNT, R.ASSUME_ROLE_DENIED, accounts=(account_id(2),))
    assert "stacksets/member-role.yaml" in remedy(found, facts(), make_config()).text


def test_a_role_that_admits_nowhere_is_a_matter_of_trust() -> None:
    everywhere = tuple(account_id(number) for number in (1, 2, 3))
    found = problem(Kind.ACCOUNT, R.ASSUME_ROLE_DENIED, accounts=everywhere)
    texts = {
        remedy(found, facts(), make_config(organization={"external_id": external_id})).text
        for external_id in (None, "a-secret")
    }
    assert len(texts) == 2
    for text in texts:
        assert "CentralRoleArn" in text
        assert "organization.external_id" in text
        assert "a-secret" not in text


def test_who_may_not_list() -> None:
    cases: list[tuple[OrganizationRole, str]] = [
        (OrganizationRole.MANAGEMENT, "organizations:ListAccounts"),
        (OrganizationRole.DELEGATED, "organizations:ListAccounts"),
        (OrganizationRole.MEMBER, f"--account-id {account_id(1)}"),
        (OrganizationRole.NOT_KNOWN, "aws organizations register-delegated-administrator"),
    ]
    for standing, words in cases:
        with case(standing, words):
            caller: Caller = replace(CALLER, standing=standing)
            found = Facts(caller, Failed(Stage.ENUMERATE, R.NOT_ALLOWED_TO_LIST, "no"))
            advised = remedy(
                problem(Kind.ORGANIZATION, R.NOT_ALLOWED_TO_LIST), found, make_config()
            )
            assert words in advised.text


TARGETS = tuple((account_id(1), f"eu-west-{number}") for number in range(1, 8))


def test_what_is_typed_has_what_is_known_in_it() -> None:
    cases: list[tuple[Problem, str]] = [
        (
            problem(Kind.REGION, R.DENIED_BY_SCP, targets=TARGETS[:2], whole_accounts=False),
            "regions.exclude: [eu-west-1, eu-west-2]",
        ),
        (
            problem(Kind.REGION, R.DENIED_BY_SCP, targets=TARGETS, whole_accounts=False),
            f"regions.exclude: [{', '.join(region for _, region in TARGETS)}]",
        ),
        (
            problem(Kind.REGION, R.DENIED_BY_SCP, targets=TARGETS, accounts=(account_id(1),)),
            'organization.exclude_accounts: ["000000000001"]',
        ),
        (
            problem(Kind.READ, R.DENIED_BY_IDENTITY_POLICY, actions=(RULES,)),
            RULES,
        ),
        (problem(Kind.READ, R.DENIED_BY_PERMISSIONS_BOUNDARY, actions=(RULES,)), RULES),
        (
            problem(Kind.WRITE, R.DENIED_BY_SCP, actions=(CLOSE,)),
            "stacksets/deny-tag-mutability-changes.json",
        ),
        (problem(Kind.REGIONS, R.DENIED_BY_SCP), "account:ListRegions"),
        (problem(Kind.REGIONS, R.DENIED), "account:ListRegions"),
        (
            problem(
                Kind.DESTINATION,
                R.DENIED,
                key="report.s3.bucket",
                actions=("s3:GetObject", "s3:PutObject"),
            ),
            "s3:GetObject, s3:PutObject",
        ),
    ]
    for found, words in cases:
        with case(found, words):
            assert words in remedy(found, facts(), make_config()).text


def test_a_write_is_permitted_by_its_own_parameter() -> None:
    cases: list[tuple[tuple[str, ...], str]] = [
        ((CLOSE,), "AllowRemediation=true"),
        ((TEMPLATE,), "AllowTemplateRemediation=true"),
        ((CLOSE, TEMPLATE), "AllowRemediation=true AllowTemplateRemediation=true"),
    ]
    for reason in [R.DENIED_BY_IDENTITY_POLICY, R.DENIED]:
        for denied, parameters in cases:
            with case(reason, denied, parameters):
                found = problem(Kind.WRITE, reason, actions=denied)
                text = remedy(found, facts(permitted_by=PERMITTED_BY), make_config()).text
                assert f'PARAMETERS="{parameters}"' in text
                assert all(action in text for action in denied)


def test_our_own_policy_is_named_where_it_may_be_the_one() -> None:
    policy = "stacksets/deny-tag-mutability-changes.json"
    for actions, is_named in (((CLOSE, TEMPLATE), True), ((TEMPLATE,), False)):
        found = problem(Kind.WRITE, R.DENIED_BY_SCP, actions=actions)
        text = remedy(found, facts(), make_config()).text
        assert all(action in text for action in actions)
        assert (policy in text) is is_named
    denied = json.loads((templates.FOLDER / Path(policy).name).read_text(encoding="utf-8"))
    assert denied["Statement"][0]["Action"] == CLOSE


def test_each_parameter_permits_what_it_is_named_for() -> None:
    template = templates.load("member-role")
    (policy,) = template["Resources"]["MemberRole"]["Properties"]["Policies"]
    guarded = [
        statement["Fn::If"]
        for statement in policy["PolicyDocument"]["Statement"]
        if "Fn::If" in statement
    ]
    parameter_of = {
        action: template["Conditions"][condition]["Fn::Equals"][0]["Ref"]
        for condition, statement, _ in guarded
        if not statement["Sid"].startswith("What")
        for action in listed(statement["Action"])
    }
    assert parameter_of == PERMITTED_BY


MANAGEMENT, OTHER = account_id(2), account_id(3)


@pytest.mark.parametrize(
    ("readable", "accepted"),
    [
        ((), {("*", "eu-west-1"), ("*", "eu-west-2")}),
        ((MANAGEMENT,), {("*", "eu-west-1"), ("*", "eu-west-2")}),  # which no such policy binds
        ((OTHER,), set(TARGETS[:2])),
        ((MANAGEMENT, OTHER), set(TARGETS[:2])),
    ],
)
def test_no_region_that_an_account_can_read_is_excluded(
    readable: tuple[str, ...], accepted: set[tuple[str, str]]
) -> None:
    """What is to be pasted is complete, and leaves out only what is denied."""
    found = problem(Kind.REGION, R.DENIED_BY_SCP, targets=TARGETS[:2], whole_accounts=False)
    places = (*TARGETS[:2], *((account, "eu-west-1") for account in readable))
    known = facts()
    assert known.caller
    known = replace(
        known,
        caller=replace(known.caller, management_account=MANAGEMENT),
        regions=tuple(Region(make_account(int(each)), name, {}, {}) for each, name in places),
    )
    text = remedy(found, known, make_config()).text
    assert ("regions.exclude: [eu-west-1, eu-west-2]" in text) is (not readable)
    accept = text.partition("coverage.accept: ")[2].partition(";")[0]
    rules = make_config(coverage={"accept": yaml.safe_load(accept)}).coverage.accept
    assert accepted == {each for rule in rules for each in product(rule.account, rule.region)}
