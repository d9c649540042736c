"""What holds for every organization, every failure and every configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import event, given

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import ExitStatus, OperationFailed
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Repository, Stage, Target
from sweeper.domain.mutability import evaluate, remedy
from sweeper.domain.reasons import Reason
from sweeper.domain.report import is_remaining
from sweeper.domain.report_model import Report
from tests.fakes import (
    DENIALS,
    FILTERS,
    MUTABILITIES,
    PROD,
    REGION,
    TODAY,
    FakeCloud,
    FakeRegistry,
    Key,
    World,
    account_id,
    make_config,
    make_repository,
    make_target,
    worlds,
)
from tests.recorded_support import undo_here


def ended_early(report: Report) -> bool:
    return any(failed.account_id is None for failed in report.failures)


@given(worlds())
def test_every_account_and_target_has_exactly_one_outcome(world: World) -> None:
    report, _ = world.sweep()
    if ended_early(report):
        assert exit_status(report) is ExitStatus.UNUSABLE
        return
    skipped = [(item.account_id, item.region) for item in report.skipped]
    examined = [(account.id, region) for account in report.accounts for region in account.regions]
    planned = planned_targets(world, report)
    failed: list[tuple[str | None, str | None]] = []
    for item in report.failures:
        if item.targets is None:
            failed.append((item.account_id, item.region))
        else:  # all that were planned in the account and not skipped
            alike = {place for place in planned if place[0] == item.account_id} - {*skipped}
            assert item.targets == len(alike) > 1
            failed += alike
    listed = [*skipped, *failed, *examined]
    assert len(listed) == len(set(listed))

    totals = report.totals
    left_out = {account for account, region in listed if region is None}
    opened = {account.id for account in world.accounts} - left_out
    assert totals.accounts.planned == len(world.accounts)
    assert totals.accounts.opened == len(opened)
    assert totals.accounts.skipped == sum(region is None for _, region in skipped)
    assert totals.accounts.failed == sum(region is None for _, region in failed)

    assert {place for place in listed if place[1] is not None} == planned
    include, exclude = world.config.regions.include, world.config.regions.exclude
    out = {
        place for place in planned if (include and place[1] not in include) or place[1] in exclude
    }
    assert {
        (item.account_id, item.region)
        for item in report.skipped
        if item.reason is Reason.REGION_EXCLUDED
    } == out
    scope = report.run.scope
    assert scope is not None
    assert scope.regions == tuple(sorted({region for _, region in planned - out}))
    assert scope.regions_enabled == len({region for _, region in planned})
    assert totals.targets.planned == len(planned)
    assert totals.targets.examined == len(examined)
    assert totals.targets.skipped == sum(region is not None for _, region in skipped)
    assert totals.targets.failed == sum(region is not None for _, region in failed)


def planned_targets(world: World, report: Report) -> set[tuple[str, str]]:
    """Each enabled region of each account that was to be opened; said anew.

    Where an account's regions could not be read, those that the configuration names are known.
    """
    of_accounts = {
        item.account_id: item.reason
        for items in (report.skipped, report.failures)
        for item in items
        if item.region is None and getattr(item, "targets", None) is None
    }
    planned: set[tuple[str, str]] = set()
    for account in world.accounts:
        regions = world.regions[account.id]
        if of_accounts.get(account.id, "").startswith("account_"):
            continue
        if isinstance(regions, OperationFailed):
            assert account.id in of_accounts
            planned |= {(account.id, region) for region in world.config.regions.include}
        elif not isinstance(regions, Exception):
            assert account.id not in of_accounts
            planned |= {(account.id, region) for region, status in regions if status != "DISABLED"}
    return planned


@given(worlds())
def test_the_totals_equal_the_lists(world: World) -> None:
    report, _ = world.sweep()
    found, counted = report.totals.repositories, report.totals.changes
    by_compliance = [finding.compliance for finding in report.findings]
    by_status = [finding.change.status for finding in report.findings if finding.change]
    assert found.examined == (
        found.compliant + found.non_compliant + found.exempt + found.undetermined
    )
    assert found.non_compliant == by_compliance.count(Compliance.NON_COMPLIANT)
    assert found.exempt == by_compliance.count(Compliance.EXEMPT)
    assert found.undetermined == by_compliance.count(Compliance.UNDETERMINED)
    assert Compliance.COMPLIANT not in by_compliance
    assert counted.planned == len(by_status)
    assert counted.applied == by_status.count(ChangeStatus.APPLIED)
    still = 0 if not report.run.dry_run else by_status.count(ChangeStatus.PLANNED)
    assert counted.planned == still + (
        counted.applied + counted.failed + counted.withheld + counted.superseded
    )
    assert report.totals.remaining == sum(map(is_remaining, report.findings))
    nothing_seen = not report.totals.targets.examined
    complete = not report.failures and not found.undetermined and not nothing_seen
    assert report.coverage.complete is complete
    if complete:
        expected = ExitStatus.FINDINGS_REMAIN if report.totals.remaining else ExitStatus.CLEAN
        assert exit_status(report) is expected


def is_closable(world: World, finding: Finding) -> bool:
    """Whether the finding's own facts, and the scope, let it be changed; said anew."""
    (account,) = (found for found in world.accounts if found.id == finding.account_id)
    place = finding.account_id, finding.region
    (fact,) = (
        found
        for found in world.registries[place]
        if isinstance(found, Repository) and found.name == finding.repository
    )
    remediation, policy = world.config.remediation, world.config.policy
    covers = {"app": fact.name == "app", "cache/*": fact.name.startswith("cache/"), "*": True}
    allowed = {*policy.allowed_exclusions, *remediation.exclusions}
    for glob, filters in remediation.exclusions_by_repository.items():
        allowed.update(filters if covers[glob] else ())
    is_open = fact.mutability.startswith("MUTABLE") or (
        fact.mutability == "IMMUTABLE_WITH_EXCLUSION" and not {*fact.exclusion_filters} <= allowed
    )
    exempt = any(
        covers[rule.repository] and str(rule.expires) in ("never", "2026-06-15")
        for rule in world.config.exemptions
    )
    rules = world.prefixes[place] if policy.exempt_pull_through_cache else ()
    by_prefix = "/" in fact.name and (
        isinstance(rules, Exception) or ("cache" in rules and fact.name == "cache/x")
    )
    heeds_root = not remediation.ignore_root_cache_rule
    cached = by_prefix or (heeds_root and (isinstance(rules, Exception) or "ROOT" in rules))
    path = account.ou_path or ()
    in_scope = (
        not remediation.include_ous or PROD in path
    ) and account.id not in remediation.exclude_accounts
    in_scope = in_scope and (not remediation.rollout or bool(waves_of(world, finding)))
    return is_open and not exempt and not cached and in_scope


def waves_of(world: World, finding: Finding) -> list[date]:
    """The days on which the rollout opens the finding's account; said anew."""
    (account,) = (found for found in world.accounts if found.id == finding.account_id)
    return [
        wave.start
        for wave in world.config.remediation.rollout
        if not wave.include_ous or PROD in (account.ou_path or ())
    ]


def waits(world: World, key: Key, finding: Finding) -> bool:
    """Whether the day of its change has not come; said anew."""
    days = world.config.remediation.grace_days
    notice = days > 0 and TODAY - world.announced.get(key, TODAY) < timedelta(days=days)
    waves = waves_of(world, finding)
    return notice or (bool(waves) and all(day > TODAY for day in waves))


@given(worlds())
def test_a_write_needs_all_of_its_conditions(world: World) -> None:
    report, registry = world.sweep()
    closable = {
        (finding.account_id, finding.region, finding.repository): finding
        for finding in report.findings
        if is_closable(world, finding)
    }
    remediation = world.config.remediation
    fitting = {
        key
        for key, finding in closable.items()
        if finding.change
        and finding.change.reason is not Reason.TOO_MANY_FILTERS
        and not waits(world, key, finding)
    }
    counts = Counter(account for account, _, _ in fitting)
    most = remediation.max_changes_per_account
    fitting = {key for key in fitting if most is None or counts[key[0]] <= most}
    seen = min(report.coverage.accounts, report.coverage.targets)
    excluded = {*remediation.exclude_accounts, *world.config.organization.exclude_accounts}
    may_write = (
        remediation.auto_remediate == "ENABLED"
        and not world.dry_run
        and world.approved
        and len(fitting) <= remediation.max_changes
        and seen >= remediation.min_coverage
        and excluded <= {account.id for account in world.accounts}
    )
    event(f"may write: {may_write}; writes: {bool(registry.writes)}")
    unchanged = {
        key
        for key, finding in closable.items()
        if key not in world.reread or is_same(world.reread[key], finding)
    }
    written = [key for key, _, _ in registry.writes]
    assert len(written) == len(set(written))
    assert set(written) <= (fitting & unchanged if may_write else set())
    for key in written:
        change = closable[key].change
        assert change is not None
        assert change.status in (ChangeStatus.APPLIED, ChangeStatus.FAILED)
    applied = {
        (found.account_id, found.region, found.repository)
        for found in report.findings
        if found.change and found.change.status is ChangeStatus.APPLIED
    }
    assert applied <= set(written)
    if may_write and not any(has_denial(facts) for facts in (world.reread, world.answers)):
        assert set(written) == fitting & unchanged


def is_same(now: Repository | Exception | None, finding: Finding) -> bool:
    return isinstance(now, Repository) and (
        (now.mutability, {*now.exclusion_filters})
        == (finding.mutability, {*finding.exclusion_filters})
    )


def has_denial(facts: Mapping[Key, object]) -> bool:
    return any(
        isinstance(fact, OperationFailed) and fact.reason in DENIALS for fact in facts.values()
    )


@given(worlds())
def test_what_was_applied_is_compliant_when_it_is_read_again(world: World) -> None:
    report, registry = world.sweep()
    check = TagImmutability(registry, world.config, TODAY)
    for found in report.findings:
        if found.change and found.change.status is ChangeStatus.APPLIED:
            (account,) = (one for one in world.accounts if one.id == found.account_id)
            examined = check.examine(Target(account, found.region))
            assert found.repository not in {left.repository for left in examined.findings}


@given(worlds())
def test_a_registry_that_could_not_be_read_whole_is_never_examined(world: World) -> None:
    report, _ = world.sweep()
    examined = {(account.id, region) for account in report.accounts for region in account.regions}
    broken = {
        place
        for place, facts in world.registries.items()
        if any(isinstance(fact, Exception) for fact in facts)
    }
    assert not examined & broken
    assert not {(found.account_id, found.region) for found in report.findings} & broken
    compliant = sum(
        repository.mutability == "IMMUTABLE"
        for place in examined
        for repository in world.registries.get(place, ())
        if isinstance(repository, Repository)
    )
    assert report.totals.repositories.compliant >= compliant
    if any(failed.stage is Stage.EXAMINE for failed in report.failures):
        assert not report.coverage.complete
        assert report.coverage.targets < 1


@given(worlds(denials=()))
def test_the_same_facts_give_the_same_report_whatever_the_number_of_workers(world: World) -> None:
    """But for which write meets a denial first: what it spares others depends on their order."""
    assert world.sweep(workers=1)[0] == world.sweep(workers=8)[0]


@given(worlds())
def test_a_dry_run_reads_and_writes_nothing_more_than_an_audit(world: World) -> None:
    report, registry = replace(world, dry_run=True).sweep()
    assert {call for call, _ in registry.calls} <= {"rules"}
    assert registry.writes == []
    assert report.totals.changes.applied == 0


@given(worlds(denials=()))
def test_the_plan_of_a_dry_run_is_what_a_run_changes(world: World) -> None:
    dry, _ = replace(world, dry_run=True).sweep()
    _, registry = replace(world, dry_run=False, approved=True, reread={}).sweep()
    planned = {
        (found.account_id, found.region, found.repository, found.change.to_exclusion_filters)
        for found in dry.findings
        if found.change and found.change.status is ChangeStatus.PLANNED
    }
    assert {(*key, kept) for key, _, kept in registry.writes} == planned


@pytest.mark.slow
@given(worlds(denials=()))
def test_an_undo_leaves_the_organization_as_the_run_found_it(world: World) -> None:
    """What the run found, and what it wrote; writes that were refused, and others, aside."""
    report, registry = replace(world, reread={}, answers={}).sweep()
    made = [each for each in report.findings if each.change and each.change.may_be_made]
    event(f"undone: {min(len(made), 2)}")
    undone = undo_here(registry, FakeCloud(world.accounts), made)
    assert undone.totals.changes.applied == len(made)
    for finding in made:
        now = registry.written[finding.account_id, finding.region, finding.repository]
        assert is_same(now, finding)


@pytest.mark.parametrize("own", [(), ("a",), ("a", "latest", "v*")])
def test_applying_a_checks_remedy_makes_its_verdict_compliant_or_it_is_withheld(
    own: tuple[str, ...],
) -> None:
    """With the filters of the organization and those by repository, which overlap."""
    place = account_id(1), REGION
    few = [chosen for size in range(3) for chosen in combinations(FILTERS[:4], size)]
    for mutability in MUTABILITIES[1:4]:
        for everywhere in (*few, FILTERS[:5]):
            for here in few:
                by_repository = {"te*": here, "*/app": ("b",), "other/*": ("d",)}
                config = make_config(
                    remediation={
                        "exclusions": everywhere,
                        "exclusions_by_repository": by_repository,
                    },
                    policy={"allowed_exclusions": ["v*"]},
                )
                before = make_repository("team/app", mutability, own)
                check = TagImmutability(FakeRegistry({place: (before,)}), config, TODAY)
                for finding in check.examine(make_target()).findings:
                    change = check.remedy(finding)
                    kept = change.to_exclusion_filters
                    assert {*everywhere, *here, "b"} <= {*kept}
                    assert "d" not in kept or "d" in (*everywhere, *here)
                    if change.status is ChangeStatus.WITHHELD:
                        assert len(kept) > 5
                        continue
                    after = make_repository("team/app", change.to_mutability, kept)
                    check = TagImmutability(FakeRegistry({place: (after,)}), config, TODAY)
                    assert check.examine(make_target()).counts == (1, 0, 0)


def test_applying_a_remedy_makes_the_verdict_compliant_or_it_is_withheld() -> None:
    """For every mutability and every choice of filters, exclusions and allowed filters."""
    choices = [chosen for size in range(4) for chosen in combinations(FILTERS, size)]
    for mutability in MUTABILITIES[1:4]:
        for own in choices:
            for exclusions in (*choices, FILTERS[:5]):
                for others in ((), ("a",), FILTERS):
                    allowed = {*others, *exclusions}
                    change = remedy(mutability, own, exclusions=exclusions, allowed_filters=allowed)
                    kept = change.to_exclusion_filters
                    if change.status is ChangeStatus.WITHHELD:
                        assert len(kept) > 5
                        continue
                    after = make_repository("app", change.to_mutability, kept)
                    assert evaluate(after, allowed).compliance is Compliance.COMPLIANT
                    assert len(kept) == len(set(kept)) <= 5
                    assert (change.to_mutability == "IMMUTABLE") is (not kept)
