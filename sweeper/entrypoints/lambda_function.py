"""The Lambda: one event, one sweep or preflight, within the time that the function has.

The configuration is read anew for each event, so that a change of it needs no new deployment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Protocol

from sweeper.aws.client.clients import CONNECT_TIMEOUT, READ_TIMEOUT
from sweeper.aws.client.session import read_remote
from sweeper.config.loader import Loaded, load
from sweeper.domain.errors import ConfigurationError, ExitStatus, SweeperError
from sweeper.domain.escaping import plain
from sweeper.domain.masking import mask
from sweeper.domain.model import Stage
from sweeper.domain.report_model import Report
from sweeper.engine.defects import or_defect
from sweeper.entrypoints import logs
from sweeper.entrypoints.app import RunOptions
from sweeper.entrypoints.interpreter import collect_garbage_rarely
from sweeper.entrypoints.runner import run_interactive

# Seconds that the function reserves for its end. The calls in flight when the sweep stops end
# within one connection and one read time-out, because no call and no retry begins after it. Then
# the last report is read, and this one is made and delivered, which takes a few seconds: enough is
# left for one of either's calls to time out and be made again.
_DELIVERY = 60
_RESERVE = CONNECT_TIMEOUT + READ_TIMEOUT + _DELIVERY

_SCHEDULERS = {"aws.events", "aws.scheduler"}
# The keys that EventBridge adds to the event of a schedule.
_ENVELOPE = ("version", "id", "detail-type", "source", "account", "time", "region", "resources")
_NO_DETAIL: tuple[object, ...] = ({}, "{}")  # a rule's, and EventBridge Scheduler's
_OF_A_SWEEP = ("dry_run", "deliver")
_SWITCHES = (*_OF_A_SWEEP, "preflight")
_OF_A_STAGE = ("stage", "run", "shard")
_STAGES = ("start", "scan", "plan", "apply", "finish")
_MAPPED = ("scan", "apply")  # over shards
_LISTS = {
    "accounts": ("organization", "include_accounts"),
    "regions": ("regions", "include"),
    "ous": ("organization", "within_ous"),
}


class SweepFailed(SweeperError):
    """The sweep could not be done, or has a defect: an error of the function, so alarms notice."""


class _LambdaContext(Protocol):
    """The part that is used of the context object of Lambda."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run, in milliseconds."""


def handler(event: object, context: _LambdaContext) -> dict[str, Any]:
    """Sweep as the event says; return a summary of the report.

    An event of a schedule, or an empty one, is the run that the configuration describes. It may
    have what the command line has as options: dry_run and deliver (true or false), accounts,
    regions and ous (lists), which only narrow what the configuration says. With preflight: true
    nothing is swept: access is checked, and what `sweeper preflight` prints is returned. With stage
    it is a stage of a distributed sweep, of the `run` and the `shard` that it names. Raises
    ConfigurationError, and SweepFailed where the exit status would be 1, 2 or 6; findings, gaps and
    failed deliveries are in the summary.
    """
    return _return_or_raise(lambda: _answer(event, context))


def handle_events(event: object, context: _LambdaContext) -> dict[str, Any]:
    """Check what a batch of events from SQS names; return the messages to deliver again.

    Each message is an event of EventBridge about a call to ECR. It is only a hint: what it names is
    read, checked and changed as in a sweep, and reported below events/. Raises
    ConfigurationError, and SweepFailed where nothing can be examined or a report not be delivered:
    then SQS delivers the whole batch again.
    """
    return _return_or_raise(lambda: _batch(event, context))


def _return_or_raise(answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer. Raises SweeperError, and nothing else."""

    def attempt_answer() -> dict[str, Any] | SweeperError:
        try:
            return answer()
        except SweeperError as error:
            return error

    collect_garbage_rarely()
    logs.configure(terminal=False)
    result = or_defect(attempt_answer)
    if isinstance(result, SweeperError):
        raise result
    if isinstance(result, str):  # the text of another exception could hold a secret
        raise SweepFailed(f"internal error, please report it: {result}")
    return result


def _batch(event: object, context: _LambdaContext) -> dict[str, Any]:
    # Imported here, because a sweep should not pay for it.
    from sweeper.entrypoints.events.batch import handle_batch

    answer = handle_batch(event, lambda: _load({}), _seconds(context))
    if answer.failures:
        raise SweepFailed(plain("; ".join(answer.failures)))
    return {"batchItemFailures": [{"itemIdentifier": each} for each in answer.redeliver]}


def _answer(event: object, context: _LambdaContext) -> dict[str, Any]:
    overrides = _overrides(event)
    options: dict[str, dict[str, Any]] = {}
    for key, (section, field) in _LISTS.items():
        if key in overrides:
            options.setdefault(section, {})[field] = tuple(overrides[key])
    seconds = _seconds(context)
    if "stage" in overrides:
        return _stage(overrides, options, seconds)
    loaded = _load(options)
    if overrides.get("preflight", False):
        return _preflight(loaded, seconds)
    return _summary(loaded, overrides, seconds)


def _seconds(context: _LambdaContext) -> float:
    return max(0.0, context.get_remaining_time_in_millis() / 1000 - _RESERVE)


def _load(options: Mapping[str, Mapping[str, Any]]) -> Loaded:
    return load(
        None,
        {section: dict(values) for section, values in options.items()},
        options_from="event",
        option_names={key: f"event: {name}" for name, key in _LISTS.items()},
        read_remote=read_remote,
    )


def _stage(
    overrides: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """Run a stage of a distributed sweep. Raises OperationFailed where it should be run again."""
    from sweeper.entrypoints.distributed import run_stage

    answer = run_stage(
        overrides["stage"],
        load=_load,
        run=overrides.get("run"),
        shard=overrides.get("shard"),
        options=options,
        dry_run=overrides.get("dry_run", False),
        deliver_dry_run=overrides.get("deliver", False),
        at_most_seconds=seconds,
    )
    return dict(answer)


def _preflight(loaded: Loaded, seconds: float) -> dict[str, Any]:
    """Return the document of `sweeper preflight --format json`."""
    # Imported here, because a sweep should not pay for it.
    from sweeper.engine.preflight.problems import judge
    from sweeper.entrypoints.preflight import check_access
    from sweeper.reporting.preflight import preflight_document

    facts = check_access(loaded, write_probe=True, terminal=False, at_most_seconds=seconds)
    content = preflight_document(facts, judge(facts, loaded.config), loaded.config)
    answer: dict[str, Any] = json.loads(mask(content))
    return answer


def _summary(loaded: Loaded, overrides: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    report, status = run_interactive(
        loaded.config,
        RunOptions(
            dry_run=overrides.get("dry_run", False),
            deliver_dry_run=overrides.get("deliver", False),
        ),
        loaded.provenance,
        ask=False,
        terminal=False,
        at_most_seconds=seconds,
    )
    if status in (ExitStatus.INTERNAL_ERROR, ExitStatus.UNUSABLE, ExitStatus.LEASE_HELD):
        raise SweepFailed(_cause(report))
    return {
        "run_id": report.run.id,
        "dry_run": report.run.dry_run,
        "exit_status": status,
        "totals": asdict(report.totals),
        "coverage": asdict(report.coverage),
        "deliveries": [asdict(delivery) for delivery in report.deliveries],
    }


def _overrides(event: object) -> Mapping[str, Any]:
    """Return what the event overrides of the configuration; raises ConfigurationError."""
    if not isinstance(event, dict):
        raise ConfigurationError(
            f"event: {type(event).__name__} is not allowed; allowed: a mapping"
        )
    own = _without_envelope(event)
    for key, value in own.items():
        if key in _SWITCHES:
            _require(isinstance(value, bool), key, value, "true or false")
        elif key in _LISTS:
            # An empty list must not widen what the configuration narrows.
            good = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
            _require(bool(good), key, value, "a list of texts that is not empty, or leave it out")
        elif key == "stage":
            _require(value in _STAGES, key, value, ", ".join(_STAGES))
        elif key == "run":
            _require(isinstance(value, str), key, value, "the id of a run")
        elif key == "shard":
            good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            _require(good, key, value, "the number of a shard, from 0")
        else:
            allowed = ", ".join((*_SWITCHES, *_LISTS, *_OF_A_STAGE))
            raise ConfigurationError(f"event: {key!r} is unknown; allowed: {allowed}")
    if own.get("preflight") and (sweeps := [key for key in _OF_A_SWEEP if key in own]):
        raise ConfigurationError(
            f"event: {', '.join(sweeps)}: not allowed with preflight, which sweeps nothing"
        )
    if own.get("deliver") and not own.get("dry_run"):
        raise ConfigurationError(
            "event: deliver: true is allowed only with dry_run: true; other runs always deliver"
        )
    _require_stage(own)
    return own


def _require_stage(own: Mapping[str, Any]) -> None:
    """Raise ConfigurationError where keys of a stage and of other events contradict each other."""
    stage = own.get("stage")
    allowed = {"stage", *_OF_A_SWEEP, *_LISTS} if stage == "start" else {"stage", "run"}
    if stage in _MAPPED:
        allowed.add("shard")
    if stage is None:
        allowed = {*_SWITCHES, *_LISTS}
    if others := sorted(own.keys() - allowed):
        what = f"with stage {stage}" if stage else "without stage"
        raise ConfigurationError(f"event: {', '.join(others)}: not allowed {what}")


def _without_envelope(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the event, that of a schedule without the keys that EventBridge adds."""
    if event.get("source") not in _SCHEDULERS or event.get("detail-type") != "Scheduled Event":
        return event
    return {
        key: value
        for key, value in event.items()
        if key not in _ENVELOPE and not (key == "detail" and value in _NO_DETAIL)
    }


def _require(good: bool, key: str, value: object, allowed: str) -> None:
    if not good:
        raise ConfigurationError(f"event: {key}: {value!r} is not allowed; allowed: {allowed}")


def _cause(report: Report) -> str:
    return "; ".join(
        plain(f"{failure.reason}: {failure.message}")
        for failure in report.failures
        if failure.stage is Stage.ENUMERATE
    )
