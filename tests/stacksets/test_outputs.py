"""The commands among the stacks' outputs are ready to be pasted into a shell."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name

from sweeper.entrypoints import lambda_function
from sweeper.entrypoints.cli.main import cli
from tests.contract.moto import moto
from tests.stacksets import templates
from tests.stacksets.deployment import REGION, SETUP, Deployment

OF_THE_CLI = {"cli-binary-format", "cli-read-timeout", "region"}
SERVICES = {"ecs", "lambda", "stepfunctions"}


def _options(words: list[str]) -> dict[str, str]:
    """The options of a command, each with its value."""
    assert all(word.startswith("--") for word in words[::2]), words
    return {name[2:]: value for name, value in zip(words[::2], words[1::2], strict=True)}


def _starts(stack: dict[str, str], output: str) -> Any:
    """What the command asks the task or the function to do, once its options are known to be."""
    command_line = stack[output].removeprefix("AWS_MAX_ATTEMPTS=1 ")  # no second sweep
    program, service, operation, *words = shlex.split(command_line)
    assert (program, service in SERVICES) == ("aws", True)
    if service == "lambda":
        assert words.pop() == "/dev/stdout"  # where the answer is written
    model = botocore.session.get_session().get_service_model(service)
    (method,) = (each for each in model.operation_names if xform_name(each, "-") == operation)
    shape: Any = model.operation_model(method).input_shape
    options = _options(words)
    known = {xform_name(name, "-") for name in shape.members}
    assert set(options) <= known | OF_THE_CLI
    assert options["region"] == REGION
    if service == "stepfunctions":
        return lambda_function._overrides(json.loads(options["input"]))
    if service == "lambda":
        event = json.loads(options["payload"])
        return lambda_function._overrides(event)
    (override,) = json.loads(options["overrides"])["containerOverrides"]
    assert override["name"] == "sweeper"
    name, *arguments = override["command"]
    command = cli.get_command(None, name)  # type: ignore[arg-type]
    assert command is not None
    return {"command": name, **command.make_context(name, arguments).params}


@pytest.mark.parametrize(
    "stacks",
    [
        pytest.param(name, marks=pytest.mark.slow if name != "central-fargate" else ())
        for name in templates.CENTRAL
    ],
    indirect=True,
)
def test_the_commands_start_what_they_say(deployment: Deployment) -> None:
    if deployment.central in templates.ONE_PROCESS:
        asked = _starts(deployment.stack, "PreflightCommand")
        assert asked == {"preflight": True} or asked["command"] == "preflight"
    asked = _starts(deployment.stack, "DryRunCommand")
    assert (asked["dry_run"], asked["deliver"]) == (True, True)
    words = shlex.split(deployment.stack["FollowLogCommand"])
    assert words[:4] == ["aws", "logs", "tail", deployment.stack["LogGroupName"]]
    assert deployment.stack["ReportBucketName"] in deployment.stack["NewestReportCommand"]


# --- with the AWS CLI, where it is ----------------------------------------------------------------


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The outputs of central-fargate.yaml on moto's server, which this process and its own call."""
    for name, value in SETUP.items():
        monkeypatch.setenv(name, value)
    with moto() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        outputs = Deployment("central-fargate").central_stack("sweeper", {})
        # moto starts no task whose container names no memory of its own.
        container = {"name": "sweeper", "image": "sweeper", "memory": 512}
        boto3.client("ecs").register_task_definition(
            family="sweeper",
            containerDefinitions=[container],
        )
        yield outputs


def _shell(command: str, directory: Path) -> str:
    ended = subprocess.run(
        ["bash", "-c", command], cwd=directory, check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


LISTED = """\
2026-11-24 02:17:09       4096 sweeps/2026-11-24/20261124T021708Z-e9a4f1/report.json
2026-11-25 02:17:09  123456789 all our sweeps/2026-11-25/20261125T021708Z-0a1b2c/report.html
2026-11-25 02:17:08          9 all our sweeps/2026-11-25/20261125T021708Z-0a1b2c/report.json
2026-11-25 02:18:00         99 all our sweeps/latest.json
"""


@pytest.mark.parametrize("template", templates.CENTRAL)
def test_the_newest_report_may_have_a_prefix_with_spaces(template: str, tmp_path: Path) -> None:
    command = templates.load(template)["Outputs"]["NewestReportCommand"]["Value"]["Fn::Sub"]
    for name, value in (("${ReportBucket}", "reports"), ("${AWS::Region}", REGION)):
        command = command.replace(name, value)
    (tmp_path / "listed").write_text(LISTED)
    aws = 'aws() { if [ "$2" = ls ]; then cat listed; else printf "%s\\n" "$@"; fi; }'
    words = _shell(f"{aws}\n{command}", tmp_path).splitlines()
    folder = "all our sweeps/2026-11-25/20261125T021708Z-0a1b2c"
    assert words[-2:] == [f"s3://reports/{folder}/", "./sweeper-report"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not here")
def test_a_shell_runs_them(stack: dict[str, str], tmp_path: Path) -> None:
    started = json.loads(_shell(stack["PreflightCommand"], tmp_path))
    (task,) = started["tasks"]
    assert task["overrides"]["containerOverrides"][0]["command"] == ["preflight"]
    bucket, client = stack["ReportBucketName"], boto3.client("s3")
    for key in (
        "sweeps/2026-11-24/20261124T021708Z-e9a4f1/report.json",
        "sweeps/2026-11-24/20261124T021708Z-e9a4f1/report.html",
        "sweeps/2026-11-25/20261125T021708Z-0a1b2c/report.json",
        "sweeps/2026-11-25/20261125T021708Z-0a1b2c/report.html",
        "sweeps/2026-11-26/20261126T021708Z-3d4e5f/plan.jsonl",  # of a sweep that still runs
        "sweeps/latest.json",
        "sweeps/lease.json",
    ):
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    _shell(stack["NewestReportCommand"], tmp_path)
    found = {each.name: each.read_text() for each in (tmp_path / "sweeper-report").iterdir()}
    folder = "sweeps/2026-11-25/20261125T021708Z-0a1b2c"
    assert found == {
        "report.json": f"{folder}/report.json",
        "report.html": f"{folder}/report.html",
    }
