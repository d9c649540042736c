"""Read config.yaml: strictly, and in bounded time and memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sweeper.config.provenance import Values
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError

MAX_BYTES = 1_000_000
_MAX_NUMBER = 2**63  # of a number: Python itself prints none of more than 4,300 digits


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys, and without aliases, which make a gigabyte of a few lines."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, f"alias *{event.anchor}: write out what it stands for", event.start_mark
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is not text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key!r}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=deep)
        except ValueError as error:  # a date such as 2027-02-30
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value[:40]}: {error}", node.start_mark
            ) from None
        if isinstance(value, int) and abs(value) > _MAX_NUMBER:
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value[:40]}: the number is too large", node.start_mark
            )
        return value


def read_file(path: str) -> str:
    """Return the text of the file. Raises ConfigurationError."""
    try:
        with Path(path).open("rb") as file:
            return decode(path, file.read(MAX_BYTES + 1))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def decode(location: str, content: bytes) -> str:
    """Return the text of the file at `location`. Raises ConfigurationError."""
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{location}: too large; allowed: {MAX_BYTES:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{location}: not UTF-8 text: byte {error.start}") from None


def parse_file(path: str, text: str) -> Values:
    """Return the values in the text of the file at `path`. Raises ConfigurationError."""
    try:
        values = yaml.load(text, _StrictLoader)  # noqa: S506 (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigurationError(f"{path}:{where} not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deeply") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: a mapping of keys is expected, such as 'report:'")
    # An empty section ("report:" alone) means its defaults.
    return {
        key: value
        for key, value in values.items()
        if value is not None or key not in Config.model_fields
    }
