"""What the stages of a distributed run leave for each other, and what of it is refused."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.json_encoding import document
from sweeper.domain.model import (
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Impact,
    OpenedAccount,
    Organization,
    ResumeState,
    Stage,
    join_parts,
)
from sweeper.domain.reasons import Reason
from sweeper.storage.journal import lines
from sweeper.storage.work import (
    _HEADER,
    _RESULT,
    PLAN,
    DirectoryStore,
    Result,
    Work,
    WorkHeader,
    apply_part,
    count_shards,
    scan_part,
)
from tests.cases import case
from tests.fakes import REGION, make_account, make_change, make_finding, make_target
from tests.storage.journal.test_lines import HEADER as RUN

OTHER = replace(RUN, run_id="20260101T000000Z-abcdef", started_at=datetime(2026, 1, 1, tzinfo=UTC))
WORK_HEADER = WorkHeader(
    run=RUN,
    options={"regions": {"include": ("eu-central-1",)}},
    lease="token",
    accounts_per_shard=2,
    organization=Organization(
        "o-1",
        "aws",
        "000000000001",
        (make_account(1, ou_path=("r-1",)), make_account(2, tags={"a": "b"})),
    ),
)
FINDING = make_finding()
EXAMINED = Examined(Counts(0, 1, 0), (FINDING,))
DENIED = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no", "AccessDenied")
OPENED = OpenedAccount(make_account(), ((REGION, "ENABLED"),))
FOUND = (
    lines.header(RUN),
    lines.opened(OPENED),
    lines.failed("000000000002", None, DENIED),
    *lines.examined(make_target(), EXAMINED),
)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(DirectoryStore(tmp_path), RUN.run_id)


def test_the_header_comes_back(work: Work) -> None:
    assert work.header() is None
    for header in (
        WORK_HEADER,
        WorkHeader(run=RUN, accounts_per_shard=1, failure=DENIED, organization=None),
    ):
        with case(header):
            work.put_header(header)
            assert work.header() == header


def test_lists_parts_and_the_result_come_back(work: Work) -> None:
    assert (work.shards("scan"), work.part(PLAN), work.result()) == (None, None, None)
    work.put_shards("scan", range(3))
    assert work.shards("scan") == (0, 1, 2)
    work.put_shards("apply", ())
    assert work.shards("apply") == ()
    work.put_part(scan_part(0), lines.whole(FOUND))
    part = work.part(scan_part(0))
    assert part is not None
    assert part.is_whole
    assert part.past == ResumeState(
        opened={OPENED.account.id: OPENED},
        examined={make_target().key: EXAMINED},
        failures={("000000000002", None): DENIED},
    )
    result = Result(RUN.run_id, 4, "s3://reports/report.json")
    work.put_result(result)
    assert work.result() == result


def test_what_is_not_the_runs_own_is_refused(work: Work, tmp_path: Path) -> None:
    header = json.loads(b"".join(document(WORK_HEADER)))
    cases: list[tuple[str, Any, bytes, str]] = [
        (_HEADER, Work.header, b"no", "cannot be used"),
        (_HEADER, Work.header, _json({**header, "accounts_per_shard": 0}), "accounts_per_shard"),
        (
            _HEADER,
            Work.header,
            _json({**header, "organization": {**header["organization"], "accounts": [{"id": 1}]}}),
            "organization.accounts.0",
        ),
        (
            _HEADER,
            Work.header,
            _json({**header, "run": {**header["run"], "run_id": OTHER.run_id}}),
            f"of run {OTHER.run_id}",
        ),
        *(
            (
                _HEADER,
                Work.header,
                _json({**header, "run": {**header["run"], "started_at": moment}}),
                "run.started_at: not the time",
            )
            for moment in ("2030-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-06-15T12:00:00")
        ),
        (
            "shards/scan.json",
            lambda work: work.shards("scan"),
            _json([{"run": OTHER.run_id, "shard": 0}]),
            f"of run {OTHER.run_id}",
        ),
        (
            "shards/scan.json",
            lambda work: work.shards("scan"),
            _json([{"run": RUN.run_id, "shard": -1}]),
            "cannot be used: 0.shard",
        ),
        (_RESULT, Work.result, b"{}", "cannot be used"),
        (
            PLAN,
            lambda work: work.part(PLAN),
            lines.header(OTHER),
            f"of run {OTHER.run_id}",
        ),
        (PLAN, lambda work: work.part(PLAN), b"", "no whole line"),
        (
            PLAN,
            lambda work: work.part(PLAN),
            b"".join((*lines.whole(FOUND), FOUND[1])),
            "a line after the end",
        ),
        (
            PLAN,
            lambda work: work.part(PLAN),
            b"".join((FOUND[0], *list(lines.whole(FOUND))[2:])),
            "of which 4 stand before",
        ),
        (
            PLAN,
            lambda work: work.part(PLAN),
            b"".join((FOUND[0], lines.assessed(FINDING, Impact(images=1)))),
            "an impact on what the lines before did not find",
        ),
    ]
    for name, read, content, message in cases:
        with case(name, message):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            with pytest.raises(ConfigurationError) as caught:
                read(work)
            assert message in str(caught.value)
            assert str(path) in str(caught.value)


def test_a_part_without_its_end_is_not_whole(work: Work, tmp_path: Path) -> None:
    whole = b"".join(lines.whole(FOUND))
    (tmp_path / "scan").mkdir()
    for content in (whole[:-1], whole[: whole.rindex(b"{")]):
        (tmp_path / "scan/0.jsonl").write_bytes(content)
        part = work.part(scan_part(0))
        assert part is not None
        assert not part.is_whole


def test_a_journal_has_no_facts_of_a_part(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(b"".join(FOUND))
    with path.open("rb") as stream:
        _, past, _ = lines.read(stream, "a.journal")
    assert past.failures == {}
    path.write_bytes(b"".join(lines.whole(FOUND)))
    with path.open("rb") as stream, pytest.raises(ConfigurationError, match="the end of a part"):
        lines.read(stream, "a.journal")


def test_a_place_that_cannot_be_written_is_an_operation_that_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    work = Work(DirectoryStore(tmp_path / "file"), RUN.run_id)
    with pytest.raises(OperationFailed) as caught:
        work.put_shards("scan", ())
    assert caught.value.reason is Reason.WRITE_FAILED


def test_only_the_owner_can_read_the_work(tmp_path: Path) -> None:
    work = Work(DirectoryStore(tmp_path / "new" / "work"), RUN.run_id)
    before = os.umask(0)
    try:
        work.put_header(WORK_HEADER)
        work.put_shards("scan", range(1))
        work.put_part(scan_part(0), lines.whole(FOUND))
        work.put_result(Result(RUN.run_id, 0, None))
    finally:
        os.umask(before)
    written = list(tmp_path.rglob("*"))
    assert len(written) == 8  # four files, and new, work, shards and scan
    for path in written:
        with case(path):
            expected = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == expected


def test_one_process_resumes_from_the_parts(work: Work) -> None:
    assert work.read_to_resume() is None
    work.put_header(WORK_HEADER)
    work.put_shards("scan", range(2))
    work.put_part(scan_part(0), lines.whole(FOUND))
    work.put_part(scan_part(1), FOUND[:2])  # not whole
    resumed = work.read_to_resume()
    assert resumed is not None
    header, past = resumed
    assert header == RUN
    assert past.examined == {make_target().key: EXAMINED}
    assert past.failures == {}  # what failed is tried again

    planned, done = make_change(), make_change(ChangeStatus.APPLIED)
    intent = lines.intent(FINDING, planned)
    work.put_part(PLAN, lines.whole((*FOUND, intent)))
    work.put_shards("apply", (0,))
    resumed = work.read_to_resume()
    assert resumed is not None
    assert resumed[1].in_doubt == {FINDING.key}
    work.put_part(apply_part(0), lines.whole((*FOUND, intent, lines.result(FINDING, done))))
    resumed = work.read_to_resume()
    assert resumed is not None
    assert resumed[1].in_doubt == set()
    assert resumed[1].completed == {FINDING.key: done}


def test_shards() -> None:
    cases = [(0, 100, 0), (1, 100, 1), (100, 100, 1), (101, 100, 2), (12, 5, 3)]
    for accounts, size, expected in cases:
        with case(accounts, size):
            assert count_shards(accounts, size) == expected


def test_parts_are_joined() -> None:
    one = ResumeState(opened={"1": OPENED}, in_doubt={FINDING.key})
    two = ResumeState(failures={("2", None): DENIED}, decided={FINDING.key: make_change()})
    assert join_parts([one, two]) == ResumeState(
        opened={"1": OPENED},
        in_doubt={FINDING.key},
        failures={("2", None): DENIED},
        decided={FINDING.key: make_change()},
    )


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
