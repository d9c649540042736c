"""Journals and leases that were damaged or forged."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from sweeper.aws.s3 import Stored
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import ChangeStatus
from sweeper.storage import lease
from sweeper.storage.journal import lines
from tests.fuzz.support import bounded, misshapen, mutated, run_of
from tests.storage.journal.test_lines import WHOLE

LINES = [json.loads(line) for line in WHOLE.splitlines()]
HOLDER = {"run_id": "r", "host": "h", "since": "s", "token": "t", "seconds": 300, "released": False}


def read(fuzzer: str, data: bytes) -> None:
    problem = ""
    with run_of(fuzzer):
        try:
            header, past, size = lines.read(io.BytesIO(data), "a.journal")
        except ConfigurationError as error:
            problem = str(error)
    if problem:
        assert problem.startswith("a.journal: ")
        assert len(problem) < 600
        return
    assert 0 < size <= len(data)
    assert data[:size].endswith(b"\n")
    assert len(header.run_id) == 23
    for place, examined in past.examined.items():
        for finding in examined.findings:
            assert (finding.account_id, finding.region) == place
            assert finding.change is None or finding.change.status is ChangeStatus.WITHHELD


@bounded
@given(mutated(WHOLE))
def test_mutations_of_a_journal(data: bytes) -> None:
    read("journal mutations", data)


@bounded
@given(st.data(), st.integers(0, len(LINES) - 1))
def test_journals_with_a_misshapen_line(data: st.DataObject, at: int) -> None:
    forged = [*LINES[:at], data.draw(misshapen(LINES[at])), *LINES[at + 1 :]]
    read("journal structures", b"".join(json.dumps(each).encode() + b"\n" for each in forged))


@bounded
@given(
    mutated(json.dumps(HOLDER).encode())
    | st.binary(max_size=100)
    | misshapen(HOLDER).map(lambda value: json.dumps(value).encode())
)
def test_leases(body: bytes) -> None:
    with run_of("lease"):
        holder = lease._parse_holder(Stored(body, "etag", 0.0))
    assert 1 <= holder.seconds <= 3600
    assert len(lease._describe(holder)) < 700
