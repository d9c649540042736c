"""The notification of a chat channel, in the schema of Amazon Q Developer in chat applications."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from moto import mock_aws

from sweeper.domain.model import Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Delivery
from sweeper.reporting.notification import subject
from sweeper.reporting.sinks.chat import ChatSink, _message, _text
from tests.cases import case
from tests.factories import (
    account,
    failed,
    finding,
    hostile_report,
    report,
    run,
    since_last,
    template,
)
from tests.reporting.sinks.topics import made, topic

SO_FAR = (
    Delivery("s3", "s3://b/report.json", "delivered"),
    Delivery("security_hub", "Security Hub in eu-west-1", "failed", content="findings"),
)


@pytest.fixture(scope="module", autouse=True)
def _aws() -> Iterator[None]:
    with mock_aws():
        yield


def parsed(item: Any, so_far: Any = ()) -> Any:
    return json.loads(_message(item, so_far))


def test_the_schema_of_a_custom_notification() -> None:
    item = replace(
        report(
            [finding("team/a", since_last=Since.NEW), template()],
            [(account("444444444444", "dark"), failed(Reason.ASSUME_ROLE_DENIED))],
        ),
        since_last=since_last(new=1),
    )
    message = parsed(item, SO_FAR)
    assert (message["version"], message["source"], message["id"]) == ("1.0", "custom", item.run.id)
    content, metadata = message["content"], message["metadata"]
    assert set(content) == {"textType", "title", "description", "nextSteps", "keywords"}
    assert content["textType"] == "client-markdown"
    assert content["title"] == subject(item)
    assert metadata["threadId"] == "sweeper-o-exampleorg"
    assert metadata["relatedResources"] == [finding("team/a").arn]
    assert all(isinstance(each, str) for each in (*content["nextSteps"], *content["keywords"]))
    description = content["description"]
    assert "COVERAGE IS INCOMPLETE" in description
    assert "Since the last sweep: 1 new" in description
    assert "`team/a`" in description
    assert "https://eu-central-1.console.aws.amazon.com/ecr/repositories/" in description
    assert content["nextSteps"][0].startswith("Check `Security Hub in eu-west-1`")
    assert content["nextSteps"][1] == "Read the full report: `s3://b/report.json`"
    assert content["nextSteps"][2].startswith("assume_role_denied: ")


def test_it_is_short_whatever_there_is() -> None:
    many = report([finding(f"team-{index:05}/service") for index in range(5000)])
    for item in (many, hostile_report(), ended_early(run(), failed()), report()):
        with case(item.run, len(item.findings)):
            text = _message(item, SO_FAR)
            assert len(text.encode()) < 16_000
            content = json.loads(text)["content"]
            assert len(content["title"]) < 250
            assert len(content["description"]) < 8000
            assert len(content["nextSteps"]) <= 3
    assert "… and 4,990 more findings" in parsed(many)["content"]["description"]


def test_what_others_chose_neither_mentions_nor_links_nor_formats() -> None:
    name = "<!channel> @here <https://evil.example|x> `code` *bold* &amp; ~no~ [a](b)"
    item = report([finding(name, account_name=name)])
    description = parsed(item)["content"]["description"]
    for sign in ("<", ">", "@", "&", "*", "~", "[", "]"):
        assert sign not in description
    # Those that are left are pairs of code spans.
    assert description.count("`") % 2 == 0


def test_text_of_others_is_shown_without_markup() -> None:
    cases = [
        ("_x_ __y__ -_z_.", "\uff3fx\uff3f \uff3f\uff3fy\uff3f\uff3f -\uff3fz\uff3f."),
        ("~y~", "\u223cy\u223c"),
        ("[click](https://evil.example)", "\uff3bclick\uff3d(https://evil.example)"),
        # An underscore inside a word formats nothing.
        ("assume_role_denied team_a/app_1", "assume_role_denied team_a/app_1"),
    ]
    for text, expected in cases:
        with case(text):
            assert _text(text) == expected


def test_one_message_where_something_is_to_be_told() -> None:
    arn, received = topic()
    sink = ChatSink(made(arn), "when_needed")
    assert sink.deliver(report(), ()) == Delivery("chat", arn, "not_needed")
    assert sink.deliver(report([finding()]), ()).status == "delivered"
    [got] = received()
    assert json.loads(got["Message"])["source"] == "custom"
    # A failed delivery is told, too.
    assert sink.deliver(report(), SO_FAR).status == "delivered"
    same = replace(report([finding()]), since_last=since_last(still_open=1, coverage_changed=False))
    left = ChatSink(made(arn), "on_change").deliver(same, ())
    assert (left.status, "nothing changed" in (left.message or "")) == ("not_needed", True)
