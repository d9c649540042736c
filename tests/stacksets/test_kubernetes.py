"""The CronJobs of stacksets/kubernetes, held against the image, the program and their guide."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper.config.loader import _DEPLOYMENT_VARIABLE, _variables, load
from tests.stacksets import templates

ROOT = Path(__file__).parents[2]
NAMES = ("pod-identity", "irsa")
GUIDE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")


def manifests(name: str) -> tuple[Any, Any]:
    """The ServiceAccount and the CronJob."""
    text = (templates.FOLDER / "kubernetes" / f"{name}.yaml").read_text(encoding="utf-8")
    account, job = yaml.safe_load_all(text)
    return account, job


def pod(name: str) -> tuple[Any, Any]:
    """The pod's specification, and its one container."""
    _, job = manifests(name)
    specification = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = specification["containers"]
    return specification, container


def test_the_two_differ_in_the_service_account_alone() -> None:
    (pods, job), (irsa, other) = map(manifests, NAMES)
    assert job == other
    role = irsa["metadata"].pop("annotations")["eks.amazonaws.com/role-arn"]
    assert pods == irsa
    pattern = templates.load("member-role")["Parameters"]["CentralRoleArn"]["AllowedPattern"]
    assert re.fullmatch(pattern, role)
    assert role.endswith(
        f"/{templates.load('central-fargate')['Parameters']['CentralRoleName']['Default']}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_leads_to_a_job_that_may_write(name: str) -> None:
    account, _ = manifests(name)
    _, container = pod(name)
    create = f"$ kubectl create namespace {account['metadata']['namespace']}\n"
    assert GUIDE.index(create) < GUIDE.index("$ kubectl apply")  # neither file has it
    named = set(re.findall(r"`(\w*AUTO_REMEDIATE)`", GUIDE))
    assert named == {"SWEEPER_REMEDIATION__AUTO_REMEDIATE"}
    assert named <= {each["name"] for each in container["env"]}


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_as_the_image_and_the_program_are_made(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account, job = manifests(name)
    specification, container = pod(name)
    assert specification["serviceAccountName"] == account["metadata"]["name"]
    assert job["metadata"]["namespace"] == account["metadata"]["namespace"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    security = specification["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in dockerfile
    assert 'ENTRYPOINT ["sweeper"]' in dockerfile
    assert "command" not in container  # the image's entry point
    task = templates.resource("central-fargate", "TaskDefinition")["ContainerDefinitions"][0]
    assert container["args"] == task["Command"] == ["run", "--yes"]  # nobody can be asked
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert set(environment) <= {*dict(_variables()), _DEPLOYMENT_VARIABLE, "AWS_REGION"}
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    config = load().config
    assert config.remediation.auto_remediate == "DISABLED"
    assert config.report.s3 is not None


@pytest.mark.parametrize("name", NAMES)
def test_it_is_confined_suspended_and_not_run_twice(name: str) -> None:
    _, job = manifests(name)
    specification, container = pod(name)
    assert job["spec"]["suspend"] is True
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert specification["restartPolicy"] == "Never"
    assert specification["automountServiceAccountToken"] is False
    assert specification["securityContext"]["runAsNonRoot"] is True
    assert "volumes" not in specification
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    task = templates.resource("central-fargate", "TaskDefinition")["ContainerDefinitions"][0]
    assert specification["terminationGracePeriodSeconds"] == task["StopTimeout"]


def test_the_trust_policies_of_the_guide_are_of_these_manifests() -> None:
    identity, federated = (
        json.loads(each) for each in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    )
    (statement,) = identity["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert set(statement["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
    (statement,) = federated["Statement"]
    account, _ = manifests("irsa")
    place = f"{account['metadata']['namespace']}:{account['metadata']['name']}"
    conditions = statement["Condition"]["StringEquals"]
    assert f"system:serviceaccount:{place}" in conditions.values()


def test_the_parameter_of_the_guide_is_one_of_the_member_role() -> None:
    for name in re.findall(r"(Allow\w+)=true", GUIDE):
        assert name in templates.load("member-role")["Parameters"], name
    assert "AllowSessionTags=true" in GUIDE
    assert "--disable-session-tags" in GUIDE
