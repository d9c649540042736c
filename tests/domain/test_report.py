"""Outcomes -> report, coverage, exit status."""

from __future__ import annotations

from dataclasses import replace

from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import (
    ChangeStatus,
    Compliance,
    Counts,
    Examined,
    Failed,
    OpenedAccount,
    Skipped,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import (
    AccountOutcome,
    TargetOutcome,
    aggregate,
    cut_short,
    ended_early,
    is_remaining,
    may_have_changed,
    measure_coverage,
    nothing_listed,
    without_region,
)
from sweeper.domain.report_model import (
    AccountSummary,
    AccountTotals,
    ChangeTotals,
    Coverage,
    Delivery,
    FailedItem,
    Report,
    RepositoryTotals,
    Run,
    SkippedItem,
    TargetTotals,
)
from tests.cases import case
from tests.fakes import account_id, make_account, make_change, make_finding, make_target

RUN = Run("id", "then", "now", "1", "aws", "o-1", account_id(1), "ENABLED", dry_run=False)
SKIPPED = Skipped(Reason.REGION_EXCLUDED)
FAILED = Failed(Stage.EXAMINE, Reason.DENIED, "no", "AccessDenied")
NOT_OPENED = Failed(Stage.OPEN_ACCOUNT, Reason.ASSUME_ROLE_DENIED, "no")
UNKNOWN = make_finding("odd", compliance=Compliance.UNDETERMINED)


def opened(number: int) -> AccountOutcome:
    account = make_account(number)
    return account, OpenedAccount(account, ())


def examined(number: int, region: str, *names: str, compliant: int = 0) -> TargetOutcome:
    target = make_target(number, region)
    findings = tuple(make_finding(name, target) for name in names)
    return target, Examined(Counts(compliant, len(names), 0), findings)


def test_the_whole_report() -> None:
    exempt = make_finding("z", make_target(2, "b-b-1"), compliance=Compliance.EXEMPT)
    accounts: list[AccountOutcome] = [
        opened(2),
        (make_account(4), NOT_OPENED),
        opened(1),
        (make_account(3), Skipped(Reason.ACCOUNT_CLOSED)),
    ]
    targets: list[TargetOutcome] = [
        examined(2, "c-c-1", "b", "a", compliant=3),
        (make_target(2, "b-b-1"), Examined(Counts(0, 0, 1), (exempt, UNKNOWN))),
        (make_target(1, "b-b-1"), FAILED),
        (make_target(2, "a-a-1"), SKIPPED),
        examined(1, "a-a-1"),
    ]
    report = aggregate(RUN, accounts, targets)

    assert report == aggregate(RUN, accounts[::-1], targets[::-1])
    assert report.totals.accounts == AccountTotals(4, opened=2, skipped=1, failed=1)
    assert report.totals.targets == TargetTotals(5, examined=3, skipped=1, failed=1)
    assert report.totals.repositories == RepositoryTotals(
        7, compliant=3, non_compliant=2, exempt=1, undetermined=1
    )
    assert report.totals.remaining == 3
    assert report.coverage == Coverage(accounts=2 / 3, targets=3 / 4, complete=False)
    assert report.accounts == (
        AccountSummary(account_id(1), "account 1", None, "ACTIVE", {"a-a-1": (0, 0, 0)}),
        AccountSummary(
            account_id(2), "account 2", None, "ACTIVE", {"b-b-1": (0, 0, 1), "c-c-1": (3, 2, 0)}
        ),
        *(AccountSummary(account_id(n), f"account {n}", None, "ACTIVE", {}) for n in (3, 4)),
    )
    assert [finding.repository for finding in report.findings] == ["odd", "z", "a", "b"]
    assert report.skipped == (
        SkippedItem(account_id(2), "a-a-1", Reason.REGION_EXCLUDED),
        SkippedItem(account_id(3), None, Reason.ACCOUNT_CLOSED),
    )
    assert report.failures == (
        FailedItem(Stage.EXAMINE, account_id(1), "b-b-1", Reason.DENIED, "AccessDenied", "no"),
        FailedItem(Stage.OPEN_ACCOUNT, account_id(4), None, Reason.ASSUME_ROLE_DENIED, None, "no"),
    )


def test_an_account_shows_where_it_is() -> None:
    account = make_account(1, ou_path=("r-ab12", "ou-ab12-11111111"))
    target = replace(make_target(1), account=account)
    opened_account = (account, OpenedAccount(account, ()))
    (summary,) = aggregate(RUN, [opened_account], [(target, Examined(Counts(1, 0, 0)))]).accounts
    assert summary.ou_path == "r-ab12/ou-ab12-11111111"


def test_only_accounts_in_scope_have_a_summary() -> None:
    excluded = (make_account(2), Skipped(Reason.ACCOUNT_EXCLUDED))
    suspended = (make_account(3, name="old"), Skipped(Reason.ACCOUNT_SUSPENDED))
    report = aggregate(RUN, [opened(1), excluded, suspended], [])
    assert {each.id: each.name for each in report.accounts} == {
        account_id(1): "account 1",
        account_id(3): "old",
    }


def test_changes_are_counted_by_what_became_of_them() -> None:
    counts = {
        ChangeStatus.APPLIED: 1,
        ChangeStatus.FAILED: 2,
        ChangeStatus.WITHHELD: 3,
        ChangeStatus.SUPERSEDED: 4,
        ChangeStatus.PLANNED: 5,
    }
    findings = tuple(
        make_finding(f"{status}-{number}", change=make_change(status))
        for status, count in counts.items()
        for number in range(count)
    )
    targets: list[TargetOutcome] = [
        (make_target(), Examined(Counts(0, 16, 0), (*findings, UNKNOWN)))
    ]
    report = aggregate(RUN, [opened(1)], targets)
    assert report.totals.changes == ChangeTotals(15, 1, 2, 3, 4)
    assert report.totals.remaining == 15


def test_coverage() -> None:
    cases: list[tuple[list[AccountOutcome], list[TargetOutcome], Coverage]] = [
        # Nothing is there, or every account is an accepted gap: nothing was seen.
        ([], [], Coverage(0.0, 0.0, complete=False)),
        (
            [(make_account(1), Skipped(Reason.ASSUME_ROLE_DENIED))],
            [],
            Coverage(0.0, 0.0, complete=False),
        ),
        # Nothing examined is nothing seen.
        ([opened(1)], [], Coverage(1.0, 0.0, complete=False)),
        ([opened(1)], [examined(1, "a-a-1")], Coverage(1.0, 1.0, complete=True)),
        ([opened(1)], [examined(1, "a-a-1", "x")], Coverage(1.0, 1.0, complete=True)),
        ([opened(1)], [(make_target(1), SKIPPED)], Coverage(1.0, 0.0, complete=False)),
        (
            [opened(1)],
            [examined(1, "a-a-1"), (make_target(1), SKIPPED)],
            Coverage(1.0, 1.0, complete=True),
        ),
        ([opened(1)], [(make_target(1), FAILED)], Coverage(1.0, 0.0, complete=False)),
        (
            [opened(1)],
            [examined(1, "a-a-1"), (make_target(1), FAILED)],
            Coverage(1.0, 0.5, complete=False),
        ),
        (
            [opened(1)],
            [(make_target(1), Examined(Counts(0, 0, 0), (UNKNOWN,)))],
            Coverage(1.0, 1.0, complete=False),
        ),
        # Where no account could be opened, nothing was seen.
        ([(make_account(1), NOT_OPENED)], [], Coverage(0.0, 0.0, complete=False)),
        (
            [opened(1), (make_account(2), NOT_OPENED)],
            [examined(1, "a-a-1")],
            Coverage(0.5, 1.0, complete=False),
        ),
        (
            [opened(1), (make_account(2), Skipped(Reason.ACCOUNT_CLOSED))],
            [examined(1, "a-a-1")],
            Coverage(1.0, 1.0, complete=True),
        ),
    ]
    for accounts, targets, expected in cases:
        with case(accounts, targets, expected):
            assert measure_coverage(accounts, targets) == expected


def test_what_remains_without_a_change() -> None:
    for compliance in list(Compliance):
        with case(compliance):
            expected = compliance in (Compliance.NON_COMPLIANT, Compliance.UNDETERMINED)
            assert is_remaining(make_finding(compliance=compliance)) is expected


def test_what_remains_after_a_change() -> None:
    cases: list[tuple[ChangeStatus, Reason | None, bool]] = [
        (ChangeStatus.PLANNED, None, True),
        (ChangeStatus.APPLIED, None, False),
        (ChangeStatus.FAILED, Reason.DENIED, True),
        (ChangeStatus.WITHHELD, Reason.MAX_CHANGES, True),
        (ChangeStatus.SUPERSEDED, Reason.NOW_COMPLIANT, False),
        (ChangeStatus.SUPERSEDED, Reason.REPOSITORY_DELETED, False),
        (ChangeStatus.SUPERSEDED, Reason.CHANGED_SINCE_EXAMINED, True),
    ]
    for status, reason, expected in cases:
        with case(status, reason, expected):
            assert is_remaining(make_finding(change=make_change(status, reason=reason))) is expected


CLEAN = aggregate(RUN, [opened(1)], [examined(1, "a-a-1")])
FOUND = aggregate(RUN, [opened(1)], [examined(1, "a-a-1", "x")])
UNSEEN = aggregate(RUN, [opened(1)], [(make_target(1), FAILED)])
FOUND_AND_UNSEEN = aggregate(
    RUN, [opened(1)], [examined(1, "a-a-1", "x"), (make_target(1), FAILED)]
)
ODD = aggregate(RUN, [opened(1)], [(make_target(1), Examined(Counts(0, 0, 0), (UNKNOWN,)))])
LOST = Delivery("s3", "s3://bucket", "failed", Reason.WRITE_FAILED)
SENT = Delivery("sns", "arn", "delivered")


def early(reason: Reason) -> Report:
    return ended_early(RUN, Failed(Stage.ENUMERATE, reason, "why", "Code"))


def test_exit_status() -> None:
    cases: list[tuple[Report, tuple[Delivery, ...], int]] = [
        (CLEAN, (), 0),
        (CLEAN, (SENT, Delivery("sns", "arn", "not_needed")), 0),
        (FOUND, (SENT,), 3),
        (UNSEEN, (), 4),
        (ODD, (), 4),
        (FOUND_AND_UNSEEN, (), 4),
        (CLEAN, (SENT, LOST), 5),
        (FOUND, (LOST,), 5),
        (FOUND_AND_UNSEEN, (LOST,), 5),
        (early(Reason.NO_CREDENTIALS), (), 2),
        (early(Reason.NOT_IN_ORGANIZATION), (), 2),
        (early(Reason.NOT_ALLOWED_TO_LIST), (), 2),
        (early(Reason.NO_ACCOUNT_CHOSEN), (), 2),
        (early(Reason.UNKNOWN_ACCOUNT), (), 2),
        (early(Reason.UNKNOWN_OU), (), 2),
        (early(Reason.UNKNOWN_OU), (LOST,), 2),
        (early(Reason.THROTTLED), (), 4),
        (early(Reason.INTERRUPTED), (), 4),
        (early(Reason.THROTTLED), (LOST,), 5),
    ]
    for report, deliveries, status in cases:
        with case(report, deliveries, status):
            assert exit_status(replace(report, deliveries=deliveries)) == status


def test_an_exit_status_that_is_not_wanted_gives_way_to_the_next() -> None:
    cases: list[tuple[Report, set[int], int]] = [
        (FOUND_AND_UNSEEN, {3, 4, 5}, 5),
        (FOUND_AND_UNSEEN, {3, 4}, 4),
        (FOUND_AND_UNSEEN, {3}, 3),
        (FOUND, {4}, 0),
        (UNSEEN, {3}, 0),
        (FOUND_AND_UNSEEN, set(), 0),
        (early(Reason.THROTTLED), {3}, 0),
        (early(Reason.UNKNOWN_OU), set(), 2),
    ]
    for report, fail_on, status in cases:
        with case(report, fail_on):
            lost = replace(report, deliveries=(LOST,))
            assert exit_status(lost, fail_on) == status


def test_an_account_of_unknown_state_is_a_gap_not_a_wrong_use() -> None:
    failed = Failed(Stage.ENUMERATE, Reason.ACCOUNT_STATE_UNKNOWN, "odd")
    report = aggregate(RUN, [opened(1), (make_account(2), failed)], [])
    assert exit_status(report) is ExitStatus.COVERAGE_INCOMPLETE


def test_a_sweep_that_ended_early_says_why_and_saw_nothing() -> None:
    report = early(Reason.THROTTLED)
    assert report.failures == (
        FailedItem(Stage.ENUMERATE, None, None, Reason.THROTTLED, "Code", "why"),
    )
    assert report.coverage == Coverage(0.0, 0.0, complete=False)
    assert report.totals.accounts.planned == 0


def test_the_report_of_a_sweep_that_ended_early_is_a_report() -> None:
    report = early(Reason.THROTTLED)
    assert report.schema_version == "2"
    assert [(each.stage, each.account_id) for each in report.failures] == [(Stage.ENUMERATE, None)]
    assert nothing_listed(report)
    assert not nothing_listed(UNSEEN)


def test_whether_the_sweep_was_stopped_before_its_end() -> None:
    cases: list[tuple[Report, bool]] = [
        (CLEAN, False),
        (UNSEEN, False),
        (early(Reason.THROTTLED), False),
        (early(Reason.INTERRUPTED), True),
        (early(Reason.DEADLINE), True),
    ]
    for report, short in cases:
        with case(report, short):
            assert cut_short(report) is short


def test_a_change_that_was_not_reached_is_its_end_too() -> None:
    cases: list[tuple[Reason, bool]] = [
        (Reason.INTERRUPTED, True),
        (Reason.DEADLINE, True),
        (Reason.DENIED, False),
    ]
    for reason, short in cases:
        with case(reason, short):
            change = make_change(ChangeStatus.FAILED, reason=reason)
            finding = make_finding(change=change)
            found = aggregate(
                RUN,
                [opened(1)],
                [(make_target(1), Examined(Counts(0, 1, 0), (finding,)))],
            )
            assert cut_short(found) is short


def test_whether_something_may_have_been_changed() -> None:
    failed = make_change(ChangeStatus.FAILED, reason=Reason.TIMED_OUT)
    cases = [
        (None, False),
        (failed, False),
        (replace(failed, uncertain=True), True),
        (make_change(ChangeStatus.APPLIED), True),
        (make_change(ChangeStatus.PLANNED), False),
    ]
    for change, expected in cases:
        with case(change):
            found = Examined(Counts(0, 1, 0), (make_finding(change=change),))
            report = aggregate(RUN, [opened(1)], [(make_target(1), found)])
            assert may_have_changed(report) is expected


def test_what_was_not_seen_is_sorted_and_says_what_aws_said() -> None:
    denied = Failed(Stage.OPEN_ACCOUNT, Reason.DENIED, "no", "AccessDenied")
    left_out = Skipped(Reason.REGION_EXCLUDED)
    accounts: list[AccountOutcome] = [
        (make_account(2), denied),
        (make_account(1), Skipped(Reason.ACCOUNT_EXCLUDED)),
        opened(3),
    ]
    targets: list[TargetOutcome] = [
        (make_target(3, "us-east-1"), left_out),
        (make_target(3, "us-east-2"), denied),
        (make_target(3, "eu-central-1"), left_out),
        (make_target(3, "eu-west-1"), denied),
        (make_target(3, "sa-east-1"), Examined(Counts(1, 0, 0))),
    ]
    report = aggregate(RUN, accounts, targets)
    assert report.failures == tuple(
        FailedItem(denied.stage, account_id(number), region, denied.reason, "AccessDenied", "no")
        for number, region in ((2, None), (3, "eu-west-1"), (3, "us-east-2"))
    )
    assert report.skipped == (
        SkippedItem(account_id(1), None, Reason.ACCOUNT_EXCLUDED),
        SkippedItem(account_id(3), "eu-central-1", Reason.REGION_EXCLUDED),
        SkippedItem(account_id(3), "us-east-1", Reason.REGION_EXCLUDED),
    )
    assert report.schema_version == "2"


def test_an_account_whose_regions_all_failed_alike_is_one_item() -> None:
    """But for the region's name in the message, and for what was skipped."""

    def denied(region: str, code: str = "AccessDenied") -> Failed:
        return Failed(Stage.EXAMINE, Reason.DENIED, f"no * on {region}", code)

    def failures(*outcomes: tuple[str, Failed | Skipped | Examined]) -> list[FailedItem]:
        targets: list[TargetOutcome] = []
        for region, outcome in outcomes:
            target = make_target(1, region)
            kept = outcome if isinstance(outcome, Skipped) else without_region(target, outcome)
            targets.append((target, kept))
        return [*aggregate(RUN, [opened(1)], targets).failures]

    def item(region: str | None, at: str, targets: int | None = None) -> FailedItem:
        message = f"no * on {at}"
        return FailedItem(
            *(Stage.EXAMINE, account_id(1), region, Reason.DENIED),
            *("AccessDenied", message, targets),
        )

    a, b, c = "eu-central-1", "eu-west-1", "us-east-1"
    both = [(a, denied(a)), (b, denied(b))]
    each = [item(a, a), item(b, b)]
    assert failures(*both) == [item(None, "*", 2)]
    assert failures(*both, (c, Skipped(Reason.REGION_EXCLUDED))) == [item(None, "*", 2)]
    assert failures(*both, (c, Examined(Counts(1, 0, 0)))) == each
    assert failures(*both, (c, denied(c, "Another")))[:2] == each
    assert failures(both[0]) == each[:1]
