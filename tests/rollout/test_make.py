"""`make stackset-deploy` itself: the recipe, over HTTP."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import boto3
import pytest

from tests.moto_organization import CALLER, ROLE, moto_organization
from tests.rollout.test_rollout import NAME, NEEDED
from tests.stacksets.deployment import REGION, SETUP

ROOT = Path(__file__).parents[2]
FRESH = "sweeper-member"  # the organization has roles of the usual name already


def _make(endpoint: str, tmp_path: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        **SETUP,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    return subprocess.run(
        ["make", "--silent", "stackset-deploy", *variables],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )


# --- in an organization on moto's server ----------------------------------------------------------


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with moto_organization() as url:
        for name, value in {**CALLER, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        yield url


def _client(service: str, account: str | None = None) -> Any:
    """A client of the management account, or of a member."""
    if account is None:
        return boto3.client(service, REGION)  # type: ignore[call-overload]
    arn = f"arn:aws:iam::{account}:role/{ROLE}"
    keys = _client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    return session.client(service, REGION)  # type: ignore[call-overload]


def _external_id(account: str) -> str:
    """The external id that the account's member role requires."""
    role = _client("iam", account).get_role(RoleName=FRESH)["Role"]
    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    external_id: str = condition["StringEquals"]["sts:ExternalId"]
    return external_id


@pytest.mark.slow
def test_the_first_use_deploys_the_role_and_prints_no_error(endpoint: str, tmp_path: Path) -> None:
    organizations = _client("organizations")
    (root,) = organizations.list_roots()["Roots"]
    units = organizations.list_organizational_units_for_parent(ParentId=root["Id"])
    accounts: list[str] = []
    for unit in units["OrganizationalUnits"]:
        found = organizations.list_accounts_for_parent(ParentId=unit["Id"])["Accounts"]
        accounts = [each["Id"] for each in found if each["Status"] == "ACTIVE"]
        if accounts:
            break
    assert accounts
    parameters = f"PARAMETERS={NEEDED} ExternalId=a=b RoleName={FRESH}"
    ended = _make(endpoint, tmp_path, f"OUS={unit['Id']}", parameters)
    assert not ended.stderr, ended.stderr
    assert ended.returncode == 0
    assert {_external_id(account) for account in accounts} == {"a=b"}


# --- before a server that only records ------------------------------------------------------------


class _CloudFormation(BaseHTTPRequestHandler):
    """Knows no StackSet, records the one that is created, and refuses what follows."""

    created: ClassVar[list[Mapping[str, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if form["Action"] == "CreateStackSet":
            self.created.append(form)
            self._answer(
                200, "<CreateStackSetResponse><CreateStackSetResult/></CreateStackSetResponse>"
            )
        else:
            code = "StackSetNotFoundException" if form["Action"] == "DescribeStackSet" else "Last"
            error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
            self._answer(400, f"<ErrorResponse>{error}</ErrorResponse>")

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing: the test asserts what was asked."""


def test_make_passes_every_value_as_it_is(tmp_path: Path) -> None:
    """The recipe itself, over HTTP: a value with =, $, quotes and ; reaches the StackSet whole."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _CloudFormation)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    given = f"PARAMETERS={NEEDED} ExternalId=a=b RolePath=/a$$b'c;d\"e`f/"
    url = f"http://127.0.0.1:{server.server_port}"
    ended = _make(url, tmp_path, "OUS=r-ab12", given, "CALL_AS=DELEGATED_ADMIN")
    server.shutdown()
    server.server_close()
    assert "Last" in ended.stderr
    assert ended.returncode != 0
    (form,) = _CloudFormation.created
    assert (form["StackSetName"], form["CallAs"]) == (NAME, "DELEGATED_ADMIN")
    numbers = range(1, 1 + sum(name.endswith(".ParameterKey") for name in form))
    values = {
        form[f"Parameters.member.{each}.ParameterKey"]: form[
            f"Parameters.member.{each}.ParameterValue"
        ]
        for each in numbers
    }
    assert values["ExternalId"] == "a=b"
    assert values["RolePath"] == "/a$b'c;d\"e`f/"
