"""What a member's session is made of never stands in an error, nor in a header that breaks."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import MASK
from sweeper.domain.reasons import Reason
from tests.fuzz.test_answers import ACCOUNT, GOOD, TARGET, Wire

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE0123456789tokenOfTheMember"


@pytest.fixture
def wire() -> Wire:
    return Wire()


def assumed(token: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, GOOD["AssumeRole"].replace(b"THE-TOKEN", token.encode())


def failure(call: Callable[[], object]) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("ending", ["&#10;", "&#13;&#10;", "&#13;&#10;x-injected: 1", "&#9;x", "ü"])
def test_a_token_that_no_header_can_carry_fails_the_account(wire: Wire, ending: str) -> None:
    wire.other["AssumeRole"] = assumed(TOKEN + ending)
    error = failure(lambda: wire.cloud.open_account(ACCOUNT))
    assert error.reason is Reason.UNEXPECTED_RESPONSE
    assert "SessionToken" in error.message
    assert TOKEN[:20] not in error.message


@pytest.mark.parametrize(
    "message", [f"not with {TOKEN}", f"x-amz-security-token:{TOKEN} is bad", "x" * 480 + TOKEN]
)
def test_an_error_that_quotes_the_token_is_masked_before_it_is_cut(
    wire: Wire, message: str
) -> None:
    wire.other["AssumeRole"] = assumed(TOKEN)
    wire.cloud.open_account(ACCOUNT)
    body = json.dumps({"__type": f"Bad{TOKEN}", "message": message}).encode()
    wire.other["DescribeRepositories"] = (400, {}, body)
    error = failure(lambda: list(wire.registry.repositories(TARGET)))
    assert TOKEN[:10] not in f"{error.message}{error.error_code}"
    assert error.error_code == f"Bad{MASK}"


@pytest.mark.parametrize("name", ["RegionName", "RegionOptStatus"])
def test_a_value_that_is_quoted_is_masked(wire: Wire, name: str) -> None:
    wire.other["AssumeRole"] = assumed(TOKEN)
    region = {"RegionName": "eu-central-1", "RegionOptStatus": "ENABLED", name: TOKEN}
    body = json.dumps({"Regions": [region]}).encode()
    wire.other["ListRegions"] = (200, {}, body)
    if name == "RegionOptStatus":
        opened = wire.cloud.open_account(ACCOUNT)  # whose status is unknown: it is no error here
        assert opened.regions == (("eu-central-1", TOKEN),)
        return
    error = failure(lambda: wire.cloud.open_account(ACCOUNT))
    assert MASK in error.message
    assert TOKEN[:10] not in error.message
