"""Turns JSON into the frozen dataclasses of `world` and back, with errors that name the key."""

from __future__ import annotations

import dataclasses
import json
import re
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_aws.world import Fault, World

_SCALARS: dict[type, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
}
_MOST_ACCOUNTS_ON_A_PAGE = 20


class WorldError(ValueError):
    """The description is wrong; the text names the key and what is allowed there."""


@lru_cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    missing = dataclasses.MISSING
    return {
        each.name: (hints[each.name], each.default is missing and each.default_factory is missing)
        for each in dataclasses.fields(kind)
    }


def decode(kind: Any, data: object, key: str) -> Any:
    """Build a value of type `kind` from JSON data; a value of a dataclass passes as it is."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(kind, data, key)
    if origin is Literal:
        if data not in get_args(kind):
            raise WorldError(
                f"{key}: {data!r} is not allowed; allowed: {', '.join(get_args(kind))}"
            )
        return data
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise WorldError(f"{key}: a list is expected, not {data!r}")
        return tuple(decode(get_args(kind)[0], item, f"{key}[{i}]") for i, item in enumerate(data))
    if origin is dict:
        if not isinstance(data, dict):
            raise WorldError(f"{key}: an object is expected, not {data!r}")
        return {
            str(name): decode(get_args(kind)[1], item, f"{key}.{name}")
            for name, item in data.items()
        }
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, key)
    accepted = _SCALARS[kind]
    if not isinstance(data, accepted) or (isinstance(data, bool) and kind is not bool):
        raise WorldError(f"{key}: a value of type {kind.__name__} is expected, not {data!r}")
    return data


def _decode_union(kind: Any, data: object, key: str) -> Any:
    if data is None:
        return None
    (wanted,) = (each for each in get_args(kind) if each is not type(None))
    return decode(wanted, data, key)


def _decode_dataclass(kind: Any, data: object, key: str) -> Any:
    if isinstance(data, kind):
        return data
    if not isinstance(data, dict):
        raise WorldError(f"{key}: an object is expected, not {data!r}")
    fields = _fields(kind)
    for name in data:
        if name not in fields:
            raise WorldError(f"{key}.{name}: unknown key; allowed: {', '.join(fields)}")
    for name, (_, required) in fields.items():
        if required and name not in data:
            raise WorldError(f"{key}.{name}: this key is required")
    return kind(
        **{name: decode(fields[name][0], item, f"{key}.{name}") for name, item in data.items()}
    )


def decode_field(kind: type, name: str, data: object) -> Any:
    """Build the value of one field of a dataclass, for changes given by keyword."""
    fields = _fields(kind)
    if name not in fields:
        raise WorldError(f"world.{name}: unknown key; allowed: {', '.join(fields)}")
    return decode(fields[name][0], data, f"world.{name}")


def encode(value: Any) -> Any:
    """Give the JSON form of a dataclass value, without the fields that have their defaults."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: encode(getattr(value, each.name))
            for each in dataclasses.fields(value)
            if not _is_default(each, getattr(value, each.name))
        }
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {name: encode(item) for name, item in value.items()}
    return value


def _is_default(each: dataclasses.Field[Any], value: object) -> bool:
    if each.default_factory is not dataclasses.MISSING:
        return bool(value == each.default_factory())
    return bool(value == each.default)


def read(path: Path) -> object:
    """Read a JSON file; raises `WorldError` when it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorldError(f"{path}: {error}") from error


def _require(condition: object, message: str) -> None:
    if not condition:
        raise WorldError(message)


def check_faults(faults: tuple[Fault, ...], key: str) -> None:
    """Raise `WorldError` for a share that is none."""
    for index, fault in enumerate(faults):
        _require(0 < fault.share <= 1, f"{key}[{index}].share: above 0, at most 1")
        _require(fault.rate > 0, f"{key}[{index}].rate: above 0")


def check(world: World) -> None:
    """Raise `WorldError` for what types alone do not say."""
    ids = [account.id for account in world.accounts]
    for index, account_id in enumerate(ids):
        _require(
            re.fullmatch(r"\d{12}", account_id),
            f"world.accounts[{index}].id: 12 digits, not {account_id!r}",
        )
    _require(len(set(ids)) == len(ids), "world.accounts: every id may occur only once")
    parents = {"", world.root_id, *(unit.id for unit in world.units)}
    for index, account in enumerate(world.accounts):
        _require(
            account.parent in parents,
            f"world.accounts[{index}].parent: {account.parent!r} is neither the root nor a unit",
        )
        strange = set(account.regions) - set(world.regions)
        _require(
            not strange, f"world.accounts[{index}].regions: not in world.regions: {sorted(strange)}"
        )
    for index, unit in enumerate(world.units):
        _require(
            unit.parent in parents,
            f"world.units[{index}].parent: {unit.parent!r} is neither the root nor a unit",
        )
    _require(
        1 <= world.list_accounts_page_size <= _MOST_ACCOUNTS_ON_A_PAGE,
        f"world.list_accounts_page_size: 1 to {_MOST_ACCOUNTS_ON_A_PAGE}, not "
        f"{world.list_accounts_page_size}",
    )
    _require(0 <= world.non_compliant_share <= 1, "world.non_compliant_share: 0 to 1")
    check_faults(world.faults, "world.faults")
    _require(
        world.management_account in ids, "world.management_account: must be one of world.accounts"
    )
    expected = {
        "management": {world.management_account},
        "delegated": set(world.delegated_administrators),
    }
    allowed = expected.get(world.caller_mode)
    _require(
        allowed is None or world.caller.account in allowed,
        f"world.caller.account: caller_mode {world.caller_mode} needs one of "
        f"{sorted(allowed or ())}",
    )
