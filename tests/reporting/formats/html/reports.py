"""Reports for what shows them whole: one in which everything happened, and large ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import cycle, islice

from sweeper.domain.model import (
    Account,
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Finding,
    OpenedAccount,
    Since,
    Skipped,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import AccountOutcome, TargetOutcome, aggregate
from sweeper.domain.report_model import EarlierFinding, Report, SinceLast, TrendPoint
from tests.factories import account, change, exemption, failed, finding, report, run, target

REGIONS = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1"),
    *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
TEAMS = ("payments", "search", "data", "shop", "billing")
ENDS = date(2026, 11, 24)  # the day on which factories.run finishes


def eventful_report() -> Report:
    """Every state, every outcome of a change, gaps, exemptions, owners, an earlier sweep."""
    denied = failed(Reason.ASSUME_ROLE_DENIED, error_code="AccessDenied")
    item = report(
        list(_findings()),
        [
            (target(region="ap-east-1"), failed()),
            (account("777788889999", "brightcart"), denied),
            (target("444455556666", region="us-east-2"), failed(Reason.THROTTLED)),
        ],
        [
            (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
            (target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED)),
        ],
        compliant=40,
    )
    accounts = [replace(each, tags={"owner": f"team-{each.id[:4]}"}) for each in item.accounts]
    return replace(item, accounts=accounts, since_last=since_last(), trend=trend(14))


def since_last() -> SinceLast:
    """One earlier finding is gone, one cannot be seen."""
    earlier = EarlierFinding("c", "111122223333", "product-a", "eu-west-1", "gone", "MUTABLE")
    unseen = replace(earlier, account_id="777788889999", repository="shop/api")
    return SinceLast(
        "20261123T010000Z-aaaaaa", "2026-11-23T01:04:00Z", None, 3, 4, 1, (earlier,), (unseen,)
    )


def trend(sweeps: int) -> tuple[TrendPoint, ...]:
    """A sweep a day, fewer findings each time, one of them incomplete."""
    return tuple(
        TrendPoint(
            run_id=f"run-{index}",
            finished_at=f"{ENDS - timedelta(days=sweeps - index)}T01:04:10Z",
            repositories=1400 + 5 * index,
            non_compliant=90 - 5 * index,
            exempt=27,
            remaining=80 - 5 * index,
            changes_applied=5,
            accounts=1.0,
            targets=0.9 if index == 5 else 1.0,
            complete=index != 5,
        )
        for index in range(1, sweeps + 1)
    )


def _findings() -> Iterator[Finding]:
    closed = change()
    yield finding("payments/api", since_last=Since.NEW, change=closed)
    yield finding("payments/worker", since_last=Since.STILL_OPEN)
    yield finding(
        "payments/refunds",
        since_last=Since.REOPENED,
        reopened=3,
        change=change(ChangeStatus.FAILED, reason=Reason.THROTTLED, error="ThrottlingException"),
    )
    yield finding(
        "search/index",
        region="us-east-1",
        since_last=Since.STILL_OPEN,
        reopened=1,
        change=change(ChangeStatus.WITHHELD, reason=Reason.TOO_MANY_FILTERS),
    )
    yield finding(
        "search/query",
        region="us-east-1",
        change=change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT),
        since_last=Since.STILL_OPEN,
    )
    yield finding(
        "data/etl",
        account_id="444455556666",
        account_name="data-platform",
        mutability="IMMUTABLE_WITH_EXCLUSION",
        exclusion_filters=("latest", "dev*"),
        since_last=Since.NEW,
        exemption=exemption(expires=ENDS - timedelta(days=12), expired=True),
    )
    yield finding(
        "data/new",
        account_id="444455556666",
        account_name="data-platform",
        compliance=Compliance.UNDETERMINED,
        mutability="FROZEN",
        reason="FROZEN is not known to this version",
    )
    for name, days in (("sandbox/a", 0), ("sandbox/b", 20), ("sandbox/c", 400)):
        expires = ENDS + timedelta(days=days)
        yield finding(name, compliance=Compliance.EXEMPT, exemption=exemption(expires=expires))
    yield finding("sandbox/d", compliance=Compliance.EXEMPT, exemption=exemption())


def organization_report() -> Report:
    """200 accounts in OUs: 400 findings, 27 of them exempt; 162 failures, most of them alike."""
    item = large_report(200, 400, blocked=20, exempt=27)
    accounts = [
        replace(each, ou_names=f"Workloads / {TEAMS[index % 5].title()}")
        for index, each in enumerate(item.accounts)
    ]
    return replace(item, accounts=accounts)


def large_report(accounts: int, findings: int, *, blocked: int = 0, exempt: int = 0) -> Report:
    """An organization of that size in 17 regions, a hundredth of it not seen.

    Of `blocked` accounts a policy denies 8 regions; so many of the findings are `exempt`.
    """
    owned = [
        Account(
            f"{100_000_000_000 + 7_919 * index}",
            f"{TEAMS[index % 5]}-{index:05}",
            "ACTIVE",
            ("r-root", f"ou-root-{index % 40:08}"),
        )
        for index in range(accounts)
    ]
    per_place: dict[tuple[str, str], list[Finding]] = {}
    seen = [each for index, each in enumerate(owned) if index % 100 != 99]
    places = cycle([(each, region) for each in seen for region in REGIONS[:5]])
    for index, (each, region) in enumerate(islice(places, findings)):
        made = _large_finding(index, each, region)
        if index < exempt:
            made = replace(made, change=None, compliance=Compliance.EXEMPT, exemption=exemption())
        per_place.setdefault((each.id, region), []).append(made)
    opened: list[AccountOutcome] = []
    targets: list[TargetOutcome] = []
    for index, each in enumerate(owned):
        if index % 100 == 99:
            opened.append((each, failed(Reason.ASSUME_ROLE_DENIED)))
            continue
        opened.append((each, OpenedAccount(each, ())))
        for region in REGIONS:
            if index < blocked and region in REGIONS[-8:]:
                denied = failed(message=f"{each.id} is not authorized in {region} by an SCP")
                targets.append((Target(each, region), denied))
                continue
            found = tuple(per_place.get((each.id, region), ()))
            waived = sum(item.compliance is Compliance.EXEMPT for item in found)
            counts = Counts(index % 7, len(found) - waived, waived)
            targets.append((Target(each, region), Examined(counts, found)))
    item = aggregate(run(), opened, targets)
    tagged = [replace(each, tags={"owner": f"team-{each.id[-2:]}"}) for each in item.accounts]
    return replace(item, accounts=tagged, trend=trend(16))


def _large_finding(index: int, each: Account, region: str) -> Finding:
    return finding(
        f"{each.name}/services/component-{index:06}",
        account_id=each.id,
        account_name=each.name,
        region=region,
        since_last=Since.NEW if index % 9 == 0 else Since.STILL_OPEN,
        change=None if index % 3 else change(),
    )
