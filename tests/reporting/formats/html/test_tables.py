from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

from sweeper.domain.model import ChangeStatus, Compliance, Failed, Finding, Since, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import count_non_compliant, ended_early
from sweeper.domain.report_model import Report
from sweeper.reporting.console import console_template
from sweeper.reporting.formats.html.tables import _Column, _Table, _Texts, payload, tables
from sweeper.reporting.wording import outcome_words
from tests.cases import case
from tests.factories import (
    account,
    change,
    exemption,
    failed,
    finding,
    impact,
    report,
    run,
    target,
    template,
    unavailable,
)
from tests.reporting.formats.html.reports import (
    large_report,
    organization_report,
    since_last,
    trend,
)


def table(item: Report, name: str) -> _Table:
    [found] = [each for each in tables(item) if each.id == name]
    return found


def rows(item: Report, name: str) -> list[dict[str, Any]]:
    found = table(item, name)
    titles = [column.title for column in found.columns]
    values = zip(*(column.values for column in found.columns), strict=True)
    return [dict(zip(titles, row, strict=True)) for row in values]


def test_findings() -> None:
    gone = change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT)
    others = change(ChangeStatus.SUPERSEDED, reason=Reason.CHANGED_SINCE_EXAMINED)
    cases: list[tuple[Finding, str]] = [
        (finding(), "open"),
        (finding(change=change()), "fixed"),
        (finding(change=gone), "gone"),
        (finding(change=others), "open"),
        (finding(change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)), "open"),
        (finding(compliance=Compliance.UNDETERMINED, reason="NEW is unknown"), "undetermined"),
        (finding(exemption=exemption(expires=date(2026, 10, 31), expired=True)), "open"),
    ]
    for item, state in cases:
        with case(item):
            [row] = rows(report([item]), "findings")
            _, done = row.popitem()
            assert outcome_words(item, run()) in done
            assert ("2026-10-31" in done) is (item.exemption is not None)
            assert row == {
                "State": state,
                "Account": "111122223333 product-a",
                "Region": "eu-central-1",
                "Repository": "product-a/service-one",
                "Setting": "MUTABLE",
            }


def test_failed_changes_come_first_what_was_dealt_with_last() -> None:
    items = [
        finding("a", change=change()),
        finding("b"),
        finding("c", change=change(ChangeStatus.FAILED, reason=Reason.THROTTLED)),
        finding("d", compliance=Compliance.EXEMPT, exemption=exemption()),
    ]
    assert [row["Repository"] for row in rows(report(items), "findings")] == ["c", "b", "a"]


def test_what_the_last_sweep_knew() -> None:
    for since, reopened in product(Since, (0, 2)):
        with case(since, reopened):
            items = [finding("a", since_last=since, reopened=reopened), finding("b")]
            first, second = (row["Since last"] for row in rows(report(items), "findings"))
            assert first.startswith(since.replace("_", " "))
            assert ("2x" in first) is bool(reopened)
            assert second == ""


def test_tags_stand_beside_the_account() -> None:
    item = report([finding("a"), finding("b", account_id="222233334444", account_name="b")])
    one, other = item.accounts
    item = replace(item, accounts=[replace(one, tags={"team": "x", "owner": "y"}), other])
    assert [row["Account tags"] for row in rows(item, "findings")] == ["owner: y, team: x", ""]
    titles = [column.title for column in table(item, "findings").columns]
    assert titles.index("Account tags") == titles.index("Account") + 1


def test_what_is_no_longer_found() -> None:
    item = replace(report(), since_last=since_last())
    first, second = rows(item, "earlier")
    assert (first["Repository"], second["Repository"]) == ("shop/api", "gone")
    assert next(iter(second.values())) == "resolved" != next(iter(first.values()))
    assert rows(report(), "earlier") == []


def test_what_was_not_checked_and_what_was_skipped() -> None:
    item = report(
        [],
        [
            (target(region="ap-east-1"), failed(Reason.THROTTLED)),
            (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED, error_code=None)),
        ],
        [
            (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
            (target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED)),
        ],
    )
    assert rows(item, "not-checked") == [
        {
            "Reason": "assume_role_denied",
            "Account": "777788889999 product-a",
            "Region": "all",
            "Message": "User is not authorized",
        },
        {
            "Reason": "throttled",
            "Account": "111122223333 product-a",
            "Region": "ap-east-1",
            "Message": "AccessDeniedException: User is not authorized",
        },
    ]
    assert rows(item, "skipped") == [
        {"Reason": "account_suspended", "Account": "000011112222 product-a", "Region": "all"},
        {"Reason": "region_excluded", "Account": "111122223333 product-a", "Region": "us-west-2"},
    ]


def test_a_sweep_that_ended_early() -> None:
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    [row] = rows(early, "not-checked")
    assert (row["Account"], row["Region"]) == ("the whole run", "all")


def test_exemptions_expired_first_then_by_days_left() -> None:
    def exempt(name: str, expires: date | None, **changes: Any) -> Finding:
        return finding(
            name,
            compliance=Compliance.EXEMPT,
            exemption=exemption(expires=expires, **changes),
        )

    item = report(
        [
            exempt("never", None),
            exempt("later", date(2027, 11, 24)),
            exempt("today", date(2026, 11, 24)),
            finding("over", exemption=exemption(expires=date(2026, 11, 23), expired=True)),
            finding("unsaid", compliance=Compliance.EXEMPT),
            finding("none"),
        ]
    )
    shown = [
        (row["Repository"], row["Time left"], row["Expires"]) for row in rows(item, "exemptions")
    ]
    assert shown == [
        ("over", -1, "2026-11-23"),
        ("today", 0, "2026-11-24"),
        ("later", 365, "2027-11-24"),
        ("never", None, "never"),
        ("unsaid", None, "never"),
    ]
    row = rows(item, "exemptions")[0]
    assert (row["Why"], row["Rule"]) == ("rebuilt nightly", "* * sandbox/*")


def test_messages_are_alike_but_for_their_own_account_and_region() -> None:
    failures = [
        failed(message=f"arn:aws:iam::{number}:role/x may not act in {region}", error_code=None)
        for number, region in (("111122223333", "ap-east-1"), ("222233334444", "us-east-1"))
    ]
    places = (target(region="ap-east-1"), target("222233334444", region="us-east-1"))
    item = report([], [*zip(places, failures, strict=True)])
    messages = {row["Message"] for row in rows(item, "not-checked")}
    assert messages == {"arn:aws:iam::*:role/x may not act in *"}


def test_many_accounts_are_a_list_and_too_many_have_no_map() -> None:
    for accounts, is_list, is_map in (
        (25, False, True),
        (26, True, True),
        (100, True, True),
        (101, True, False),
    ):
        with case(accounts):
            item = large_report(accounts, 30)
            assert len(rows(item, "accounts")) == accounts * is_list
            assert len(rows(item, "map")) == accounts * is_map


def test_the_list_of_accounts_has_their_counts_the_worst_first() -> None:
    item = organization_report()
    shown = rows(item, "accounts")
    assert shown[0] == {
        "State": "open",
        "Account": "100000063352 shop-00008",
        "OU": "Workloads / Shop",
        "Account tags": "owner: team-52",
        "Repositories": 14,
        "Mutable": 4,
        "Fixed": 1,
        "Exempt": 0,
        "Failed regions": 8,
    }
    assert sum(row["Mutable"] for row in shown) == count_non_compliant(item)
    assert sum(row["Fixed"] for row in shown) == item.totals.changes.applied
    assert sum(row["Exempt"] for row in shown) == item.totals.repositories.exempt
    assert sum(row["Repositories"] for row in shown) == item.totals.repositories.examined
    entered = [row["Failed regions"] for row in shown if row["Failed regions"] is not None]
    assert sum(entered) == item.totals.targets.failed
    assert len(shown) - len(entered) == item.totals.accounts.failed
    mutable = [row["Mutable"] for row in shown]
    assert mutable == sorted(mutable, reverse=True)


def test_the_map_has_a_column_for_each_region() -> None:
    item = report(
        [finding("a"), finding("b", region="us-east-1")],
        [(account("777788889999"), failed())],
    )
    assert rows(item, "map") == [
        {
            "Account": "111122223333 product-a",
            "State": "open",
            "Open": 2,
            "eu-central-1": 5,
            "us-east-1": 5,
        },
        {
            "Account": "777788889999 product-a",
            "State": "not checked",
            "Open": 0,
            "eu-central-1": 4,
            "us-east-1": 4,
        },
    ]


def test_texts_are_kept_once_plain_and_short() -> None:
    texts = _Texts()
    assert [texts("a"), texts("b\n"), texts("a"), texts("y" * 701)] == [0, 1, 0, 2]
    assert list(texts.index) == ["a", r"b\x0a", "y" * 699 + "…"]


def test_the_payload_refers_to_texts_and_leaves_out_empty_tables() -> None:
    shown = [
        _Table(
            "x", (_Column("T", "text", ["u", "u"], choose=True), _Column("N", "days", [1, None]))
        ),
        _Table("empty", (_Column("T", "text", []),)),
    ]
    [known] = report().accounts
    known = replace(known, ou_names="Workloads", tags={"team": "x", "owner": "u"})
    item = replace(report(), accounts=[known], trend=trend(1))
    assert payload(item, shown) == {
        "texts": ["", "T", "u", "N", "Workloads", "owner: u", "team: x"],
        "tables": [
            {
                "id": "x",
                "state": 0,
                "columns": [
                    {"title": 1, "kind": "text", "choose": True, "values": [2, 2]},
                    {"title": 3, "kind": "days", "choose": False, "values": [1, None]},
                ],
            }
        ],
        "owners": {known.id: [4, [5, 6]]},
        "trend": [["2026-11-24T01:04:10Z", 85, 75, True]],
        "console": console_template("aws"),
    }


def test_repositories_that_the_console_shows_are_linked() -> None:
    findings = [finding("b/a"), finding("A name that ECR does not give"), template("c")]
    linked = {
        item.run.partition: [
            dict(zip(column.values, column.linked, strict=True))
            for table in tables(item)
            if table.id == "findings"
            for column in table.columns
            if column.kind == "repository"
        ]
        for item in (report(findings), report(findings, partition="aws-iso"))
    }
    names = ["b/a", "A name that ECR does not give", "creation template c"]
    assert linked == {
        "aws": [dict(zip(names, (True, False, False), strict=True))],
        "aws-iso": [dict.fromkeys(names, False)],
    }


def test_tags_that_look_moved_have_a_column_where_they_were_assessed() -> None:
    before = [*rows(report([finding()]), "findings")[0]]
    moved = finding("a", impact=impact("pr-1", exclusions=("pr-*",)))
    item = report([moved, finding("b", impact=unavailable()), finding("c")])
    found = {row["Repository"]: row for row in rows(item, "findings")}
    (title,) = found["a"].keys() - set(before)
    assert "pr-1" in found["a"][title]
    assert "pr-*" in found["a"][title]
    assert "denied_by_identity_policy" in found["b"][title]
    assert found["c"][title] == ""
