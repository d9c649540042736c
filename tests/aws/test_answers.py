"""An answer without what AWS promises is no answer, not an empty one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sweeper.aws.client.answers import (
    account_id,
    optional_str,
    region,
    require,
    require_list,
    require_str,
)
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from tests.cases import case


def test_what_is_promised_is_there() -> None:
    assert require({"Accounts": []}, "Accounts") == []
    assert require_list({"Accounts": [{}]}, "Accounts") == [{}]
    assert require_str({"Name": "x"}, "Name") == "x"
    assert account_id({"Id": "012345678901"}, "Id") == "012345678901"
    assert region({"Name": "us-iso-west-12"}, "Name") == "us-iso-west-12"
    assert [optional_str(each, "Name") for each in ({}, {"Name": ""}, {"Name": None})] == [""] * 3


def test_what_is_not_is_said() -> None:
    cases: list[tuple[Callable[..., object], Any, str]] = [
        (require, {}, "the response has no Key"),
        (require, [], "list where a structure with Key belongs"),
        (require_str, {}, "the response has no Key"),
        (require_str, None, "NoneType where a structure with Key belongs"),
        (require_str, {"Key": ""}, "Key is str, not text, or empty"),
        (require_str, {"Key": 7}, "Key is int, not text, or empty"),
        (optional_str, {"Key": {}}, "Key is dict, not text, or empty"),
        (optional_str, "x", "str where a structure with Key belongs"),
        (account_id, {"Key": 12}, "Key is int, not text, or empty"),
        (account_id, {"Key": "1:role/x"}, "Key is '1:role/x'"),
        (account_id, {"Key": "012345678901\n"}, r"Key is '012345678901\\n'"),
        (region, {"Key": "evil.example/#"}, "Key is 'evil.example/#'"),
        (region, {"Key": "x" * 1000}, f"Key is '{'x' * 40}'"),
        (require_list, {"Key": {}}, "Key is dict, not a list"),
        (require_list, {"Key": None}, "Key is NoneType, not a list"),
        (require_list, {"Key": [{}, None]}, "Key hold a NoneType"),
    ]
    for read, answer, words in cases:
        with case(read, answer, words):
            with pytest.raises(
                OperationFailed, match=f"{words}: it is not what AWS sends"
            ) as caught:
                read(answer, "Key")
            assert caught.value.reason is Reason.UNEXPECTED_RESPONSE
            assert caught.value.uncertain
