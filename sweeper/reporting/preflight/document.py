"""What was found out as one JSON document, every id in it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from sweeper import __version__
from sweeper.domain.model import Skipped
from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Facts, OrganizationRole
from sweeper.engine.preflight.problems import Problem, Verdict
from sweeper.engine.probe import DestinationProbe, ProbeStatus
from sweeper.reporting.preflight.remedies import meaning, remedy

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def document(facts: Facts, verdict: Verdict, config: Config) -> bytes:
    """Indented JSON, ASCII: text from AWS as it came, in JSON's own escapes."""
    skipped = Counter(
        str(outcome.reason) for _, _, outcome in facts.left_out if isinstance(outcome, Skipped)
    )
    content = {
        "version": __version__,
        "exit_status": int(verdict.status),
        "caller": _caller(facts),
        "accounts": {
            "listed": facts.listed,
            "active": facts.active,
            "with_role": len(facts.with_role(ProbeStatus.WORKS)),
            "without_role": facts.with_role(ProbeStatus.DENIED),
            "role_not_known": facts.with_role(ProbeStatus.FAILED),
        },
        "role_name": config.organization.role_name,
        "auto_remediate": config.remediation.auto_remediate,
        "account_regions": len(facts.regions),
        "actions": {action: _counts(facts, action) for action in facts.actions},
        "skipped": dict(sorted(skipped.items())),
        "accepted": verdict.accepted,
        "destinations": [_asked(each) for each in facts.destinations],
        "problems": [_problem(each, facts, config) for each in verdict.problems],
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _caller(facts: Facts) -> dict[str, Any] | None:
    caller = facts.caller
    if caller is None:
        return None
    return {
        "arn": caller.arn,
        "account_id": caller.account_id,
        "standing": caller.standing,
        "organization_id": caller.organization_id,
        "management_account_id": caller.management_account,
        "may_list_accounts": _may_list(facts, caller.standing),
    }


def _may_list(facts: Facts, standing: OrganizationRole) -> bool | None:
    """Whether Organizations lists the accounts to the caller; None where that was not learnt."""
    if standing is OrganizationRole.NOT_ASKED:
        return None
    if facts.listed:
        return True
    refused = (Reason.NOT_ALLOWED_TO_LIST, Reason.NOT_IN_ORGANIZATION)
    return False if facts.listing and facts.listing.reason in refused else None


def _counts(facts: Facts, action: str) -> dict[str, int]:
    counts = Counter(answer.answer for answer in facts.answers(action))
    return {str(answer): counts[answer] for answer in ProbeStatus}


def _asked(asked: DestinationProbe) -> dict[str, Any]:
    return {
        "key": asked.key,
        "location": asked.location,
        "action": asked.action,
        "answer": asked.probed.answer,
        "reason": asked.probed.reason,
        "message": asked.probed.message or None,
    }


def _problem(problem: Problem, facts: Facts, config: Config) -> dict[str, Any]:
    mended = remedy(problem, facts, config)
    return {
        "kind": problem.kind,
        "answer": problem.answer,
        "reason": problem.reason,
        "meaning": meaning(problem),
        "exit_status": int(problem.status),
        "actions": problem.actions,
        "accounts": problem.accounts,
        "regions": problem.regions,
        "account_regions": problem.places,
        "whole_accounts": problem.whole_accounts,
        "key": problem.key,
        "location": problem.location,
        "error_code": problem.error_code,
        "message": problem.message,
        "remedy": mended.text,
        "link": mended.link,
    }
