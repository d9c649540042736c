"""What happens behind the clients' backs while they are at work."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.fake_aws.iam import glob
from tests.fake_aws.load import WorldError

if TYPE_CHECKING:
    from collections.abc import Container

    from tests.fake_aws.state import State
    from tests.fake_aws.world import Account, Event

# Action -> the fields that say what it is about.
NEEDED: dict[str, tuple[str, ...]] = {
    "delete_role": ("account",),
    "close_account": ("account",),
    "move_account": ("account", "parent"),
    "remove_account": ("account",),
    "disable_region": ("account", "region"),
    "delete_repository": ("account", "region", "repository"),
    "expire_sessions": (),
    "shift_clock": ("seconds",),
}
# An account's sessions, or all.
OPTIONAL = {"expire_sessions": ("account",)}
_ABOUT = ("account", "region", "parent", "repository", "seconds")


def check(state: State, events: tuple[Event, ...]) -> None:
    """Raise `WorldError`, naming the key, for an event that could not happen in this world."""
    known: dict[str, Container[str]] = {
        "account": state.accounts,
        "region": state.world.regions,
        "parent": {state.world.root_id, *state.units},
    }
    for index, event in enumerate(events):
        for name in _ABOUT:
            key, value = f"events[{index}].{name}", getattr(event, name)
            needed = name in NEEDED[event.action]
            if bool(value) != needed and name not in OPTIONAL.get(event.action, ()):
                raise WorldError(f"{key}: {event.action} needs {'it' if needed else 'none'}")
            if value and name in known and value not in known[name]:
                raise WorldError(f"{key}: {value!r} is not in this world")
        if event.after < 0:
            raise WorldError(f"events[{index}].after: 0 or more")


class Events:
    """The events to come; used from the event loop's thread only."""

    def __init__(self, state: State, events: tuple[Event, ...] = ()) -> None:
        self._state = state
        self._left = list(events)  # `after` is how many calls each still waits for
        self._happen()

    def called(self, operation: str, account: str) -> None:
        """Count a call that was answered, and let happen what was waiting for it."""
        if not self._left:
            return
        self._left = [
            dataclasses.replace(event, after=event.after - 1)
            if glob(event.operation, operation) and glob(event.caller, account)
            else event
            for event in self._left
        ]
        self._happen()

    def _happen(self) -> None:
        due = [event for event in self._left if event.after == 0]
        self._left = [event for event in self._left if event.after > 0]
        for event in due:
            happen(self._state, event)


def happen(state: State, event: Event) -> None:
    """Change the state as the event says."""
    account = state.accounts.get(event.account)
    match event.action:
        case "expire_sessions":
            state.expire_sessions(event.account)
        case "shift_clock":
            state.clock_offset += event.seconds
        case "delete_repository":
            state.registries.remove(event.account, event.region, event.repository)
        case _:
            assert account is not None
            _happen_to(state, account, event)


def _happen_to(state: State, account: Account, event: Event) -> None:
    replace = dataclasses.replace
    match event.action:
        case "delete_role":
            role = account.role or state.world.role
            state.change_account(replace(account, role=replace(role, exists=False)))
            # As in AWS: a session is unknown everywhere once its role is gone.
            state.forget_sessions(account.id, role.name)
        case "close_account":
            state.change_account(replace(account, state="CLOSED"))
            state.forget_sessions(account.id)
        case "move_account":
            state.change_account(replace(account, parent=event.parent))
        case "disable_region":
            regions = {**account.regions, event.region: "DISABLED"}
            state.change_account(replace(account, regions=regions))
        case _:  # remove_account: it lives on, outside, and its role still trusts the caller
            state.remove_member(account.id)
