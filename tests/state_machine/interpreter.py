"""Executes the state machine of stacksets/central-stepfunctions.yaml by moto's interpreter of ASL.

The definition is what CloudFormation makes of the template, by moto. The interpreter calls S3,
Lambda and ECS through clients that it makes in one place; here they lead to the fake AWS, and to
processes that are started for each invocation and each task.

What the interpreter does not do, and what therefore is not shown here:

- It evaluates no ToleratedFailurePercentage: a map whose workers fail never fails. Its grammar
  knows no whole number there, so it is given 100.0, which in JSON is the same number as 100.
- It fails no task of ecs:runTask.sync whose container ended with another status than 0.
- It knows no roles, and no limits of history, quotas or concurrency beyond MaxConcurrency.
- A retry's pause is counted, and not waited for.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
from botocore.client import BaseClient
from moto import mock_aws

from tests.fake_aws.process import FakeAws
from tests.stacksets.deployment import SETUP, Deployment
from tests.state_machine.workers import Functions, Tasks

_PARSER = "moto.stepfunctions.parser.asl.component"
_STATE = f"{_PARSER}.state.exec"
_CLIENTS = (  # where the interpreter makes its clients
    f"{_STATE}.state_map.item_reader.eval.resource_eval_s3.boto_client_for",
    f"{_STATE}.state_task.lambda_eval_utils.boto_client_for",
    f"{_STATE}.state_task.service.state_task_service_ecs.boto_client_for",
)
_PAUSE = f"{_PARSER}.common.retry.retrier_decl.time"
NAME = "sweeper"


def definition(**parameters: str) -> Any:
    """The definition that CloudFormation gives to the state machine of a stack."""
    with mock.patch.dict("os.environ", SETUP), mock_aws():
        Deployment("central-stepfunctions").central_stack(NAME, parameters)
        client = boto3.client("stepfunctions")
        (machine,) = client.list_state_machines()["stateMachines"]
        described = client.describe_state_machine(stateMachineArn=machine["stateMachineArn"])
    return json.loads(described["definition"])


@dataclass(frozen=True)
class Execution:
    """An execution that ended: its status, its output or error, and the states that it entered."""

    status: str
    output: Any
    error: str | None
    cause: str | None
    states: tuple[str, ...]


@dataclass
class Interpreter:
    """Runs executions of one definition; `pauses` has how long each retry waited, in seconds."""

    aws: FakeAws
    functions: Functions
    tasks: Tasks
    machine: str = ""
    pauses: list[float] = field(default_factory=list)

    def run(self, given: Mapping[str, Any]) -> Execution:
        """Start an execution and wait for its end."""
        client = boto3.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=self.machine, input=json.dumps(given))[
            "executionArn"
        ]
        self.functions.stop = lambda: client.stop_execution(executionArn=arn)
        while (found := client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            time.sleep(0.02)
        history = client.get_execution_history(executionArn=arn)["events"]
        return Execution(
            found["status"],
            json.loads(found["output"]) if found.get("output") else None,
            found.get("error"),
            found.get("cause"),
            tuple(
                event["stateEnteredEventDetails"]["name"]
                for event in history
                if "stateEnteredEventDetails" in event
            ),
        )


@contextmanager
def interpreter(
    aws: FakeAws, directory: Path, environment: Mapping[str, str], given: Any
) -> Iterator[Interpreter]:
    """An interpreter of the definition `given`, whose workers run in the directory."""
    functions = Functions(directory, environment)
    tasks = Tasks(directory, environment)
    found = Interpreter(aws, functions, tasks)

    def client(*, service: str, **_: Any) -> Any:
        made: dict[str, Callable[[], Any]] = {
            "s3": lambda: _s3(aws),
            "lambda": lambda: functions,
            "ecs": lambda: tasks,
        }
        return made[service]()

    config: Any = {
        "stepfunctions": {"execute_state_machine": True},
        "core": {"passthrough": {"urls": [aws.endpoint]}},
    }
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict("os.environ", SETUP))
        stack.enter_context(mock_aws(config=config))
        for name in _CLIENTS:
            stack.enter_context(mock.patch(name, client))
        stack.enter_context(mock.patch(_PAUSE, SimpleNamespace(sleep=found.pauses.append)))
        found.machine = boto3.client("stepfunctions").create_state_machine(
            name=NAME,
            definition=re.sub(r'("ToleratedFailurePercentage": \d+)\b', r"\1.0", json.dumps(given)),
            roleArn="arn:aws:iam::123456789012:role/state-machine",
        )["stateMachineArn"]
        yield found


def _s3(aws: FakeAws) -> BaseClient:
    values = aws.environment
    return boto3.client(
        "s3",
        endpoint_url=aws.endpoint,
        region_name=values["AWS_REGION"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )
