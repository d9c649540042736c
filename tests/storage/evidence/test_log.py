"""The lines of the evidence: one for each repository and check, and none of half a target."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import OperationFailed
from sweeper.domain.model import Compliance, Counts, Examined, Repository, ResumeState, Target
from sweeper.domain.reasons import Reason
from sweeper.engine.change_source import SweepPlan
from sweeper.engine.ports import Record
from sweeper.storage.evidence.file import EvidenceFile, evidence_path, read_lines
from sweeper.storage.evidence.log import EvidenceLog
from sweeper.storage.journal.kinds import Header
from tests.fakes import (
    NOW,
    TODAY,
    FakeRegistry,
    failure,
    make_config,
    make_repository,
    make_target,
)
from tests.storage.evidence.test_file import compressed

CHECK = "ecr-tag-immutability"
HEADER = Header("20260615T120000Z-0a1b2c", NOW, "1.2.3", dry_run=True, config={})
FACTS = (
    make_repository("done", "IMMUTABLE"),
    make_repository("open"),
    replace(make_repository("odd", "IMMUTABLE", ("a", "b")), filter_types=("REGEX", "WILDCARD")),
    make_repository("last", "IMMUTABLE_WITH_EXCLUSION", ("latest",)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return evidence_path(tmp_path / f"{HEADER.run_id}.journal")


def begun(path: Path, past: ResumeState | None = None) -> EvidenceLog:
    log = EvidenceLog(EvidenceFile(path), (CHECK,), past or ResumeState(), lambda: NOW)
    log.begin_file(HEADER, "a digest")
    return log


def check(*facts: Repository) -> TagImmutability:
    return TagImmutability(FakeRegistry({make_target().key: facts}), make_config(), TODAY)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_lines(path)]


def test_each_repository_is_as_it_was_read(path: Path) -> None:
    log = begun(path)
    SweepPlan().examine([check(*FACTS)], make_target(), log)
    header, *verdicts, target = lines(path)
    assert header == {
        "kind": "header",
        "schema_version": "1",
        "run_id": HEADER.run_id,
        "started_at": NOW.isoformat().replace("+00:00", "Z"),
        "version": "1.2.3",
        "dry_run": True,
        "configuration": "a digest",
        "checks": [CHECK],
    }
    by_name = {line["repository"]: line for line in verdicts}
    assert {name: line["verdict"] for name, line in by_name.items()} == {
        "done": "compliant",
        "open": "non_compliant",
        "odd": "undetermined",
        "last": "non_compliant",
    }
    assert by_name["odd"]["exclusion_filters"] == [
        {"type": "REGEX", "filter": "a"},
        {"type": "WILDCARD", "filter": "b"},
    ]
    assert by_name["last"]["exclusion_filters"] == [{"type": "WILDCARD", "filter": "latest"}]
    assert by_name["done"]["reason"] is None
    assert "'REGEX'" in by_name["odd"]["reason"]
    assert target["verdicts"] == {CHECK: {"compliant": 1, "non_compliant": 2, "undetermined": 1}}
    log.file.close()


def test_hostile_texts_are_escaped(path: Path) -> None:
    texts = ("two\nlines", "bell\x07\x1b[2J", "right\u202eto left", "\U0001f680", 'quote"\\')
    facts = [make_repository(text, mutability=text) for text in texts]
    log = begun(path)
    SweepPlan().examine([check(*facts)], make_target(), log)
    written = b"".join(read_lines(path)).decode()
    assert not [char for char in written if char != "\n" and not char.isprintable()]
    assert {line["repository"] for line in lines(path) if "arn" in line} == set(texts)
    log.file.close()


def test_the_time_is_that_of_the_reading_not_of_the_verdict(path: Path) -> None:
    """A verdict may wait for the rules of pull-through caches."""
    clock = iter(NOW.replace(second=second) for second in range(4))
    log = EvidenceLog(EvidenceFile(path), (CHECK,), ResumeState(), lambda: next(clock))
    log.begin_file(HEADER, "")
    SweepPlan().examine([check(*FACTS)], make_target(), log)
    read_at = {line["repository"]: line["read_at"][-3:] for line in lines(path) if "arn" in line}
    assert read_at == {"done": "00Z", "open": "01Z", "odd": "02Z", "last": "03Z"}
    log.file.close()


def test_half_a_target_is_none(path: Path) -> None:
    class Denied(TagImmutability):
        def examine(self, target: Target, record: Record | None = None) -> Examined:
            super().examine(target, record)
            raise failure(Reason.DENIED)

    log = begun(path)
    denied = Denied(FakeRegistry({make_target().key: FACTS}), make_config(), TODAY)
    with pytest.raises(OperationFailed):
        SweepPlan().examine([check(*FACTS), denied], make_target(), log)
    log.finish()
    assert [line["kind"] for line in lines(path)] == ["header", "end"]
    assert set(lines(path)[-1]["verdicts"][CHECK].values()) == {0}
    log.file.close()


def written(path: Path) -> None:
    log = begun(path)
    for region in ("eu-west-1", "us-east-1"):
        target = make_target(region=region)
        log_of = log.begin(target)
        log_of.record(check(), make_repository("app", "IMMUTABLE"), Compliance.COMPLIANT)
        log_of.store()
    log.conclude((), ())
    log.finish()
    log.file.close()


def restored(path: Path, *regions: str) -> list[dict[str, Any]]:
    examined = {make_target(region=region).key: Examined(Counts(1, 0, 0)) for region in regions}
    log = begun(path, ResumeState(examined=examined))
    targets = [(make_target(region=region), Examined(Counts(1, 0, 0))) for region in regions]
    log.conclude((), targets)
    log.finish()
    log.file.close()
    return lines(path)


def test_a_resumed_run_has_what_its_journal_has(path: Path) -> None:
    written(path)
    found = restored(path, "us-east-1")
    assert [line["kind"] for line in found] == ["header", "verdict", "target", "end"]
    assert {line["region"] for line in found[1:3]} == {"us-east-1"}
    assert found[-1]["verdicts"][CHECK]["compliant"] == 1
    assert found[-1]["not_recorded"] == {"targets": 0, "repositories": 0}


@pytest.mark.parametrize(
    "damage",
    [
        b'{"kind": "target"\n',
        b'{"kind": "target", "account_id": "1"}\n',
        b'{"kind": "target", "verdicts": [1]}\n',
        b'{"kind": "target", "account_id": "1", "region": "r", "verdicts": {"a": {"b": 9}}}\n',
    ],
)
def test_a_damaged_target_is_not_recorded(path: Path, damage: bytes) -> None:
    written(path)
    kept = [line for line in read_lines(path) if b"us-east-1" in line]
    file = EvidenceFile(path)
    file.create(lambda: file.append(compressed(kept[0], damage, *kept)))
    file.close()
    found = restored(path, "eu-west-1", "us-east-1")
    missing = [line for line in found if line["kind"] == "target" and not line["recorded"]]
    assert [line["region"] for line in missing] == ["eu-west-1"]
    assert missing[0]["repositories"] == 1
    assert found[-1]["not_recorded"] == {"targets": 1, "repositories": 1}
    assert found[-1]["verdicts"][CHECK]["compliant"] == 1


class _Many:
    """A registry with as many repositories as ECR allows, which keeps none of them."""

    def __init__(self, count: int, mutability: str) -> None:
        self._count = count
        self._mutability = mutability

    def repositories(self, target: Target) -> Iterator[Repository]:
        for number in range(self._count):
            yield make_repository(f"team-{number % 97}/service-{number:06}", self._mutability)


@pytest.mark.slow
def test_memory_is_bounded_in_the_largest_registry(path: Path) -> None:
    """100,000 repositories in one target, which is stored when all of them are known."""
    most = 0
    for with_evidence in (False, True):
        log = begun(path)
        registry: Any = _Many(100_000, "IMMUTABLE")
        large = TagImmutability(registry, make_config(), TODAY)
        tracemalloc.start()
        if with_evidence:
            SweepPlan().examine([large], make_target(), log)
            used = tracemalloc.get_traced_memory()[1]
            assert used - most < 4_000_000
        else:
            large.examine(make_target())
            most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        log.file.close()
    assert sum(1 for _ in read_lines(path)) == 100_002
