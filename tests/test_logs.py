"""Logs: one event a line, its fields stable, nothing in them that a terminal obeys."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper import logs
from sweeper.model import (
    ChangeStatus,
    Delivery,
    Examined,
    Failed,
    FailedItem,
    OpenedAccount,
    Reason,
    Skipped,
    Stage,
)
from tests import factories

FAILED = Failed(Stage.EXAMINE, Reason.DENIED_BY_SCP, "not\nauthorized\x1b[2J", "AccessDenied")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    logging.getLogger("sweeper").handlers.clear()


def _logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    entries = [json.loads(line) for line in captured.err.splitlines()]
    for entry in entries:
        assert entry.pop("timestamp").endswith("Z")
    return entries


def test_a_stage_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    logs.LogObserver().begin(Stage.EXAMINE, 17)
    assert _logged(capsys) == [
        {"event": "stage.started", "level": "info", "stage": "examine", "total": 17}
    ]


def test_what_failed_is_told_and_what_did_not_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    observer = logs.LogObserver()
    account, target = factories.account(), factories.target()
    observer.done(Stage.OPEN_ACCOUNT, [(account, OpenedAccount(account, ()))])
    observer.done(
        Stage.OPEN_ACCOUNT, [(account, replace(FAILED, stage=Stage.OPEN_ACCOUNT, error_code=None))]
    )
    observer.done(Stage.EXAMINE, [(target, Examined((1, 0, 0))), (target, FAILED)])
    observer.done(Stage.EXAMINE, [(target, Skipped(Reason.REGION_EXCLUDED))])
    common = {
        "account_id": account.id,
        "level": "warning",
        "message": r"not\x0aauthorized\x1b[2J",
        "reason": "denied_by_scp",
    }
    assert _logged(capsys) == [
        {
            **common,
            "event": "account.failed",
            "region": None,
            "stage": "open_account",
            "error_code": None,
        },
        {
            **common,
            "event": "target.failed",
            "region": target.region,
            "stage": "examine",
            "error_code": "AccessDenied",
        },
    ]


def test_a_target_whose_changes_were_not_reached_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    target = factories.target()
    failed = Failed(Stage.CHANGE, Reason.INTERRUPTED, "not reached")
    logs.LogObserver().done(Stage.CHANGE, [((target, Examined((0, 1, 0))), failed)])
    (entry,) = _logged(capsys)
    assert (entry["event"], entry["account_id"], entry["region"], entry["reason"]) == (
        "target.not_changed",
        target.account.id,
        target.region,
        "interrupted",
    )


def test_every_write_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    applied = factories.change(ChangeStatus.APPLIED)
    failed = factories.change(
        ChangeStatus.FAILED, reason=Reason.WRITE_NOT_PERMITTED, error="denied before"
    )
    withheld = factories.change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)
    findings = (
        factories.finding("one", change=applied),
        factories.finding("two", change=failed),
        factories.finding("three", change=withheld),
        factories.finding("four"),
    )
    observer = logs.LogObserver()
    planned = (factories.finding("one"), factories.finding("two"), *findings[2:])
    item = (factories.target(), Examined((0, 4, 0), planned))
    outcome = Examined((0, 4, 0), findings)
    observer.done(Stage.CHANGE, [(item, outcome)])
    # What was told once is not told again.
    observer.done(Stage.CHANGE, [((factories.target(), outcome), outcome)])
    # What was examined is no write yet.
    observer.done(Stage.EXAMINE, [(factories.target(), Examined((0, 4, 0), findings))])
    entries = _logged(capsys)
    assert [
        (entry["event"], entry["level"], entry["repository"], entry["reason"], entry["error"])
        for entry in entries
    ] == [
        ("change.applied", "info", "one", None, None),
        ("change.failed", "warning", "two", "write_not_permitted", "denied before"),
    ]
    assert entries[0]["from_mutability"] == "MUTABLE"
    assert entries[0]["to_mutability"] == "IMMUTABLE"
    assert entries[0]["to_exclusion_filters"] == []


def test_the_end_is_told_with_the_totals(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    report = factories.report([factories.finding()])
    logs.log_finished(report, 3)
    (entry,) = _logged(capsys)
    assert entry["event"] == "sweep.finished"
    assert entry["run_id"] == report.run.id
    assert (entry["exit_status"], entry["remaining"], entry["coverage_complete"]) == (3, 1, True)


def test_what_ended_the_sweep_and_what_was_not_delivered_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    report = replace(
        factories.report(),
        failures=(
            FailedItem(Stage.ENUMERATE, None, None, Reason.NO_CREDENTIALS, None, "sign in"),
            factories.failure(),
        ),
        deliveries=(
            Delivery("directory", "out", "delivered"),
            Delivery("s3", "s3://b", "failed", Reason.DESTINATION_MISSING, "NoSuchBucket", "gone"),
        ),
    )
    logs.log_finished(report, 5)
    entries = _logged(capsys)
    assert [(entry["event"], entry["level"]) for entry in entries] == [
        ("enumerate.failed", "error"),
        ("delivery.failed", "error"),
        ("sweep.finished", "info"),
    ]
    assert entries[0]["reason"] == "no_credentials"
    assert (entries[1]["sink"], entries[1]["reason"]) == ("s3", "destination_missing")


def test_what_changed_and_what_could_not_be_kept_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    note = Delivery("s3", "s3://b", "delivered", message="history.json was begun anew")
    for changed in (
        factories.since_last(new=1, reopened=2),
        factories.since_last(unavailable="latest.json is damaged"),
    ):
        report = replace(factories.report(), deliveries=(note,), since_last=changed)
        logs.log_finished(report, 0)
    entries = _logged(capsys)
    assert (entries[0]["event"], entries[0]["level"]) == ("delivery.incomplete", "warning")
    assert entries[0]["message"] == note.message
    figures = [(each["new"], each["reopened"], each["not_compared"]) for each in entries[1::2]]
    assert figures == [(1, 2, None), (None, None, "latest.json is damaged")]


@pytest.mark.parametrize("resumable", [True, False])
def test_the_end_says_whether_it_can_be_gone_on_with(
    capsys: pytest.CaptureFixture[str], resumable: bool
) -> None:
    logs.configure(terminal=False)
    logs.log_finished(factories.report(), 4, resumable=resumable)
    (entry,) = _logged(capsys)
    assert entry["resumable"] is resumable


@pytest.mark.parametrize(
    ("others", "level"), [((), "info"), ((Delivery("s3", "s3://b", "failed"),), "warning")]
)
def test_where_the_report_lies_instead_is_told(
    capsys: pytest.CaptureFixture[str], others: tuple[Delivery, ...], level: str
) -> None:
    logs.configure(terminal=False)
    deliveries = (*others, Delivery("fallback", "/var/lib/sweeper/reports/r", "delivered"))
    logs.log_finished(replace(factories.report(), deliveries=deliveries), 5)
    *_, told, _ = _logged(capsys)
    assert (told["event"], told["level"], told["location"]) == (
        "delivery.fallback",
        level,
        "/var/lib/sweeper/reports/r",
    )


def test_a_run_that_did_not_finish_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    command = "sweeper run --resume 20260615T120000Z-0a1b2c"
    logs.log_unfinished([(Path("/state/20260615T120000Z-0a1b2c.journal"), command)])
    assert _logged(capsys) == [
        {
            "event": "journal.unfinished",
            "level": "warning",
            "run_id": "20260615T120000Z-0a1b2c",
            "path": "/state/20260615T120000Z-0a1b2c.journal",
            "go_on_with": command,
        }
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_of_many_runs_that_did_not_finish_one_line_tells(
    capsys: pytest.CaptureFixture[str], *, terminal: bool
) -> None:
    logs.configure(terminal=terminal)
    names = [f"20260615T12000{number}Z-0a1b2c" for number in range(5)]
    runs = [(Path(f"/s/{name}.journal"), f"sweeper run --resume {name}") for name in names]
    logs.log_unfinished(runs[:3])
    assert len(capsys.readouterr().err.splitlines()) == 3
    logs.log_unfinished(runs)
    (line,) = capsys.readouterr().err.splitlines()
    command = f"sweeper run --resume {names[-1]}"
    if terminal:
        assert line == (
            f"warning: 5 unfinished runs, the newest {names[-1]}: `{command}` goes on with it"
        )
    else:
        entry = json.loads(line)
        assert (entry["runs"], entry["run_id"], entry["go_on_with"]) == (5, names[-1], command)
        assert entry["event"] == "journal.unfinished"
    logs.log_unfinished([*runs, (Path("/s/unknown.journal"), None)])
    assert "/s/unknown.journal" in capsys.readouterr().err


def test_a_person_gets_warnings_only_and_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=True)
    observer = logs.LogObserver()
    observer.begin(Stage.EXAMINE, 1)
    observer.done(Stage.EXAMINE, [(factories.target(), FAILED)])
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert "target.failed" in shown
    assert "\x1b" not in shown


def test_impact_that_is_not_known_is_told_once_for_each_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    target = factories.target()
    denied = factories.unavailable(error="AccessDeniedException:\nno")
    findings = [
        factories.finding("a", impact=denied),
        factories.finding("b", impact=denied),
        factories.finding("c", impact=factories.impact("latest")),
        factories.finding("d"),
    ]
    outcome = Examined((0, 4, 0), tuple(findings))
    item = (target, outcome)
    logs.LogObserver().done(
        Stage.ASSESS, [(item, outcome), (item, replace(FAILED, stage=Stage.ASSESS))]
    )
    unavailable, not_assessed = _logged(capsys)
    assert unavailable == {
        "event": "impact.unavailable",
        "level": "warning",
        "account_id": target.account.id,
        "region": target.region,
        "repositories": 2,
        "reason": "denied_by_identity_policy",
        "message": r"AccessDeniedException:\x0ano",
    }
    assert not_assessed["event"] == "target.not_assessed"
    assert (not_assessed["region"], not_assessed["stage"]) == (target.region, "assess")
