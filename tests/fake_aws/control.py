"""The tests' own requests under `/_fake/`: plain JSON, unsigned, not counted."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tests.fake_aws import events, load
from tests.fake_aws.events import Events
from tests.fake_aws.faults import Faults
from tests.fake_aws.state import State
from tests.fake_aws.wire import Reply, Request
from tests.fake_aws.world import CreationTemplate, Event, Fault, Repository, World

if TYPE_CHECKING:
    from tests.fake_aws.protocol import Server

PREFIX = "/_fake/"


def handle(server: Server, request: Request) -> Reply:
    """Answer a control request; a wrong one gets status 400 and a text that says why."""
    name = request.path.removeprefix(PREFIX)
    try:
        body = json.loads(request.body) if request.body else None
        result = _act(server, request.method, name, dict(parse_qsl(request.query)), body)
    except (load.WorldError, ValueError, KeyError, TypeError) as error:
        return Reply(
            400, "application/json", json.dumps({"error": str(error) or repr(error)}).encode()
        )
    return Reply(200, "application/json", json.dumps(result, separators=(",", ":")).encode())


def _act(  # noqa: C901, PLR0911, PLR0912 - a table
    server: Server, method: str, name: str, query: dict[str, str], body: Any
) -> Any:
    state = server.state
    match method, name:
        case "GET", "statistics":
            return {**state.counters.to_json(), "held": len(server.held)}
        case "DELETE", "statistics":
            state.counters = state.counters.fresh()
        case "GET", "repositories":
            return list(state.repositories(query.get("account", "*"), query.get("region", "*")))
        case "PUT", "repository":
            repository = load.decode(Repository, body["repository"], "repository")
            state.registries.put(body["account"], body["region"], repository)
        case "DELETE", "repository":
            return state.registries.remove(body["account"], body["region"], body["name"])
        case "GET", "template":
            found = state.registries.templates(query["account"], query["region"])
            return {prefix: load.encode(each) for prefix, each in found.items()}
        case "PUT", "template":
            template = load.decode(CreationTemplate, body["template"], "template")
            there = state.registries.templates(body["account"], body["region"])
            there[template.prefix] = template
        case "DELETE", "template":
            del state.registries.templates(body["account"], body["region"])[body["prefix"]]
        case "PUT", "faults":
            faults = load.decode(tuple[Fault, ...], body, "faults")
            load.check_faults(faults, "faults")
            state.faults = Faults(faults)
            server.release()
        case "PUT", "events":
            happening = load.decode(tuple[Event, ...], body, "events")
            events.check(state, happening)
            state.events = Events(state, happening)
        case "DELETE", "sessions":
            return state.expire_sessions()
        case "GET", "secrets":
            return state.secrets
        case "GET", "objects":
            return _objects(state)
        case "GET", "messages":
            return state.messages
        case "GET", "put_events":
            return state.put_events
        case "GET", "findings":
            return [{"region": region, **each} for (region, _), each in state.findings.items()]
        case "PUT", "world":
            fresh = State(World.from_json(body), state.clock)
            fresh.counters = state.counters.fresh()
            server.state = fresh
            server.release()
        case _:
            raise ValueError(f"{method} {PREFIX}{name} is not offered")
    return None


def _objects(state: State) -> list[dict[str, Any]]:
    return [
        {
            "bucket": bucket,
            "key": key,
            "body": base64.b64encode(each.body).decode(),
            "etag": each.etag,
            "headers": each.headers,
        }
        for bucket, objects in state.objects.items()
        for key, each in objects.items()
    ]
