"""Amazon SNS: publishing to a topic; what each protocol's subscriber would get."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING

from tests.fake_aws.services.base import Call, Service
from tests.fake_aws.wire import QUERY_CODES, ApiError, Codes, Query, elements

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = Service(
    "sns",
    Query("http://sns.amazonaws.com/doc/2010-03-31/"),
    Codes(
        unknown_key=QUERY_CODES.unknown_key,
        expired=QUERY_CODES.expired,
        bad_signature=QUERY_CODES.bad_signature,
        bad_scope=QUERY_CODES.bad_scope,
        missing_authentication=QUERY_CODES.missing_authentication,
        denied=("AuthorizationError", 403),
        throttle=("Throttling", 400),
        server_error=("InternalError", 500),
        invalid=("InvalidParameter", 400),
        unknown_operation=("InvalidAction", 400),
    ),
    target="2010-03-31",
)
_LARGEST_MESSAGE = 256 * 1024
_SUBJECT = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,98}")
_ATTRIBUTE = re.compile(r"(?!AWS\.|Amazon\.)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_TYPE = re.compile(r"(String|String\.Array|Number|Binary)(\.[A-Za-z0-9_.-]+)?")
_LARGEST_NUMBER = 10**9


def _attributes(params: Mapping[str, str]) -> dict[str, dict[str, str]]:
    attributes: dict[str, dict[str, str]] = {}
    index = 1
    while (name := params.get(f"MessageAttributes.entry.{index}.Name")) is not None:
        prefix = f"MessageAttributes.entry.{index}.Value."
        attributes[name] = {
            key.removeprefix(prefix): value
            for key, value in params.items()
            if key.startswith(prefix)
        }
        index += 1
    return attributes


def _check(
    call: Call, message: str, subject: str | None, attributes: Mapping[str, Mapping[str, str]]
) -> None:
    size = len(message.encode()) + sum(
        len(text.encode()) for name, value in attributes.items() for text in (name, *value.values())
    )
    if size > _LARGEST_MESSAGE:
        raise call.invalid("Invalid parameter: Message too long")
    if subject is not None and not _SUBJECT.fullmatch(subject):
        raise call.invalid("Invalid parameter: Subject")
    for name, value in attributes.items():
        _check_attribute(name, value)


def _check_attribute(name: str, value: Mapping[str, str]) -> None:
    if not _ATTRIBUTE.fullmatch(name):
        raise ApiError("ParameterValueInvalid", f"The message attribute name {name!r} is invalid.")
    if "DataType" not in value or not (value.get("StringValue") or value.get("BinaryValue")):
        raise ApiError(
            "ParameterValueInvalid",
            "The message attribute must contain a non-empty value and type.",
        )
    if not _TYPE.fullmatch(value["DataType"]):
        raise ApiError("ParameterValueInvalid", f"The type of {name} is invalid.")
    if value["DataType"].startswith("Number"):
        try:
            valid = abs(float(value["StringValue"])) <= _LARGEST_NUMBER
        except (ValueError, KeyError):
            valid = False
        if not valid:  # what a numeric filter cannot compare
            raise ApiError("ParameterValueInvalid", f"{name} is no number from -10^9 to 10^9.")


def _texts(call: Call, message: str) -> dict[str, str]:
    """Give the message of each protocol, under "default" what all others get."""
    structure = call.params.get("MessageStructure")
    if structure is None:
        return {"default": message}
    if structure != "json":
        raise call.invalid("Invalid parameter: MessageStructure")
    try:
        texts = json.loads(message)
        valid = isinstance(texts["default"], str)
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise call.invalid(
            "Invalid parameter: Message Structure - No default entry in JSON message body"
        )
    if not all(isinstance(text, str) for text in texts.values()):
        raise call.invalid("Invalid parameter: Message Structure - JSON message body: not a string")
    return dict(texts)


def _topic(call: Call, action: str) -> str:
    """Give the ARN of a topic that exists, in the signed region; authorised."""
    arn: str = call.params.get("TopicArn") or call.params.get("TargetArn") or ""
    parts = arn.split(":")
    if len(parts) != 6 or parts[3] != call.region:
        raise call.invalid("Invalid parameter: TopicArn")
    call.allow(f"SNS:{action}", arn, parts[4])
    if arn not in call.state.world.topics:
        raise ApiError("NotFound", "Topic does not exist", 404)
    return arn


@SERVICE.operation("GetTopicAttributes")
def get_topic_attributes(call: Call) -> str:
    """Give the attributes that every topic has."""
    arn = _topic(call, "GetTopicAttributes")
    named = {"TopicArn": arn, "Owner": arn.split(":")[4]}
    entries = "".join(
        f"<entry>{elements(key=key, value=value)}</entry>" for key, value in named.items()
    )
    return f"<Attributes>{entries}</Attributes>"


@SERVICE.operation("Publish")
def publish(call: Call) -> str:
    """Keep a message; the topic must exist and its region must be the signed one."""
    arn = _topic(call, "Publish")
    message = call.params.get("Message", "")
    if not message:
        raise call.invalid("Invalid parameter: Empty message")
    attributes = _attributes(call.params)
    subject = call.params.get("Subject")
    _check(call, message, subject, attributes)
    texts = _texts(call, message)
    message_id = str(uuid.uuid4())
    call.state.messages.append(
        {
            "topic_arn": arn,
            "subject": subject,
            "message": texts["default"],
            "by_protocol": texts,
            "attributes": attributes,
            "structure": call.params.get("MessageStructure"),
            "message_id": message_id,
            "account": call.principal.account,
        }
    )
    return elements(MessageId=message_id)
