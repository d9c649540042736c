"""Runs the fake AWS as a process of its own, for tests and benchmarks."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

from tests.fake_aws.load import decode
from tests.fake_aws.world import (
    CreationTemplate,
    Event,
    Fault,
    Mutability,
    Repository,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

_ROOT = Path(__file__).parents[2]
_CONTROL_TIMEOUT_SECONDS = 120
_STOP_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """The ground truth about one repository."""

    account: str
    region: str
    name: str
    mutability: Mutability
    exclusion_filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object in S3; header names are lower case."""

    bucket: str
    key: str
    body: bytes
    etag: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Statistics:
    """What the fake was asked; `data` has everything, the attributes name what tests ask most."""

    data: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        """Give `data[name]`; raises AttributeError for a name that is not counted."""
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(
                f"{name} is not counted; counted: {', '.join(self.data)}"
            ) from None


class FakeAws:
    """A context manager around the process; `world` may be changed at run time with `load`.

    With `tls`, a file with a key and its certificate, it listens by TLS too, on `tls_port`.
    """

    def __init__(
        self,
        world: World | Mapping[str, Any] | None = None,
        *,
        region: str | None = None,
        tls: Path | None = None,
    ) -> None:
        self.world = _world(world)
        self.tls_port: int | None = None
        self._region = region
        self._tls = tls
        self._process: subprocess.Popen[str] | None = None
        self._endpoint = ""

    def __enter__(self) -> Self:
        """Start; returns when it listens.

        Raises RuntimeError when it does not start; standard error says why.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(self.world.to_json(), file)
            file.flush()
            command = [sys.executable, "-m", "tests.fake_aws", "--world", file.name]
            command += ["--tls", str(self._tls)] if self._tls else []
            self._process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the fake AWS ended with {self._process.wait()} before it listened")
        where = json.loads(line)
        self._endpoint, self.tls_port = where["endpoint"], where.get("tls_port")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process and wait for it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    @property
    def endpoint(self) -> str:
        """The URL that all services share."""
        return self._endpoint

    @property
    def pid(self) -> int:
        """The process id, to measure what it costs; raises RuntimeError when it does not run."""
        if self._process is None:
            raise RuntimeError("the fake AWS is not running")
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make any client the world's caller here, and only that."""
        caller = self.world.caller
        region = self._region or next(iter(self.world.regions))
        variables = {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": caller.access_key_id,
            "AWS_SECRET_ACCESS_KEY": caller.secret_access_key,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }
        return variables | (
            {"AWS_SESSION_TOKEN": caller.session_token} if caller.session_token else {}
        )

    def load(self, world: World | Mapping[str, Any]) -> None:
        """Replace the world: sessions, objects, messages, faults and statistics start anew."""
        self.world = _world(world)
        self._ask("PUT", "world", self.world.to_json())

    def statistics(self) -> Statistics:
        """Give the counts since the start or the last reset."""
        return Statistics(self._ask("GET", "statistics"))

    def reset_statistics(self) -> None:
        """Zero the counts."""
        self._ask("DELETE", "statistics")

    def repositories(self, account: str = "*", region: str = "*") -> list[RepositoryState]:
        """Give the present state of every repository whose account and region match the globs."""
        rows = self._ask("GET", f"repositories?{urlencode({'account': account, 'region': region})}")
        return [
            RepositoryState(**{**each, "exclusion_filters": tuple(each["exclusion_filters"])})
            for each in rows
        ]

    def put_repository(self, account: str, region: str, repository: Repository) -> None:
        """Create or change a repository behind the clients' backs."""
        data = dataclasses.asdict(repository)
        self._ask("PUT", "repository", {"account": account, "region": region, "repository": data})

    def delete_repository(self, account: str, region: str, name: str) -> bool:
        """Delete a repository behind the clients' backs; whether there was one."""
        return bool(
            self._ask("DELETE", "repository", {"account": account, "region": region, "name": name})
        )

    def templates(self, account: str, region: str) -> dict[str, CreationTemplate]:
        """Give the present state of a registry's creation templates, by prefix."""
        rows = self._ask("GET", f"template?{urlencode({'account': account, 'region': region})}")
        return {prefix: decode(CreationTemplate, each, "template") for prefix, each in rows.items()}

    def put_template(self, account: str, region: str, template: CreationTemplate) -> None:
        """Create or change a creation template behind the clients' backs."""
        data = dataclasses.asdict(template)
        self._ask("PUT", "template", {"account": account, "region": region, "template": data})

    def delete_template(self, account: str, region: str, prefix: str) -> None:
        """Delete a creation template behind the clients' backs."""
        self._ask("DELETE", "template", {"account": account, "region": region, "prefix": prefix})

    def faults(self, faults: Sequence[Fault | Mapping[str, Any]]) -> None:
        """Replace the fault rules, and send what they held; an empty list ends all faults."""
        self._ask("PUT", "faults", _plain(faults))

    def events(self, events: Sequence[Event | Mapping[str, Any]]) -> None:
        """Replace what is to happen behind the clients' backs."""
        self._ask("PUT", "events", _plain(events))

    def expire_sessions(self) -> int:
        """End every role session handed out so far, without a wait; how many there were."""
        return int(self._ask("DELETE", "sessions"))

    def secrets(self) -> list[str]:
        """Give every secret key and session token that this world has known."""
        secrets: list[str] = self._ask("GET", "secrets")
        return secrets

    def objects(self) -> list[Stored]:
        """Give every S3 object."""
        rows = self._ask("GET", "objects")
        return [Stored(**{**each, "body": base64.b64decode(each["body"])}) for each in rows]

    def messages(self) -> list[dict[str, Any]]:
        """Give every SNS message, oldest first."""
        messages: list[dict[str, Any]] = self._ask("GET", "messages")
        return messages

    def put_events(self) -> list[dict[str, Any]]:
        """Give the entries of PutEvents that were accepted, each `Detail` decoded."""
        entries: list[dict[str, Any]] = self._ask("GET", "put_events")
        return entries

    def findings(self) -> list[dict[str, Any]]:
        """Give every finding in Security Hub, each with the `region` that it was imported into."""
        findings: list[dict[str, Any]] = self._ask("GET", "findings")
        return findings

    def _ask(self, method: str, name: str, body: object = None) -> Any:
        """Make a control request; raises RuntimeError with the fake's words for a refused one."""
        connection = http.client.HTTPConnection(
            urlsplit(self._endpoint).netloc, timeout=_CONTROL_TIMEOUT_SECONDS
        )
        try:
            connection.request(method, f"/_fake/{name}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise RuntimeError(answer["error"])
        return answer


def _plain(items: Sequence[Event | Fault | Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        dataclasses.asdict(each) if isinstance(each, Event | Fault) else dict(each)
        for each in items
    ]


def _world(world: World | Mapping[str, Any] | None) -> World:
    if isinstance(world, World):
        return world
    return World.generate() if world is None else World.from_json(dict(world))
