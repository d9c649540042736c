"""A source of credentials that fails ends with exit status 2, what to do, and no prompt."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cases import case
from tests.end_to_end.harness import COMMAND, Here, calls, environment, newest_report, small_world
from tests.fake_aws.process import FakeAws

WORLD = small_world(accounts=2, regions=1)
ROLE = "arn:aws:iam::111122223333:role/sweeper"
START_URL = "https://example.awsapps.com/start"
TOKEN = "secret-of-the-person-0123456789"
TIMEOUT_SECONDS = 120
PROFILE = "[profile of-the-test]\n"
SSO = "sso_account_id = 111122223333\nsso_role_name = audit\n"
LOCATION = f"sso_start_url = {START_URL}\nsso_region = us-east-1\n"
SOURCES = {
    "sso": f"{PROFILE}{SSO}{LOCATION}",
    "sso session": f"{PROFILE}{SSO}sso_session = s\n[sso-session s]\n{LOCATION}",
    "login": f"{PROFILE}login_session = arn:aws:iam::111122223333:user/me\n",
    "mfa": f"{PROFILE}role_arn = {ROLE}\nsource_profile = keys\n"
    "mfa_serial = arn:aws:iam::111122223333:mfa/me\n"
    "[profile keys]\naws_access_key_id = AKIAEXAMPLE000000000\n"
    f"aws_secret_access_key = {'s' * 40}\n",
}


class Refusing(ThreadingHTTPServer):
    """STS without a signature, and the SSO portal: each refuses with the error that is set."""

    daemon_threads = True
    status, code = 400, ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def variables(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self.server_port}"
        return {f"AWS_ENDPOINT_URL_{name}": endpoint for name in ("STS", "SSO", "SSO_OIDC")}


class _Handler(BaseHTTPRequestHandler):
    server: Refusing

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(body.partition("Action=")[2].partition("&")[0])
        self._answer(
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{self.server.code}</Code>"
            "<Message>It is refused.</Message></Error></ErrorResponse>"
        )

    def do_GET(self) -> None:
        self.server.asked.append(self.path.partition("?")[0])
        self._answer('{"message": "It is refused."}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, text: str) -> None:
        self.send_response(self.server.status)
        self.send_header("x-amzn-ErrorType", self.server.code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def serving() -> Iterator[Refusing]:
    with Refusing() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def refusing() -> Iterator[Refusing]:
    with serving() as server:
        yield server


def without_keys(directory: Path, source: str | None) -> dict[str, str | None]:
    """The variables of a process whose only credentials are those of the source."""
    none: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    if source is None:
        return none
    (directory / "aws-config").write_text(SOURCES[source], encoding="utf-8")
    return {
        **none,
        "AWS_CONFIG_FILE": str(directory / "aws-config"),
        "AWS_PROFILE": "of-the-test",
    }


def assert_refused(aws: FakeAws, ended: Any, code: str, *named: str) -> None:
    assert ended.status == 2, ended.stderr
    (failure,) = ended.report["failures"]
    assert (failure["reason"], failure["error_code"]) == ("no_credentials", code)
    message = failure["message"]
    for part in named:
        assert part in message
    assert "\n" not in message
    assert "AWS_ACCESS_KEY_ID" not in message  # only what to do about this source
    assert TOKEN not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert calls(aws) == {}


def test_a_web_identity_that_sts_refuses(
    aws: FakeAws, here: Here, tmp_path: Path, refusing: Refusing
) -> None:
    """As IAM roles for service accounts have it, in a pod of EKS."""
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    variables: dict[str, str | None] = {
        **without_keys(tmp_path, None),
        **refusing.variables,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": ROLE,
    }
    for status, code in [
        (400, "InvalidIdentityToken"),
        (403, "IDPRejectedClaim"),
        (400, "ExpiredTokenException"),
        (403, "AccessDenied"),
    ]:
        with case(code):
            aws.load(WORLD)
            refusing.status, refusing.code, refusing.asked = status, code, []
            ended = here.run(aws, "--dry-run", config=None, **variables)
            named = ("assume-role-with-web-identity", "It is refused", "the role's trust")
            assert_refused(aws, ended, code, *named)
            assert refusing.asked == ["AssumeRoleWithWebIdentity"]


def test_a_person_whom_sso_refuses(
    aws: FakeAws,
    here: Here,
    tmp_path: Path,
    refusing: Refusing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = {
        "startUrl": START_URL,
        "region": "us-east-1",
        "accessToken": TOKEN,
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    for name in (START_URL, "s"):
        file = tmp_path / f"{hashlib.sha1(name.encode()).hexdigest()}.json"
        file.write_text(json.dumps(token), encoding="utf-8")
    for provider in ("credentials.SSOProvider", "tokens.SSOTokenProvider"):
        monkeypatch.setattr(f"botocore.{provider}._SSO_TOKEN_CACHE_DIR", str(tmp_path))
    for source in ("sso", "sso session"):
        for status, code, told in [
            (403, "ForbiddenException", "ForbiddenException"),
            (401, "UnauthorizedException", "UnauthorizedSSOTokenError"),
            (404, "ResourceNotFoundException", "ResourceNotFoundException"),
        ]:
            with case(source, code):
                aws.load(WORLD)
                refusing.status, refusing.code, refusing.asked = status, code, []
                variables = {**without_keys(tmp_path, source), **refusing.variables}
                ended = here.run(aws, "--dry-run", config=None, **variables)
                named = ("sso", "run aws sso login", "the role is assigned")
                assert_refused(aws, ended, told, *named)
                assert refusing.asked == ["/federation/credentials"]


def test_a_person_who_is_not_logged_in(
    aws: FakeAws, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`aws login` keeps a token, which the SDK reads with a package of its own."""
    session = "arn:aws:iam::111122223333:user/me"
    file = tmp_path / f"{hashlib.sha256(session.encode()).hexdigest()}.json"
    for package, content, code, told in [
        (None, None, "MissingDependencyException", "credential_process"),
        (object(), None, "LoginTokenLoadError", "run aws login"),
        (object(), "{}", "LoginTokenLoadError", "run aws login"),
        (object(), "{", "KeyError", "run aws login"),
    ]:
        with case(package, content):
            aws.load(WORLD)
            monkeypatch.setattr("botocore.credentials.EC", package)
            if content is not None:
                file.write_text(content, encoding="utf-8")
            variables = without_keys(tmp_path, "login")
            variables["AWS_LOGIN_CACHE_DIRECTORY"] = str(tmp_path)
            ended = here.run(aws, "--dry-run", config=None, **variables)
            assert_refused(aws, ended, code, "login: ", told)


def test_without_a_terminal_no_mfa_code_is_read(aws: FakeAws, tmp_path: Path) -> None:
    """Of stdin neither a code that lies there is read, nor is one waited for."""
    aws.load(WORLD)
    read, write = os.pipe()
    os.write(write, b"123456\n")
    ended = subprocess.run(
        (*COMMAND, "--dry-run", "--output", "out"),
        check=False,
        cwd=tmp_path,
        env=environment(aws, **without_keys(tmp_path, "mfa")),
        stdin=read,
        capture_output=True,
        start_new_session=True,  # without a terminal to fall back on
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert ended.returncode == 2
    assert "Enter MFA code" not in ended.stderr
    assert "Traceback" not in ended.stderr
    (failure,) = newest_report(tmp_path / "out")["failures"]
    assert (failure["reason"], failure["error_code"]) == ("no_credentials", "MfaCodeNeeded")
    assert "a profile without mfa_serial" in failure["message"]
    assert os.read(read, 100) == b"123456\n"
    assert calls(aws) == {}
    os.close(read)
    os.close(write)


@pytest.mark.parametrize(
    ("redirection", "is_asked"),
    [
        ("", True),
        pytest.param("< /dev/null", False, marks=pytest.mark.slow),
        pytest.param("2> errors", False, marks=pytest.mark.slow),
    ],
)
def test_at_a_terminal_an_mfa_code_is_asked_for(
    aws: FakeAws, tmp_path: Path, redirection: str, *, is_asked: bool
) -> None:
    """Not if stdin or stderr is redirected: then nobody sees the prompt, or can answer it."""
    aws.load(WORLD)
    command = shlex.join((*COMMAND, "--dry-run", "--output", "out"))
    child = pexpect.spawn(
        "/bin/sh",
        ["-c", f"exec {command} {redirection}"],
        cwd=str(tmp_path),
        env=environment(aws, TERM="xterm", **without_keys(tmp_path, "mfa")),
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS,
    )
    met = child.expect([r"Enter MFA code for \S+: ", pexpect.EOF])
    assert (met == 0) is is_asked
    if is_asked:
        child.sendeof()
        child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2
    assert calls(aws) == {}
