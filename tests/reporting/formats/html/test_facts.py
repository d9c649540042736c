"""The figures before the tables, and how each is judged; their words are a golden text."""

import re
from dataclasses import replace
from datetime import date

from sweeper.domain.model import ChangeStatus, Compliance, Finding, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import aggregate
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.html.facts import _Level, facts
from sweeper.reporting.notification import message, subject
from sweeper.reporting.wording import advice
from tests.cases import case
from tests.factories import (
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    report,
    run,
    since_last,
    target,
)
from tests.golden.reports import early, every

REPOSITORIES, COVERAGE, SINCE, REMEDIATION = range(4)
UNJUDGED = finding(compliance=Compliance.UNDETERMINED, mutability="NEW", reason="NEW is unknown")
GAP = [(target(region="ap-east-1"), failed())]


def test_the_verdict() -> None:
    fixed = [finding("a", change=change()), finding("b", change=change())]
    suspended = [(account(), Skipped(Reason.ACCOUNT_SUSPENDED))]
    cases: list[tuple[Report, _Level, _Level]] = [
        (report(), "good", "good"),
        (report(compliant=0), "good", "good"),
        (report([finding("a"), *fixed]), "bad", "good"),
        (report([finding("a")], GAP), "bad", "bad"),
        (report(fixed, GAP), "unsure", "bad"),
        (aggregate(run(), suspended, []), "unsure", "bad"),
        (early(), "bad", "bad"),
    ]
    for item, verdict, coverage in cases:
        with case(item):
            shown = facts(item)
            assert [each.level for each in shown.banners] == [verdict, coverage]
            assert shown.title == shown.banners[0].title


def test_an_exempt_mutable_repository_is_no_all_clear() -> None:
    exempt = [
        finding(name, compliance=Compliance.EXEMPT, exemption=exemption()) for name in ("a", "b")
    ]
    immutable = finding("c", compliance=Compliance.EXEMPT, mutability="IMMUTABLE")
    template = replace(exempt[0], resource="repository_creation_template")
    cases: list[tuple[list[Finding], str]] = [
        ([], "No image tag can be overwritten"),
        ([immutable], "No image tag can be overwritten"),
        ([*exempt, immutable], "No finding remains; 2 exempt repositories are mutable"),
        (
            [*exempt, template],
            "No finding remains; 2 exempt repositories and 1 exempt creation template are mutable",
        ),
        (
            [exempt[0], UNJUDGED],
            "No repository is mutable without an exemption, in what was checked; "
            "1 exempt repository is mutable",
        ),
    ]
    for findings, title in cases:
        with case(title):
            item = report(findings)
            banner = facts(item).banners[0]
            assert banner.title == title
            if "exempt" in title:
                for text in (message(item, ()), subject(item), banner.text):
                    assert "none mutable" not in text
                    assert "can be overwritten" not in text
                assert title.partition("; ")[2] in message(item, ())
            assert len(subject(item)) < 100
    many = [
        replace(each, resource=resource)
        for each in exempt
        for resource in ("repository", "repository_creation_template")
        for _ in range(600)
    ]
    skipped = [(account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED))]
    assert subject(report(exempt, [], skipped)) == (
        "sweeper: no finding remains in scope, 2 exempt repositories are mutable"
    )
    too_long = subject(report(many, [], skipped, dry_run=True))
    assert too_long == "sweeper (dry run): no finding remains in scope"


def test_an_early_end_says_why_and_what_to_do() -> None:
    for reason in (Reason.NOT_ALLOWED_TO_LIST, Reason.REQUEST_REFUSED):
        with case(reason):
            text = facts(early(reason)).banners[0].text
            assert reason in text
            assert (advice(Stage.ENUMERATE, reason) or "") in text


def test_the_cards_are_the_same_in_every_report() -> None:
    titles = {name: [card.title for card in facts(item).cards] for name, item in every().items()}
    assert len({tuple(each) for each in titles.values()}) == 1


def figures(item: Report, card: int) -> list[tuple[str, _Level]]:
    return [(each.value, each.level) for each in facts(item).cards[card].figures]


def test_repositories() -> None:
    """Checked, compliant, found mutable, still mutable, exempt; undetermined if there are any."""
    item = report([finding("a"), finding("b", change=change()), UNJUDGED], compliant=1200)
    assert figures(item, REPOSITORIES) == [
        ("1,203", "plain"),
        ("1,200", "plain"),
        ("2", "bad"),
        ("1", "bad"),
        ("0", "plain"),
        ("1", "unsure"),
    ]
    none = [("0", "plain"), ("0", "good"), ("0", "plain")]
    assert figures(report(), REPOSITORIES)[2:] == none
    assert figures(early(), REPOSITORIES)[3] == ("0", "plain")


def test_coverage() -> None:
    """Shares of accounts and of regions, then how many were not checked."""
    item = report([], [(account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED)), *GAP])
    assert figures(item, COVERAGE) == [("50 %", "bad"), ("50 %", "bad"), ("1", "bad"), ("1", "bad")]
    assert {level for _, level in figures(report(), COVERAGE)} == {"plain"}


def test_since_the_last_sweep() -> None:
    """New, reopened, still open, resolved, no longer visible."""
    changed = since_last(
        new=3, still_open=4, reopened=1, resolved=(earlier(),), not_visible=(earlier(),)
    )
    levels: list[_Level] = ["bad", "bad", "plain", "good", "unsure"]
    expected = [*zip(("3", "1", "4", "1", "1"), levels, strict=True)]
    assert figures(replace(report(), since_last=changed), SINCE) == expected
    same = replace(report(), since_last=since_last())
    assert figures(same, SINCE) == [("0", "plain")] * 5
    for item in (report(), every()["not compared"]):
        assert figures(item, SINCE) == []


def test_remediation() -> None:
    """Applied, failed, withheld; superseded where there are some."""
    changes = [
        change(),
        change(ChangeStatus.FAILED, reason=Reason.THROTTLED),
        change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES),
        change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT),
    ]
    item = report([finding(str(index), change=each) for index, each in enumerate(changes)])
    levels: list[_Level] = ["good", "bad", "unsure", "plain"]
    assert figures(item, REMEDIATION) == [("1", level) for level in levels]
    assert len(figures(report(), REMEDIATION)) == 3


def test_a_dry_runs_plan() -> None:
    planned = [finding(str(index), change=change(ChangeStatus.PLANNED)) for index in range(3)]
    held = finding("x", change=change(ChangeStatus.WITHHELD, reason=Reason.MIN_COVERAGE))
    item = report([*planned, held], dry_run=True)
    assert figures(item, REMEDIATION) == [("3", "plain"), ("1", "unsure")]


def test_what_would_be_made_is_what_no_longer_holds_left_out() -> None:
    kinds = (ChangeStatus.PLANNED, ChangeStatus.FAILED, ChangeStatus.SUPERSEDED)
    items = [finding(kind, change=change(kind, reason=Reason.THROTTLED)) for kind in kinds]
    item = report(items, kind="apply", dry_run=True)
    assert figures(item, -1) == [("1", "plain"), ("1", "bad"), ("0", "plain"), ("1", "plain")]


def test_changes_not_made_come_once_for_each_reason_the_most_frequent_first() -> None:
    item = report(
        [
            finding("a", change=change(ChangeStatus.FAILED, reason=Reason.DENIED_BY_SCP)),
            finding("b", change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)),
            finding("c", change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)),
            finding("d", change=change(ChangeStatus.FAILED)),
            finding("e", change=change()),
        ]
    )
    assert [(each.reason, each.count, each.advice) for each in facts(item).not_made] == [
        ("max_changes", 2, advice(Stage.CHANGE, Reason.MAX_CHANGES)),
        ("denied_by_scp", 1, advice(Stage.CHANGE, Reason.DENIED_BY_SCP)),
    ]


def test_not_checked_and_skipped_are_grouped_by_reason_the_most_frequent_first() -> None:
    item = report(
        [],
        [
            (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED)),
            (target(region="ap-east-1"), failed(Reason.REQUEST_REFUSED)),
            (target(region="ap-east-2"), failed(Reason.REQUEST_REFUSED)),
        ],
        [
            (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
            (target(region="us-west-1"), Skipped(Reason.REGION_EXCLUDED)),
            (target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED)),
        ],
    )
    shown = facts(item)
    assert [(each.reason, each.count, each.advice) for each in shown.not_checked] == [
        ("request_refused", 2, None),
        ("assume_role_denied", 1, advice(Stage.EXAMINE, Reason.ASSUME_ROLE_DENIED)),
    ]
    assert [(each.reason, each.count) for each in shown.skipped] == [
        ("region_excluded", 2),
        ("account_suspended", 1),
    ]


def test_exemptions_that_expired_or_end_within_thirty_days_are_counted() -> None:
    today = date(2026, 11, 24)  # the day on which factories.run finishes
    cases: list[tuple[list[date | None], list[str]]] = [
        ([], []),
        ([None, date(2027, 6, 1)], []),
        ([date(2026, 11, 23)], ["1"]),
        ([date(2026, 12, 1)], ["1", "30"]),
        ([date(2026, 11, 24), date(2026, 12, 24)], ["2", "30"]),
        ([date(2026, 12, 25)], []),
        ([date(2026, 1, 1), date(2026, 2, 1), date(2026, 12, 1)], ["2", "1", "30"]),
    ]
    for expires, told in cases:
        with case(expires):
            findings = [
                finding(
                    str(index),
                    exemption=exemption(expires=day, expired=day is not None and day < today),
                )
                for index, day in enumerate(expires)
            ]
            sentence = facts(report(findings)).exemptions
            assert re.findall(r"\d+", sentence) == told
            assert "1 end " not in sentence
