"""What is written is read again; what was damaged or forged is refused, and named by its line."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain.errors import ConfigurationError
from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import (
    Account,
    Change,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Exemption,
    Failed,
    Finding,
    OpenedAccount,
    ResumeState,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import RunKind
from sweeper.storage import json_scanner
from sweeper.storage.journal import lines
from sweeper.storage.journal.kinds import Header
from tests import factories
from tests.cases import case

HEADER = Header(
    "20260615T120000Z-0a1b2c", datetime(2026, 6, 15, 12, tzinfo=UTC), "1.2.3", False, {}
)
SEEN = (None, ChangeStatus.WITHHELD)
ENDED = (ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED)

# Half a character is none: all the rest comes back as it was.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [text for text in factories.HOSTILE if "\ud800" not in text]
)
some_filters = st.lists(texts, max_size=3).map(tuple)
accounts = st.builds(
    Account,
    id=st.from_regex(r"[0-9]{12}", fullmatch=True),
    name=texts,
    state=texts,
    ou_path=st.none() | some_filters,
    tags=st.none() | st.dictionaries(texts, texts, max_size=3),
)
regions = st.sampled_from(["eu-central-1", "us-gov-west-1", "xx-new-12"])
opened_accounts = st.builds(
    OpenedAccount, accounts, st.lists(st.tuples(regions, texts), max_size=3).map(tuple)
)
exemptions = st.builds(
    Exemption,
    st.sampled_from(["config", "pull_through_cache"]),
    texts,
    texts,
    st.none() | st.dates(date(2000, 1, 1)),
    st.booleans(),
)


def changes(statuses: Sequence[ChangeStatus]) -> st.SearchStrategy[Change]:
    return st.builds(
        Change,
        st.sampled_from(statuses),
        texts,
        some_filters,
        st.none() | st.sampled_from(Reason),
        st.none() | texts,
    )


def findings(target: Target) -> st.SearchStrategy[Finding]:
    return st.builds(
        Finding,
        check=texts,
        account_id=st.just(target.account.id),
        account_name=texts,
        region=st.just(target.region),
        repository=texts,
        arn=texts,
        compliance=st.sampled_from(Compliance),
        mutability=texts,
        exclusion_filters=some_filters,
        reason=texts,
        exemption=st.none() | exemptions,
        change=st.none() | changes([ChangeStatus.WITHHELD]),
    )


@st.composite
def examinations(draw: st.DrawFn) -> tuple[Target, Examined]:
    target = Target(draw(accounts), draw(regions))
    counts = draw(st.tuples(*[st.integers(0, 10**6)] * 3))
    return target, Examined(Counts(*counts), tuple(draw(st.lists(findings(target), max_size=3))))


def examined_lines(target: Target, value: Examined) -> bytes:
    return b"".join(lines.examined(target, value))


def journal(*after: bytes, first: Header = HEADER) -> bytes:
    return b"".join((lines.header(first), *after))


def read(data: bytes) -> tuple[Header, ResumeState, int]:
    return lines.read(io.BytesIO(data), "a.journal")


def past(*after: bytes) -> ResumeState:
    return read(journal(*after))[1]


def problem(data: bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(data)
    return str(caught.value)


def line(**values: Any) -> bytes:
    return json.dumps(values).encode() + b"\n"


def forged_finding(**values: Any) -> bytes:
    """The lines of a target with one finding, in which some values are others."""
    found, examined = lines.examined(
        factories.target(), Examined(Counts(0, 1, 0), (factories.finding(),))
    )
    forged = json.loads(found)
    forged["finding"] |= values
    return line(**forged) + examined


@given(
    texts,
    st.booleans(),
    st.dictionaries(texts, texts, max_size=3),
    st.sampled_from(get_args(RunKind)),
)
def test_the_header_comes_back(
    version: str, dry_run: bool, config: dict[str, str], kind: RunKind
) -> None:
    header = replace(HEADER, version=version, dry_run=dry_run, config=config, run_kind=kind)
    header = replace(header, source=None if kind == "sweep" else HEADER.run_id)
    data = journal(first=header)
    assert read(data) == (header, ResumeState(in_doubt=set()), len(data))


@given(st.lists(opened_accounts, max_size=4), st.lists(examinations(), max_size=4))
def test_what_was_seen_comes_back(
    opened: list[OpenedAccount], examined: list[tuple[Target, Examined]]
) -> None:
    data = journal(
        *map(lines.opened, opened),
        *(examined_lines(target, value) for target, value in examined),
    )
    found_lines = sum(len(value.findings) for _, value in examined)
    assert data.count(b"\n") == 1 + len(opened) + len(examined) + found_lines
    header, found, size = read(data)
    assert (header, size) == (HEADER, len(data))
    assert found.opened == {each.account.id: each for each in opened}
    assert found.examined == {target.key: value for target, value in examined}
    assert (found.completed, found.in_doubt) == ({}, set())


@given(examinations(), st.data())
def test_what_became_of_changes_comes_back(
    examined: tuple[Target, Examined], data: st.DataObject
) -> None:
    target, _ = examined
    finding = data.draw(findings(target))
    change = data.draw(changes(list(ChangeStatus)))
    begun = examined_lines(target, Examined(Counts(0, 1, 0), (finding,))) + lines.intent(
        finding, change
    )
    assert past(begun).in_doubt == {finding.key}
    found = past(begun, lines.result(finding, change))
    settled = change.status in ENDED
    assert found.completed == ({finding.key: change} if settled else {})
    assert found.in_doubt == (set() if settled else {finding.key})
    # A later process of the run may have begun it again, or ended it.
    assert past(begun, lines.result(finding, change), begun).in_doubt == {finding.key}


def test_what_was_applied_stays_applied_whatever_a_later_process_found() -> None:
    """ECR may list a repository twice, and a resumed process may find it compliant."""
    finding = factories.finding()
    applied, superseded = (
        lines.result(finding, factories.change(status))
        for status in (ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED)
    )
    examined = examined_lines(factories.target(), Examined(Counts(0, 1, 0), (finding,)))
    for order in ((applied, superseded), (superseded, applied)):
        (change,) = past(examined, *order).completed.values()
        assert change.status is ChangeStatus.APPLIED


def test_a_change_without_its_finding_is_refused() -> None:
    """No report would have it, and no undo would revert it."""
    finding = factories.finding()
    for line in (
        lines.intent(finding, factories.change()),
        lines.result(finding, factories.change()),
    ):
        with pytest.raises(ConfigurationError, match=r"line 2: .* did not find"):
            past(line)


def test_the_leases_of_all_processes_are_known() -> None:
    assert past(lines.lease("one"), lines.lease("two")).leases == {"one", "two"}


def test_what_would_be_written_is_planned_anew() -> None:
    seen = [
        factories.finding(str(status), change=factories.change(status) if status else None)
        for status in (None, *ChangeStatus)
    ]
    value = Examined(Counts(0, 6, 0), tuple(seen))
    (found,) = past(examined_lines(factories.target(), value)).examined.values()
    assert [each.change and each.change.status for each in found.findings] == [
        status if status in SEEN else None for status in (None, *ChangeStatus)
    ]


def test_half_a_character_keeps_nothing_from_being_read() -> None:
    account = factories.account(name="lone\ud800surrogate\U000e0041 \\ud800")
    opened = lines.opened(OpenedAccount(account, ()))
    (found,) = past(opened).opened.values()
    assert found.account.name == "lone?surrogate\U000e0041 \\ud800"
    assert opened.decode().isprintable() is False  # its end
    assert opened[:-1].decode().isprintable()


@pytest.mark.parametrize("text", [*factories.HOSTILE, "Zürich", "plain"])
def test_a_line_shows_nothing_hidden_and_has_one_end(text: str) -> None:
    finding = factories.finding(repository=text, reason=text)
    found, _ = lines.examined(factories.target(), Examined(Counts(0, 1, 0), (finding,)))
    shown = found.decode()
    assert shown.endswith("\n")
    assert not any(map(is_hidden, shown[:-1]))
    # A half of a character comes back as what stands for it.
    assert json.loads(found)["finding"]["reason"] == text.replace("\ud800", "?")


def test_a_journal_of_the_version_before_is_read() -> None:
    """It had other spaces, and another spelling of the time zone."""
    account = factories.account("1" * 12)
    finding = factories.finding(account_id=account.id, region="eu-west-1")
    of_finding = ("check", "account_id", "region", "repository")
    key = dict(zip(of_finding, finding.key, strict=True))
    earlier = [
        {**asdict(HEADER), "started_at": HEADER.started_at.isoformat()},
        {"account": asdict(account), "regions": [["eu-west-1", "ENABLED"]], "unread": None}
        | {"kind": "opened"},
        {"finding": asdict(replace(finding, change=None)), "kind": "found"},
        {"account_id": account.id, "region": "eu-west-1", "counts": [4, 1, 0], "findings": 1}
        | {"kind": "examined"},
        {**key, "from_mutability": "MUTABLE", "from_exclusion_filters": []}
        | {"to_mutability": "IMMUTABLE", "to_exclusion_filters": [], "kind": "intent"},
    ]
    data = b"".join(line(**each) for each in earlier)
    assert b'"started_at": "2026-06-15T12:00:00+00:00"' in data
    header, found, size = read(data)
    assert (header, size) == (HEADER, len(data))
    assert found.opened[account.id].regions == (("eu-west-1", "ENABLED"),)
    assert [each.repository for each in found.examined[account.id, "eu-west-1"].findings] == [
        finding.repository
    ]
    assert found.in_doubt == {finding.key}


def test_failures_are_for_people() -> None:
    failure = Failed(Stage.EXAMINE, Reason.DENIED, "not\nallowed", "AccessDenied")
    data = journal(lines.failed("1", "r", failure), lines.failed("1", None, failure))
    assert read(data)[1:] == (ResumeState(in_doubt=set()), len(data))


def test_targets_alike_are_one_value() -> None:
    targets = [factories.target(region=region) for region in ("eu-central-1", "eu-west-1")]
    found = past(*(examined_lines(each, Examined(Counts(7, 0, 0))) for each in targets))
    first, second = found.examined.values()
    assert first is second


# --- what was damaged or forged ----------------------------------------------------------------

WHOLE = journal(
    lines.opened(OpenedAccount(factories.account(), (("eu-central-1", "ENABLED"),))),
    examined_lines(factories.target(), Examined(Counts(1, 1, 0), (factories.finding(),))),
    lines.intent(factories.finding(), factories.change()),
)


def test_a_torn_last_line_is_passed_over() -> None:
    for size in range(len(lines.header(HEADER)), len(WHOLE)):
        with case(size):
            _, found, kept = read(WHOLE[:size])
            assert kept == WHOLE.rfind(b"\n", 0, size) + 1
            assert found == read(WHOLE[:kept])[1]


def test_without_a_whole_line_it_is_none() -> None:
    for data in [b"", lines.header(HEADER)[:-1]]:
        with case(data):
            assert problem(data) == "a.journal: no journal: it has no whole line"


def test_damage_is_named_by_its_line() -> None:
    for damaged in [
        b"\n",
        b"\0\0\0\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"[" * 100_000 + b"\n",
        b"{}\n",
        line(kind="undo"),
        line(
            kind="opened",
            account={"id": "1", "name": "", "state": ""},
            regions=[["evil.com/#", "ENABLED"]],
        ),
        line(kind="examined", account_id="12", region="eu-west-1", counts=[0, 0, 0], findings=0),
        line(kind="examined", account_id="1" * 12, region="eu/", counts=[0, 0, 0], findings=0),
        line(
            kind="examined", account_id="1" * 12, region="eu-west-1", counts=[-1, 0, 0], findings=0
        ),
        line(kind="examined", account_id="1" * 12, region="eu-west-1", counts=[0, 0], findings=0),
        line(
            kind="result",
            check="c",
            account_id="1",
            region="r",
            repository="x",
            change={"status": "done"},
        ),
        WHOLE.splitlines(keepends=True)[1][:-20] + b"\n",
    ]:
        with case(damaged):
            assert problem(WHOLE + damaged).startswith(
                "a.journal: line 6: not a line of a journal: "
            )


def test_a_message_about_damage_shows_nothing_of_it() -> None:
    said = problem(journal(line(kind="opened", account="\x1b[2J" * 1000, regions=[])))
    assert "\x1b" not in said
    assert len(said) < 500


def test_a_second_header_is_refused() -> None:
    for data in [journal(lines.header(HEADER)), WHOLE + lines.header(HEADER)]:
        with case(data):
            assert "the first line, and no other, says which run it is" in problem(data)


def test_another_line_first_is_refused() -> None:
    assert "line 1:" in problem(WHOLE[len(lines.header(HEADER)) :])


def test_a_header_of_another_kind_is_refused() -> None:
    cases: list[dict[str, Any]] = [
        {"run_id": "../../etc/passwd"},
        {"run_id": "20260615T120000Z-0a1b2c\n"},
        {"journal": 2},
        {"run_kind": "preflight"},
        {"source": "../../etc/passwd"},
        {"dry_run": None},
        {"started_at": "yesterday"},
        {"config": {"policy": 1}},
    ]
    for values in cases:
        with case(values):
            first = json.loads(lines.header(HEADER))
            assert "line 1:" in problem(line(**{**first, **values}))


def test_a_run_began_at_the_time_of_its_id_and_not_in_the_future() -> None:
    began = HEADER.started_at.isoformat()
    now = datetime.now(UTC).replace(microsecond=0)

    def of_time(moment: datetime) -> dict[str, str]:
        return {"run_id": f"{moment:%Y%m%dT%H%M%SZ}-0a1b2c", "started_at": moment.isoformat()}

    other = "not the time in UTC with which run_id begins"
    cases: list[tuple[dict[str, str], str | None]] = [
        ({"started_at": began}, None),
        ({"started_at": "2026-06-15T12:00:00Z"}, None),
        ({"started_at": "2026-06-15T12:00:00"}, other),  # without a zone
        ({"started_at": "2026-06-15T12:00:00+14:00"}, other),
        ({"started_at": "2026-06-15T14:00:00+02:00"}, other),  # another day near midnight
        ({"started_at": "2026-01-01T00:00:00Z"}, other),
        ({"started_at": "2030-01-01T00:00:00Z"}, other),
        ({"run_id": "20261399T999999Z-0a1b2c"}, other),
        (of_time(now), None),
        (of_time(now + timedelta(minutes=4)), None),  # clocks differ
        (of_time(now + timedelta(minutes=6)), "a time in the future"),
        (of_time(now + timedelta(days=1000)), "a time in the future"),
    ]
    for values, message in cases:
        with case(values):
            data = line(**{**json.loads(lines.header(HEADER)), **values})
            if message:
                assert f"line 1: not a line of a journal: started_at: {message}" in problem(data)
            else:
                assert read(data)[0].run_id == values.get("run_id", HEADER.run_id)


def test_a_forged_change_is_refused() -> None:
    for status in [status for status in ChangeStatus if status is not ChangeStatus.WITHHELD]:
        with case(status):
            change: dict[str, Any] = {
                "status": status,
                "to_mutability": "MUTABLE",
                "to_exclusion_filters": [],
            }
            forged = journal(forged_finding(change=change))
            assert "a finding with a change that was not withheld" in problem(forged)


def test_a_finding_of_another_place_is_refused() -> None:
    for place in [{"account_id": "9" * 12}, {"region": "eu-west-9"}]:
        with case(place):
            assert "1 findings, of which 0 stand before" in problem(
                journal(forged_finding(**place))
            )


def test_of_a_target_that_was_begun_twice_the_last_findings_count() -> None:
    """A process ended among the lines of a target, and another examined it anew."""
    both = Examined(Counts(0, 2, 0), (factories.finding("one"), factories.finding("two")))
    written = list(lines.examined(factories.target(), both))
    (found,) = past(written[0], *written).examined.values()
    assert found == both
    assert past(written[0]).examined == {}
    assert "2 findings, of which 1 stand before" in problem(journal(*written[1:]))


def test_lines_and_the_whole_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    long = journal(line(kind="lease", token="x" * json_scanner.MAX_ITEM))
    assert problem(long).startswith("a.journal: line 2: not a line of a journal: longer than ")
    monkeypatch.setattr(lines, "MAX_SIZE", len(WHOLE))
    read(WHOLE)
    monkeypatch.setattr(lines, "MAX_SIZE", len(WHOLE) - 1)
    assert problem(WHOLE) == f"a.journal: too large: more than {len(WHOLE) - 1:,} bytes"


def test_what_is_kept_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_MEMORY", 2_000)
    read(WHOLE[: WHOLE.index(b"\n") + 1])
    assert problem(WHOLE) == "a.journal: too large: more than 2,000 bytes of memory"


def test_impact_is_not_written() -> None:
    """It is assessed anew: tags move."""
    found = factories.finding(impact=factories.impact("latest"))
    withheld = replace(found, change=factories.change(ChangeStatus.WITHHELD))
    planned = replace(found, change=factories.change(ChangeStatus.PLANNED))
    target = factories.target()
    data = journal(examined_lines(target, Examined(Counts(0, 2, 0), (withheld, planned))))
    past = lines.read(io.BytesIO(data), "it")[1]
    assert past.examined[target.key].findings == (
        replace(withheld, impact=None),
        replace(planned, change=None, impact=None),
    )


def test_a_forged_impact_is_refused() -> None:
    assert "a finding with its impact" in problem(journal(forged_finding(impact={"images": 1})))


def test_a_finding_of_before_there_was_impact_is_read() -> None:
    found, examined = lines.examined(
        factories.target(), Examined(Counts(0, 1, 0), (factories.finding(),))
    )
    old = json.loads(found)
    del old["finding"]["impact"]
    past = lines.read(io.BytesIO(journal(line(**old), examined)), "it")[1]
    assert past.examined[factories.target().key].findings == (factories.finding(),)
