"""What an event hints at, and when a repository is contested: tables of facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.hints import Hint, join_hints, read_hint
from tests import cloudtrail
from tests.cases import case

ACCOUNT, OTHER, REGION = "111122223333", "444455556666", "eu-central-1"
ROLE = "security/ecr-immutability-sweeper"
CREATED = cloudtrail.created(ACCOUNT, REGION, "team/payments")


def read(event: object, role: str | None = ROLE) -> Hint | str:
    return read_hint(event, role, {REGION}.__contains__)


def detail(event: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**event, "detail": {**event["detail"], **changes}}


def test_what_is_a_hint() -> None:
    cases: list[tuple[Any, str | None, bool]] = [
        (CREATED, "team/payments", False),
        (cloudtrail.changed(ACCOUNT, REGION, "app"), "app", True),
        (cloudtrail.changed(ACCOUNT, REGION, "app", "MUTABLE_WITH_EXCLUSION"), "app", True),
        (cloudtrail.pushed(ACCOUNT, REGION, "a__b--c.d/e"), "a__b--c.d/e", False),
        (cloudtrail.replicated(ACCOUNT, REGION, "app"), "app", False),
        (cloudtrail.template(ACCOUNT, REGION, "ROOT"), None, False),
        (detail(CREATED, requestParameters=None), "team/payments", False),
    ]
    for event, repository, reopens in cases:
        with case(event["detail"]["eventName"], repository):
            hint = read(event)
            assert isinstance(hint, Hint)
            assert hint.place == (ACCOUNT, REGION, repository)
            assert hint.reopens is reopens


def test_what_is_none() -> None:
    request = {"repositoryName": "app", "registryId": OTHER}
    cases: list[tuple[object, str]] = [
        (None, "not a call to ECR"),
        ("text", "not a call to ECR"),
        ({"detail": {"userIdentity": []}}, "not a call to ECR"),
        ({**CREATED, "source": "my.ecr"}, "not a call to ECR"),
        (detail(CREATED, eventSource="ecr-public.amazonaws.com"), "not a call to ECR"),
        (detail(CREATED, eventName="DeleteRepository"), "not about tag mutability"),
        (cloudtrail.refused(CREATED), "the call failed"),
        ({**CREATED, "account": "1111"}, "account"),
        ({**CREATED, "account": "\u0661" * 12}, "account"),
        ({**CREATED, "region": "eu-central-9"}, "region"),
        ({**CREATED, "region": f"{REGION}\n"}, "region"),
        ({**CREATED, "region": [REGION]}, "region"),
        (detail(CREATED, requestParameters=request), "another account"),
        (cloudtrail.created(ACCOUNT, REGION, "UPPER"), "no valid name"),
        (cloudtrail.created(ACCOUNT, REGION, "a"), "no valid name"),
        (cloudtrail.created(ACCOUNT, REGION, "a/../b"), "no valid name"),
        (cloudtrail.created(ACCOUNT, REGION, "app\n"), "no valid name"),
        (detail(CREATED, requestParameters={}, responseElements={}), "no valid name"),
        ({**detail(CREATED, eventID="a b"), "id": "x"}, "no id"),
    ]
    for event, why in cases:
        with case(event, why):
            found = read(event)
            assert isinstance(found, str)
            assert why in found


def test_what_the_member_role_did_is_none() -> None:
    own = cloudtrail.role_session(ACCOUNT, ROLE, "sweeper-20261129T130000Z-abcdef")
    short = {key: value for key, value in own.items() if key != "sessionContext"}
    for identity, is_own in (
        (own, True),
        (short, True),
        (cloudtrail.role_session(OTHER, ROLE), False),  # not the role of this account
        (cloudtrail.role_session(ACCOUNT, "ecr-immutability-sweeper"), False),  # another path
        (cloudtrail.role_session(ACCOUNT, f"{ROLE}-2"), False),
        ({**own, "type": "IAMUser"}, False),
        (cloudtrail.service("ecr.amazonaws.com"), False),
    ):
        with case(identity):
            event = cloudtrail.changed(ACCOUNT, REGION, "app", identity=identity)
            assert (read(event) == "the member role did it") is is_own
    assert isinstance(read(cloudtrail.changed(ACCOUNT, REGION, "app", identity=own), None), Hint)


def test_who_did_it_and_where_to_change_it() -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"agent": cloudtrail.TERRAFORM}, "assumed-role/deploy/ci", "image_tag_mutability"),
        (
            {"agent": "cloudformation.amazonaws.com"},
            f"sts::{ACCOUNT}:",
            "ImageTagMutability: IMMUTABLE",
        ),
        ({}, "assumed-role/deploy/ci", "imageTagMutability: TagMutability.IMMUTABLE in CDK"),
        ({"identity": {"type": "Root"}}, "Root", "in CDK"),
        ({"identity": {"arn": "x" * 9_999}}, "x" * 300, "in CDK"),
    ]
    for more, by, where in cases:
        with case(more):
            hint = read(cloudtrail.changed(ACCOUNT, REGION, "app", **more))
            assert isinstance(hint, Hint)
            assert by in hint.by
            assert len(hint.by) <= 300
            assert where in hint.where


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.sampled_from([*CREATED, *(f"detail.{key}" for key in CREATED["detail"])]), JSON)
def test_nothing_that_is_sent_breaks_it(key: str, value: Any) -> None:
    outer, _, inner = key.partition(".")
    event = detail(CREATED, **{inner: value}) if inner else {**CREATED, outer: value}
    hint = read(event)
    assert isinstance(hint, str) or hint.place == (ACCOUNT, REGION, "team/payments")


HINT = Hint(ACCOUNT, REGION, "app", "e-1", reopens=True, by="somebody", where="there")


def test_events_about_one_thing_are_one_hint() -> None:
    created = replace(HINT, event_id="e-0", reopens=False)
    later = replace(HINT, event_id="e-2")
    elsewhere = replace(HINT, region="eu-west-1")
    templates = replace(HINT, repository=None, reopens=False)
    assert join_hints([created, HINT, later, elsewhere, templates, templates]) == (
        later,
        elsewhere,
        templates,
    )
    assert join_hints([HINT, created]) == (HINT,)
