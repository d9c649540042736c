"""Applying a reviewed dry run: its changes that still hold, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import ChangeStatus, Finding, Repository
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from tests.cases import case
from tests.fakes import (
    REGION,
    FakeCloud,
    FakeRegistry,
    account_id,
    failure,
    make_account,
    make_change,
    make_environment,
    make_finding,
    make_repository,
    make_target,
)
from tests.recorded_support import apply_here, source_run

ONE, TWO = make_target(1), make_target(2)
HERE = FakeCloud((make_account(1), make_account(2)))
APPLIED, SUPERSEDED = ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED


def reviewed(name: str = "app", number: int = 1, **values: Any) -> Finding:
    """A finding whose change a dry run planned."""
    return make_finding(name, make_target(number), change=make_change(), **values)


def registry_of(*names: str, **more: Any) -> FakeRegistry:
    return FakeRegistry({ONE.key: [make_repository(name) for name in names]}, **more)


def outcomes(report: Report) -> dict[str, tuple[ChangeStatus, Reason | None]]:
    return {
        each.repository: (each.change.status, each.change.reason)
        for each in report.findings
        if each.change
    }


def test_what_was_not_reviewed_is_left_as_it_is() -> None:
    registry = registry_of("app", "other")
    report = apply_here(registry, HERE, [reviewed("app")])
    assert [key[2] for key, _, _ in registry.writes] == ["app"]
    assert outcomes(report) == {"app": (APPLIED, None)}
    assert [each.repository for each in report.findings] == ["app", "other"]
    assert report.totals.remaining == 1
    assert exit_status(report) is ExitStatus.FINDINGS_REMAIN
    assert (report.run.kind, report.run.source and report.run.source.location) == (
        "apply",
        "report.json",
    )


@pytest.mark.parametrize(
    ("now", "sections", "reason"),
    [
        (make_repository("app", "IMMUTABLE"), {}, Reason.NOW_COMPLIANT),
        (None, {}, Reason.REPOSITORY_DELETED),
        (
            make_repository("app", "MUTABLE_WITH_EXCLUSION", ["v*"]),
            {},
            Reason.CHANGED_SINCE_REVIEWED,
        ),
        (make_repository("app", "NEW_WORD"), {}, Reason.CHANGED_SINCE_REVIEWED),
        (
            make_repository("app"),
            {"remediation": {"exclusions": ["latest"]}},
            Reason.CHANGED_SINCE_REVIEWED,
        ),
        (
            make_repository("app"),
            {"exemptions": [{"repository": "app", "reason": "moves", "expires": "never"}]},
            Reason.NOW_EXEMPT,
        ),
        (
            make_repository("app"),
            {"remediation": {"exclude_accounts": [account_id(1)]}},
            Reason.OUTSIDE_WRITE_SCOPE,
        ),
    ],
)
def test_what_no_longer_holds_is_superseded_with_its_reason(
    now: Repository | None, sections: dict[str, Any], reason: Reason
) -> None:
    registry = FakeRegistry({ONE.key: [now] if now else []})
    report = apply_here(registry, HERE, [reviewed("app")], **sections)
    assert outcomes(report) == {"app": (SUPERSEDED, reason)}
    assert registry.writes == []


def test_a_place_that_is_not_examined_ends_its_changes() -> None:
    suspended = make_account(2, state="SUSPENDED")
    denied = failure(Reason.ASSUME_ROLE_DENIED)
    cases: list[tuple[str, FakeCloud, dict[str, Any], ChangeStatus, Reason]] = [
        ("left", FakeCloud((make_account(1),)), {}, ChangeStatus.FAILED, Reason.ACCOUNT_LEFT),
        (
            "suspended",
            FakeCloud((make_account(1), suspended)),
            {},
            SUPERSEDED,
            Reason.ACCOUNT_SUSPENDED,
        ),
        (
            "excluded",
            HERE,
            {"organization": {"exclude_accounts": [account_id(2)]}},
            SUPERSEDED,
            Reason.ACCOUNT_EXCLUDED,
        ),
        (
            "denied",
            FakeCloud(HERE.accounts, {account_id(2): denied}),
            {},
            ChangeStatus.FAILED,
            Reason.ASSUME_ROLE_DENIED,
        ),
        (
            "no region",
            FakeCloud(HERE.accounts, {account_id(2): (("us-east-1", "ENABLED"),)}),
            {},
            ChangeStatus.FAILED,
            Reason.REGION_NOT_ENABLED,
        ),
    ]
    for name, cloud, sections, status, reason in cases:
        with case(name):
            registry = registry_of("app")
            report = apply_here(registry, cloud, [reviewed("app"), reviewed("web", 2)], **sections)
            assert outcomes(report) == {"app": (APPLIED, None), "web": (status, reason)}
            assert report.totals.changes.planned == 2


def test_limits_count_the_reviewed_changes_alone() -> None:
    for limit, written in ((1, ["app"]), (0, [])):
        with case(limit):
            registry = registry_of("app", "b", "c")
            remediation = {"max_changes": limit}
            report = apply_here(registry, HERE, [reviewed("app")], remediation=remediation)
            assert [key[2] for key, _, _ in registry.writes] == written
            if not written:
                withheld = (ChangeStatus.WITHHELD, Reason.MAX_CHANGES)
                assert outcomes(report) == {"app": withheld}


def test_a_reviewed_change_of_a_contested_repository_is_not_made() -> None:
    registry = registry_of("app", "fought")
    report = apply_here(
        registry,
        HERE,
        [reviewed("app"), reviewed("fought")],
        contested=lambda: {(*ONE.key, "fought"): "why"},
        remediation={"max_changes": 1},
    )
    assert outcomes(report) == {
        "app": (APPLIED, None),
        "fought": (ChangeStatus.WITHHELD, Reason.CONTESTED),
    }
    assert [key[2] for key, _, _ in registry.writes] == ["app"]


def test_a_dry_run_says_what_still_holds_and_writes_nothing() -> None:
    registry = registry_of("app")
    environment = make_environment(dry_run=True)
    findings: Sequence[Finding] = [reviewed("app"), reviewed("gone")]
    report = apply_here(registry, HERE, findings, environment=environment)
    assert outcomes(report) == {
        "app": (ChangeStatus.PLANNED, None),
        "gone": (SUPERSEDED, Reason.REPOSITORY_DELETED),
    }
    assert registry.writes == []


def test_only_the_reviewed_accounts_and_regions_are_in_scope() -> None:
    cloud = FakeCloud(
        HERE.accounts, {account_id(1): (("eu-central-1", "ENABLED"), ("us-east-1", "ENABLED"))}
    )
    report = apply_here(registry_of("app"), cloud, [reviewed("app")])
    scope = report.run.scope
    assert scope
    assert (scope.accounts, scope.accounts_listed) == (1, 2)
    assert (scope.regions, scope.regions_enabled) == (("eu-central-1",), 2)
    assert {(each.account_id, each.region, each.reason) for each in report.skipped} == {
        (account_id(2), None, Reason.ACCOUNT_EXCLUDED),
        (account_id(1), "us-east-1", Reason.REGION_EXCLUDED),
    }
    assert report.coverage.complete


def test_what_is_unknown_outside_the_reviewed_accounts_and_regions_is_no_gap() -> None:
    unknown = (make_account(1), make_account(2, state="DREAMING"))
    half = {account_id(1): ((REGION, "ENABLED"), ("us-east-1", "HALF"))}
    for cloud in (FakeCloud(unknown), FakeCloud(unknown[:1], half)):
        with case(cloud):
            report = apply_here(
                registry_of("app"), cloud, [reviewed("app")], remediation={"min_coverage": 1.0}
            )
            assert outcomes(report) == {"app": (APPLIED, None)}
            assert exit_status(report) is ExitStatus.CLEAN
            both = apply_here(registry_of("app"), cloud, [reviewed("app"), reviewed("web", 2)])
            assert not both.coverage.complete


def test_a_report_of_another_organization_is_not_acted_on() -> None:
    registry = registry_of("app")
    run = source_run(organization_id="o-2")
    report = apply_here(registry, HERE, [reviewed("app")], run=run)
    assert outcomes(report) == {"app": (ChangeStatus.FAILED, Reason.OTHER_ORGANIZATION)}
    assert exit_status(report) is ExitStatus.UNUSABLE
    assert registry.calls == []
