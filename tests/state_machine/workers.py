"""What runs the stages: a process for each invocation of a function, and for each task.

A process has the program imported already: it is forked from a server that did. Otherwise it is one
as any other, with its own directory and environment.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.end_to_end.processes import Process, start, wait_for

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.end_to_end.preload", "sweeper.lambda_handler"])
_SECONDS = 900  # the function's time

Event = Mapping[str, Any]


@dataclass
class Functions:
    """Lambda's client, as far as the interpreter uses it.

    `faults` says of an event whether its process dies instead of doing its work. `stop` ends the
    execution, as soon as a stage has been invoked as often as `stop_after` says.
    """

    directory: Path
    environment: Mapping[str, str]
    faults: Callable[[Event], bool] = lambda _: False
    stop_after: tuple[str, int] | None = None
    stop: Callable[[], object] = lambda: None
    invoked: list[Event] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 (AWS's names)
        """Run the handler in a process of its own; return what Lambda answers."""
        event = json.loads(Payload)
        found = re.search(r"([A-Z][a-z]+)Function", FunctionName)
        assert found is not None
        assert found[1].lower() == event["stage"], "each stage has its own function"
        with self._lock:
            self.invoked.append(event)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            return self._answer(event, killed=self.faults(event))
        finally:
            with self._lock:
                self.running -= 1
                self.ended.append(event["stage"])
                is_last = (event["stage"], self.ended.count(event["stage"])) == self.stop_after
            if is_last:
                self.stop()

    def _answer(self, event: Event, *, killed: bool) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="sweeper-function-") as folder:
            answer = Path(folder, "answer.json")
            target = _die if killed else _handle
            process = _SERVER.Process(
                target=target,
                args=(event, str(self.directory), dict(self.environment), str(answer)),
            )
            start(process)
            status = wait_for(process)
            if not answer.exists():
                error = {
                    "errorType": "Runtime.ExitError",
                    "errorMessage": f"Runtime exited with error: {status}",
                }
                return _answered(error, "Unhandled")
            said = json.loads(answer.read_text(encoding="utf-8"))
        return _answered(said, "Unhandled" if status else None)


def _answered(payload: Any, error: str | None) -> dict[str, Any]:
    body = io.BytesIO(json.dumps(payload).encode())
    return {"StatusCode": 200, "Payload": body} | ({"FunctionError": error} if error else {})


class _Context:
    """Lambda's context, as far as the handler uses it."""

    def get_remaining_time_in_millis(self) -> int:
        return _SECONDS * 1000


def _enter(directory: str, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    with Path(directory, "function.log").open("a", encoding="utf-8") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)


def _handle(event: Event, directory: str, environment: Mapping[str, str], answer: str) -> None:
    """Be the function: its answer is written to the file, an error as Lambda words it."""
    _enter(directory, environment)
    from sweeper.lambda_handler import handler

    try:
        said: Any = handler(dict(event), _Context())
    except Exception as error:  # noqa: BLE001 (as the runtime does)
        said = {"errorType": type(error).__name__, "errorMessage": str(error)}
        Path(answer).write_text(json.dumps(said), encoding="utf-8")
        sys.exit(1)
    Path(answer).write_text(json.dumps(said), encoding="utf-8")


def _die(_: Event, directory: str, environment: Mapping[str, str], __: str) -> None:
    """Be a function whose process ends without an answer."""
    _enter(directory, environment)
    os._exit(137)


@dataclass
class Tasks:
    """The client of ECS, as far as the interpreter uses it: a task is the command as a process."""

    directory: Path
    environment: Mapping[str, str]
    commands: list[Sequence[str]] = field(default_factory=list)
    roles: set[tuple[str, str]] = field(default_factory=set)  # stage, the role's name
    _running: dict[str, Process] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run_task(self, **given: Any) -> dict[str, Any]:
        """Start the command that the overrides name.

        The interpreter gives and reads names as ASL writes them; what it polls, as ECS does.
        """
        cluster, overrides = given["Cluster"], given["Overrides"]
        (container,) = overrides["ContainerOverrides"]
        command = container["Command"]
        with self._lock:
            self.commands.append(command)
            self.roles.add((command[1], overrides["TaskRoleArn"].rpartition("/")[2]))
            arn = f"{cluster}/task-{len(self.commands)}"
            self._running[arn] = Process(command, self.directory, self.environment)
        return {"Tasks": [{"TaskArn": arn, "ClusterArn": cluster}]}

    def describe_tasks(self, *, cluster: str, tasks: Sequence[str]) -> dict[str, Any]:
        """Give the status of the one task."""
        (arn,) = tasks
        status = "RUNNING" if self._running[arn].poll() is None else "STOPPED"
        task = {"TaskArn": arn, "ClusterArn": cluster, "LastStatus": status}
        return {"Tasks": [task], "tasks": [{"lastStatus": status}]}
