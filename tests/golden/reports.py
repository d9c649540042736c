"""The reports that golden texts are made of: one with everything, and those with little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from sweeper.domain.model import (
    REGISTRY,
    Account,
    ChangeStatus,
    Compliance,
    Failed,
    Finding,
    Since,
    Skipped,
    Stage,
    Target,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import aggregate, ended_early
from sweeper.domain.report_model import (
    ConfigInventory,
    Delivery,
    RecordedTarget,
    RecordingGap,
    Report,
    TrendPoint,
    WaveSummary,
    WriteScope,
)
from tests.factories import (
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    impact,
    report,
    run,
    since_last,
    target,
    template,
    unavailable,
)

TREND = TrendPoint("run-1", "2026-11-23T01:04:10Z", 40, 9, 5, 7, 2, 1.0, 0.9, complete=False)
INVENTORY = ConfigInventory(
    "organization",
    "eu-west-1",
    sources_unavailable="denied, AccessDeniedException: no",
    repositories=1234,
    mutable=56,
    deleted_since=1,
    recorded_since=2,
    not_checked=(
        RecordedTarget("111122223333", "ap-east-1", 12, 5, 1, "2026-11-20T10:00:00Z"),
        RecordedTarget("777788889999", None, 0, 0, 0, None),
    ),
    not_planned=(RecordedTarget("111122223333", "me-south-1", 1, 1, 0, "2026-11-20T10:00:00Z"),),
    not_recorded=(
        RecordingGap("444455556666", "no_record", 2),
        RecordingGap("777788889999", "failed", 17, "2026-11-01T00:00:00Z", "NoRecorder: no"),
    ),
)
DELIVERIES = (
    Delivery("directory", "/out", "delivered"),
    Delivery("s3", "s3://b/p/report.json", "delivered", message="latest.json was left as it is"),
    Delivery("x", "y", "failed", Reason.DESTINATION_MISSING, "NoSuchBucket", "gone"),
    Delivery(
        "security_hub", "Security Hub in eu-west-1", "failed", Reason.THROTTLED, content="findings"
    ),
    Delivery("sns", "arn:aws:sns:eu-central-1:999988887777:news", "not_needed"),
)


def whole() -> Report:
    """Every state, every outcome of a change, gaps, exemptions, tags, an earlier sweep."""
    failures: list[tuple[Account | Target, Failed]] = [
        (target(region="ap-east-1"), failed()),
        (target(region="ap-east-2"), failed()),
        (account("777788889999", "brightcart"), failed(Reason.ASSUME_ROLE_DENIED)),
        (
            target("444455556666", region="us-east-2", name="data"),
            failed(Reason.REQUEST_REFUSED, message="no", error_code=None),
        ),
    ]
    item = report(
        list(_findings()),
        failures,
        [
            (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
            (target(region="us-west-1"), Skipped(Reason.REGION_EXCLUDED)),
            (target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED)),
        ],
        compliant=40,
    )
    first, *others = item.accounts
    return replace(
        item,
        accounts=(replace(first, tags={"owner": "payments", "cost": "12"}), *others),
        account_tags_unavailable="of 1 of 2 accounts: denied, AccessDeniedException: no",
        since_last=since_last(
            new=1,
            still_open=2,
            reopened=3,
            resolved=(earlier("c", was_open=False, last_seen=None), earlier("d")),
            not_visible=(earlier("e", account_id="777788889999", account_name="", reopened=3),),
        ),
        trend=(TREND,),
        config_inventory=INVENTORY,
    )


def _findings() -> Iterator[Finding]:
    superseded, withheld = ChangeStatus.SUPERSEDED, ChangeStatus.WITHHELD
    slow = change(ChangeStatus.FAILED, reason=Reason.THROTTLED, error="Throttling: slow")
    denied = change(ChangeStatus.FAILED, reason=Reason.DENIED_BY_SCP, error="no")
    applied = change(to_mutability="IMMUTABLE_WITH_EXCLUSION", to_exclusion_filters=("v*", "dev"))
    yield finding("pay/applied", change=applied, since_last=Since.NEW)
    yield finding("pay/denied", change=denied, since_last=Since.STILL_OPEN, reopened=1)
    yield finding("pay/open", since_last=Since.REOPENED, reopened=1)
    yield finding("pay/slow", change=slow, since_last=Since.REOPENED, reopened=2)
    yield finding("pay/withheld", change=change(withheld, reason=Reason.MAX_CHANGES))
    yield finding("pay/lost-reason", change=change(withheld))
    yield finding("web/gone", change=change(superseded, reason=Reason.REPOSITORY_DELETED))
    yield finding("web/others", change=change(superseded, reason=Reason.CHANGED_SINCE_EXAMINED))
    yield finding(
        "web/filters",
        region="us-east-1",
        mutability="IMMUTABLE_WITH_EXCLUSION",
        exclusion_filters=("latest", "dev*"),
        exemption=exemption(expires=date(2026, 10, 31), expired=True),
    )
    yield finding(
        "data/new",
        account_id="444455556666",
        account_name="data",
        compliance=Compliance.UNDETERMINED,
        mutability="FROZEN",
        reason="FROZEN is not known to this version",
    )
    exempt = Compliance.EXEMPT
    soon = exemption(expires=date(2026, 12, 1))
    rule = exemption(source="pull_through_cache", reason="filled by a rule")
    yield finding("box/ends", compliance=exempt, exemption=soon)
    yield finding("box/filled", compliance=exempt, exemption=rule)
    yield finding("box/unsaid", compliance=exempt)
    yield template("team", change=change(ChangeStatus.FAILED, reason=Reason.REQUEST_REFUSED))


def planned() -> Report:
    """A dry run that assessed what its plan may break."""
    plan = change(ChangeStatus.PLANNED)
    full = impact(
        "latest",
        "qa",
        exclusions=("latest",),
        untagged=3,
        untagged_pushed_at="2026-11-01T00:00:00Z",
    )
    unkept = replace(full.moved[1], kept_by=None)
    full = replace(full, moved=(unkept, full.moved[0]), not_kept=1, truncated=True)
    return report(
        [
            finding("a", change=plan, impact=full),
            finding("b", change=plan, impact=impact("latest", "main")),
            finding("c", change=plan, impact=impact("pr-1", moved_count=30)),
            finding("d", change=plan, impact=impact()),
            finding("e", change=plan, impact=unavailable()),
            finding("f", change=change(ChangeStatus.WITHHELD, reason=Reason.MIN_COVERAGE)),
        ],
        dry_run=True,
    )


def scheduled() -> Report:
    """A sweep in which changes wait for their day: notice, a later wave; and a registry default."""
    withheld = ChangeStatus.WITHHELD
    notice = change(withheld, reason=Reason.IN_GRACE_PERIOD, due=date(2026, 12, 8))
    wave = change(withheld, reason=Reason.IN_LATER_WAVE, due=date(2027, 1, 15))
    announced = date(2026, 11, 24)
    unread = replace(notice, error="the notice begins with this run: latest.json is damaged")
    scope = WriteScope(
        3,
        ("ecr-tag-immutability",),
        ("remediation.rollout",),
        (WaveSummary(date(2026, 11, 1), 1, 2), WaveSummary(date(2027, 1, 15), 2, 1)),
    )
    return report(
        [
            finding("a", change=notice, announced=announced),
            finding("b", change=unread, announced=announced),
            finding("c", account_id="444455556666", change=wave, announced=announced),
            template("ROOT", resource=REGISTRY, change=notice, announced=announced),
            template("ROOT", resource=REGISTRY, region="us-east-1", change=change()),
            template(
                "ROOT",
                resource=REGISTRY,
                region="us-west-2",
                compliance=Compliance.EXEMPT,
                exemption=exemption(),
            ),
        ],
        write_scope=scope,
    )


def early(reason: Reason = Reason.NOT_ALLOWED_TO_LIST) -> Report:
    """A sweep that ended before it saw an account."""
    return ended_early(
        run(organization_id=None, account_id=None),
        Failed(Stage.ENUMERATE, reason, "no", "AccessDeniedException"),
    )


def every() -> dict[str, Report]:
    """The reports of which a text for people is shown, by name."""
    return {
        "everything": replace(whole(), deliveries=DELIVERIES),
        "planned": planned(),
        "nothing moved": report(
            [
                finding("a", change=change(ChangeStatus.PLANNED), impact=impact()),
                finding("b", change=change(ChangeStatus.PLANNED)),
            ],
            dry_run=True,
        ),
        "templates": report(
            [
                template("new", compliance=Compliance.UNDETERMINED, mutability="FROZEN"),
                template("open"),
                template("closed", change=change()),
            ],
            compliant=0,
        ),
        "scheduled": scheduled(),
        "clean": report(compliant=3),
        "no repository": report(compliant=0),
        "disabled": report([finding()], auto_remediate="DISABLED"),
        "not confirmed": report(
            [finding(change=change(ChangeStatus.WITHHELD, reason=Reason.NOT_CONFIRMED))]
        ),
        "not compared": replace(
            report(), since_last=since_last(run_id=None, unavailable="it is damaged")
        ),
        "ended early": early(),
        "lease held": early(Reason.LEASE_HELD),
        "nothing examined": aggregate(run(), [(account(), Skipped(Reason.ACCOUNT_SUSPENDED))], []),
    }
