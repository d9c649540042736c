"""What the fake was asked, counted cheaply enough to be always on."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

_MOST_REFUSALS = 100
_MOST_USER_AGENTS = 50


@dataclass(slots=True)
class Counters:
    """Counts since the start or the last reset; `to_json` is what a client reads."""

    calls: Counter[str] = field(default_factory=Counter)
    calls_by_account: Counter[str] = field(default_factory=Counter)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    pages: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    bad_signatures: int = 0
    bad_scopes: int = 0
    unknown_keys: int = 0
    expired: int = 0
    unsigned: int = 0
    unknown_operations: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    max_connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    assume_role: list[dict[str, Any]] = field(default_factory=list)
    user_agents: set[str] = field(default_factory=set)
    writes: list[dict[str, Any]] = field(default_factory=list)
    template_writes: list[dict[str, Any]] = field(default_factory=list)
    first_call: float | None = None

    def called(self, service: str, account: str, delay: float) -> None:
        """Count a call to a service upon an account that is answered in `delay` seconds."""
        self.calls_by_account[account] += 1
        now = time.monotonic()
        if self.first_call is None:
            self.first_call = now
        arrived = now - self.first_call
        key = f"{service}:{account}"
        first, _ = self.spans.get(key, (arrived, arrived))
        self.spans[key] = (first, arrived + delay)

    def refuse(self, operation: str, account: str, region: str, reason: str) -> None:
        """Keep why a call was refused; only the first hundred."""
        if len(self.refused) < _MOST_REFUSALS:
            self.refused.append(
                {"operation": operation, "account": account, "region": region, "reason": reason}
            )

    def saw(self, user_agent: str) -> None:
        """Keep a user agent, up to a cap."""
        if user_agent not in self.user_agents and len(self.user_agents) < _MOST_USER_AGENTS:
            self.user_agents.add(user_agent)

    def connection_opened(self) -> None:
        """Count a connection that has made its first AWS call."""
        self.connections += 1
        self.open_connections += 1
        self.max_connections = max(self.max_connections, self.open_connections)

    def began(self) -> None:
        """Count a request as under way."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def fresh(self) -> Counters:
        """Give zeroed counters that still know what is open and under way."""
        return Counters(
            open_connections=self.open_connections,
            max_connections=self.open_connections,
            in_flight=self.in_flight,
            max_in_flight=self.in_flight,
        )

    def to_json(self) -> dict[str, Any]:
        """Give everything; `assume_roles` counts the calls for each target account.

        `spans` are, for each service and account acted upon (``ecr:111111111111``), when its first
        call arrived and when its last one was answered, in seconds since the first call of all.
        """
        counters = ("calls", "calls_by_account", "pages", "errors", "faults")
        plain = (
            *(
                "bad_signatures",
                "bad_scopes",
                "unknown_keys",
                "expired",
                "unsigned",
                "unknown_operations",
                "refused",
            ),
            *("connections", "open_connections", "max_connections", "in_flight", "max_in_flight"),
            *("spans", "assume_role", "writes", "template_writes"),
        )
        return {
            "total_calls": sum(self.calls.values()),
            **{name: dict(sorted(getattr(self, name).items())) for name in counters},
            **{name: getattr(self, name) for name in plain},
            "assume_roles": dict(Counter(each["account"] for each in self.assume_role)),
            "user_agents": sorted(self.user_agents),
        }
