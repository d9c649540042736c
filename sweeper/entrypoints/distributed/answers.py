"""The answers of the stages, as they are printed and as the state machine reads them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NotRequired, TypedDict

from sweeper.domain.model import Change, ChangeStatus
from sweeper.entrypoints import logs
from sweeper.storage.work import MappedStage, Result, Work, list_name

_S3 = "s3://"


class Items(TypedDict):
    """The object with the list of shards, as the state machine's ItemReader takes it."""

    bucket: str
    key: str


class Shards(TypedDict):
    """The answer of a stage before a mapped one: how many shards there are; `items`: in S3."""

    run: str
    shards: int
    items: NotRequired[Items]


class ShardDone(TypedDict):
    """The answer of a mapped stage: how many targets were examined, or changes applied: `done`."""

    run: str
    shard: int
    done: int
    failed: int


class Finished(TypedDict):
    """The answer of the last stage; `report` is where report.json is."""

    run: str
    exit_status: int
    report: str | None


Answer = Shards | ShardDone | Finished


def answer_shards(work: Work, run_id: str, stage: MappedStage, count: int) -> Shards:
    """Return how many shards the next stage has, and where S3 has the list of them."""
    answer: Shards = {"run": run_id, "shards": count}
    location = work.at(list_name(stage))
    if location.startswith(_S3):
        bucket, _, key = location.removeprefix(_S3).partition("/")
        answer["items"] = {"bucket": bucket, "key": key}
    return answer


def answer_finished(result: Result) -> Finished:
    """Return the result of the run."""
    return {"run": result.run, "exit_status": result.exit_status, "report": result.report}


def answer_scanned(run_id: str, shard: int, done: int, failed: int) -> ShardDone:
    """Log and return how many targets of a shard were examined, and how many outcomes failed."""
    logs.log(logging.INFO, "shard.scanned", shard=shard, targets=done, failed=failed)
    return {"run": run_id, "shard": shard, "done": done, "failed": failed}


def answer_applied(run_id: str, shard: int, changes: Iterable[Change]) -> ShardDone:
    """Log and return how many changes of a shard were applied, and how many failed."""
    statuses = [change.status for change in changes]
    done = statuses.count(ChangeStatus.APPLIED)
    failed = statuses.count(ChangeStatus.FAILED)
    logs.log(logging.INFO, "shard.applied", shard=shard, applied=done, failed=failed)
    return {"run": run_id, "shard": shard, "done": done, "failed": failed}
