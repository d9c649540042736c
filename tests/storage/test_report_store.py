"""A report.json that a person names: read as it was written, refused by name, compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.aws.client.session import callers_session, read_object
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import plain
from sweeper.domain.model import ChangeStatus, Compliance, Exemption, Since
from sweeper.domain.reasons import Reason
from sweeper.domain.report import remaining_rule
from sweeper.domain.report_model import AccountSummary, Report
from sweeper.storage import report_store
from sweeper.storage.report_store import compare, read_report
from tests.cases import case
from tests.end_to_end.harness import small_world
from tests.factories import (
    HOSTILE,
    change,
    earlier,
    exemption,
    failed,
    finding,
    report,
    since_last,
    target,
)
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Bucket
from tests.golden import assert_golden, sections
from tests.rendering import as_json
from tests.reporting.test_published import REPORTS

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
    document = json.loads(as_json(SAMPLE))
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


def test_what_a_sweep_writes_is_read_back_byte_for_byte() -> None:
    for name, item in REPORTS.items():
        with case(name):
            content = as_json(item)
            whole = content.replace(rb"\ud800", "\ufffd".encode())  # half a character is replaced
            assert as_json(read(content)) == whole


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        *(text for text in HOSTILE if "\ud800" not in text),
        "tag \U000e0041",  # hidden, and its escape has two halves
        "\\ud83d\\",
        "\U0001f680",
    ]
)
moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z")
TIMES = ("started_at", "finished_at", "last_seen", "captured_at", "updated_at")
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
    if kind is str and name in TIMES:
        return moments
    return SCALARS[kind] if kind in SCALARS else st.sampled_from(kind)


@settings(suppress_health_check=list(HealthCheck))
@given(values_of(Report))
def test_any_report_is_read_back_byte_for_byte(item: Report) -> None:
    places = {finding.account_id: {finding.region: (0, 1, 0)} for finding in item.findings}
    found = [AccountSummary(name, name, None, name, each) for name, each in places.items()]
    findings = [each for each in item.findings if each.region in places[each.account_id]]
    complete = item.coverage.complete and not (
        item.failures or any(each.compliance is Compliance.UNDETERMINED for each in findings)
    )
    remaining = sum(map(remaining_rule(item.run.kind), findings))
    content = as_json(
        replace(
            item,
            accounts=[*item.accounts, *found],
            findings=findings,
            coverage=replace(item.coverage, complete=complete),
            totals=replace(item.totals, remaining=remaining),
        )
    )
    assert as_json(read(content)) == content


def test_a_report_is_the_same_value_again() -> None:
    dated = exemption(expires=date(2027, 1, 31))
    item = report([finding(compliance=Compliance.EXEMPT, exemption=dated)])
    again = read(as_json(item))
    assert [found.exemption for found in again.findings] == [dated]
    assert isinstance(again.findings[0].exemption, Exemption)


def test_what_an_earlier_version_did_not_write_yet_is_its_default() -> None:
    content = as_json(report([finding()]))
    document = json.loads(content)
    for key in ("deliveries", "since_last", "trend", "account_tags_unavailable"):
        del document[key]
    assert as_json(read(json.dumps(document).encode())) == content


def test_a_report_of_version_1_is_read_as_one_of_version_2() -> None:
    content = (Path(__file__).parent / "reports" / "version-1.json").read_bytes()
    old = read(content)
    assert (old.schema_version, old.run.kind, old.run.source) == ("2", "sweep", None)
    reasons = {each.change.reason for each in old.findings if each.change}
    reasons |= {each.reason for each in old.deliveries}
    renamed = {
        b"left_to_a_person": Reason.MANUAL_REVIEW_REQUIRED,
        b"facts_too_old": Reason.PLAN_EXPIRED,
        b"changed_meanwhile": Reason.CONCURRENT_MODIFICATION,
        b"not_recorded": Reason.JOURNAL_UNAVAILABLE,
    }
    for code, reason in renamed.items():
        assert code in content
        assert reason in reasons
    assert read(as_json(old)) == old


# --- refused by name ------------------------------------------------------------------------------


# The path in a report, a value that no sweep writes there, and what the refusal names.
DAMAGED: tuple[tuple[tuple[str | int, ...], object, str], ...] = (
    (("schema_version",), "3", "schema_version"),
    (("schema_version",), "\x1b[2J" * 9, "schema_version"),
    (("schema_version",), 1, "schema_version"),
    (("run", "auto_remediate"), "MAYBE", "run.auto_remediate"),
    (("findings", 0, "reason"), None, "findings.0.reason"),
    (("findings", 0, "compliance"), "fine", "findings.0.compliance"),
    (("totals", "remaining"), "1", "totals.remaining"),
    (("totals", "remaining"), -1, "remaining"),
    (("totals", "remaining"), 10**10, "remaining"),
    (("coverage", "accounts"), 1.5, "accounts"),
    (("coverage", "targets"), float("nan"), "targets"),
    (("coverage", "targets"), float("inf"), "targets"),
    (("run", "started_at"), "today", "started_at"),
    (("run", "finished_at"), "2026-13-41T01:00:00Z", "finished_at"),
    (("run", "finished_at"), "2026-01-01T01:00:00+01:00", "finished_at"),
    (("accounts", 0, "regions"), {"eu-central-1": [1, -1, 0]}, "regions"),
    (("accounts", 0, "regions"), {"a\nforged: line": [1]}, r"accounts.0.regions.a\x0aforged"),
    (("findings", 0, "region"), "mars\n", r"111122223333 mars\x0a"),
    (("since_last", "resolved", 0, "last_seen"), "soon", "last_seen"),
    (("coverage", "complete"), True, "coverage.complete"),
    (("totals", "remaining"), 0, "totals.remaining"),
    (("findings", 0, "change", "status"), "applied", "totals.remaining"),
)
NO_REPORT = (
    *(b"", b"{", b"null", b"[]", b"{}", b'{"schema_version": "1"}', b"\xff\xfe{", b"\x80" * 9),
    as_json(report())[:-9],
)


def test_what_is_no_report_is_refused() -> None:
    told = {}
    for path, value, named in DAMAGED:
        with case(path, value):
            message = told[f"{path}: {value!r}"] = refusal(edited(*path, value=value))
            assert message.startswith(f"{FILE} ")
            assert named in message
            assert message.isprintable()
    for content in NO_REPORT:
        with case(content):
            message = told[repr(content[-40:])] = refusal(content)
            assert message.startswith(f"{FILE} ")
            assert message.isprintable()
    assert_golden("refusals.report.txt", sections(told))


def test_a_report_that_contradicts_itself_is_refused() -> None:
    undetermined = finding(compliance=Compliance.UNDETERMINED)
    planned = finding(change=change(ChangeStatus.PLANNED))
    closed = finding(change=change())
    cases: list[tuple[Report, int, bool | None]] = [
        # What the lists say; `complete` is None where the report may say either.
        (report(), 0, None),
        (report([finding()]), 1, None),
        (report([closed]), 0, None),
        (report([planned], dry_run=True), 1, None),
        (report([planned], kind="apply", dry_run=True), 1, None),
        (report([planned], kind="undo", dry_run=True), 0, None),
        (report([finding()], kind="undo"), 1, None),
        (report([finding()], kind="events"), 1, None),
        (report([undetermined]), 1, False),
        (report([], [(target("222233334444"), failed())]), 0, False),
        (report([closed], [(target("222233334444"), failed())], kind="undo"), 0, False),
    ]
    for item, remaining, complete in cases:
        kind = item.run.kind
        with case(kind, item.findings, item.failures):
            assert item.totals.remaining == remaining
            assert as_json(read(as_json(item))) == as_json(item)
            for wrong in {0, 1, 2} - {remaining}:
                other = replace(item, totals=replace(item.totals, remaining=wrong))
                assert "totals.remaining" in refusal(as_json(other))
            other = replace(item, coverage=replace(item.coverage, complete=True))
            if complete is False:
                assert not item.coverage.complete
                assert "coverage.complete" in refusal(as_json(other))
            else:
                assert read(as_json(other)).coverage.complete
            # A gap that only AWS Config knows of is in no list.
            other = replace(item, coverage=replace(item.coverage, complete=False))
            assert not read(as_json(other)).coverage.complete


def test_a_file_that_cannot_be_read_is_named() -> None:
    told = {}
    for path in ("missing.json", ".", "", "a\nb", "a\0b", "x" * 300):
        with case(path):
            with pytest.raises(ConfigurationError) as caught:
                read_report(path, nothing_remote)
            told[repr(path)] = str(caught.value)
            assert str(caught.value).startswith(f"{plain(path)}: " if path else "REPORT is empty")
            assert str(caught.value).isprintable()
    del told[repr("a\0b")]  # which Python says in other words from version to version
    assert_golden("refusals.report-files.txt", sections(told))


def test_a_report_that_is_too_large_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    content = as_json(SAMPLE)
    monkeypatch.setattr(report_store, "MAX_REPORT", len(content))
    assert read(content).run == SAMPLE.run
    assert refusal(content + b" ") == f"{FILE}: too large: more than {len(content):,} bytes"


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
    client: Any = callers_session().client("s3")
    client.put_object(Bucket=BUCKET, Key=key, Body=content)
    return f"s3://{BUCKET}/{key}"


def test_a_report_in_s3(aws: FakeAws) -> None:
    location = put("ecr/latest.json", as_json(SAMPLE))
    assert as_json(read_report(location, read_object)) == as_json(SAMPLE)


def test_an_object_that_is_no_report_is_named(aws: FakeAws) -> None:
    locations = (
        *(f"s3://{BUCKET}/none.json", "s3://no-such-bucket/a.json", f"s3://{BUCKET}"),
        *(put("other.json", b"{}"), put("bytes.json", b"\xff")),
    )
    told = {location: object_refusal(location) for location in locations}
    denied = put("denied.json", as_json(SAMPLE))
    aws.faults([{"action": "access_denied", "operation": "GetObject"}])
    told[denied] = object_refusal(denied)
    assert "s3:GetObject" in told[denied]
    for location, message in told.items():
        assert message.startswith(location)
    said = {location: AWS_SAID.sub(r"(\1)", text) for location, text in told.items()}
    assert_golden("refusals.object.txt", sections(said))


AWS_SAID = re.compile(r"\((\w+): [^)]*\)")


def object_refusal(location: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_report(location, read_object)
    return str(caught.value)


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
    compared = compare(read(as_json(before)), read(as_json(after)))
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


def test_a_dry_run_is_compared_like_any_sweep() -> None:
    was = since_last(run_id="sunday", resolved=(earlier("gone on monday"),))
    before = replace(
        report([finding("open", since_last=Since.NEW)], **MONDAY, dry_run=True), since_last=was
    )
    compared = compare(before, report([finding("open"), finding("made")], **FRIDAY))
    assert kinds(compared) == {"open": "still_open", "made": "new"}


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


def test_what_cannot_be_compared_is_refused() -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
        (FRIDAY, MONDAY, ("friday", "monday")),
        (MONDAY, MONDAY, ("monday",)),
        (MONDAY | {"organization_id": "o-other"}, FRIDAY, ("o-other", "o-exampleorg")),
        (
            MONDAY | {"organization_id": None, "account_id": "111111111111"},
            FRIDAY | {"organization_id": None},
            ("111111111111", "999988887777"),
        ),
        (FRIDAY | {"id": "a\nb"}, MONDAY, (r"a\x0ab", "monday")),
    ]
    told = {}
    for before, after, named in cases:
        with case(before, after):
            with pytest.raises(ConfigurationError) as caught:
                compare(report([], **before), report([], **after))
            told[f"{before} and {after}"] = str(caught.value)
            assert all(each in str(caught.value) for each in named)
    assert_golden("refusals.comparison.txt", sections(told))
