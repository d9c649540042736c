"""Logs: one event a line, its fields stable, nothing in them that a terminal obeys."""

from __future__ import annotations

import errno
import io
import json
import logging
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain import masking
from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import (
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    Skipped,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Delivery, FailedItem
from sweeper.engine.attempts import Stop
from sweeper.engine.pool import concurrently, with_log_context
from sweeper.entrypoints import logs
from sweeper.entrypoints.log_observer import LogObserver
from sweeper.entrypoints.log_style import LogStyle
from tests import factories
from tests.cases import case

FAILED = Failed(Stage.EXAMINE, Reason.DENIED_BY_SCP, "not\nauthorized\x1b[2J", "AccessDenied")


def _logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    entries = [json.loads(line) for line in captured.err.splitlines()]
    for entry in entries:
        assert entry.pop("timestamp").endswith("Z")
    return entries


def test_a_stage_is_announced(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    LogObserver().begin(Stage.EXAMINE, 17)
    assert _logged(capsys) == [
        {"event": "stage.started", "level": "info", "stage": "examine", "total": 17}
    ]


def test_what_failed_is_told_and_what_did_not_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    observer = LogObserver()
    account, target = factories.account(), factories.target()
    observer.done(Stage.OPEN_ACCOUNT, [(account, OpenedAccount(account, ()))])
    observer.done(
        Stage.OPEN_ACCOUNT, [(account, replace(FAILED, stage=Stage.OPEN_ACCOUNT, error_code=None))]
    )
    observer.done(Stage.EXAMINE, [(target, Examined(Counts(1, 0, 0))), (target, FAILED)])
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
    LogObserver().done(Stage.CHANGE, [((target, Examined(Counts(0, 1, 0))), failed)])
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
    observer = LogObserver()
    planned = (factories.finding("one"), factories.finding("two"), *findings[2:])
    item = (factories.target(), Examined(Counts(0, 4, 0), planned))
    outcome = Examined(Counts(0, 4, 0), findings)
    observer.done(Stage.CHANGE, [(item, outcome)])
    # What was told once is not told again.
    observer.done(Stage.CHANGE, [((factories.target(), outcome), outcome)])
    # What was examined is no write yet.
    observer.done(Stage.EXAMINE, [(factories.target(), Examined(Counts(0, 4, 0), findings))])
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


def test_what_makes_coverage_incomplete_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    account = factories.account()
    unread = Failed(Stage.OPEN_ACCOUNT, Reason.REGIONS_UNREADABLE, "no", "AccessDeniedException")
    named = OpenedAccount(account, ((factories.REGION, "ENABLED"),), unread)
    LogObserver().done(Stage.OPEN_ACCOUNT, [(account, named)])
    report = factories.report([factories.finding(compliance=Compliance.UNDETERMINED)])
    failures = (
        factories.failure(Reason.ACCOUNT_STATE_UNKNOWN, stage=Stage.ENUMERATE, region=None),
        factories.failure(Reason.REGION_STATUS_UNKNOWN, stage=Stage.OPEN_ACCOUNT),
        # of a stage, which logged them
        factories.failure(Reason.ASSUME_ROLE_DENIED, stage=Stage.OPEN_ACCOUNT, region=None),
        factories.failure(Reason.DENIED_BY_SCP),
    )
    logs.log_finished(replace(report, failures=failures), 4)
    *told, finished = _logged(capsys)
    assert [(entry["event"], entry["reason"], entry["region"]) for entry in told] == [
        ("account.failed", "regions_unreadable", None),
        ("account.failed", "account_state_unknown", None),
        ("target.failed", "region_status_unknown", factories.REGION),
    ]
    assert finished["undetermined"] == 1


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
def test_the_end_says_whether_it_can_be_resumed(
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


def test_options_decide_what_is_logged_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    place = factories.target()
    counts = Examined(Counts(1, 2, 3))
    usual = ["stage.started", "target.failed", "gone"]
    detailed = ["stage.started", "target.failed", "target.examined", "gone"]
    for terminal, style, events in (
        (False, LogStyle(), usual),
        (True, LogStyle(), ["target.failed", "gone"]),
        (True, LogStyle(quiet=True), ["gone"]),
        (False, LogStyle(quiet=True), ["gone"]),
        (True, LogStyle(verbose=True), detailed),
        (False, LogStyle(verbose=True), detailed),
        (True, LogStyle(log_format="json"), usual),
        (False, LogStyle(log_format="text"), usual),
    ):
        with case(terminal, style):
            logs.configure(terminal=terminal, style=style)
            observer = LogObserver()
            observer.begin(Stage.EXAMINE, 1)
            observer.done(Stage.EXAMINE, [(place, FAILED), (place, counts)])
            logs.log(logging.ERROR, "gone")
            written = capsys.readouterr().err.splitlines()
            if style.is_json(terminal=terminal):
                assert [json.loads(line)["event"] for line in written] == events
            else:
                column = 1 if terminal else 2  # a file's lines say when, too
                assert [line.split()[column] for line in written] == events


def test_a_person_gets_warnings_only_and_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=True)
    observer = LogObserver()
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
    outcome = Examined(Counts(0, 4, 0), tuple(findings))
    item = (target, outcome)
    LogObserver().done(Stage.ASSESS, [(item, outcome), (item, replace(FAILED, stage=Stage.ASSESS))])
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


# --- structlog, contexts, and the logging of libraries --------------------------------------------

HOSTILE = "a\x1b[2J\nb\u202ec"
SHOWN = r"a\x1b[2J\x0ab\u202ec"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLEtokenOfTheCaller0123456789"


@pytest.mark.parametrize("terminal", [False, True])
def test_the_logging_of_libraries_goes_through_the_same_lines(
    capsys: pytest.CaptureFixture[str], *, terminal: bool
) -> None:
    masking.register(TOKEN)
    logs.configure(terminal=terminal)
    logs.bind_run("20260615T120000Z-0a1b2c")
    logging.getLogger("botocore.credentials").warning("not %s with %s", HOSTILE, TOKEN)
    logging.getLogger("urllib3.connectionpool").info("not a warning")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit(f"old {TOKEN}", UserWarning, "botocore.py", 1)
    shown = capsys.readouterr().err
    assert TOKEN not in shown
    lines = shown.splitlines()
    assert len(lines) == 2
    if terminal:
        assert lines[0].startswith("warning: library.message ")
        assert f"message=not {SHOWN} with ***" in lines[0]
        return
    entry, deprecated = map(json.loads, lines)
    assert (entry["event"], entry["level"], entry["logger"], entry["run_id"]) == (
        "library.message",
        "warning",
        "botocore.credentials",
        "20260615T120000Z-0a1b2c",
    )
    assert entry["message"] == f"not {SHOWN} with ***"
    assert deprecated["logger"] == "py.warnings"


def test_an_exception_is_one_field_and_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    masking.register(TOKEN)
    logs.configure(terminal=False)
    try:
        int(f"{TOKEN}\n", 0)
    except ValueError:
        logging.getLogger("botocore").warning("Refreshing failed.", exc_info=True)
    (entry,) = _logged(capsys)
    assert entry["exception"] == (r"ValueError: invalid literal for int() with base 0: '***\n'")
    assert "exc_info" not in entry


def test_this_programs_own_loggers_keep_their_events(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    logging.getLogger("sweeper.aws.client").warning("some.event", extra={"variable": HOSTILE})
    assert _logged(capsys) == [{"event": "some.event", "level": "warning", "variable": SHOWN}]


@pytest.mark.parametrize("terminal", [False, True])
def test_whatever_is_logged_is_escaped_and_masked(
    capsys: pytest.CaptureFixture[str], *, terminal: bool
) -> None:
    masking.register(TOKEN)
    logs.configure(terminal=terminal)
    odd = {HOSTILE: [HOSTILE, {TOKEN: Path(HOSTILE)}], "n": 1, "x": None, "ok": True, "e": {TOKEN}}
    logs.log(logging.WARNING, "some.event", text=HOSTILE, odd=odd, error=ValueError(TOKEN))
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == 1
    assert not any(is_hidden(character) for character in shown.removesuffix("\n"))
    assert TOKEN not in shown
    if not terminal:
        entry = json.loads(shown)
        assert entry["text"] == SHOWN
        assert entry["odd"][SHOWN] == [SHOWN, {"***": SHOWN}]
        assert (entry["odd"]["n"], entry["odd"]["x"], entry["odd"]["ok"]) == (1, None, True)


class Broken(io.StringIO):
    """A stream that cannot be written, as stderr is on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("stream", [Broken(), None])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_that_cannot_be_written_ends_nothing_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stream: io.StringIO | None,
    *,
    terminal: bool,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        logs.configure(terminal=terminal)
        logs.log(logging.ERROR, "some.event", field="x")
        logging.getLogger("botocore").error("%d", "no number")
        logging.getLogger("botocore").error("text")
    assert capsys.readouterr() == ("", "")


def test_a_message_that_cannot_be_formatted_ends_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    logging.getLogger("botocore").error("%d", "no number")
    logs.log(logging.ERROR, "some.event")
    assert [entry["event"] for entry in _logged(capsys)] == ["some.event"]


def test_the_next_run_has_nothing_of_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    for run in ("20260615T120000Z-0a1b2c", None, "20260616T120000Z-0a1b2c"):
        logs.configure(terminal=False)
        if run:
            logs.bind_run(run)
        logs.log(logging.INFO, "some.event")
    assert [entry.get("run_id") for entry in _logged(capsys)] == [
        "20260615T120000Z-0a1b2c",
        None,
        "20260616T120000Z-0a1b2c",
    ]


def test_what_a_thread_logs_names_the_run_and_its_own_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    logs.bind_run("20260615T120000Z-0a1b2c")
    targets = [factories.target(region=region) for region in ("eu-west-1", "us-east-1")]
    together = threading.Barrier(len(targets))

    def work(_: object) -> None:
        together.wait()  # both threads are at work when they log
        logging.getLogger("botocore").warning("slow")

    def mapped(items: Sequence[object]) -> None:
        done = concurrently(
            Stage.EXAMINE,
            with_log_context(work),
            items,
            workers=2,
            stop=Stop(),
            observe=lambda _: None,
        )
        assert done == [None, None]

    account = targets[0].account
    mapped(targets)
    mapped([(target, "and more") for target in targets])
    mapped([account, account])
    mapped([account.id, account.id])
    logs.log(logging.WARNING, "some.event")
    *of_threads, own = _logged(capsys)
    assert {entry["run_id"] for entry in (*of_threads, own)} == {"20260615T120000Z-0a1b2c"}
    assert {entry["account_id"] for entry in of_threads} == {account.id}
    places = [sorted(entry.get("region", "") for entry in of_threads[at : at + 2]) for at in (0, 2)]
    assert places == [["eu-west-1", "us-east-1"]] * 2
    assert not any("region" in entry for entry in of_threads[4:])
    assert not {"account_id", "region"} & own.keys()


def test_of_failures_with_the_same_reason_the_first_are_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    observer = LogObserver()
    for number in range(logs.MAX_ALIKE + 5):
        failed = Failed(Stage.EXAMINE, Reason.DENIED, f"no {number}")
        observer.done(Stage.EXAMINE, [(factories.target(), failed)])
    throttled = Failed(Stage.EXAMINE, Reason.THROTTLED, "slow down")
    observer.done(Stage.EXAMINE, [(factories.target(), throttled)])
    by_event = Counter((each["event"], each["reason"]) for each in _logged(capsys))
    assert by_event == {
        ("target.failed", "denied"): logs.MAX_ALIKE,
        ("failures.not_logged", "denied"): 1,
        ("target.failed", "throttled"): 1,
    }


def test_of_what_failed_before_a_stage_began_the_first_are_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(terminal=False)
    unknown = factories.failure(Reason.ACCOUNT_STATE_UNKNOWN, stage=Stage.ENUMERATE, region=None)
    failures = (unknown,) * (logs.MAX_ALIKE + 5)
    logs.log_finished(replace(factories.report(), failures=failures), 4)
    by_event = Counter(each["event"] for each in _logged(capsys))
    assert by_event["account.failed"] == logs.MAX_ALIKE
    assert by_event["failures.not_logged"] == 1


def test_the_end_says_how_much_was_withheld_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(terminal=False)
    reasons = [Reason.MAX_CHANGES, Reason.WRITE_NOT_GRANTED, Reason.MAX_CHANGES]
    withheld = [
        factories.finding(str(index), change=factories.change(ChangeStatus.WITHHELD, reason=each))
        for index, each in enumerate(reasons)
    ]
    logs.log_finished(factories.report([*withheld, factories.finding("other")]), 3)
    entry = _logged(capsys)[-1]
    assert (entry["changes_planned"], entry["changes_withheld"]) == (3, 3)
    assert entry["withheld_because"] == ["max_changes", "write_not_granted"]
