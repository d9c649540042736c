"""report.ocsf.jsonl: the findings as OCSF compliance findings, one event a line.

https://schema.ocsf.io/1.5.0/classes/compliance_finding, with the cloud profile. What the tests
validate these with, py-ocsf-models, is no dependency of the program:
docs/decisions/0013-ocsf-validated-in-tests.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.masking import in_pieces
from sweeper.domain.model import Resource, Since
from sweeper.domain.report_model import AccountSummary, Report, Run
from sweeper.reporting.formats.base import Format
from sweeper.reporting.records import Record, State, records

_VERSION = "1.5.0"
_CLASS = (2003, "Compliance Finding")
_ACTIVITIES = {1: "Create", 2: "Update", 3: "Close"}
_AWS_ACCOUNT = 10  # account.type_id
_MAX_TEXT = 1024  # characters; OCSF sets no limit, but the systems that store it do
_TYPES: dict[Resource, str] = {  # CloudFormation's
    "repository": "AWS::ECR::Repository",
    "repository_creation_template": "AWS::ECR::RepositoryCreationTemplate",
}
# compliance.status_id: 1 Pass, 2 Warning (no result, for want of information), 3 Fail.
_COMPLIANCE = {State.OPEN: 3, State.UNDETERMINED: 2, State.EXEMPT: 3, State.FIXED: 1}
_STATUS = {
    State.OPEN: (1, "New"),
    State.UNDETERMINED: (1, "New"),
    State.EXEMPT: (3, "Suppressed"),
    State.FIXED: (4, "Resolved"),
}
_MINOR = (2, "Low")
_SEVERITY = {
    State.OPEN: (3, "Medium"),
    State.UNDETERMINED: (3, "Medium"),
    State.EXEMPT: (1, "Informational"),
    State.FIXED: (1, "Informational"),
}


def _render(report: Report) -> Iterator[bytes]:
    """Yield one line for each finding, and for each that is resolved since the last sweep."""
    return in_pieces(_lines(report))


def _lines(report: Report) -> Iterator[bytes]:
    run = report.run
    accounts = {account.id: account for account in report.accounts}
    encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))
    time = _milliseconds(run.finished_at)
    for record in records(report):
        event = _event(record, run, accounts.get(record.account_id), time)
        yield encoder.encode(event).encode() + b"\n"


def _event(record: Record, run: Run, account: AccountSummary | None, time: int) -> dict[str, Any]:
    activity = _activity(record)
    class_uid, class_name = _CLASS
    status_id, status = _STATUS[record.state]
    severity_id, severity = _SEVERITY[record.state]
    if record.is_minor and record.state is State.OPEN:
        severity_id, severity = _MINOR
    first_seen = {"first_seen_time": time} if record.since is Since.NEW else {}
    return {
        "activity_id": activity,
        "activity_name": _ACTIVITIES[activity],
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": class_uid,
        "class_name": class_name,
        "type_uid": class_uid * 100 + activity,
        "type_name": f"{class_name}: {_ACTIVITIES[activity]}",
        "time": time,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "message": shorten(record.title, _MAX_TEXT),
        "metadata": {
            "version": _VERSION,
            "profiles": ["cloud"],
            "product": {"name": "sweeper", "vendor_name": "sweeper", "version": run.version},
            "event_code": record.check,
            "correlation_uid": run.id,
        },
        "cloud": _cloud(record, run, account),
        "compliance": {"control": record.check, "status_id": _COMPLIANCE[record.state]},
        "finding_info": {
            "uid": record.id,
            "title": shorten(record.title, _MAX_TEXT),
            "desc": shorten(record.description, _MAX_TEXT),
            **first_seen,
            "last_seen_time": time,
        },
        "remediation": {
            "desc": record.advice,
            "references": [record.guide],
        },
        "resources": [
            {
                "type": _TYPES.get(record.resource, record.resource),
                "uid": shorten(record.resource_id, _MAX_TEXT),
                "name": shorten(record.repository, _MAX_TEXT),
                "region": record.region,
                "cloud_partition": run.partition or "aws",
                "data": {
                    "image_tag_mutability": shorten(record.setting, _MAX_TEXT),
                    **({"change_due": str(record.due)} if record.due else {}),
                },
            }
        ],
    }


def _activity(record: Record) -> int:
    if record.state is State.FIXED:
        return 3
    return 2 if record.since in (Since.STILL_OPEN, Since.REOPENED) else 1


def _cloud(record: Record, run: Run, summary: AccountSummary | None) -> dict[str, Any]:
    """Return the account and region; the tags of the account are its labels."""
    account: dict[str, Any] = {
        "uid": record.account_id,
        "name": shorten(record.account_name, _MAX_TEXT),
        "type": "AWS Account",
        "type_id": _AWS_ACCOUNT,
    }
    if record.tags:
        account["labels"] = [
            shorten(f"{key}:{value}", _MAX_TEXT) for key, value in record.tags.items()
        ]
    cloud: dict[str, Any] = {"provider": "AWS", "region": record.region, "account": account}
    if run.organization_id:
        cloud["org"] = {"uid": run.organization_id}
        if summary and summary.ou_path:
            cloud["org"]["ou_uid"] = plain(summary.ou_path.rpartition("/")[2])
    return cloud


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


FORMAT = Format("ocsf", "ocsf.jsonl", "application/x-ndjson", _render)
