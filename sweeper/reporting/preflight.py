"""What a preflight found: a JSON document with every id, and a remedy for each problem."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper import __version__
from sweeper.domain.model import Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Facts, OrganizationRole
from sweeper.engine.preflight.problems import Kind, Problem, Verdict
from sweeper.engine.probe import DestinationProbe, ProbeStatus
from sweeper.reporting.wording import advice

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def preflight_document(facts: Facts, verdict: Verdict, config: Config) -> bytes:
    """Return indented JSON, in ASCII: text from AWS is as it came, in JSON escapes."""
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
        "destinations": [_destination_object(each) for each in facts.destinations],
        "problems": [_problem_object(each, facts, config) for each in verdict.problems],
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
    """Tell whether the caller may list the accounts; None where that is not known."""
    if standing is OrganizationRole.NOT_ASKED:
        return None
    if facts.listed:
        return True
    refused = (Reason.NOT_ALLOWED_TO_LIST, Reason.NOT_IN_ORGANIZATION)
    return False if facts.listing and facts.listing.reason in refused else None


def _counts(facts: Facts, action: str) -> dict[str, int]:
    counts = Counter(answer.answer for answer in facts.answers(action))
    return {str(answer): counts[answer] for answer in ProbeStatus}


def _destination_object(probe: DestinationProbe) -> dict[str, Any]:
    return {
        "key": probe.key,
        "location": probe.location,
        "action": probe.action,
        "answer": probe.probed.answer,
        "reason": probe.probed.reason,
        "message": probe.probed.message or None,
    }


def _problem_object(problem: Problem, facts: Facts, config: Config) -> dict[str, Any]:
    fix = remedy(problem, facts, config)
    return {
        "kind": problem.kind,
        "answer": problem.answer,
        "reason": problem.reason,
        "meaning": problem_meaning(problem),
        "exit_status": int(problem.status),
        "actions": problem.actions,
        "accounts": problem.accounts,
        "regions": problem.regions,
        "account_regions": problem.targets,
        "whole_accounts": problem.whole_accounts,
        "key": problem.key,
        "location": problem.location,
        "error_code": problem.error_code,
        "message": problem.message,
        "remedy": fix.text,
        "link": fix.link,
    }


_DOCS = "https://docs.aws.amazon.com/"
_STACKSETS = "https://console.aws.amazon.com/cloudformation/home#/stacksets"
_SCPS = "https://console.aws.amazon.com/organizations/v2/home/policies"
_DENIED = _DOCS + "IAM/latest/UserGuide/troubleshoot_access-denied.html"
_DEPLOY = 'make stackset-deploy OUS="…" PARAMETERS="CentralRoleArn=… OrganizationId=…"'
_UPDATE = 'make stackset-deploy OUS="…" PARAMETERS="{}=true"'
_PUT_MUTABILITY = "ecr:PutImageTagMutability"
_DESTINATIONS = (Kind.DESTINATION, Kind.INVENTORY)
# STS requires these, too, if the session has tags or a source identity.
_SESSION_ACTIONS = {"sts:TagSession", "sts:SetSourceIdentity"}


@dataclass(frozen=True, slots=True)
class Remedy:
    """A sentence, with commands and keys as they are typed, and a link where one helps."""

    text: str
    link: str | None = None


def remedy(problem: Problem, facts: Facts, config: Config) -> Remedy:
    """Return what fixes the problem, or how to find out where the answer is not known."""
    if problem.answer is ProbeStatus.NOT_KNOWN:
        first = "sweep that changes something" if problem.kind is Kind.WRITE else "dry run"
        return Remedy(problem.hints.unknown or f"the first {first} shows it")
    found = _kind_remedy(problem, facts, config)
    if found is None:
        stage = Stage.DELIVER if problem.kind is Kind.DESTINATION else Stage.EXAMINE
        text = (advice(stage, problem.reason) if problem.reason else None) or "see docs/reasons.md"
        found = Remedy(text, _DENIED if problem.answer is ProbeStatus.DENIED else None)
    return found


def problem_meaning(problem: Problem) -> str:
    """Return what the problem is, in a sentence."""
    if problem.answer is ProbeStatus.NOT_KNOWN:
        return "only the real call itself shows it"
    if problem.kind in _DESTINATIONS and problem.answer is ProbeStatus.DENIED:
        return "the caller is not permitted to use it"
    if problem.kind is Kind.REGION and problem.answer is ProbeStatus.DENIED:
        return f"nothing can be read there: {(problem.reason or Reason.DENIED).meaning}"
    return (problem.reason or Reason.INTERNAL_ERROR).meaning


def _kind_remedy(problem: Problem, facts: Facts, config: Config) -> Remedy | None:
    denied = problem.answer is ProbeStatus.DENIED
    match problem.kind:
        case Kind.ORGANIZATION:
            found = _organization(problem, facts)
        case Kind.ACCOUNT if problem.reason is Reason.ASSUME_ROLE_DENIED:
            found = _member_role(problem, facts, config)
        case Kind.REGIONS if denied:
            found = _list_regions(problem)
        case Kind.REGION | Kind.READ if denied:
            found = _read(problem, facts)
        case Kind.WRITE if denied:
            found = _write(problem, facts)
        case Kind.DESTINATION | Kind.INVENTORY:
            found = _destination(problem)
        case _:
            found = None
    return found


def _organization(problem: Problem, facts: Facts) -> Remedy | None:
    caller = facts.caller
    match problem.reason:
        case Reason.NO_CREDENTIALS:
            return Remedy(
                "sign in: aws sso login, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY; aws sts get-caller-identity shows who it is then",
                _DOCS + "cli/latest/userguide/cli-chap-authentication.html",
            )
        case Reason.NOT_IN_ORGANIZATION:
            return Remedy(
                "run it in the management account or a delegated administrator of an organization; "
                "organization.role_name: null is for this account alone",
                _DOCS + "organizations/latest/userguide/orgs_introduction.html",
            )
        case Reason.REGION_EXCLUDED:
            return Remedy("correct regions.include and regions.exclude, or leave them out")
        case Reason.NOT_ALLOWED_TO_LIST if caller and caller.standing in (
            OrganizationRole.MANAGEMENT,
            OrganizationRole.DELEGATED,
        ):
            return Remedy("allow the caller organizations:ListAccounts, in its IAM policy", _DENIED)
        case Reason.NOT_ALLOWED_TO_LIST if caller:
            return Remedy(
                "in the management account: aws organizations register-delegated-administrator "
                "--service-principal member.org.stacksets.cloudformation.amazonaws.com "
                f"--account-id {caller.account_id}; or without listing: organization.enumerate: "
                "false and organization.include_accounts",
                _DOCS + "organizations/latest/userguide/orgs_integrate_delegated_admin.html",
            )
    return None


def _member_role(problem: Problem, facts: Facts, config: Config) -> Remedy:
    if brought := _SESSION_ACTIONS & {*problem.actions}:
        what = " and ".join(brought)
        return Remedy(
            "the caller's session has transitive tags or a source identity: "
            f"{_UPDATE.format('AllowSessionTags')} lets the member roles accept them; the caller's "
            f"own policy must allow {what} on them, too. For EKS Pod Identity, disableSessionTags "
            "on the association does without (docs/kubernetes.md)",
            _DOCS + "IAM/latest/UserGuide/id_session-tags.html",
        )
    if len(problem.accounts) == len(facts.accounts):
        given = "is set" if config.organization.external_id else "is not set"
        text = (
            "no account admits the caller. make stackset-status: is the role deployed at all? Its "
            "CentralRoleArn must be the caller's role, its OrganizationId this organization, its "
            f"ExternalId that of organization.external_id, which {given} here; and the caller "
            "needs sts:AssumeRole"
        )
        return Remedy(text, _STACKSETS)
    text = f"make stackset-status shows where the role is not; {_DEPLOY} deploys it"
    if facts.caller and facts.caller.management_account in problem.accounts:
        text += (
            "; StackSets skip the management account: aws cloudformation deploy --stack-name "
            "sweeper-member-role --template-file stacksets/member-role.yaml … there"
        )
    return Remedy(text, _STACKSETS)


def _list_regions(problem: Problem) -> Remedy:
    # Neither fixes it: regions that are not known are not examined.
    until_then = (
        "until then only the regions that regions.include names are examined, and coverage.accept: "
        f"[{{reason: regions_unreadable, account: {_yaml_list(problem.accounts)}}}] "
        "accepts that nobody knows the others"
    )
    if problem.reason is Reason.DENIED_BY_SCP:
        text = (
            "except account:ListRegions, which is served from us-east-1, from the region-deny "
            f"policy for the member role; {until_then}"
        )
        return Remedy(text, _SCPS)
    return Remedy(
        f"{_DEPLOY}: the role's policy there lacks account:ListRegions; {until_then}",
        _STACKSETS,
    )


def _read(problem: Problem, facts: Facts) -> Remedy | None:
    what = " and ".join(problem.actions) or "the reads of ECR"
    match problem.reason:
        case Reason.DENIED_BY_SCP if problem.whole_accounts:
            return Remedy(
                "except the member role from the service control policy of these accounts or of "
                f"their OU; or leave them out: organization.exclude_accounts: "
                f"{_yaml_list(problem.accounts)}; or accept it: coverage.accept: "
                f"[{{reason: denied_by_scp, account: {_yaml_list(problem.accounts)}}}]",
                _SCPS,
            )
        case Reason.DENIED_BY_SCP:
            return Remedy(
                f"if this is intended: {_exclude_regions(problem, facts)}; else except the member "
                "role from the service control policy",
                _SCPS,
            )
        case Reason.DENIED_BY_IDENTITY_POLICY | Reason.DENIED:
            return Remedy(f"{_DEPLOY}: the role's policy there lacks {what}", _STACKSETS)
        case Reason.DENIED_BY_PERMISSIONS_BOUNDARY:
            return Remedy(f"let the role's boundary (PermissionsBoundaryArn) allow {what}", _DENIED)
    return None


def _write(problem: Problem, facts: Facts) -> Remedy | None:
    what = " and ".join(problem.actions)
    instead = (
        "or change fewer accounts: remediation.include_ous, remediation.exclude_accounts; or only "
        "report: remediation.auto_remediate: DISABLED"
    )
    match problem.reason:
        case Reason.WRITE_NOT_GRANTED | Reason.DENIED_BY_IDENTITY_POLICY | Reason.DENIED:
            # Parameters that are left out keep their values.
            permitted_by = sorted(facts.permitted_by.items())
            named = [name for action, name in permitted_by if action in problem.actions]
            if not named:
                return Remedy(f"allow {what} in the member role's policy; {instead}", _STACKSETS)
            deploy = _UPDATE.format("=true ".join(named))
            return Remedy(f"{deploy} lets the role use {what}; {instead}", _STACKSETS)
        case Reason.DENIED_BY_SCP:
            ours = ""
            if _PUT_MUTABILITY in problem.actions:
                ours = (
                    f": for {_PUT_MUTABILITY}, stacksets/deny-tag-mutability-changes.json names "
                    "the role"
                )
            return Remedy(
                f"except the member role from the policy that denies {what}{ours}; {instead}", _SCPS
            )
        case Reason.DENIED_BY_PERMISSIONS_BOUNDARY:
            return Remedy(
                f"let the role's boundary (PermissionsBoundaryArn) allow {what}; {instead}", _DENIED
            )
    return None


def _destination(problem: Problem) -> Remedy | None:
    hints = problem.hints
    is_inventory = problem.kind is Kind.INVENTORY
    missing = Reason.AGGREGATOR_MISSING if is_inventory else Reason.DESTINATION_MISSING
    if problem.reason is missing and hints.missing:
        return Remedy(hints.missing)
    if problem.answer is ProbeStatus.DENIED and hints.denied:
        return Remedy(hints.denied.format(actions=", ".join(problem.actions)), hints.link)
    return Remedy(hints.failed) if hints.failed else None


def _exclude_regions(problem: Problem, facts: Facts) -> str:
    """Return the keys that leave out the denied regions, and nothing that can be read."""
    regions = _yaml_list(problem.regions)
    probed = {region.key for region in facts.regions if region.name in problem.regions}
    readable = {account for account, _ in probed.difference(problem.targets)}
    accept = f"coverage.accept: [{{reason: denied_by_scp, region: {regions}}}]"
    if not readable:
        return f"regions.exclude: {regions}, or {accept}"
    if facts.caller and readable == {facts.caller.management_account}:  # no such policy binds it
        return accept
    rules = ", ".join(
        f"{{reason: denied_by_scp, account: {_yaml_list(accounts)}, region: {_yaml_list(denied)}}}"
        for denied, accounts in _accounts_by_regions(problem.targets).items()
    )
    return f"coverage.accept: [{rules}]"


def _accounts_by_regions(targets: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], list[str]]:
    """Group the accounts of (account, region) pairs by the regions that each has."""
    regions_of: dict[str, list[str]] = {}
    for account, region in targets:
        regions_of.setdefault(account, []).append(region)
    grouped: dict[tuple[str, ...], list[str]] = {}
    for account, regions in regions_of.items():
        grouped.setdefault(tuple(sorted(regions)), []).append(account)
    return grouped


def _yaml_list(values: Sequence[str]) -> str:
    """Return a list as it stands in config.yaml, ready to paste."""
    quoted = (f'"{value}"' if value.isdigit() else value for value in values)
    return f"[{', '.join(quoted)}]"
