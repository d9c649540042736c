"""The caller's session: where its credentials and region come from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweeper.aws.client.clients import Session
from sweeper.aws.client.partitions import is_region, known_regions
from sweeper.aws.client.session import callers_session
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.masking import MASK, mask
from sweeper.domain.reasons import Reason

ROLE = "arn:aws:iam::111122223333:role/sweeper"
KEYS = {"Version": 1, "AccessKeyId": "AKIAEXAMPLE000000000", "SecretAccessKey": "s" * 40}
Environment = pytest.MonkeyPatch


def profile(monkeypatch: Environment, text: str) -> None:
    Path("aws-config").write_text(f"[default]\n{text}\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", "aws-config")


def printed(keys: dict[str, object]) -> str:
    Path("keys.json").write_text(json.dumps(keys), encoding="utf-8")
    return f"credential_process = cat {Path('keys.json').absolute()}"


def failure() -> OperationFailed:
    session = callers_session()

    def keys() -> object:
        credentials = session.get_credentials()
        return credentials and credentials.get_frozen_credentials()

    with pytest.raises(OperationFailed) as caught:
        keys()
    return caught.value


@pytest.mark.parametrize(
    ("text", "variables", "named"),
    [
        ("credential_process = /missing/program", {}, ("custom-process", "/missing/program")),
        ("credential_process = false", {}, ("custom-process", "by hand")),
        (
            printed.__name__,
            {},
            ("custom-process", "not expired"),
        ),
        (
            "",
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/missing/token", "AWS_ROLE_ARN": ROLE},
            ("assume-role-with-web-identity", "/missing/token", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ),
        (
            "",
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/missing/eks-token",
            },
            ("container-role", "/missing/eks-token"),
        ),
        (
            "sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\n"
            "sso_account_id = 111122223333\nsso_role_name = x",
            {},
            ("sso", "aws sso login"),
        ),
        (
            "login_session = arn:aws:sts::111122223333:assumed-role/x/y",
            {},
            ("login", "botocore[crt]", "credential_process"),
        ),
    ],
)
def test_a_source_of_credentials_that_fails_says_what_to_do(
    monkeypatch: Environment, text: str, variables: dict[str, str], named: tuple[str, ...]
) -> None:
    if text == printed.__name__:
        text = printed({**KEYS, "Expiration": "2020-01-01T00:00:00Z"})
    profile(monkeypatch, text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = failure()
    assert error.reason is Reason.NO_CREDENTIALS
    for part in named:
        assert part in error.message


def test_good_keys_of_a_process_are_known_as_secrets(monkeypatch: Environment) -> None:
    profile(monkeypatch, printed(KEYS))
    credentials = callers_session().get_credentials()
    assert credentials is not None
    assert credentials.get_frozen_credentials().secret_key == KEYS["SecretAccessKey"]
    assert mask(f"{KEYS['AccessKeyId']} {KEYS['SecretAccessKey']}") == f"{MASK} {MASK}"


@pytest.mark.parametrize(
    "name",
    [
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_DEFAULTS_MODE",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE",
        "AWS_METADATA_SERVICE_TIMEOUT",
    ],
)
def test_a_setting_that_would_fail_every_client_is_refused_once(
    monkeypatch: Environment, name: str
) -> None:
    monkeypatch.setenv(name, "bogus")
    with pytest.raises(ConfigurationError, match="bogus"):
        callers_session()


@pytest.mark.parametrize("value", ["legacy", "regional", "Regional"])
def test_settings_that_the_sdk_takes_are_taken(monkeypatch: Environment, value: str) -> None:
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", value)
    monkeypatch.setenv("AWS_DEFAULTS_MODE", "standard")
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    assert callers_session().core.get_config_variable("sts_regional_endpoints") == "regional"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({}, "eu-north-1"),
    ],
)
def test_the_region_is_the_variables_then_the_profiles(
    monkeypatch: Environment, variables: dict[str, str], region: str
) -> None:
    profile(monkeypatch, "region = eu-north-1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert callers_session().region_name == region


def test_regions_that_only_the_partitions_list_are_known() -> None:
    known = known_regions(Session())
    assert {"sa-west-1", "me-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"} <= known
    assert not any(name.endswith("-global") for name in known)


@pytest.mark.parametrize(
    ("name", "good"), [("eu-tomorrow-1", True), ("me-west-1", True), ("mars-north-1", False)]
)
def test_a_region_of_tomorrow_can_be_undone(name: str, good: bool) -> None:
    assert is_region(Session(), name) is good
