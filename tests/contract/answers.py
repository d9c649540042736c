"""What an endpoint answers, in a form in which two endpoints can be compared."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody

from tests.contract.calls import Scenario, Step
from tests.contract.endpoints import Contender, Endpoint

ABSENT = "(absent)"
# The endpoint's own choice; that there is one, and that it is a text, is compared.
_OWN = {
    *("AccessKeyId", "SecretAccessKey", "SessionToken", "AssumedRoleId", "UserId", "MessageId"),
    *("NextToken", "nextToken", "NextContinuationToken", "ContinuationToken"),
}
# The request, quoted; and what botocore reads elsewhere.
_QUOTED = {
    *("AWSAccessKeyId", "StringToSign", "StringToSignBytes", "SignatureProvided"),
    *("CanonicalRequest", "CanonicalRequestBytes", "Resource"),
    *("Error", "ResponseMetadata", "message", "Message", "Type"),
}
_POLICY = re.compile(r"(because no|with an explicit deny in an?) [a-z -]+? policy")


def run(contender: Contender, scenario: Scenario) -> Iterator[tuple[Step, Any]]:
    """Give each step's normalized answer, in order."""
    contender.scenario(scenario)
    endpoint, kept = contender.endpoint, dict[str, str]()
    for step in scenario.steps:
        yield step, _normalized(_answer(endpoint, step, kept), endpoint.names)


def _answer(endpoint: Endpoint, step: Step, kept: dict[str, str]) -> dict[str, Any]:
    client = endpoint.client(step.service, step.who, step.region)
    params = _filled(step.params, {**endpoint.names, **kept})
    try:
        answer = getattr(client, step.call)(**params)
    except ClientError as error:
        return _refusal(error.response)
    except BotoCoreError as error:  # an answer that botocore cannot read
        return {"unreadable": type(error).__name__}
    for name, member in step.keep.items():
        kept[name] = answer.get(member, "not-given")
    status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    return {"status": status, **answer}


def _refusal(response: Mapping[str, Any]) -> dict[str, Any]:
    error = dict(response["Error"])
    code, status = error.pop("Code"), response["ResponseMetadata"]["HTTPStatusCode"]
    message = error.pop("Message", "")
    others = {name: value for name, value in {**response, **error}.items() if name not in _QUOTED}
    # The words of an error are nobody's promise, but for which policy it is that denies.
    denied = _POLICY.search(message)
    return {"refused": f"{status} {code}", **others, **({"by": denied[0]} if denied else {})}


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case str():
            for name, own in names.items():
                value = value.replace(f"{{{name}}}", own)
            return value
        case Mapping():
            return {key: _filled(each, names) for key, each in value.items()}
        case list():
            return [_filled(each, names) for each in value]
    return value


def _normalized(value: Any, names: Mapping[str, str], name: str = "") -> Any:
    match value:
        case Mapping():
            return {key: _normalized(each, names, key) for key, each in value.items()}
        case list():
            return [_normalized(each, names) for each in value]
        case dt.datetime():
            return "(a time)"
        case StreamingBody():
            return value.read().decode()
        case str() if name in _OWN and value:
            return "(its own)"
        case str():
            for symbol, own in sorted(names.items(), key=lambda each: -len(each[1])):
                value = value.replace(own, f"{{{symbol}}}")
    return value


def differences(left: Any, right: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Give what differs, by path, where items of lists have no number; `refused` is all that
    differs where one refuses and the other does not.
    """
    match left, right:
        case dict(), dict():
            keys = {**left, **right}
            if ("refused" in left) != ("refused" in right):
                keys = {"refused": None}
            found: dict[str, tuple[Any, Any]] = {}
            for key in keys:
                one, other = left.get(key, ABSENT), right.get(key, ABSENT)
                found |= differences(one, other, f"{path}.{key}" if path else key)
            return found
        case list(), list() if len(left) == len(right):
            found = {}
            for one, other in zip(left, right, strict=True):
                found |= differences(one, other, f"{path}[]")
            return found
        case list(), list():
            return {path: (f"{len(left)} items", f"{len(right)} items")}
    return {} if left == right else {path: (left, right)}
