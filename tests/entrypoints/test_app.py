"""What it takes to resume an undo or an apply, and what is logged of interrupted runs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.recorded_changes import RecordedChanges, undo_config
from sweeper.engine.attempts import Stop
from sweeper.entrypoints import app, logs
from sweeper.entrypoints.bootstrap import new_header
from sweeper.storage import run_state as state
from sweeper.storage.journal import kinds, lines
from tests.cases import case
from tests.fakes import FakeObserver, make_change, make_config
from tests.golden import assert_golden, sections
from tests.recorded_support import applied_finding, recorded

APPLIED = (applied_finding("app-a"), applied_finding("app-b"))
UNDO = recorded(APPLIED)
APPLY = recorded([replace(finding, change=make_change()) for finding in APPLIED], "apply")


def refusal(directory: Path, header: kinds.Header, changes: RecordedChanges | None) -> str:
    """What is said where the run with this header is resumed with these changes."""
    journal = directory / f"{header.run_id}{state._SUFFIX}"
    journal.write_bytes(lines.header(header))
    with pytest.raises(ConfigurationError) as caught:
        app.run_sweep(
            make_config(state={"directory": str(directory)}),
            app.RunOptions(dry_run=False, recorded=changes, resume=header.run_id),
            stop=Stop(),
            observer=FakeObserver(),
            approve=lambda _: False,
        )
    assert journal.exists()
    return str(caught.value)


def header_of(
    directory: Path, changes: RecordedChanges | None, *, dry_run: bool = False
) -> kinds.Header:
    config = make_config(state={"directory": str(directory)})
    if changes and changes.kind == "undo":
        config = undo_config(config, changes.findings)
    return new_header(config, changes, dry_run=dry_run)


def test_only_the_same_run_with_the_same_changes_is_resumed(tmp_path: Path) -> None:
    forged = applied_finding("app-b", before=("MUTABLE_WITH_EXCLUSION", ("a",)))
    undo, apply = header_of(tmp_path, UNDO), header_of(tmp_path, APPLY)
    configured = replace(undo, config={**undo.config, "organization": "another"})
    cases: dict[str, tuple[kinds.Header, RecordedChanges | None]] = {
        "another run": (replace(undo, source="20260101T000000Z-ffffff"), UNDO),
        "fewer changes": (undo, recorded(APPLIED[:1])),
        "other changes": (undo, recorded([APPLIED[0], forged])),
        "a sweep by an undo": (header_of(tmp_path, None), UNDO),
        "an undo by a sweep": (undo, None),
        "an apply by an undo": (apply, UNDO),
        "an undo by an apply": (undo, APPLY),
        "other changes of an apply": (apply, replace(APPLY, findings=APPLY.findings[:1])),
        "a dry run": (header_of(tmp_path, UNDO, dry_run=True), UNDO),
        "another configuration": (configured, UNDO),
    }
    told = {}
    for name, (header, changes) in cases.items():
        with case(name):
            said = refusal(tmp_path, header, changes)
            assert header.run_id in said
            told[name] = said.replace(header.run_id, "<the run>")
    assert_golden("refusals.resume.txt", sections(told))


@pytest.mark.parametrize("terminal", [False, True])
def test_of_interrupted_runs_one_line_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, terminal: bool
) -> None:
    config = make_config(state={"directory": str(tmp_path)})
    logs.configure(terminal=terminal)
    app.log_unfinished(config)
    assert not capsys.readouterr().err
    times = [datetime(2026, 6, 15, 12, 0, second, tzinfo=UTC) for second in range(5)]
    names = [f"{time:%Y%m%dT%H%M%SZ}-0a1b2c" for time in times]
    header = header_of(tmp_path, None)
    for written, sentence in ((1, "One interrupted run"), (5, "5 interrupted runs")):
        for name, time in zip(names[:written], times, strict=False):
            line = lines.header(replace(header, run_id=name, started_at=time))
            (tmp_path / f"{name}{state._SUFFIX}").write_bytes(line)
        app.log_unfinished(config)
        (logged,) = capsys.readouterr().err.splitlines()
        if terminal:
            assert logged == f"warning: {sentence}: see `sweeper runs`."
            continue
        newest = names[written - 1]
        entry = json.loads(logged)
        assert entry.pop("timestamp")
        assert entry == {
            "event": "journal.unfinished",
            "level": "warning",
            "runs": written,
            "unfinished_run_id": newest,
            "path": str(tmp_path / f"{newest}{state._SUFFIX}"),
            "go_on_with": f"sweeper run --resume {newest}",
        }


def test_a_damaged_journal_has_no_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / f"damaged{state._SUFFIX}").write_bytes(b"no journal")
    logs.configure(terminal=False)
    app.log_unfinished(make_config(state={"directory": str(tmp_path)}))
    assert json.loads(capsys.readouterr().err)["go_on_with"] is None
