"""docs/deploy.md names what the templates have."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.cases import case
from tests.stacksets import templates
from tests.stacksets.iam import listed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_the_parameters_that_are_given_are_there() -> None:
    given = re.findall(r"--template-file stacksets/(\S+)\.yaml(.*?)```", PAGE, re.DOTALL)
    assert {name for name, _ in given} == {"central-fargate", "member-role"}
    for name, options in given:
        assert len(templates.text(name).encode()) <= 51_200  # else the AWS CLI needs a bucket
        for parameter in re.findall(r"\b([A-Z]\w+)=", options):
            with case(name, parameter):
                assert parameter in templates.load(name)["Parameters"]
    table = re.findall(r"^\| `([A-Z]\w+)` \| `[a-z_]+\.[a-z_]+` \|", PAGE, re.MULTILINE)
    assert {"IncludeOus", "MaxChanges", "AssessImpact", "Formats"} <= set(table)
    for name in templates.CENTRAL:
        assert set(table) <= set(templates.load(name)["Parameters"]), name


def test_the_commands_that_are_named_are_outputs() -> None:
    named = set(re.findall(r"\b\w+Command\b", PAGE))
    for name in templates.CENTRAL:
        outputs = {each for each in templates.load(name)["Outputs"] if each.endswith("Command")}
        # No role of the state machine's stages may do all that preflight tries.
        missing = {"PreflightCommand"} if name == "central-stepfunctions" else set()
        assert named - missing == outputs, name


def test_the_resource_policy_delegates_what_the_central_role_may_read() -> None:
    (policy,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    (statement,) = json.loads(policy)["Statement"]
    for name in templates.CENTRAL:
        role = "StartRole" if name == "central-stepfunctions" else "CentralRole"
        (granted,) = (
            each["PolicyDocument"]["Statement"]
            for each in templates.resource(name, role)["Policies"]
            if each["PolicyName"] == "sweep"
        )
        actions = {
            action
            for each in granted
            if "Fn::If" not in each
            for action in listed(each["Action"])
            if action.startswith("organizations:")
        }
        assert set(statement["Action"]) == actions, name


def test_an_image_is_built_under_the_tag_that_is_pushed_and_deployed_by_digest() -> None:
    assert "make build IMAGE=$REPOSITORY:$TAG" in PAGE
    shown = subprocess.run(
        ["make", "--dry-run", "build", "IMAGE=registry.example.com/sweeper:0.1.0-1"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "--tag registry.example.com/sweeper:0.1.0-1 " in shown
    assert "ImageUri=$REPOSITORY@$DIGEST" in PAGE
    (repository,) = re.findall(r"REPOSITORY=(\S+)", PAGE)
    pattern = templates.load("central-fargate")["Parameters"]["ImageUri"]["AllowedPattern"]
    assert re.fullmatch(pattern, f"{repository}@sha256:{'0' * 64}")
