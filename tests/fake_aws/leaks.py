"""Right answers and errors with secrets in their texts, as a hostile or broken service could send.

What a client needs to go on (ids, tokens, credentials) is left as it is most of the time, so that
the secrets travel as far as they can.
"""

from __future__ import annotations

import dataclasses
import json
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tests.fake_aws.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fake_aws.wire import Reply

_KEYS = {"AccessKeyId", "SecretAccessKey", "SessionToken"}  # others are none that the client knows
_NEEDED = {
    *("Account", "Arn", "Expiration", "Id", "NextToken", "Paths", "RegionName"),
    *("RegionOptStatus", "State", "nextToken", "prefix", "registryId"),
    *("repositoryArn", "repositoryName"),
}
_CODES = ("AccessDenied", "ThrottlingException", "Strange")


def error_with(secrets: Sequence[str], draw: int) -> ApiError | None:
    """Give an error that quotes secrets, for an eighth of the calls."""
    dice = Random(draw)
    if dice.random() > 0.125:
        return None
    code = dice.choice((*_CODES, f"Bad-{dice.choice(secrets)}"))
    long = "x" * dice.choice((0, 480))  # so that the client cuts the message within a secret
    return ApiError(code, f"Not with {long}{_with(secrets, dice, 'this')}!", 400)


def leaked(reply: Reply, secrets: Sequence[str], draw: int) -> Reply:
    """Give the reply with secrets in some of its texts, as `draw` says."""
    dice = Random(draw)
    try:
        if "json" in reply.content_type:
            data = _in_json(json.loads(reply.body), secrets, dice, "")
            return dataclasses.replace(reply, body=json.dumps(data).encode())
        root = ET.fromstring(reply.body)
    except (ValueError, ET.ParseError):
        return reply  # an object in S3, or nothing
    for element in root.iter():
        name = element.tag.rpartition("}")[2]
        if len(element) == 0 and element.text and dice.random() < _share(name):
            element.text = _with(secrets, dice, element.text)
    return dataclasses.replace(reply, body=ET.tostring(root))


def _in_json(value: Any, secrets: Sequence[str], dice: Random, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _in_json(each, secrets, dice, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_in_json(each, secrets, dice, name) for each in value]
    if isinstance(value, str) and dice.random() < _share(name):
        return _with(secrets, dice, value)
    return value


def _share(name: str) -> float:
    if name in _KEYS:
        return 0
    return 0.01 if name in _NEEDED else 0.4


def _with(secrets: Sequence[str], dice: Random, text: str) -> str:
    secret = dice.choice(secrets)
    return dice.choice(
        (secret, f"{text}-{secret}", f"{secret}/{text}", f"a={quote(secret, safe='')}&b={text}")
    )
