"""Where a run keeps its journal, and what it takes to go on from one."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.aws.s3 import Bucket
from sweeper.config.schema import S3Config
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.storage.evidence.file import evidence_path
from sweeper.storage.journal import lines
from sweeper.storage.journal.file import JournalFile, is_busy
from sweeper.storage.run_state import (
    CHANGES,
    discard_run,
    open_run,
    read_header,
    reopen_run,
    require_same_config,
    resume_command,
    section_digests,
    state_directory,
    unfinished_journals,
)
from tests.cases import case
from tests.fakes import make_config
from tests.storage.journal.test_lines import HEADER, WHOLE

RUN_ID = HEADER.run_id
PLACE = f"2026-06-15/{RUN_ID}/plan.jsonl"


class Plans(Bucket):
    """The report's place in S3, with a plan or without."""

    def __init__(self, plan: bytes | None = None) -> None:
        super().__init__(S3Config(bucket="reports", prefix="sweeps"), lambda *_: None)
        self._plan = plan

    def open(self, name: str) -> dict[str, Any]:
        if name != PLACE or self._plan is None:
            raise OperationFailed(Reason.DESTINATION_MISSING, "no such key", "NoSuchKey")
        return {"ETag": "etag", "Body": io.BytesIO(self._plan)}


def problem(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call(*arguments, **named)
    return str(caught.value)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


def kept(directory: Path, data: bytes = WHOLE) -> Path:
    path = directory / f"{RUN_ID}.journal"
    path.write_bytes(data)
    return path


# --- the directory -----------------------------------------------------------------------------


def test_it_is_where_the_machine_keeps_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    config = make_config()
    assert state_directory(config) == tmp_path / "home/.local/state/sweeper"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    found = state_directory(config)
    assert found == tmp_path / "xdg/sweeper"
    for made in (found, found.parent):
        assert made.stat().st_mode & 0o077 == 0
    configured = tmp_path / "a/b"
    assert state_directory(make_config(state={"directory": str(configured)})) == configured
    assert configured.is_dir()


def test_without_any_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert state_directory(make_config()) is None
    monkeypatch.setenv("HOME", "/proc/nowhere")
    assert state_directory(make_config()) is None
    assert unfinished_journals(None) == []
    begun = open_run(None, HEADER)
    assert begun.file is None
    begun.close(finished=True)


def test_one_that_was_asked_for_must_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        config = make_config(state={"directory": str(directory)})
        said = problem(state_directory, config)
        assert said.startswith(f"state.directory: {directory}: ")


def test_one_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    said = problem(state_directory, make_config(state={"directory": str(tmp_path)}))
    assert said == f"state.directory: {tmp_path}: not writable"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory(make_config()) is None


# --- a new run ---------------------------------------------------------------------------------


def test_a_run_begins_with_its_header_and_leaves_nothing(directory: Path) -> None:
    begun = open_run(directory, HEADER)
    path = directory / f"{RUN_ID}.journal"
    assert path.read_bytes() == lines.header(HEADER)
    assert unfinished_journals(directory) == []  # it is going on
    begun.close(finished=True)
    begun.close(finished=False)
    assert list(directory.iterdir()) == []


def test_one_that_did_not_finish_is_told_of(directory: Path) -> None:
    open_run(directory, HEADER).close(finished=False)
    (directory / "other.txt").write_text("")
    assert unfinished_journals(directory) == [directory / f"{RUN_ID}.journal"]


def test_a_link_among_them_is_told_of_and_not_followed(directory: Path) -> None:
    (directory / "a.journal").symlink_to(directory / "nowhere")
    assert unfinished_journals(directory) == [directory / "a.journal"]


def test_where_no_journal_can_be_kept_the_sweep_goes_on(directory: Path) -> None:
    kept(directory)  # by chance, a run of the same name
    assert open_run(directory, HEADER).file is None
    assert open_run(directory / "gone", HEADER).file is None


# --- going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["id", "path"])
def test_a_run_is_resumed_by_its_id_or_its_path(directory: Path, by: str) -> None:
    path = kept(directory, WHOLE + b'{"torn')
    begun = reopen_run(RUN_ID if by == "id" else str(path), directory, Plans())
    assert begun.header == HEADER
    assert begun.past == lines.read(io.BytesIO(WHOLE), "it")[1]
    assert begun.file is not None
    begun.file.append(b"more\n")
    assert path.read_bytes() == WHOLE + b"more\n"
    begun.close(finished=False)


@pytest.mark.parametrize(
    "name", [RUN_ID, f"s3://reports/sweeps/{PLACE}"], ids=["by id", "by place"]
)
def test_a_plan_beside_the_reports_is_enough(directory: Path, name: str) -> None:
    begun = reopen_run(name, directory, Plans(WHOLE))
    assert begun.header == HEADER
    assert begun.file is None
    assert list(directory.iterdir()) == []


def test_a_journal_is_resumed_with_what_the_plan_knows_beyond_it(directory: Path) -> None:
    """Another process may have resumed the run from its plan, and have applied changes."""
    path = kept(directory, b"".join(WHOLE.splitlines(keepends=True)[:1]))
    begun = reopen_run(RUN_ID, directory, Plans(WHOLE))
    assert begun.file is not None
    assert begun.file.path == path
    _, plan, _ = lines.read(io.BytesIO(WHOLE), "plan")
    assert plan.completed or plan.in_doubt
    assert begun.past == plan
    begun.close(finished=True)
    assert not path.exists()


def test_a_journal_whose_plan_says_that_the_run_finished_is_not_resumed(directory: Path) -> None:
    kept(directory)
    said = problem(reopen_run, RUN_ID, directory, Plans(lines.finished(HEADER)))
    assert "the run has finished" in said
    assert not is_busy(directory / f"{RUN_ID}.journal")


def test_a_journal_whose_plan_cannot_be_read_is_not_resumed(directory: Path) -> None:
    class Denied(Plans):
        def open(self, name: str) -> dict[str, Any]:
            raise OperationFailed(Reason.DENIED, "not allowed", "AccessDenied")

    kept(directory)
    assert "cannot be read: denied" in problem(reopen_run, RUN_ID, directory, Denied())


def test_what_cannot_be_resumed(directory: Path) -> None:
    said = problem(reopen_run, RUN_ID, directory, None)
    assert said.endswith("No such file or directory; it is removed when a run has ended well")
    assert f"s3://reports/sweeps/{PLACE}: there is none; it is there once" in problem(
        reopen_run, RUN_ID, directory, Plans()
    )
    assert "not below report.s3, which is not configured" in problem(
        reopen_run, "s3://reports/sweeps/x", directory, None
    )
    assert "not below s3://reports/sweeps/" in problem(
        reopen_run, "s3://other/sweeps/x", directory, Plans(WHOLE)
    )
    assert "line 1: not a line of a journal" in problem(
        reopen_run, RUN_ID, directory, Plans(b"{}\n")
    )
    assert "cannot be read: Is a directory" in problem(reopen_run, str(directory), None, None)


def test_damage_is_left_as_it_is(directory: Path) -> None:
    path = kept(directory, WHOLE + b"{}\n{}")
    assert f"{path}: line 6:" in problem(reopen_run, RUN_ID, directory, None)
    assert path.read_bytes() == WHOLE + b"{}\n{}"
    JournalFile(path, new=False).close(remove=False)  # nor is it locked


def test_a_run_that_is_going_on_is_not_joined(directory: Path) -> None:
    begun = open_run(directory, HEADER)
    with pytest.raises(ConfigurationError, match="is still going on"):
        reopen_run(RUN_ID, directory, Plans(WHOLE))
    begun.close(finished=True)


def test_a_journal_that_cannot_be_read_any_more(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    kept(directory)
    monkeypatch.setattr(lines, "read", fail)
    assert "cannot be read: Input/output error" in problem(reopen_run, RUN_ID, directory, None)


# --- the same run ------------------------------------------------------------------------------

SWEEP = replace(HEADER, config=section_digests(make_config()))
SOURCE = "20260601T120000Z-0a1b2c"


def test_what_decides_what_is_done_must_be_the_same() -> None:
    cases: list[tuple[str, Any, bool]] = [
        ("checks", ["ecr-tag-immutability", "another"], False),
        ("organization", {"exclude_accounts": ["111122223333"]}, False),
        ("regions", {"exclude": ["eu-west-1"]}, False),
        ("coverage", {"accept": [{"reason": "denied"}]}, False),
        ("policy", {"allowed_exclusions": ["latest"]}, False),
        ("exemptions", [{"repository": "a", "reason": "b", "expires": "never"}], False),
        ("remediation", {"max_changes": 1}, False),
        ("report", {"notify": "always"}, True),
        ("limits", {"max_workers": 1}, True),
        ("state", {"directory": "elsewhere"}, True),
    ]
    require_same_config(SWEEP, make_config(), SWEEP)
    for section, values, same in cases:
        with case(section, values, same):
            config = make_config(**{section: values})
            if same:
                require_same_config(SWEEP, config, SWEEP)
            else:
                assert f"another configuration of {section}:" in problem(
                    require_same_config, SWEEP, config, SWEEP
                )
    # As in a header without digests.
    assert "checks, organization, regions, coverage" in problem(
        require_same_config, HEADER, make_config(), SWEEP
    )


def test_a_dry_run_stays_one() -> None:
    dry = replace(SWEEP, dry_run=True)
    require_same_config(dry, make_config(), dry)
    assert "was not a dry run" in problem(require_same_config, SWEEP, make_config(), dry)
    assert "was a dry run" in problem(require_same_config, dry, make_config(), SWEEP)


def test_a_run_is_resumed_by_its_own_command_with_the_same_changes() -> None:
    undo = replace(SWEEP, run_kind="undo", source=SOURCE)
    commands = {
        f"sweeper run --resume {RUN_ID}": SWEEP,
        f"sweeper undo REPORT --resume {RUN_ID}": undo,
        f"sweeper apply REPORT --resume {RUN_ID}": replace(undo, run_kind="apply"),
    }
    for command, header in commands.items():
        with case(command):
            assert resume_command(header) == command
            require_same_config(header, make_config(), header)
            others = [other for other in commands.values() if other is not header]
            for other in (*others, replace(header, source="20260101T000000Z-ffffff")):
                assert problem(require_same_config, header, make_config(), other).endswith(command)
    for run_kind in ("undo", "apply"):
        changes = replace(undo, run_kind=run_kind, config={**undo.config, CHANGES: "a digest"})
        require_same_config(changes, make_config(), changes)
        for config in ({CHANGES: "another"}, {}):
            with case(run_kind, config):
                other = replace(changes, config={**undo.config, **config})
                assert "was begun with another report" in problem(
                    require_same_config, changes, make_config(), other
                )


def test_a_journal_that_was_left_tells_which_run_it_is_of(directory: Path) -> None:
    assert read_header(kept(directory)) == HEADER
    for run_kind in ("undo", "apply"):
        with case(run_kind):
            header = replace(HEADER, run_kind=run_kind, source=SOURCE)
            journal = kept(directory, lines.header(header) + b"{")
            assert read_header(journal) == header
    assert read_header(kept(directory, b"damaged\n")) is None
    assert read_header(directory / "missing") is None


def test_a_run_is_discarded_with_its_evidence_unless_it_is_going_on(directory: Path) -> None:
    run = open_run(directory, HEADER)
    assert run.file
    journal = run.file.path
    evidence = evidence_path(journal)
    evidence.write_bytes(b"{}\n")
    with pytest.raises(ConfigurationError, match="is still going on"):
        discard_run(journal)
    assert journal.exists()
    assert evidence.exists()
    run.close(finished=False)
    discard_run(journal)
    assert list(directory.iterdir()) == []
    assert "cannot be removed" in problem(discard_run, journal)
