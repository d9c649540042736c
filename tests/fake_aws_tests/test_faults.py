"""Faults that meet a share of the calls, and answers that break off or are damaged."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.fake_aws.damage import damaged
from tests.fake_aws.faults import Asked, Faults
from tests.fake_aws.process import FakeAws
from tests.fake_aws.wire import Json, Query, Reply, elements
from tests.fake_aws.world import Fault, World
from tests.fake_aws_tests.support import BUCKET, MEMBER, WORLD, assume, client, member, send, signed

DEEP = b"[" * 1000  # not to be read here: the recursion is no part of these tests
REPOSITORIES = {
    "repositories": [{"repositoryName": "a", "createdAt": 1.5, "tags": ["x"]}, {"n": {"m": 1}}],
    "nextToken": "a token",
}
LISTING = Json().render("DescribeRepositories", REPOSITORIES)
CREDENTIALS = Query("https://sts.amazonaws.com/doc/2011-06-15/").render(
    "AssumeRole",
    "<Credentials>"
    + elements(AccessKeyId="ASIA", Expiration="2026-11-24T02:17:08Z", SessionToken="t")
    + "</Credentials>",
)


def _asked(count: int) -> list[Asked]:
    return [
        Asked("ecr", "DescribeRepositories", f"{each:012d}", "us-east-1") for each in range(count)
    ]


def _chosen(asked: list[Asked], seed: int, share: float = 0.3) -> Counter[Asked]:
    faults = Faults((Fault("throttle", share=share, seed=seed),))
    return Counter(each for each in asked if faults.meet(each))


def test_a_share_of_the_calls_is_met() -> None:
    met = _chosen(_asked(10_000), seed=1)
    assert 2_850 < met.total() < 3_150
    assert met != _chosen(_asked(10_000), seed=2)


def test_the_order_of_the_calls_does_not_choose() -> None:
    calls = _asked(500) * 3  # each is tried again twice
    assert _chosen(calls, seed=1) == _chosen(calls[::-1], seed=1)
    assert set(_chosen(calls, seed=1).values()) == {1, 2, 3}  # and each attempt is another draw


def test_two_rules_choose_independently() -> None:
    faults = Faults(tuple(Fault(action, share=0.5) for action in ("throttle", "reset")))
    met = [faults.meet(each) for each in _asked(4_000)]
    actions: Counter[str | None] = Counter(each.fault.action if each else None for each in met)
    assert all(
        abs(actions[action] / 4_000 - share) < 0.03
        for action, share in (
            ("throttle", 0.5),
            ("reset", 0.25),
            (None, 0.25),
        )
    )


def test_skip_and_times_count_the_chosen() -> None:
    faults = Faults((Fault("throttle", share=0.5, skip=2, times=3),))
    assert sum(faults.meet(each) is not None for each in _asked(1_000)) == 3


def test_threads_meet_the_same_faults_in_every_run(aws: FakeAws) -> None:
    world = World.generate(accounts=12, regions=1)

    def run() -> set[str]:
        aws.load(world)
        keys = [assume(aws, account=account.id) for account in world.accounts]
        aws.faults([Fault("throttle", operation="DescribeRepositories", share=0.5, seed=7)])

        def ask(index: int) -> str:
            try:
                client(aws, "ecr", keys=keys[index]).describe_repositories()
            except ClientError:
                return world.accounts[index].id
            return ""

        with ThreadPoolExecutor(4) as pool:
            return set(pool.map(ask, range(12)))

    first = run()
    assert 1 < len(first) < 12
    assert run() == first


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_that_is_none_is_refused(aws: FakeAws, share: float) -> None:
    with pytest.raises(RuntimeError, match=r"faults\[0\].share: above 0, at most 1"):
        aws.faults([Fault("reset", share=share)])
    with pytest.raises(ValueError, match=r"world.faults\[0\].share: above 0, at most 1"):
        World.generate(accounts=2, faults=[{"action": "reset", "share": share}])


def test_an_answer_breaks_off_after_what_was_asked_was_done(aws: FakeAws) -> None:
    ecr = member(aws)
    target = next(
        each
        for each in aws.repositories()
        if each.region == "us-east-1"
        and each.account == WORLD.accounts[3].id
        and each.mutability == "MUTABLE"
    )
    aws.faults([Fault("truncate")])
    put = {"repositoryName": target.name, "imageTagMutability": "IMMUTABLE"}
    # botocore's own HTTP session does not count the bytes, and takes half of one for an answer.
    assert "imageTagMutability" not in ecr.put_image_tag_mutability(**put)
    (write,) = aws.statistics().writes
    assert (write["accepted"], write["fault"]) == (True, "truncate")
    after = {each.name: each for each in aws.repositories(target.account, target.region)}
    assert after[target.name].mutability == "IMMUTABLE"
    assert aws.statistics().faults == {"truncate": 1}


def test_what_breaks_off_is_half_of_the_right_answer(aws: FakeAws) -> None:
    headers = {
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
        "Content-Type": "application/x-amz-json-1.1",
    }
    request = signed(aws, "ecr", "us-east-1", "/", b"{}", headers)
    _, whole = send(aws, "POST", "/", b"{}", request)
    aws.faults([Fault("truncate")])
    connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
    connection.request("POST", "/", b"{}", request)
    response = connection.getresponse()
    assert response.getheader("Content-Length") == str(len(whole))
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    connection.close()
    assert caught.value.partial == whole[: len(whole) // 2]


def test_an_answer_without_a_body_breaks_off_before_it(aws: FakeAws) -> None:
    aws.faults([Fault("truncate", operation="PutObject")])
    with pytest.raises(ConnectionClosedError):
        client(aws, "s3").put_object(Bucket=BUCKET, Key="k", Body=b"1")
    assert [each.key for each in aws.objects()] == ["k"]


def _is_right(reply: Reply, read: Any) -> bool:
    if DEEP in reply.body:
        return False
    try:
        return bool(read(reply.body) == read(LISTING.body))
    except ValueError:
        return False


def test_damage_to_json_is_varied_and_never_another_right_answer() -> None:
    bodies = [damaged(LISTING, draw) for draw in range(400)]
    assert {(each.status, each.content_type) for each in bodies} == {(200, LISTING.content_type)}
    assert bodies == [damaged(LISTING, draw) for draw in range(400)]
    assert not any(_is_right(each, json.loads) for each in bodies)
    assert len({each.body for each in bodies}) > 60
    read = []
    for each in bodies:
        if DEEP not in each.body:
            with contextlib.suppress(ValueError):
                read.append(json.loads(each.body))
    tops = [each for each in read if isinstance(each, dict)]
    assert {type(each["repositories"]) for each in tops if "repositories" in each} >= {
        list,
        str,
        int,
        dict,
        bool,
        type(None),
    }
    assert any("repositories" not in each for each in tops)
    # A page token that is gone would make a right last page.
    assert all(each.get("nextToken") is not None for each in tops)
    assert sum(DEEP in each.body for each in bodies) > 10
    assert any(b"999999999" in each.body for each in bodies)
    assert any(isinstance(each, list) for each in read)


def test_damage_to_xml_is_varied() -> None:
    bodies = {damaged(CREDENTIALS, draw).body for draw in range(200)}
    assert len(bodies) > 30
    assert CREDENTIALS.body not in bodies
    broken, texts = 0, []
    for body in bodies:
        try:
            root = ET.fromstring(body)
        except ET.ParseError:
            broken += 1
        else:
            texts.append(
                {each.tag.partition("}")[2] or each.tag: each.text for each in root.iter()}
            )
    assert broken > 10
    assert any("AccessKeyId" not in each for each in texts)
    assert any("Credentials" in each and each.get("SessionToken") is None for each in texts)
    assert any((each.get("Expiration") or "").startswith("99999") for each in texts)
    # A number in the place of a text would be another right text.
    assert all(each.get("AccessKeyId") in {None, "ASIA"} for each in texts)


@pytest.mark.parametrize("content_type", ["application/json", "text/xml"])
def test_damage_to_what_cannot_be_read_cuts_it(content_type: str) -> None:
    reply = Reply(200, content_type, b"no such thing")
    assert all(
        b"no such thing".startswith(damaged(reply, draw).body)
        for draw in range(20)
        if not damaged(reply, draw).body.endswith((b"}", b"]", b"g", b">"))
    )
    assert any(len(damaged(reply, draw).body) < 13 for draw in range(20))


def test_damage_to_an_answer_without_a_body_takes_its_headers() -> None:
    assert damaged(Reply(200, headers=(("ETag", "x"),)), 1) == Reply(200)


def test_a_damaged_answer_comes_as_a_right_one(aws: FakeAws) -> None:
    aws.load(World.generate(accounts=2, registries=[{"repositories": [{"name": "a"}]}]))
    headers = {
        "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories",
        "Content-Type": "application/x-amz-json-1.1",
    }
    request = signed(aws, "ecr", "us-east-1", "/", b"{}", headers)
    right = send(aws, "POST", "/", b"{}", request)
    aws.faults([Fault("malformed", seed=3)])
    wrong = [send(aws, "POST", "/", b"{}", request) for _ in range(5)]
    assert {status for status, _ in (right, *wrong)} == {200}
    assert len({body for _, body in (right, *wrong)}) == 6  # each time another damage
    assert aws.statistics().faults == {"malformed": 5}


def _wait_until_held(aws: FakeAws, count: int) -> None:
    while aws.statistics().held != count:
        time.sleep(0.01)


@pytest.mark.parametrize(
    "release",
    [lambda aws: aws.faults([]), lambda aws: aws.load(WORLD)],
    ids=["other faults", "another world"],
)
def test_what_is_held_is_done_at_once_and_answered_when_it_is_released(
    aws: FakeAws, release: Callable[[FakeAws], None]
) -> None:
    target = next(each for each in aws.repositories(MEMBER) if each.mutability == "MUTABLE")
    ecr = client(aws, "ecr", target.region, keys=assume(aws, account=target.account))
    aws.reset_statistics()
    aws.faults([Fault("hold", operation="PutImageTagMutability", skip=1)])
    put = {"repositoryName": target.name, "imageTagMutability": "IMMUTABLE"}
    ecr.put_image_tag_mutability(**put)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(ecr.put_image_tag_mutability, **put) for _ in range(2)]
        _wait_until_held(aws, 2)
        # Others go on, and what is held has taken effect.
        assert ecr.describe_repositories()["repositories"]
        first, *writes = aws.statistics().writes
        assert first["fault"] is None
        assert [(each["accepted"], each["fault"]) for each in writes] == [(True, "hold")] * 2
        assert not any(each.done() for each in held)
        assert aws.statistics().in_flight == 2
        release(aws)
        assert {each.result()["imageTagMutability"] for each in held} == {"IMMUTABLE"}
    assert (aws.statistics().in_flight, aws.statistics().held) == (0, 0)


def test_the_faults_that_release_may_hold_what_comes_next(aws: FakeAws) -> None:
    sts, hold = client(aws, "sts"), Fault("hold", operation="GetCallerIdentity")
    aws.faults([hold])
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            held = pool.submit(sts.get_caller_identity)
            _wait_until_held(aws, 1)
            aws.faults([hold])
            assert held.result()["Account"]


def test_a_client_that_waits_for_what_is_held_hears_that_it_is_to_wait_on(aws: FakeAws) -> None:
    """So its time-out never ends the hold; and one that goes away is forgotten."""
    host, port = urlsplit(aws.endpoint).hostname, urlsplit(aws.endpoint).port
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    headers = {"Host": f"{host}:{port}", "Content-Type": "application/x-www-form-urlencoded"}
    headers = signed(aws, "sts", "us-east-1", "/", body, headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST / HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    aws.faults([Fault("hold", operation="GetCallerIdentity")])
    with socket.create_connection((host, port)) as connection, connection.makefile("rb") as answer:
        connection.sendall(request)
        interim = [answer.readline() for _ in range(6)]
        assert interim == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"] * 3
        _wait_until_held(aws, 1)
    _wait_until_held(aws, 0)
    aws.faults([])
    assert client(aws, "sts").get_caller_identity()["Account"]
