"""What mends a problem: a command, a key of the configuration or a policy, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeper.domain.model import Stage
from sweeper.domain.reasons import Reason
from sweeper.engine.preflight.facts import Facts, OrganizationRole
from sweeper.engine.preflight.problems import Kind, Problem
from sweeper.engine.probe import ProbeStatus
from sweeper.reporting.wording import advice

if TYPE_CHECKING:
    from sweeper.config.schema import Config

_R = Reason
_DOCS = "https://docs.aws.amazon.com/"
_STACKSETS = "https://console.aws.amazon.com/cloudformation/home#/stacksets"
_SCPS = "https://console.aws.amazon.com/organizations/v2/home/policies"
_DENIED = _DOCS + "IAM/latest/UserGuide/troubleshoot_access-denied.html"
_DEPLOY = 'make stackset-deploy OUS="…" PARAMETERS="CentralRoleArn=… OrganizationId=…"'
_UPDATE = 'make stackset-deploy OUS="…" PARAMETERS="{}=true"'
_CLOSE = "ecr:PutImageTagMutability"
_NAMED = (Kind.DESTINATION, Kind.INVENTORY)
# Actions that STS asks for besides, where a session brings tags or a source identity with it.
_BROUGHT = {"sts:TagSession", "sts:SetSourceIdentity"}


@dataclass(frozen=True, slots=True)
class Remedy:
    """A sentence, with commands and keys as they are typed, and a link where one helps."""

    text: str
    link: str | None = None


def remedy(problem: Problem, facts: Facts, config: Config) -> Remedy:
    """What mends the problem; for what is not known, what would let it be known."""
    if problem.answer is ProbeStatus.NOT_KNOWN:
        first = "sweep that changes something" if problem.kind is Kind.WRITE else "dry run"
        return Remedy(problem.hints.unknown or f"the first {first} tells")
    found = _of_kind(problem, facts, config)
    if found is None:
        stage = Stage.DELIVER if problem.kind is Kind.DESTINATION else Stage.EXAMINE
        text = (advice(stage, problem.reason) if problem.reason else None) or "see docs/reasons.md"
        found = Remedy(text, _DENIED if problem.answer is ProbeStatus.DENIED else None)
    return found


def meaning(problem: Problem) -> str:
    """What the problem is, in a sentence."""
    if problem.answer is ProbeStatus.NOT_KNOWN:
        return "it cannot be told without doing it"
    if problem.kind in _NAMED and problem.answer is ProbeStatus.DENIED:
        return "the caller is not permitted to use it"
    if problem.kind is Kind.REGION and problem.answer is ProbeStatus.DENIED:
        return f"nothing can be read there: {(problem.reason or _R.DENIED).meaning}"
    return (problem.reason or _R.INTERNAL_ERROR).meaning


def _of_kind(problem: Problem, facts: Facts, config: Config) -> Remedy | None:
    denied = problem.answer is ProbeStatus.DENIED
    match problem.kind:
        case Kind.ORGANIZATION:
            found = _organization(problem, facts)
        case Kind.ACCOUNT if problem.reason is _R.ASSUME_ROLE_DENIED:
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
        case _R.NO_CREDENTIALS:
            return Remedy(
                "sign in: aws sso login, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY; aws sts get-caller-identity shows who it is then",
                _DOCS + "cli/latest/userguide/cli-chap-authentication.html",
            )
        case _R.NOT_IN_ORGANIZATION:
            return Remedy(
                "run it in the management account or a delegated administrator of an organization; "
                "organization.role_name: null is for this account alone",
                _DOCS + "organizations/latest/userguide/orgs_introduction.html",
            )
        case _R.NOT_ALLOWED_TO_LIST if caller and caller.standing in (
            OrganizationRole.MANAGEMENT,
            OrganizationRole.DELEGATED,
        ):
            return Remedy("allow the caller organizations:ListAccounts, in its IAM policy", _DENIED)
        case _R.NOT_ALLOWED_TO_LIST if caller:
            return Remedy(
                "in the management account: aws organizations register-delegated-administrator "
                "--service-principal member.org.stacksets.cloudformation.amazonaws.com "
                f"--account-id {caller.account_id}; or without listing: organization.enumerate: "
                "false and organization.include_accounts",
                _DOCS + "organizations/latest/userguide/orgs_integrate_delegated_admin.html",
            )
    return None


def _member_role(problem: Problem, facts: Facts, config: Config) -> Remedy:
    if brought := _BROUGHT & {*problem.actions}:
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
    # Neither is a cure: what is not known is not examined.
    until_then = (
        "until then only the regions that regions.include names are examined, and "
        f"coverage.accept: [{{reason: regions_unreadable, account: {_listed(problem.accounts)}}}] "
        "accepts that nobody knows the others"
    )
    if problem.reason is _R.DENIED_BY_SCP:
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
        case _R.DENIED_BY_SCP if problem.whole_accounts:
            return Remedy(
                "except the member role from the service control policy of these accounts or of "
                f"their OU; or leave them out: organization.exclude_accounts: "
                f"{_listed(problem.accounts)}; or accept it: coverage.accept: "
                f"[{{reason: denied_by_scp, account: {_listed(problem.accounts)}}}]",
                _SCPS,
            )
        case _R.DENIED_BY_SCP:
            return Remedy(
                f"if it is meant: {_leave_out(problem, facts)}; else except the member role from "
                "the service control policy",
                _SCPS,
            )
        case _R.DENIED_BY_IDENTITY_POLICY | _R.DENIED:
            return Remedy(f"{_DEPLOY}: the role's policy there lacks {what}", _STACKSETS)
        case _R.DENIED_BY_PERMISSIONS_BOUNDARY:
            return Remedy(f"let the role's boundary (PermissionsBoundaryArn) allow {what}", _DENIED)
    return None


def _write(problem: Problem, facts: Facts) -> Remedy | None:
    what = " and ".join(problem.actions)
    instead = (
        "or close less: remediation.include_ous, remediation.exclude_accounts; or only look: "
        "remediation.auto_remediate: DISABLED"
    )
    match problem.reason:
        case _R.WRITE_NOT_GRANTED | _R.DENIED_BY_IDENTITY_POLICY | _R.DENIED:
            # What is left out keeps its value.
            permitted_by = sorted(facts.permitted_by.items())
            named = [name for action, name in permitted_by if action in problem.actions]
            if not named:
                return Remedy(f"allow {what} in the member role's policy; {instead}", _STACKSETS)
            deploy = _UPDATE.format("=true ".join(named))
            return Remedy(f"{deploy} lets the role use {what}; {instead}", _STACKSETS)
        case _R.DENIED_BY_SCP:
            ours = ""
            if _CLOSE in problem.actions:
                ours = f": for {_CLOSE}, stacksets/deny-tag-mutability-changes.json names the role"
            return Remedy(
                f"except the member role from the policy that denies {what}{ours}; {instead}", _SCPS
            )
        case _R.DENIED_BY_PERMISSIONS_BOUNDARY:
            return Remedy(
                f"let the role's boundary (PermissionsBoundaryArn) allow {what}; {instead}", _DENIED
            )
    return None


def _destination(problem: Problem) -> Remedy | None:
    hints = problem.hints
    is_inventory = problem.kind is Kind.INVENTORY
    missing = _R.AGGREGATOR_MISSING if is_inventory else _R.DESTINATION_MISSING
    if problem.reason is missing and hints.missing:
        return Remedy(hints.missing)
    if problem.answer is ProbeStatus.DENIED and hints.denied:
        return Remedy(hints.denied.format(actions=", ".join(problem.actions)), hints.link)
    return Remedy(hints.failed) if hints.failed else None


def _leave_out(problem: Problem, facts: Facts) -> str:
    """Return the keys that leave out the denied regions, and nothing that can be read."""
    regions = _listed(problem.regions)
    tried = {region.place for region in facts.regions if region.name in problem.regions}
    readable = {account for account, _ in tried.difference(problem.places)}
    accept = f"coverage.accept: [{{reason: denied_by_scp, region: {regions}}}]"
    if not readable:
        return f"regions.exclude: {regions}, or {accept}"
    if facts.caller and readable == {facts.caller.management_account}:  # no such policy binds it
        return accept
    rules = ", ".join(
        f"{{reason: denied_by_scp, account: {_listed(accounts)}, region: {_listed(denied)}}}"
        for denied, accounts in _accounts_by_regions(problem.places).items()
    )
    return f"coverage.accept: [{rules}]"


def _accounts_by_regions(places: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], list[str]]:
    """Group the accounts of (account, region) pairs by the regions that each has."""
    regions_of: dict[str, list[str]] = {}
    for account, region in places:
        regions_of.setdefault(account, []).append(region)
    grouped: dict[tuple[str, ...], list[str]] = {}
    for account, regions in regions_of.items():
        grouped.setdefault(tuple(sorted(regions)), []).append(account)
    return grouped


def _listed(values: Sequence[str]) -> str:
    """Return a list as it stands in config.yaml, ready to paste."""
    quoted = (f'"{value}"' if value.isdigit() else value for value in values)
    return f"[{', '.join(quoted)}]"
