"""What an event hints at, and when a repository is contested: tables of facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.events import (
    Hint,
    Reopening,
    count_reopenings,
    events_without_result,
    join_hints,
    list_contested,
    read_hint,
    withhold_contested,
    without_events,
)
from sweeper.domain.model import Change, ChangeStatus, Counts, Examined
from sweeper.domain.reasons import Reason
from tests import cloudtrail
from tests.cases import case
from tests.factories import change, finding

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
            assert hint.key == (ACCOUNT, REGION, repository)
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
    assert isinstance(hint, str) or hint.key == (ACCOUNT, REGION, "team/payments")


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


NOW = datetime(2026, 11, 29, 13, tzinfo=UTC)


def reopening(event_id: str, days_ago: float = 1, repository: str = "app") -> Reopening:
    at = (NOW - timedelta(days=days_ago)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Reopening(ACCOUNT, REGION, repository, event_id, at, "somebody", "there")


def test_what_is_contested() -> None:
    three = [reopening("a"), reopening("b"), reopening("c")]
    cases: list[tuple[list[Reopening], int, int, bool]] = [
        ([], 3, 1, False),
        (three[:2], 3, 3, False),
        (three, 3, 3, True),
        (three, 4, 4, False),
        ([], 0, 0, True),
        ([*three[:2], reopening("c", days_ago=7)], 3, 3, False),  # the third is forgotten
        ([*three[:2], reopening("c", repository="other")], 3, 4, False),
        ([*three[:2], reopening("c", days_ago=-1)], 3, 3, False),  # nothing is to come
        ([*three[:2], reopening("e-1")], 3, 3, False),  # this very event, delivered again
    ]
    for before, limit, kept, is_contested in cases:
        with case(before, limit):
            after, contested = count_reopenings(before, [HINT], NOW, limit)
            assert len(after) == kept
            assert (HINT.key in contested) is is_contested
    _, contested = count_reopenings(three, [HINT], NOW, 3)
    assert contested[HINT.key] == ("made mutable again 4 times in 7 days, last by somebody; there")


def test_what_was_not_made_immutable_again_is_no_reopening() -> None:
    cases: list[tuple[Change | None, bool]] = [
        (change(ChangeStatus.APPLIED), False),
        (change(ChangeStatus.FAILED, uncertain=True), False),
        (change(ChangeStatus.FAILED, reason=Reason.DENIED), True),
        (change(ChangeStatus.WITHHELD, reason=Reason.WRITE_NOT_GRANTED), True),
        (change(ChangeStatus.WITHHELD, reason=Reason.CONTESTED), False),  # it was not counted
        # The same event, delivered twice at once, led to that.
        (change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT), False),
        (change(ChangeStatus.SUPERSEDED, reason=Reason.CHANGED_SINCE_EXAMINED), True),
        (None, False),
    ]
    for made, is_forgotten in cases:
        with case(made):
            found = finding(account_id=ACCOUNT, region=REGION, repository="app", change=made)
            events = events_without_result([HINT], [found])
            assert events == ({"e-1"} if is_forgotten else set())
    assert without_events([reopening("a"), reopening("b")], {"b"}) == (reopening("a"),)


def test_templates_are_not_counted() -> None:
    assert count_reopenings([], [replace(HINT, repository=None)], NOW, 0) == ((), {})


def test_a_sweep_leaves_alone_what_has_reached_the_limit() -> None:
    three = [reopening("a"), reopening("b"), reopening("c")]
    cases: list[tuple[list[Reopening], int, bool]] = [
        ([], 3, False),
        (three, 3, True),
        (three, 4, False),
        ([*three[:2], reopening("c", days_ago=8)], 3, False),
        ([*three[:2], reopening("c", repository="other")], 3, False),
        ([], 0, False),  # nobody made anything mutable again that is known
    ]
    for before, limit, is_contested in cases:
        with case(before, limit):
            contested = list_contested(before, NOW, limit)
            assert (HINT.key in contested) is is_contested
    assert list_contested(three, NOW, 3)[HINT.key] == (
        "made mutable again 4 times in 7 days, last by somebody; there"
    )


def test_only_planned_changes_of_repositories_are_withheld() -> None:
    planned = Change(ChangeStatus.PLANNED, "IMMUTABLE", ())
    applied = replace(planned, status=ChangeStatus.APPLIED)
    own = finding(account_id=ACCOUNT, region=REGION, repository="app", change=planned)
    others = (
        replace(own, change=applied),
        replace(own, repository="other"),
        replace(own, resource="repository_creation_template"),
        replace(own, change=None),
    )
    outcome = Examined(Counts(0, 5, 0), (own, *others))
    (after,) = withhold_contested([outcome], {HINT.key: "why"})
    assert isinstance(after, Examined)
    first, *rest = after.findings
    assert first.change == replace(
        planned, status=ChangeStatus.WITHHELD, reason=Reason.CONTESTED, error="why"
    )
    assert tuple(rest) == others
