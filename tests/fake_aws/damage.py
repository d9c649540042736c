"""Right answers made wrong: valid HTTP with a body that is not what AWS sends.

Only the shape is damaged.  A text in the place of a text, or a page token that is gone, makes
another right answer, which nobody could tell from the true one.
"""

from __future__ import annotations

import dataclasses
import json
import re
from random import Random
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from tests.fake_aws.wire import Reply

_DEPTH = 100_000
_HUGE = ("9" * 5000, "-1e999", "1" + "0" * 400)
_HUGE_MARK = "a huge number stands here"
_NUMBER = re.compile(r"\d[\dTZ.:-]*")  # a number or a time
_TOKENS = {"NextToken", "nextToken"}
_WRONG: tuple[tuple[type | tuple[type, ...], tuple[Any, ...]], ...] = (
    (str, (5, True, False, ["x"], [], {"x": "y"}, {})),
    (list, ("text", "", 7, False, {"x": 1}, {}, [7], ["text"], [None], [[]])),
    (dict, ("text", "", 5, True, [1], [])),
    ((int, float), ("text", [], {}, "")),
)


def damaged(reply: Reply, draw: int) -> Reply:
    """Give the reply with its body, or headers where it has none, damaged as `draw` says."""
    dice = Random(draw)
    if not reply.body:
        return dataclasses.replace(reply, headers=())
    damage = _json if "json" in reply.content_type else _xml
    return dataclasses.replace(reply, body=damage(reply.body, dice))


def _cut(body: bytes, dice: Random) -> bytes:
    return body[: dice.randrange(len(body))]


def _json(body: bytes, dice: Random) -> bytes:
    kind = dice.choice(("cut", "deep", "list", "null", "missing", "wrong", "wrong", "huge"))
    try:
        data = json.loads(body)
    except ValueError:  # an object in S3 is what somebody put there
        kind = "cut"
    match kind:
        case "cut":
            return _cut(body, dice)
        case "deep":
            nested = b"[" * _DEPTH + b"]" * _DEPTH
            return nested if dice.random() < 0.5 else body[:-1] + b',"deep":' + nested + b"}"
        case "list":
            return b"[" + body + b"]"
    _change(data, kind, dice)
    text = json.dumps(data, separators=(",", ":"))
    return text.replace(f'"{_HUGE_MARK}"', dice.choice(_HUGE)).encode()


def _change(data: Any, kind: str, dice: Random) -> None:
    """Change one place in `data`; the nearer to the top the likelier."""
    holder, key = data, dice.choice(sorted(data))
    while isinstance(holder[key], dict | list) and holder[key] and dice.random() < 0.6:
        holder = holder[key]
        key = (
            dice.randrange(len(holder)) if isinstance(holder, list) else dice.choice(sorted(holder))
        )
    if isinstance(holder, list) and kind == "missing":
        kind = "null"
    if key in _TOKENS and kind in ("null", "missing"):
        kind = "wrong"
    match kind:
        case "null":
            holder[key] = None
        case "missing":
            del holder[key]
        case "huge":
            holder[key] = _HUGE_MARK
        case _:
            holder[key] = _wrong(holder[key], dice)


def _wrong(value: Any, dice: Random) -> Any:
    for kind, choices in _WRONG:
        if isinstance(value, kind):
            return dice.choice(choices)
    return "text"


def _xml(body: bytes, dice: Random) -> bytes:
    kind = dice.choice(("cut", "deep", "missing", "empty", "nested", "huge"))
    try:
        root = ET.fromstring(body)
    except ET.ParseError:
        kind = "cut"
    if kind == "cut":
        return _cut(body, dice)
    if kind == "deep":
        start = body.rindex(b"</")
        return body[:start] + b"<x>" * _DEPTH + b"</x>" * _DEPTH + body[start:]
    places = [(parent, child) for parent in root.iter() for child in parent]
    numbers = [place for place in places if _NUMBER.fullmatch(place[1].text or "")]
    parent, child = dice.choice(numbers if kind == "huge" and numbers else places)
    if kind == "missing":
        parent.remove(child)
    else:
        text = child.text
        attributes, tail = dict(child.attrib), child.tail
        child.clear()
        child.attrib.update(attributes)
        child.tail = tail
        if kind == "nested":
            ET.SubElement(child, "x").text = text
        elif kind == "huge":
            child.text = dice.choice(_HUGE)
    return ET.tostring(root)
