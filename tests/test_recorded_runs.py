"""`undo` and `apply` over random organizations, killed and resumed at any call and journal line."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.model import ChangeStatus, Repository, ResumeState
from sweeper.domain.recorded_changes import RecordedChanges
from sweeper.domain.report_model import Report
from sweeper.storage import run_state as state
from sweeper.storage.journal import lines
from tests.cases import case
from tests.fakes import Key, make_repository, repositories
from tests.recorded_support import recorded, source_run
from tests.storage.journal.test_lines import HEADER
from tests.test_resuming import KEYS, WAYS, Fate, Killed, Mortal, World, run

Facts = dict[Key, Repository]
Setting = tuple[str, frozenset[str]]


@st.composite
def organizations(draw: st.DrawFn) -> Facts:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=1))
    return {key: draw(repositories(key[2])) for key in keys}


def sweep(facts: Facts, *, dry_run: bool = False) -> Report:
    """Sweep the organization, which is left as the sweep leaves it."""
    world = World(facts)
    return run(world, Fate(), ResumeState(), None, workers=1, plans=[b"a place"], dry_run=dry_run)


def settings_of(facts: Facts) -> dict[Key, Setting]:
    return {
        key: (each.mutability, frozenset(each.exclusion_filters)) for key, each in facts.items()
    }


def changes_of(report: Report, kind: Literal["apply", "undo"]) -> RecordedChanges:
    status = ChangeStatus.APPLIED if kind == "undo" else ChangeStatus.PLANNED
    chosen = [each for each in report.findings if each.change and each.change.status is status]
    return recorded(chosen, kind, source_run())


def prepare(facts: Facts, kind: Literal["apply", "undo"]) -> RecordedChanges:
    """Make the report whose changes are applied or undone; `facts` are then as they were left."""
    return changes_of(sweep(facts, dry_run=kind == "apply"), kind)


def process(world: World, changes: RecordedChanges, fate: Fate, path: Path) -> Report | None:
    """Run one process of the run, from its journal; None where it was killed."""
    past = ResumeState()
    if path.exists():
        begun = state.reopen_run(str(path), None, None)
        past = begun.past
        begun.close(finished=False)
    file = Mortal(path, new=not path.exists())
    if not path.stat().st_size:
        file.append(lines.header(HEADER))
    report = None
    with suppress(Killed):
        report = run(world, fate, past, file, workers=1, plans=[], recorded=changes)
    file.close(remove=False)
    return report


def kill_and_resume(facts: Facts, changes: RecordedChanges, fate: Fate) -> tuple[Report, World]:
    world = World(facts)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"{HEADER.run_id}{state._SUFFIX}")
        report = process(world, changes, fate, path)
        report = report or process(world, changes, Fate(), path)
    assert report
    return report, world


def outcomes(report: Report) -> dict[Key, Any]:
    return {each.key[1:]: each.change for each in report.findings if each.change}


@given(organizations(), st.integers(1, 60), st.sampled_from(WAYS))
def test_an_undo_of_a_run_is_the_organization_before_it(facts: Facts, at: int, way: str) -> None:
    before = settings_of(facts)
    changes = prepare(facts, "undo")
    report, world = kill_and_resume(facts, changes, Fate(dies_at=at, way=way))
    assert settings_of(world.facts) == before
    assert {key for key, times in world.effects.items() if times == 1} == {
        finding.key[1:] for finding in changes.findings
    }
    assert {change.status for change in outcomes(report).values()} <= {ChangeStatus.APPLIED}


def change_some(data: st.DataObject, facts: Facts) -> None:
    """Change or delete some repositories, as others do between a review and its apply."""
    for key in sorted(facts):
        theirs = data.draw(st.none() | st.just("deleted") | repositories(key[2]))
        if theirs == "deleted":
            del facts[key]
        elif isinstance(theirs, Repository):
            facts[key] = replace(theirs, name=key[2])


@given(organizations(), st.data(), st.integers(1, 60), st.sampled_from(WAYS))
def test_an_apply_makes_the_reviewed_changes_that_still_hold(
    facts: Facts, data: st.DataObject, at: int, way: str
) -> None:
    changes = prepare(facts, "apply")
    reviewed = {finding.key[1:]: finding for finding in changes.findings}
    change_some(data, facts)
    before = settings_of(facts)
    due = {
        key
        for key, finding in reviewed.items()
        if before.get(key) == (finding.mutability, frozenset(finding.exclusion_filters))
    }
    report, world = kill_and_resume(facts, changes, Fate(dies_at=at, way=way))
    assert set(world.effects) == due
    assert set(world.effects.values()) <= {1}
    after = settings_of(world.facts)
    for key, setting in after.items():
        change = reviewed[key].change if key in due else None
        wanted = change and (change.to_mutability, frozenset(change.to_exclusion_filters))
        assert setting == (wanted or before[key])
    made = outcomes(report)
    assert made.keys() == reviewed.keys()
    for key, change in made.items():
        assert change.status is (ChangeStatus.APPLIED if key in due else ChangeStatus.SUPERSEDED)
        assert (change.reason is None) is (key in due)


@pytest.mark.slow  # every event; above, a random one
def test_each_survives_a_kill_at_every_call_and_journal_line() -> None:
    facts = {
        key: make_repository(key[2], *setting)
        for key, setting in zip(
            KEYS, [("MUTABLE", ()), ("MUTABLE_WITH_EXCLUSION", ("latest",))] * 6, strict=False
        )
    }
    kinds: tuple[Literal["apply", "undo"], ...] = ("apply", "undo")
    for kind in kinds:
        left = dict(facts)
        changes = prepare(left, kind)
        expected, _ = kill_and_resume(dict(left), changes, Fate())
        died = 1
        for way in WAYS:
            while survives(dict(left), changes, expected, Fate(dies_at=died, way=way)):
                died += 1
            assert died > 3 * len(changes.findings), kind
            died = 1


def survives(facts: Facts, changes: RecordedChanges, expected: Report, fate: Fate) -> bool:
    """Whether the process died of its fate; what its successor reports must be as `expected`."""
    with case(changes.kind, vars(fate)):
        report, world = kill_and_resume(facts, changes, fate)
        assert outcomes(report) == outcomes(expected)
        assert set(world.effects.values()) == {1}
        assert len(world.effects) == len(changes.findings)
    return fate.is_dead
