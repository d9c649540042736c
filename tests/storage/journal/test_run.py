"""What a sweep writes to: intents and the plan before writes, results after them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    OpenedAccount,
    ResumeState,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.storage.journal import lines
from sweeper.storage.journal.file import JournalFile
from sweeper.storage.journal.run import RunJournal
from tests import factories
from tests.cases import case
from tests.storage.journal.test_lines import HEADER

ACCOUNT = factories.account()
OPENED = OpenedAccount(ACCOUNT, (("eu-central-1", "ENABLED"),))
TARGET = factories.target()
PLANNED = factories.finding(change=factories.change(ChangeStatus.PLANNED))
EXAMINED = Examined(Counts(1, 1, 0), (PLANNED,))
FAILED = factories.failed()


class Archive:
    """The plan's place in S3; refuses with `refuses` where that is given."""

    def __init__(self, refuses: OperationFailed | None = None) -> None:
        self.refuses = refuses
        self.plans: list[bytes] = []

    def __call__(self, plan: Iterable[bytes]) -> None:
        if self.refuses:
            raise self.refuses
        self.plans.append(b"".join(plan))


@pytest.fixture
def file(tmp_path: Path) -> JournalFile:
    made = JournalFile(tmp_path / "a.journal", new=True)
    made.append(lines.header(HEADER))
    return made


def make(
    file: JournalFile | None,
    archive: Callable[[Iterable[bytes]], None] | None = None,
    past: ResumeState | None = None,
) -> RunJournal:
    return RunJournal(HEADER, past or ResumeState(), file, archive)


def read(file: JournalFile) -> ResumeState:
    return lines.read(io.BytesIO(file.path.read_bytes()), "it")[1]


def broken(file: JournalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no more be written to the file."""

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fail)


def refused(call: Callable[[], object]) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        call()
    assert caught.value.reason is Reason.JOURNAL_UNAVAILABLE
    return caught.value


def after_stages(journal: RunJournal) -> None:
    journal.begin(Stage.OPEN_ACCOUNT, 2)
    failure = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no")
    journal.done(Stage.OPEN_ACCOUNT, [(ACCOUNT, OPENED), (factories.account("9" * 12), failure)])
    journal.begin(Stage.EXAMINE, 2)
    other = factories.target(region="eu-west-1")
    journal.done(Stage.EXAMINE, [(TARGET, EXAMINED), (other, factories.failed())])


def test_what_was_seen_is_on_record_as_soon_as_it_is_known(file: JournalFile) -> None:
    after_stages(make(file))
    past = read(file)
    assert past.opened == {ACCOUNT.id: OPENED}
    assert set(past.examined) == {TARGET.key}
    assert file.path.read_bytes().count(b'"kind":"failed"') == 2


def test_what_stands_there_is_not_written_again(file: JournalFile) -> None:
    past = ResumeState(opened={ACCOUNT.id: OPENED}, examined={TARGET.key: EXAMINED})
    after_stages(make(file, past=past))
    assert file.path.read_bytes().count(b'"kind":"failed"') == 2
    assert read(file) == ResumeState(in_doubt=set())


def test_a_change_is_recorded_before_and_after(file: JournalFile) -> None:
    journal = make(file)
    journal.done(Stage.EXAMINE, [(TARGET, EXAMINED)])
    journal.intend(PLANNED)
    assert read(file).in_doubt == {PLANNED.key}
    applied = factories.finding(change=factories.change())
    journal.settle(applied)
    assert read(file).completed == {PLANNED.key: factories.change()}
    assert read(file).in_doubt == set()
    # The pool tells of the whole target, whose changes stand there already.
    before = file.path.read_bytes()
    journal.done(Stage.CHANGE, [((TARGET, EXAMINED), EXAMINED)])
    assert file.path.read_bytes() == before


def test_what_is_no_change_is_no_line(file: JournalFile) -> None:
    before = file.path.read_bytes()
    make(file).intend(factories.finding())
    make(file).settle(factories.finding())
    make(None).settle(PLANNED)
    assert file.path.read_bytes() == before


def test_without_any_place_nothing_is_planned() -> None:
    error = refused(lambda: make(None).plan([TARGET], [EXAMINED]))
    assert error.message == "there is neither a directory for a journal nor report.s3"


def test_the_file_alone_is_enough_where_it_can_be_written(
    file: JournalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(file).plan([TARGET], [EXAMINED])
    broken(file, monkeypatch)
    journal = make(file)
    journal.done(Stage.OPEN_ACCOUNT, [(ACCOUNT, OPENED)])  # nothing else is lost
    assert "No space left" in refused(lambda: journal.plan([TARGET], [EXAMINED])).message
    assert "No space left" in refused(lambda: journal.intend(PLANNED)).message
    journal.settle(PLANNED)


def test_the_plan_outlives_the_file(file: JournalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive()
    journal = make(file, archive)
    broken(file, monkeypatch)
    after_stages(journal)
    journal.plan([TARGET], [EXAMINED])
    # Who goes on from the file would know nothing of the write.
    with pytest.raises(OperationFailed):
        journal.intend(PLANNED)
    (plan,) = archive.plans
    header, past, _ = lines.read(io.BytesIO(plan), "it")
    assert header == HEADER
    assert past.opened == {ACCOUNT.id: OPENED}
    assert past.in_doubt == {PLANNED.key}


def test_without_a_file_the_plan_is_enough() -> None:
    archive = Archive()
    journal = make(None, archive)
    after_stages(journal)
    journal.plan([TARGET], [EXAMINED])
    journal.intend(PLANNED)
    assert len(archive.plans) == 1


def test_a_plan_that_is_configured_and_not_possible_is_none(file: JournalFile) -> None:
    archive = Archive(OperationFailed(Reason.DENIED, "not allowed", "AccessDenied"))
    error = refused(lambda: make(file, archive).plan([TARGET], [EXAMINED]))
    assert error.error_code == "AccessDenied"
    assert error.message == ("the plan could not be put beside the report: denied: not allowed")


def snapshot(findings: list[Finding], past: ResumeState | None = None) -> ResumeState:
    archive = Archive()
    journal = make(None, archive, past)
    journal.done(Stage.OPEN_ACCOUNT, [(ACCOUNT, OPENED)])
    targets: list[Target] = [TARGET, factories.target(region="eu-west-1"), TARGET]
    outcomes = [
        Examined(Counts(0, len(findings), 0), tuple(findings)),
        factories.failed(),
        Skipped(Reason.DENIED),
    ]
    journal.plan(targets, outcomes)
    return lines.read(io.BytesIO(archive.plans[0]), "it")[1]


def test_the_plan_keeps_what_an_earlier_process_had_made() -> None:
    for status in ChangeStatus:
        with case(status):
            finding = factories.finding(
                change=factories.change(status, reason=Reason.NOW_COMPLIANT)
            )
            found = snapshot([finding])
            ended = status in (ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED)
            assert found.completed == ({finding.key: finding.change} if ended else {})
            assert found.in_doubt == ({finding.key} if status is ChangeStatus.PLANNED else set())
            assert [each.repository for each in found.examined[TARGET.key].findings] == [
                finding.repository
            ]


def test_the_plan_of_a_run_that_was_resumed_is_whole() -> None:
    past = ResumeState(opened={ACCOUNT.id: OPENED}, examined={TARGET.key: EXAMINED})
    found = snapshot([PLANNED, factories.finding("other")], past)
    assert found.opened == {ACCOUNT.id: OPENED}
    assert len(found.examined[TARGET.key].findings) == 2


def test_the_accounts_are_as_they_were_then() -> None:
    now = Account(ACCOUNT.id, "renamed", "SUSPENDED")
    other = factories.account("9" * 12)
    organization = factories.organization(now, other)
    joined = ResumeState(opened={ACCOUNT.id: OPENED}).merge_accounts(organization)
    assert set(joined.accounts) == {ACCOUNT, other}
    assert ResumeState().merge_accounts(organization) == organization
    # One that left stays in the report.
    assert ResumeState(opened={ACCOUNT.id: OPENED}).merge_accounts(
        factories.organization(other)
    ).accounts == (
        other,
        ACCOUNT,
    )


def test_what_was_assessed_is_no_line_and_the_plan_is_read_without_it(file: JournalFile) -> None:
    archive = Archive()
    journal = make(file, archive)
    journal.done(Stage.OPEN_ACCOUNT, [(ACCOUNT, OPENED)])
    before = file.path.read_bytes()
    assessed = Examined(Counts(1, 1, 0), (replace(PLANNED, impact=factories.impact("latest")),))
    journal.done(Stage.ASSESS, [((TARGET, EXAMINED), assessed), ((TARGET, EXAMINED), FAILED)])
    assert file.path.read_bytes() == before
    journal.plan([TARGET], [assessed])
    past = lines.read(io.BytesIO(archive.plans[0]), "plan")[1]
    assert past.in_doubt == {PLANNED.key}
    assert past.examined[TARGET.key].findings == (replace(PLANNED, change=None),)
