"""The SDK's parsers, for answers that are not what AWS sends: one error, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.parsers import ResponseParserError, ResponseParserFactory

# What the SDK's parsers, which trust the answer's shape, trip over when it has another.
_TRIPPED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,  # too deep, or a time that no calendar has
    TypeError,
    ValueError,
    ResponseParserError,
)
_JSON_PROTOCOLS = ("json", "rest-json")
# By the name of an answer's shape, the list whose items an update writes as a whole: each of them
# says which of its keys the SDK's model does not know, and so leaves out.
_WRITTEN_WHOLE = {"DescribeRepositoryCreationTemplatesResponse": "repositoryCreationTemplates"}
NOT_MODELLED = "sweeper:notModelled"


class CheckedParsers(ResponseParserFactory):
    """Makes parsers that raise ResponseParserError, and nothing else, for an answer of no use."""

    def create_parser(self, protocol_name: str) -> Any:
        """Return the SDK's parser of the protocol, checked."""
        return _CheckedParser(super().create_parser(protocol_name), protocol_name)


class _CheckedParser:
    def __init__(self, parser: Any, protocol: str) -> None:
        self._parser = parser
        self._is_json = protocol in _JSON_PROTOCOLS

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        """Parse as the SDK does; the error quotes nothing: answers of STS hold credentials."""
        try:
            parsed = self._parser.parse(response, shape)
            if not isinstance(parsed, dict):
                raise TypeError("no object")
            if not isinstance(parsed.get("Error", {}).get("Code", ""), str):
                raise TypeError("no error code")
            if self._is_json and shape is not None:
                _refuse_false_lists(response["body"], shape, parsed)
                if parsed.get(_WRITTEN_WHOLE.get(shape.name, "")):
                    _name_not_modelled(response["body"], shape, parsed)
        except _TRIPPED as error:
            raise ResponseParserError(
                f"the answer could not be read ({type(error).__name__}): it is not what AWS sends"
            ) from None
        return parsed


def _refuse_false_lists(body: bytes, shape: Any, parsed: Mapping[str, Any]) -> None:
    """Raise TypeError where an empty list is made of something else, such as an empty text."""
    for name, member in shape.members.items():
        if member.type_name == "list" and parsed.get(name) == []:
            value = json.loads(body)[member.serialization.get("name", name)]
            if not isinstance(value, list):
                raise TypeError(f"{name} is no list")


def _name_not_modelled(body: bytes, shape: Any, parsed: Mapping[str, Any]) -> None:
    key = _WRITTEN_WHOLE[shape.name]
    model = shape.members[key].member
    for item, raw in zip(parsed[key], json.loads(body)[key], strict=True):
        item[NOT_MODELLED] = sorted(_not_modelled(raw, model))


def _not_modelled(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """Return the paths of the keys in `value` that `shape` does not have, at any depth."""
    if shape.type_name == "list" and isinstance(value, list):
        for each in value:
            yield from _not_modelled(each, shape.member, path)
    elif shape.type_name == "structure" and isinstance(value, dict):
        known = {
            member.serialization.get("name", name): member for name, member in shape.members.items()
        }
        for name, each in value.items():
            if name in known:
                yield from _not_modelled(each, known[name], f"{path}{name}.")
            elif each is not None:
                yield f"{path}{name}"
