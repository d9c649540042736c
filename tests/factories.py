"""Small builders of domain values, with defaults that a test overrides where it matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
    Impact,
    MovedTag,
    OpenedAccount,
    Organization,
    Repository,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import AccountOutcome, TargetOutcome, aggregate
from sweeper.domain.report_model import (
    ConfigInventory,
    EarlierFinding,
    FailedItem,
    RecordingGap,
    Report,
    Run,
    SinceLast,
)

ACCOUNT_ID = "111122223333"
REGION = "eu-central-1"

# What a person with an account could put into a name to harm whoever reads the report.
HOSTILE = (
    "a\nForged: line",
    "\x1b[31mred\x1b[0m",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A1",
    "@SUM(1+1)",
    "[red]markup[/red]",
    "abc\u202egnp.exe",
    "zero\u200bwidth",
    "line\u2028separator",
    "lone\ud800surrogate",
    "tab\there\r\n",
    "del\x7f c1\x9b",
    "' \" ]]></failure><&amp;",
    'a;=1+1;"=2',
    ' \t =HYPERLINK("https://example.com")',
    "\uff1dfull width",
    "no character\uffff \ufffe \x00",
    "x" * 3000 + "\U0001f680" * 3000,
)


def account(account_id: str = ACCOUNT_ID, name: str = "product-a", **changes: Any) -> Account:
    """An active account below one OU."""
    return replace(Account(account_id, name, "ACTIVE", ("r-root", "ou-root-prod")), **changes)


def organization(*accounts: Account) -> Organization:
    """Of these accounts."""
    return Organization("o-exampleorg", "aws", ACCOUNT_ID, accounts)


def target(account_id: str = ACCOUNT_ID, region: str = REGION, **changes: Any) -> Target:
    """An account in a region."""
    return Target(account(account_id, **changes), region)


def repository(name: str = "product-a/service-one", mutability: str = "MUTABLE") -> Repository:
    """A repository of the default account and region."""
    return Repository(name, f"arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{name}", mutability)


def change(status: ChangeStatus = ChangeStatus.APPLIED, **changes: Any) -> Change:
    """A change to IMMUTABLE."""
    return replace(Change(status, "IMMUTABLE", ()), **changes)


def exemption(**changes: Any) -> Exemption:
    """An exemption of config.yaml, in force."""
    return replace(
        Exemption("config", "* * sandbox/*", "rebuilt nightly", None, expired=False), **changes
    )


def finding(name: str = "product-a/service-one", **changes: Any) -> Finding:
    """A mutable repository without a change."""
    account_id = changes.get("account_id", ACCOUNT_ID)
    region = changes.get("region", REGION)
    return replace(
        Finding(
            check="ecr-tag-immutability",
            account_id=account_id,
            account_name="product-a",
            region=region,
            repository=name,
            arn=f"arn:aws:ecr:{region}:{account_id}:repository/{name}",
            compliance=Compliance.NON_COMPLIANT,
            mutability="MUTABLE",
            exclusion_filters=(),
            reason="image tags can be overwritten",
        ),
        **changes,
    )


def template(prefix: str = "sandbox", **changes: Any) -> Finding:
    """A creation template that makes mutable repositories, without a change."""
    values = {
        "check": "ecr-creation-template-immutability",
        "arn": "",
        "reason": "image tags can be overwritten in what the template makes",
        "resource": "repository_creation_template",
    }
    return finding(prefix, **{**values, **changes})


def earlier(name: str = "product-a/gone", **changes: Any) -> EarlierFinding:
    """A mutable repository of the last report that is no finding now."""
    return replace(
        EarlierFinding(
            check="ecr-tag-immutability",
            account_id=ACCOUNT_ID,
            account_name="product-a",
            region=REGION,
            repository=name,
            mutability="MUTABLE",
            last_seen="2026-11-23T01:04:10Z",
        ),
        **changes,
    )


def since_last(**changes: Any) -> SinceLast:
    """Nothing changed since the sweep of the day before."""
    return replace(
        SinceLast("20261123T010000Z-0f0f0f", "2026-11-23T01:04:10Z", None, 0, 0, 0), **changes
    )


def run(**changes: Any) -> Run:
    """A sweep of an organization that may write."""
    return replace(
        Run(
            id="20261124T010000Z-0a1b2c",
            started_at="2026-11-24T01:00:00Z",
            finished_at="2026-11-24T01:04:10Z",
            version="0.1.0",
            partition="aws",
            organization_id="o-exampleorg",
            account_id="999988887777",
            auto_remediate="ENABLED",
            dry_run=False,
        ),
        **changes,
    )


def failed(reason: Reason = Reason.DENIED_BY_SCP, **changes: Any) -> Failed:
    """A target that was denied."""
    return replace(
        Failed(Stage.EXAMINE, reason, "User is not authorized", "AccessDeniedException"), **changes
    )


def failure(reason: Reason = Reason.DENIED_BY_SCP, **changes: Any) -> FailedItem:
    """A target that could not be checked, as the report lists it."""
    return replace(
        FailedItem(
            Stage.EXAMINE, ACCOUNT_ID, REGION, reason, "AccessDeniedException", "not authorized"
        ),
        **changes,
    )


def report(
    findings: Sequence[Finding] = (),
    failures: Sequence[tuple[Account | Target, Failed]] = (),
    skipped: Sequence[tuple[Account | Target, Skipped]] = (),
    *,
    compliant: int = 1,
    **run_changes: Any,
) -> Report:
    """The report of a sweep with these outcomes; its totals are true.

    Each account and region of the findings was examined, with `compliant` other repositories,
    and the default account and region was in any case.
    """
    places: dict[tuple[str, str], list[Finding]] = {(ACCOUNT_ID, REGION): []}
    accounts: dict[str, AccountOutcome] = {ACCOUNT_ID: _opened(account())}
    for item in findings:
        places.setdefault((item.account_id, item.region), []).append(item)
        accounts[item.account_id] = _opened(account(item.account_id, item.account_name))
    targets: list[TargetOutcome] = [
        (Target(accounts[account_id][0], region), _examined(group, compliant))
        for (account_id, region), group in places.items()
    ]
    others: list[tuple[Account | Target, Failed | Skipped]] = [*failures, *skipped]
    for place, outcome in others:
        if isinstance(place, Account):
            accounts[place.id] = (place, outcome)
        else:
            accounts.setdefault(place.account.id, _opened(place.account))
            targets.append((place, outcome))
    return aggregate(run(**run_changes), list(accounts.values()), targets)


def with_tags(item: Report, **tags: str) -> Report:
    """The report with these tags of every account."""
    return replace(item, accounts=tuple(replace(account, tags=tags) for account in item.accounts))


def impact(*tags: str, **changes: Any) -> Impact:
    """These tags look moved, and a filter of its own name would keep each."""
    pushed = "2026-11-20T10:00:00Z"
    moved = tuple(MovedTag(tag, "branch", pushed, tag) for tag in tags)
    seen = Impact(images=len(tags), moved=moved, moved_count=len(tags), exclusions=tags)
    return replace(seen, **changes)


def unavailable(**changes: Any) -> Impact:
    """The tags could not be read."""
    reason = Reason.DENIED_BY_IDENTITY_POLICY
    return replace(Impact(unavailable=reason, error="AccessDeniedException: no"), **changes)


def hostile_impact(text: str) -> Impact:
    """The text wherever an impact has one."""
    return impact(
        text,
        text,
        untagged=1,
        untagged_pushed_at=text,
        conflicts=(text,),
        not_kept=1,
        truncated=True,
    )


def hostile_report() -> Report:
    """Every hostile text in every place that AWS or an account's owner could put it."""
    findings = [
        finding(
            text,
            account_id=f"2222333344{index:02}",
            account_name=text,
            mutability=text,
            exclusion_filters=(text,),
            reason=text,
            exemption=exemption(rule=text, reason=text, expired=True),
            change=change(ChangeStatus.FAILED, reason=Reason.SERVICE_ERROR, error=text),
            impact=hostile_impact(text) if index % 2 else unavailable(error=text),
        )
        for index, text in enumerate(HOSTILE)
    ]
    failures = [
        (account(f"3333444455{index:02}", text), failed(message=text, error_code=text))
        for index, text in enumerate(HOSTILE)
    ]
    item = report(findings, failures)
    tagged = {
        account_.id: replace(account_, tags={account_.name: account_.name, "owner": account_.name})
        for account_ in item.accounts
    }
    gone = [
        earlier(
            text,
            account_id=f"5555666677{index:02}",
            account_name=text,
            mutability=text,
            check=text[:200],
        )
        for index, text in enumerate(HOSTILE)
    ]
    changed = since_last(
        resolved=gone, not_visible=gone, unavailable="".join(HOSTILE), run_id=HOSTILE[0]
    )
    return replace(
        item,
        accounts=tuple(tagged.values()),
        since_last=changed,
        account_tags_unavailable="".join(HOSTILE),
        config_inventory=ConfigInventory(
            "organization",
            REGION,
            sources_unavailable="".join(HOSTILE),
            not_recorded=tuple(
                RecordingGap(f"2222333344{index:02}", "failed", 1, "2026-11-01T00:00:00Z", text)
                for index, text in enumerate(HOSTILE)
            ),
        ),
    )


def _opened(item: Account) -> AccountOutcome:
    return item, OpenedAccount(item, ((REGION, "ENABLED_BY_DEFAULT"),))


def _examined(findings: Sequence[Finding], compliant: int) -> Examined:
    kinds = [item.compliance for item in findings if item.resource == "repository"]
    counts = (compliant, kinds.count(Compliance.NON_COMPLIANT), kinds.count(Compliance.EXEMPT))
    return Examined(Counts(*counts), tuple(findings))
