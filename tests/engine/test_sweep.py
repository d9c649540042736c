"""The sweep as a whole, over a small organization; what holds always is in test_invariants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import ExitStatus, NothingToSweep
from sweeper.domain.events import RepositoryKey
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Counts,
    Examined,
    OpenedAccount,
    Repository,
    ResumeState,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import (
    ChangeTotals,
    FailedItem,
    Report,
    RepositoryTotals,
    SkippedItem,
)
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.pool import Stop
from sweeper.engine.ports import Record
from sweeper.engine.sweep import sweep
from tests.cases import case
from tests.fakes import (
    REGION,
    TODAY,
    FakeCloud,
    FakeJournal,
    FakeObserver,
    FakeRegistry,
    account_id,
    failure,
    make_account,
    make_change,
    make_config,
    make_environment,
    make_finding,
    make_repository,
    make_target,
    run_sweep,
)

ACCOUNTS = (make_account(2), make_account(1), make_account(3, state="SUSPENDED"))
REGISTRIES: Mapping[tuple[str, str], tuple[Repository | Exception, ...]] = {
    (account_id(1), REGION): (make_repository("app"), make_repository("ok", "IMMUTABLE")),
    (account_id(2), REGION): (make_repository("cache/x"),),
}


def registry_of(**rest: Mapping[tuple[str, str], tuple[str, ...]]) -> FakeRegistry:
    return FakeRegistry(REGISTRIES, **rest)  # type: ignore[arg-type]


def test_a_sweep_that_changes() -> None:
    registry = registry_of(prefixes={(account_id(2), REGION): ("cache",)})
    report = run_sweep(FakeCloud(ACCOUNTS), registry, make_config())
    assert registry.writes == [((account_id(1), REGION, "app"), "IMMUTABLE", ())]
    assert report.totals.repositories == RepositoryTotals(3, 1, 1, 1, 0)
    assert report.totals.changes == ChangeTotals(1, 1, 0, 0, 0)
    assert report.totals.remaining == 0
    assert exit_status(report) is ExitStatus.CLEAN
    assert report.skipped == (SkippedItem(account_id(3), None, Reason.ACCOUNT_SUSPENDED),)
    assert {each.id: each.regions for each in report.accounts if each.regions} == {
        account_id(1): {REGION: (1, 1, 0)},
        account_id(2): {REGION: (0, 0, 1)},
    }


def test_the_second_sweep_finds_nothing() -> None:
    registry = registry_of()
    run_sweep(FakeCloud(ACCOUNTS), registry, make_config())
    again = run_sweep(FakeCloud(ACCOUNTS), registry, make_config())
    assert again.findings == []
    assert len(registry.writes) == 2


def test_a_dry_run_shows_the_plan_and_writes_nothing() -> None:
    registry = registry_of()
    report = run_sweep(FakeCloud(ACCOUNTS), registry, make_config(), make_environment(dry_run=True))
    assert registry.writes == []
    assert report.totals.changes == ChangeTotals(2, 0, 0, 0, 0)
    assert report.totals.remaining == 2
    assert report.run.dry_run
    assert exit_status(report) is ExitStatus.FINDINGS_REMAIN


def test_an_audit_plans_no_change() -> None:
    config = make_config(remediation={"auto_remediate": "DISABLED"})
    registry = registry_of()
    report = run_sweep(FakeCloud(ACCOUNTS), registry, config)
    assert registry.writes == []
    assert [finding.change for finding in report.findings] == [None, None]
    assert report.run.auto_remediate == "DISABLED"


def test_a_contested_repository_counts_for_no_limit() -> None:
    places = {(account_id(1), REGION): [make_repository("app"), make_repository("fought")]}
    contested: dict[RepositoryKey, str] = {(account_id(1), REGION, "fought"): "why"}
    for limit in ("max_changes", "max_changes_per_account"):
        with case(limit):
            registry = FakeRegistry(places)
            config = make_config(remediation={limit: 1})
            report = sweep(
                FakeCloud((make_account(1),)),
                (TagImmutability(registry, config, TODAY),),
                config,
                make_environment(config=config),
                SweepPlan(contested=lambda: contested),
            )
            ended = {
                each.repository: each.change and each.change.reason for each in report.findings
            }
            assert ended == {"app": None, "fought": Reason.CONTESTED}
            assert [key[2] for key, _, _ in registry.writes] == ["app"]


def test_which_run_it_was() -> None:
    run = run_sweep(FakeCloud(ACCOUNTS), registry_of(), make_config()).run
    assert (run.id, run.version) == ("run-1", "1.2.3")
    assert run.started_at == run.finished_at == "2026-06-15T12:00:00Z"
    assert (run.partition, run.organization_id, run.account_id) == ("aws", "o-1", account_id(1))


def enumerate_failure(report: Report) -> FailedItem:
    assert (report.findings, report.accounts, report.skipped) == ((), (), ())
    (failed,) = report.failures
    assert failed.stage is Stage.ENUMERATE
    return failed


def test_a_sweep_that_cannot_begin_still_reports() -> None:
    cases: list[tuple[Exception, Reason, int]] = [
        (NothingToSweep(Reason.NO_CREDENTIALS, "none"), Reason.NO_CREDENTIALS, 2),
        (failure(Reason.THROTTLED), Reason.THROTTLED, 4),
        (failure(Reason.INTERRUPTED), Reason.INTERRUPTED, 4),
        (RuntimeError("oh"), Reason.INTERNAL_ERROR, 1),
    ]
    for error, reason, status in cases:
        with case(error, reason, status):
            report = run_sweep(FakeCloud(error), registry_of(), make_config())
            assert enumerate_failure(report).reason is reason
            assert (report.run.organization_id, report.run.account_id) == (None, None)
            assert exit_status(report) == status


def test_a_sweep_of_nothing_still_reports() -> None:
    config = make_config(organization={"include_accounts": [account_id(9)]})
    report = run_sweep(FakeCloud(ACCOUNTS), registry_of(), config)
    assert enumerate_failure(report).reason is Reason.UNKNOWN_ACCOUNT
    assert report.run.organization_id == "o-1"
    assert exit_status(report) is ExitStatus.UNUSABLE


def test_an_account_that_cannot_be_opened_is_a_failure_and_the_others_are_swept() -> None:
    cloud = FakeCloud(ACCOUNTS, {account_id(1): failure(Reason.ASSUME_ROLE_DENIED)})
    report = run_sweep(cloud, registry_of(), make_config())
    (failed,) = report.failures
    assert (failed.stage, failed.account_id) == (Stage.OPEN_ACCOUNT, account_id(1))
    assert report.coverage.accounts == 0.5
    assert [each.id for each in report.accounts if each.regions] == [account_id(2)]


def test_known_gaps_do_not_break_coverage() -> None:
    accept = [
        {"reason": "assume_role_denied", "account": account_id(1)},
        {"reason": "denied_by_scp", "region": "ap-*"},
    ]
    regions = ((REGION, "ENABLED"), ("ap-east-1", "ENABLED"))
    cloud = FakeCloud(
        ACCOUNTS,
        {account_id(1): failure(Reason.ASSUME_ROLE_DENIED), account_id(2): regions},
    )
    registry = FakeRegistry({(account_id(2), "ap-east-1"): (failure(Reason.DENIED_BY_SCP),)})
    report = run_sweep(cloud, registry, make_config(coverage={"accept": accept}))
    assert report.coverage.complete
    assert report.skipped == (
        SkippedItem(account_id(1), None, Reason.ASSUME_ROLE_DENIED),
        SkippedItem(account_id(2), "ap-east-1", Reason.DENIED_BY_SCP),
        SkippedItem(account_id(3), None, Reason.ACCOUNT_SUSPENDED),
    )


def test_a_sweep_that_is_stopped_accounts_for_what_it_did_not_reach() -> None:
    stop = Stop()

    class Interrupting(FakeCloud):
        def open_account(self, account: Account) -> OpenedAccount:
            stop.request()
            return super().open_account(account)

    config = make_config(limits={"max_workers": 1})
    report = run_sweep(Interrupting(ACCOUNTS), registry_of(), config, make_environment(stop=stop))
    assert [(item.stage, item.account_id, item.region) for item in report.failures] == [
        (Stage.EXAMINE, account_id(1), REGION),
        (Stage.OPEN_ACCOUNT, account_id(2), None),
    ]
    assert {item.reason for item in report.failures} == {Reason.INTERRUPTED}


class LostProcess:
    """A scanner whose processes were all ended before they sent anything."""

    def scan(self, *_: object) -> ResumeState:
        return ResumeState()


def test_what_an_earlier_process_did_stays_where_the_processes_of_this_one_are_lost() -> None:
    target, other = make_target(1), make_target(2)
    finding = make_finding("app", target)
    past = ResumeState(
        opened={account_id(1): OpenedAccount(target.account, ((REGION, "ENABLED"),))},
        examined={target.key: Examined(Counts(0, 1, 0), (finding,))},
        completed={finding.key: make_change(ChangeStatus.APPLIED)},
    )
    environment = make_environment(journal=FakeJournal(past=past))
    report = run_sweep(
        FakeCloud((target.account, other.account)),
        registry_of(),
        make_config(),
        replace(environment, scanner=LostProcess()),
    )
    assert [each.change and each.change.status for each in report.findings] == [
        ChangeStatus.APPLIED
    ]
    assert [(each.account_id, each.reason) for each in report.failures] == [
        (account_id(2), Reason.WORKER_FAILED)
    ]


def test_the_observer_hears_of_every_stage() -> None:
    observer = FakeObserver()
    environment = replace(make_environment(), observer=observer)
    run_sweep(FakeCloud(ACCOUNTS), registry_of(), make_config(), environment)
    assert observer.stages == [
        (Stage.OPEN_ACCOUNT, 2),
        (Stage.EXAMINE, 2),
        (Stage.CHANGE, 2),
    ]
    assert observer.seen == 6


class OtherCheck(TagImmutability):
    """A second check: the same question under another name."""

    name = "other"

    def examine(self, target: Target, record: Record | None = None) -> Examined:
        examined = super().examine(target, record)
        findings = tuple(replace(finding, check="other") for finding in examined.findings)
        return replace(examined, findings=findings)


def test_several_checks_count_a_repository_once_each() -> None:
    both = ["ecr-tag-immutability", "other"]
    config, registry = make_config(checks=both, remediation={"checks": both}), registry_of()
    checks = [kind(registry, config, TODAY) for kind in (TagImmutability, OtherCheck)]
    report = sweep(FakeCloud(ACCOUNTS), checks, config, make_environment())
    assert report.totals.repositories == RepositoryTotals(6, 2, 4, 0, 0)
    assert [(f.account_id, f.check, f.change and f.change.status) for f in report.findings] == [
        (account_id(1), "ecr-tag-immutability", ChangeStatus.APPLIED),
        (account_id(1), "other", ChangeStatus.SUPERSEDED),
        (account_id(2), "ecr-tag-immutability", ChangeStatus.APPLIED),
        (account_id(2), "other", ChangeStatus.SUPERSEDED),
    ]
