"""The fake's raw answers against botocore's service models."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from botocore.session import get_session

from sweeper.aws.config_aggregator import _EXPRESSION
from tests.contract.answers import run
from tests.contract.calls import Scenario, Step, ecr
from tests.contract.endpoints import HOME, MANAGEMENT, fake_endpoint
from tests.contract.model import problems
from tests.contract.scenarios import SCENARIOS
from tests.fake_aws.dispatch import SERVICES
from tests.fake_aws.world import CreationTemplate, Image, PullThroughRule, Registry, Repository

# ECR's model declares it for UpdateRepositoryCreationTemplate only; Terraform's provider expects it
# here too, and sweeper takes both this and an empty list for a template that is gone.
UNDECLARED = {
    "DescribeRepositoryCreationTemplates: TemplateNotFoundException is no error of the operation"
}
# What no peer has, and so stands in no scenario.
FULL = Registry(
    repositories=(
        Repository(
            "a", "MUTABLE_WITH_EXCLUSION", ("b",), (Image("sha256:1", ("1",)), Image("sha256:2"))
        ),
    ),
    pull_through_rules=(PullThroughRule("quay", "quay.io"),),
    creation_templates=(
        CreationTemplate("ROOT"),
        CreationTemplate(
            *("apps", "IMMUTABLE_WITH_EXCLUSION", ("latest",), ("REPLICATION",), "text"),
            *('{"rules": []}', '{"Statement": []}', "arn:aws:iam::1:role/ecr", {"a": "b"}),
            "arn:aws:kms:us-east-1:1:key/1",
        ),
    ),
)
BUS = f"arn:aws:events:{HOME}:{MANAGEMENT}:event-bus/contract"
EVENT = {"EventBusName": BUS, "Source": "sweeper", "DetailType": "t", "Detail": "{}"}
MORE = (
    ecr("templates", "describe_repository_creation_templates"),
    ecr("rules", "describe_pull_through_cache_rules"),
    ecr("one rule", "describe_pull_through_cache_rules", ecrRepositoryPrefixes=["quay"]),
    ecr("written", "update_repository_creation_template", prefix="apps"),
    ecr("new", "create_repository_creation_template", prefix="b", appliedFor=["REPLICATION"]),
    ecr("deleted", "delete_repository_creation_template", prefix="apps"),
    ecr("full images", "describe_images", repositoryName="a"),
    Step("ec2", "ec2", "describe_regions", {"AllRegions": True}),
    Step("a bus", "events", "describe_event_bus", {"Name": BUS}),
    Step("events", "events", "put_events", {"Entries": [EVENT, {**EVENT, "Detail": "{"}]}),
    Step(
        *("recorded", "config", "select_aggregate_resource_config"),
        {"ConfigurationAggregatorName": "all", "Expression": _EXPRESSION},
    ),
    Step(
        *("sources", "config", "describe_configuration_aggregator_sources_status"),
        {"ConfigurationAggregatorName": "all"},
    ),
)


@pytest.mark.slow
def test_every_answer_of_the_fake_is_one_of_the_model() -> None:
    seen: set[str] = set()
    found: set[str] = set()

    def check(http_response: Any, parsed: Any, model: Any, **_: Any) -> None:
        streamed = model.has_streaming_output and http_response.status_code == HTTPStatus.OK
        body = b"" if streamed else http_response.content
        seen.add(f"{model.service_model.service_name}:{model.name}")
        found.update(problems(model, http_response.status_code, body, parsed))

    with fake_endpoint(check) as contender:
        for scenario in SCENARIOS:
            list(run(contender, scenario))
        for step, answer in run(contender, Scenario("what no peer has", MORE, registry=FULL)):
            assert "refused" not in answer, step.name
    assert found == UNDECLARED
    offered = {
        f"{name}:{each}" for name, service in SERVICES.items() for each in service.operations
    }
    assert offered <= seen


REPOSITORY = {"repositoryName": "app", "imageTagMutability": "MUTABLE", "createdAt": 1.5}
SESSION = "<AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
EXPIRES = "<Expiration>2026-11-24T02:17:08Z</Expiration>"


@pytest.mark.parametrize(
    ("repository", "words"),
    [
        (REPOSITORY, []),
        ({**REPOSITORY, "colour": 1}, ["repositories[].colour is not in the model"]),
        ({**REPOSITORY, "repositoryName": 1}, ["repositories[].repositoryName: 1 is no string"]),
        ({**REPOSITORY, "imageTagMutability": "FROZEN"}, ["'FROZEN' is none of"]),
        ({**REPOSITORY, "createdAt": "then"}, ["'then' is no timestamp"]),
        ([], ["[] is no structure"]),
    ],
)
def test_json_that_is_not_of_the_model_is_found(repository: object, words: list[str]) -> None:
    body = json.dumps({"repositories": [repository]}).encode()
    _holds(problems(_model("ecr", "DescribeRepositories"), 200, body, {}), words)


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (f"<Credentials>{SESSION}<SessionToken>t</SessionToken>{EXPIRES}</Credentials>", []),
        (f"<Credentials>{SESSION}{EXPIRES}</Credentials>", ["SessionToken is required"]),
        ("<Colour>1</Colour>", ["AssumeRole.Colour is not in the model"]),
    ],
)
def test_xml_that_is_not_of_the_model_is_found(inner: str, words: list[str]) -> None:
    body = f"<AssumeRoleResponse><AssumeRoleResult>{inner}</AssumeRoleResult></AssumeRoleResponse>"
    _holds(problems(_model("sts", "AssumeRole"), 200, body.encode(), {}), words)


@pytest.mark.parametrize(
    ("service", "operation", "status", "code", "extra", "words"),
    [
        ("ecr", "DescribeRepositories", 400, "RepositoryNotFoundException", {}, []),
        ("ecr", "DescribeRepositories", 400, "Strange", {}, ["Strange is no error of"]),
        (
            *("ecr", "DescribeRepositories", 400, "InvalidParameterException"),
            *({"Reason": "x"}, ["Reason is not in the model"]),
        ),
        ("account", "ListRegions", 429, "TooManyRequestsException", {}, []),
        ("account", "ListRegions", 400, "TooManyRequestsException", {}, ["has status 429"]),
    ],
)
def test_an_error_that_is_not_of_the_model_is_found(  # noqa: PLR0917
    service: str,
    operation: str,
    status: int,
    code: str,
    extra: dict[str, str],
    words: list[str],
) -> None:
    body = json.dumps({"__type": code, "message": "m", **extra}).encode()
    _holds(problems(_model(service, operation), status, body, {"Error": {"Code": code}}), words)


def _model(service: str, operation: str) -> Any:
    return get_session().get_service_model(service).operation_model(operation)


def _holds(found: list[str], words: list[str]) -> None:
    assert len(found) == len(words), found
    assert all(expected in problem for expected, problem in zip(words, found, strict=True)), found
