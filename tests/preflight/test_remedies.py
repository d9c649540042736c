"""What mends what: the command or the key, with what is known filled in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.model import Failed, Reason, Stage
from sweeper.preflight.facts import Caller, Facts, Standing
from sweeper.preflight.problems import Kind, Problem
from sweeper.preflight.remedies import PERMITTED_BY, meaning, remedy
from sweeper.probing import Answer
from tests.fakes import account_id, make_config
from tests.preflight.facts import CALLER, CLOSE, RULES, TEMPLATE, facts
from tests.stacksets import templates

R = Reason
KEYS = (
    "report.directory",
    "report.s3.bucket",
    "report.s3.kms_key_id",
    "report.sns_topic_arn",
    "report.security_hub.region",
)


def problem(kind: Kind, reason: Reason | None, **values: Any) -> Problem:
    answer = values.pop("answer", Answer.DENIED)
    return Problem(kind, answer, reason, "what AWS said", **values)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("reason", Reason)
def test_there_is_something_to_do_about_everything(kind: Kind, reason: Reason) -> None:
    for answer in (Answer.DENIED, Answer.FAILED):
        for key in KEYS if kind is Kind.DESTINATION else (None,):
            found = problem(
                kind, reason, answer=answer, key=key, places=((account_id(1), "eu-west-1"),)
            )
            assert remedy(found, facts(), make_config()).text.strip()
            assert meaning(found)


def test_what_only_a_write_shows_is_left_to_no_dry_run() -> None:
    found = problem(Kind.WRITE, None, answer=Answer.NOT_KNOWN, actions=("ecr:CreateRepository",))
    assert remedy(found, facts(), make_config()).text == (
        "the first sweep that changes something tells"
    )


@pytest.mark.parametrize("key", [None, *KEYS])
def test_what_is_not_known_says_how_it_would_be(key: str | None) -> None:
    found = problem(Kind.READ, None, answer=Answer.NOT_KNOWN, key=key)
    assert "tells" in remedy(found, facts(), make_config()).text


def test_a_role_that_is_missing_somewhere_is_deployed() -> None:
    found = problem(Kind.ACCOUNT, R.ASSUME_ROLE_DENIED, accounts=(account_id(3),))
    text = remedy(found, facts(), make_config()).text
    assert "make stackset-status" in text
    assert 'make stackset-deploy OUS="…"' in text
    assert "management account" not in text


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


@pytest.mark.parametrize(
    ("external_id", "words"), [(None, "which is not set here"), ("a-secret", "which is set here")]
)
def test_a_role_that_admits_nowhere_is_a_matter_of_trust(
    external_id: str | None, words: str
) -> None:
    everywhere = tuple(account_id(number) for number in (1, 2, 3))
    found = problem(Kind.ACCOUNT, R.ASSUME_ROLE_DENIED, accounts=everywhere)
    config = make_config(organization={"external_id": external_id})
    text = remedy(found, facts(), config).text
    assert words in text
    assert "CentralRoleArn" in text
    assert "a-secret" not in text


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing.MANAGEMENT, "allow the caller organizations:ListAccounts"),
        (Standing.DELEGATED, "allow the caller organizations:ListAccounts"),
        (Standing.MEMBER, f"--account-id {account_id(1)}"),
        (Standing.NOT_KNOWN, "aws organizations register-delegated-administrator"),
    ],
)
def test_who_may_not_list(standing: Standing, words: str) -> None:
    caller: Caller = replace(CALLER, standing=standing)
    found = Facts(caller, Failed(Stage.ENUMERATE, R.NOT_ALLOWED_TO_LIST, "no"))
    said = remedy(problem(Kind.ORGANIZATION, R.NOT_ALLOWED_TO_LIST), found, make_config())
    assert words in said.text


PLACES = tuple((account_id(1), f"eu-west-{number}") for number in range(1, 8))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            problem(Kind.REGION, R.DENIED_BY_SCP, places=PLACES[:2], whole_accounts=False),
            "regions.exclude: [eu-west-1, eu-west-2], or coverage.accept: "
            "[{reason: denied_by_scp, region: eu-west-1}]",
        ),
        (
            problem(Kind.REGION, R.DENIED_BY_SCP, places=PLACES, whole_accounts=False),
            "eu-west-5, and 2 more]",
        ),
        (
            problem(Kind.REGION, R.DENIED_BY_SCP, places=PLACES, accounts=(account_id(1),)),
            'organization.exclude_accounts: ["000000000001"]',
        ),
        (
            problem(Kind.READ, R.DENIED_BY_IDENTITY_POLICY, actions=(RULES,)),
            f"the role's policy there lacks {RULES}",
        ),
        (problem(Kind.READ, R.DENIED_BY_PERMISSIONS_BOUNDARY, actions=(RULES,)), RULES),
        (
            problem(Kind.WRITE, R.DENIED_BY_SCP, actions=(CLOSE,)),
            "stacksets/deny-tag-mutability-changes.json",
        ),
        (problem(Kind.REGIONS, R.DENIED_BY_SCP), "from the region-deny policy"),
        (problem(Kind.REGIONS, R.DENIED), "the role's policy there lacks account:ListRegions"),
        (
            problem(
                Kind.DESTINATION,
                R.DENIED,
                key="report.s3.bucket",
                actions=("s3:GetObject", "s3:PutObject"),
            ),
            "allow the caller s3:GetObject, s3:PutObject",
        ),
    ],
)
def test_what_is_typed_has_what_is_known_in_it(found: Problem, words: str) -> None:
    assert words in remedy(found, facts(), make_config()).text


@pytest.mark.parametrize(
    ("denied", "parameters"),
    [
        ((CLOSE,), "AllowRemediation=true"),
        ((TEMPLATE,), "AllowTemplateRemediation=true"),
        ((CLOSE, TEMPLATE), "AllowRemediation=true AllowTemplateRemediation=true"),
    ],
)
@pytest.mark.parametrize("reason", [R.DENIED_BY_IDENTITY_POLICY, R.DENIED])
def test_a_write_is_permitted_by_its_own_parameter(
    denied: tuple[str, ...], parameters: str, reason: Reason
) -> None:
    found = problem(Kind.WRITE, reason, actions=denied)
    text = remedy(found, facts(writes=(CLOSE, TEMPLATE)), make_config()).text
    assert f'PARAMETERS="{parameters}" lets the role use {" and ".join(denied)};' in text


def test_our_own_policy_is_named_where_it_may_be_the_one() -> None:
    policy = "stacksets/deny-tag-mutability-changes.json"
    for actions, is_named in (((CLOSE, TEMPLATE), True), ((TEMPLATE,), False)):
        found = problem(Kind.WRITE, R.DENIED_BY_SCP, actions=actions)
        text = remedy(found, facts(), make_config()).text
        assert f"the policy that denies {' and '.join(actions)}" in text
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
        for action in [statement["Action"]]
        if isinstance(action, str)
    }
    assert parameter_of == PERMITTED_BY
