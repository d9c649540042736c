"""A report.json that a person names: read as it was written, refused by name, compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper import stored
from sweeper.aws.session import callers_session, read_object
from sweeper.errors import ConfigurationError
from sweeper.formats import formats
from sweeper.formats.json import render
from sweeper.model import AccountSummary, ChangeStatus, Compliance, Exemption, Reason, Report, Since
from sweeper.stored import compare, read_report
from tests.end_to_end.harness import small_world
from tests.factories import (
    HOSTILE,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    since_last,
    target,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Bucket
from tests.formats.test_schema import REPORTS

FILE = "a-report.json"
BUCKET = "reports"


def nothing_remote(location: str, use: object) -> Report:
    raise AssertionError(f"{location} was read")


def read(content: bytes) -> Report:
    Path(FILE).write_bytes(content)
    return read_report(FILE, nothing_remote)


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(content)
    return str(caught.value)


def edited(*path: Any, value: object) -> bytes:
    """A report in which the value at the path is another."""
    document = json.loads(render(SAMPLE))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document).encode()


SAMPLE = replace(
    report(
        [finding(change=change(ChangeStatus.FAILED, reason=Reason.THROTTLED, error="slow down"))],
        [(target("222233334444"), failed())],
    ),
    since_last=since_last(resolved=(earlier(),)),
)


# --- as it was written ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", REPORTS)
def test_what_a_sweep_writes_is_read_back_byte_for_byte(case: str) -> None:
    content = render(REPORTS[case])
    whole = content.replace(rb"\ud800", "\ufffd".encode())  # half a character is replaced
    assert render(read(content)) == whole


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        *(text for text in HOSTILE if "\ud800" not in text),
        "tag \U000e0041",  # hidden, and its escape has two halves
        "\\ud83d\\",
        "\U0001f680",
    ]
)
moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z")
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    int: st.integers(0, 10**9),
    float: st.floats(0, 1),
    bool: st.booleans(),
    date: st.dates(),
    type(None): st.none(),
}


def values_of(  # noqa: PLR0911 (one for each kind of type)
    kind: Any, name: str = ""
) -> st.SearchStrategy[Any]:
    """Any value of a type of the model; `name` is the field's."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, UnionType):
        return st.one_of(*(values_of(each, name) for each in arguments))
    if origin is Sequence:
        return st.lists(values_of(*arguments), max_size=2)
    if origin is Mapping:
        return st.dictionaries(*map(values_of, arguments), max_size=2)
    if origin is tuple:
        inner = values_of(arguments[0])
        return st.lists(inner, max_size=2) if ... in arguments else st.tuples(*[inner] * 3)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{key: values_of(hint, key) for key, hint in hints.items()})
    if kind is str and name in ("started_at", "finished_at", "last_seen"):
        return moments
    return SCALARS[kind] if kind in SCALARS else st.sampled_from(kind)


@settings(suppress_health_check=list(HealthCheck))
@given(values_of(Report))
def test_any_report_is_read_back_byte_for_byte(item: Report) -> None:
    places = {finding.account_id: {finding.region: (0, 1, 0)} for finding in item.findings}
    found = [AccountSummary(name, name, None, name, each) for name, each in places.items()]
    findings = [each for each in item.findings if each.region in places[each.account_id]]
    content = render(replace(item, accounts=[*item.accounts, *found], findings=findings))
    assert render(read(content)) == content


def test_a_report_is_the_same_value_again() -> None:
    dated = exemption(expires=date(2027, 1, 31))
    item = report([finding(compliance=Compliance.EXEMPT, exemption=dated)])
    again = read(render(item))
    assert [found.exemption for found in again.findings] == [dated]
    assert isinstance(again.findings[0].exemption, Exemption)


def test_what_an_earlier_version_did_not_write_yet_is_its_default() -> None:
    content = render(report([finding()]))
    document = json.loads(content)
    for key in ("deliveries", "since_last", "trend", "account_tags_unavailable"):
        del document[key]
    assert render(read(json.dumps(document).encode())) == content


@pytest.mark.parametrize("name", formats())
def test_hostile_texts_are_escaped_when_they_are_shown_again(name: str) -> None:
    shown = formats()[name].render(read(render(hostile_report()))).decode()
    for character in ("\x1b", "\u202e", "\u200b", "\u2028", "\x07", "\x00"):
        assert character not in shown
    if name == "html":
        assert "<script>alert(1)" not in shown
    if name == "csv":
        assert ",=cmd" not in shown


# --- refused by name ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is damaged: Invalid JSON"),
        (b"{", "is damaged: Invalid JSON"),
        (b"null", "is not a report.json"),
        (b"[]", "is not a report.json"),
        (b"{}", "is not a report.json (no `run`)"),
        (b'{"schema_version": "1"}', "is not a report.json (no `run`)"),
        (b"\xff\xfe{", "is not a report.json"),
        (b"\x80" * 9, "is not a report.json"),
        (render(report())[:-9], "is damaged: Invalid JSON"),
        (edited("schema_version", value="2"), "has schema_version '2'; this version knows '1'"),
        (edited("schema_version", value="\x1b[2J" * 9), r"has schema_version '\\x1b[2J"),
        (edited("schema_version", value=1), "is damaged: schema_version: "),
        (edited("run", "auto_remediate", value="MAYBE"), "is damaged: run.auto_remediate: "),
        (edited("findings", 0, "reason", value=None), "is damaged: findings.0.reason: "),
        (edited("findings", 0, "compliance", value="fine"), "is damaged: findings.0.compliance: "),
        (edited("totals", "remaining", value="1"), "is damaged: totals.remaining: "),
        (edited("totals", "remaining", value=-1), "is damaged: remaining is no count"),
        (edited("totals", "remaining", value=10**10), "is damaged: remaining is no count"),
        (edited("coverage", "accounts", value=1.5), "is damaged: accounts is no share"),
        (edited("coverage", "targets", value=float("nan")), "is damaged: targets is no share"),
        (edited("coverage", "targets", value=float("inf")), "is damaged: targets is no share"),
        (edited("run", "started_at", value="today"), "is damaged: started_at is no time"),
        (
            edited("run", "finished_at", value="2026-13-41T01:00:00Z"),
            "is damaged: finished_at is no time",
        ),
        (
            edited("run", "finished_at", value="2026-01-01T01:00:00+01:00"),
            "is damaged: finished_at is no time",
        ),
        (
            edited("accounts", 0, "regions", value={"eu-central-1": [1, -1, 0]}),
            "is damaged: regions is no count",
        ),
        (
            edited("accounts", 0, "regions", value={"a\nforged: line": [1]}),
            r"is damaged: accounts.0.regions.a\x0aforged: line",
        ),
        (
            edited("findings", 0, "region", value="mars\n"),
            r"is damaged: a finding in 111122223333 mars\x0a, which is not among the accounts",
        ),
        (
            edited("since_last", "resolved", 0, "last_seen", value="soon"),
            "is damaged: last_seen is no time",
        ),
    ],
)
def test_what_is_no_report_is_refused(content: bytes, problem: str) -> None:
    message = refusal(content)
    assert message.startswith(f"{FILE} {problem}")
    assert "not a report.json" in message or message.endswith("; needed: a report.json")
    assert message.isprintable()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing.json", "missing.json: cannot be read: No such file or directory"),
        (".", ".: cannot be read: Is a directory"),
        ("", ".: cannot be read: Is a directory"),
        ("a\nb", r"a\x0ab: cannot be read: No such file or directory"),
        ("a\0b", r"a\x00b: cannot be read: embedded null byte"),
        ("x" * 300, f"{'x' * 300}: cannot be read: File name too long"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(path: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_report(path, nothing_remote)
    assert str(caught.value) == problem


def test_a_report_that_is_too_large_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    content = render(SAMPLE)
    monkeypatch.setattr(stored, "MAX_REPORT", len(content))
    assert read(content).run == SAMPLE.run
    assert refusal(content + b" ") == (f"{FILE}: too large: more than {len(content):,} bytes")


# --- in S3 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def process() -> Iterator[FakeAws]:
    with FakeAws(
        replace(small_world(accounts=1, regions=1), buckets=(Bucket(BUCKET, "us-east-1"),))
    ) as aws:
        yield aws


@pytest.fixture
def aws(process: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    process.faults([])
    for name, value in process.environment.items():
        monkeypatch.setenv(name, value)
    return process


def put(key: str, content: bytes) -> str:
    client: Any = callers_session().create_client("s3")
    client.put_object(Bucket=BUCKET, Key=key, Body=content)
    return f"s3://{BUCKET}/{key}"


def test_a_report_in_s3(aws: FakeAws) -> None:
    location = put("ecr/latest.json", render(SAMPLE))
    assert render(read_report(location, read_object)) == render(SAMPLE)


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        (f"s3://{BUCKET}/none.json", "it does not exist (NoSuchKey: "),
        ("s3://no-such-bucket/a.json", "it does not exist (NoSuchBucket: "),
        (f"s3://{BUCKET}", "no object is named; allowed: s3://<bucket>/<key>"),
    ],
)
def test_an_object_that_is_not_there_is_named(aws: FakeAws, location: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_report(location, read_object)
    assert str(caught.value).startswith(f"{location}: {problem}")


def test_an_object_that_is_denied_is_named_with_what_is_needed(aws: FakeAws) -> None:
    location = put("denied.json", render(SAMPLE))
    aws.faults([{"action": "access_denied", "operation": "GetObject"}])
    with pytest.raises(ConfigurationError) as caught:
        read_report(location, read_object)
    assert str(caught.value).startswith(f"{location}: access is denied (")
    assert "needed: s3:GetObject" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"{}", " is not a report.json (no `run`)"), (b"\xff", " is not a report.json")],
)
def test_an_object_that_is_no_report_is_refused(aws: FakeAws, content: bytes, problem: str) -> None:
    location = put("other.json", content)
    with pytest.raises(ConfigurationError) as caught:
        read_report(location, read_object)
    assert str(caught.value).startswith(location + problem)


# --- compared -------------------------------------------------------------------------------------

MONDAY: dict[str, Any] = {"id": "monday", "started_at": "2026-11-23T01:00:00Z"}
FRIDAY: dict[str, Any] = {"id": "friday", "started_at": "2026-11-27T01:00:00Z"}


def kinds(item: Report) -> dict[str, str | None]:
    """Repository -> what became of it."""
    assert item.since_last is not None
    return {
        **{found.repository: found.since_last for found in item.findings},
        **{each.repository: "resolved" for each in item.since_last.resolved},
        **{each.repository: "not_visible" for each in item.since_last.not_visible},
    }


def test_the_later_report_says_what_changed_since_the_earlier() -> None:
    before = report(
        [
            finding("open"),
            finding("gone"),
            finding("closed", change=change()),
            finding("elsewhere", account_id="444455556666"),
        ],
        **MONDAY,
    )
    after = report([finding("open"), finding("closed"), finding("made")], **FRIDAY)
    compared = compare(read(render(before)), read(render(after)))
    assert kinds(compared) == {
        "open": "still_open",
        "closed": "reopened",
        "made": "new",
        "gone": "resolved",
        "elsewhere": "not_visible",
    }
    assert compared.since_last is not None
    assert compared.since_last.run_id == "monday"
    assert (compared.run, compared.totals) == (after.run, after.totals)


def test_what_the_later_report_was_compared_with_before_does_not_show() -> None:
    was = since_last(run_id="thursday", resolved=(earlier("gone on friday"),), still_open=1)
    after = replace(
        report([finding("made", since_last=Since.STILL_OPEN, reopened=3)], **FRIDAY), since_last=was
    )
    compared = compare(report([], **MONDAY), after)
    assert kinds(compared) == {"made": "new"}
    assert compared.findings[0].reopened == 3  # which its history knew


def test_what_the_earlier_report_could_not_see_is_not_forgotten() -> None:
    hidden = since_last(
        not_visible=(
            earlier("seen again"),
            earlier("far", region="eu-west-1"),
        )
    )
    before = replace(report([], **MONDAY), since_last=hidden)
    assert kinds(compare(before, report([], **FRIDAY))) == {
        "seen again": "resolved",
        "far": "not_visible",
    }


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (FRIDAY, MONDAY, "sweep friday, which is named first, started later than sweep monday"),
        (MONDAY, MONDAY, "both reports are of sweep monday; needed: those of two sweeps"),
        (
            MONDAY | {"organization_id": "o-other"},
            FRIDAY,
            "the reports are of different organizations: o-other and o-exampleorg",
        ),
        (
            MONDAY | {"organization_id": None, "account_id": "111111111111"},
            FRIDAY | {"organization_id": None},
            "the reports are of different organizations: 111111111111 and 999988887777",
        ),
        (FRIDAY | {"id": "a\nb"}, MONDAY, r"sweep a\x0ab, which is named first"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    before: dict[str, Any], after: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        compare(report([], **before), report([], **after))
    assert str(caught.value).startswith(problem)
