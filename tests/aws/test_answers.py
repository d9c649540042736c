"""An answer without what AWS promises is no answer, not an empty one: a table of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sweeper.aws.answers import account_id, items, optional_text, region, required, text
from sweeper.errors import OperationFailed
from sweeper.model import Reason

Reader = Callable[[Any, str], Any]


@pytest.mark.parametrize(
    ("read", "answer", "value"),
    [
        (required, {"Key": 1}, 1),
        (required, {"Key": None}, None),
        (text, {"Key": "word"}, "word"),
        (text, {"Key": ""}, ""),
        (optional_text, {"Key": "word"}, "word"),
        (optional_text, {"Key": ""}, ""),
        (optional_text, {"Key": None}, ""),
        (optional_text, {}, ""),
        # What is no structure has no text either; what needs one says so.
        (optional_text, ["Key"], ""),
        (account_id, {"Key": "012345678901"}, "012345678901"),
        (region, {"Key": "eu-central-1"}, "eu-central-1"),
        (region, {"Key": "us-iso-west-12"}, "us-iso-west-12"),
        (items, {"Key": []}, []),
        (items, {"Key": [1, "a"]}, [1, "a"]),
    ],
)
def test_what_is_there_is_read(read: Reader, answer: Any, value: Any) -> None:
    assert read(answer, "Key") == value


@pytest.mark.parametrize(
    ("read", "answer", "said"),
    [
        (required, {}, "the response has no Key"),
        (required, None, "NoneType where a structure with Key belongs"),
        (required, "Key", "str where a structure with Key belongs"),
        (required, ["Key"], "list where a structure with Key belongs"),
        (text, {}, "the response has no Key"),
        (text, {"Key": None}, "Key is NoneType, not text"),
        (text, {"Key": 5}, "Key is int, not text"),
        (text, {"Key": ["a"]}, "Key is list, not text"),
        (optional_text, {"Key": 5}, "Key is int, not text"),
        (optional_text, {"Key": {"a": 1}}, "Key is dict, not text"),
        (account_id, {"Key": 12}, "Key is int, not text"),
        (account_id, {"Key": "1:role/x"}, "Key is '1:role/x'"),
        (account_id, {"Key": "012345678901\n"}, "Key is '012345678901\\n'"),
        (region, {"Key": "evil.example/#"}, "Key is 'evil.example/#'"),
        (region, {"Key": "x" * 1000}, f"Key is '{'x' * 40}'"),
        (items, {}, "the response has no Key"),
        (items, {"Key": None}, "Key is NoneType, not a list"),
        (items, {"Key": "text"}, "Key is str, not a list"),
        (items, {"Key": {}}, "Key is dict, not a list"),
    ],
)
def test_what_is_not_there_is_named(read: Reader, answer: Any, said: str) -> None:
    with pytest.raises(OperationFailed) as caught:
        read(answer, "Key")
    assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
    assert caught.value.message == f"{said}: it is not what AWS sends"
