from dataclasses import replace
from datetime import date

import pytest

from sweeper.formats.html.facts import Card, Figure, Group, facts
from sweeper.model import (
    ChangeStatus,
    Compliance,
    Failed,
    Reason,
    Report,
    SinceLast,
    Skipped,
    Stage,
)
from sweeper.report import aggregate, ended_early
from tests.factories import (
    account,
    change,
    exemption,
    failed,
    finding,
    report,
    run,
    target,
)
from tests.formats.html.reports import since_last

UNJUDGED = finding(compliance=Compliance.UNDETERMINED, mutability="NEW", reason="NEW is unknown")


def early(reason: Reason) -> Report:
    return ended_early(run(), Failed(Stage.ENUMERATE, reason, "no", "AccessDenied"))


@pytest.mark.parametrize(
    ("item", "banners"),
    [
        (
            report(),
            [
                (
                    "good",
                    "No image tag can be overwritten",
                    "Of 1 repository that were seen, none is left open.",
                ),
                (
                    "good",
                    "All accounts and regions were examined",
                    "Seen: 1 repository in 1 account-region of 1 account.",
                ),
            ],
        ),
        (
            report(compliant=0),
            [
                ("good", "No repository was seen", "None was found in what was examined."),
                (
                    "good",
                    "All accounts and regions were examined",
                    "Seen: 0 repositories in 1 account-region of 1 account.",
                ),
            ],
        ),
        (
            report([finding("a"), finding("b"), finding("c", change=change())]),
            [
                (
                    "bad",
                    "2 repositories have image tags that can be overwritten",
                    "Of 4 repositories that were seen; 1 was closed by this sweep.",
                ),
                (
                    "good",
                    "All accounts and regions were examined",
                    "Seen: 4 repositories in 1 account-region of 1 account.",
                ),
            ],
        ),
        (
            report([finding("a")], [(target(region="ap-east-1"), failed())]),
            [
                (
                    "bad",
                    "1 repository has image tags that can be overwritten",
                    "Of 2 repositories that were seen.",
                ),
                (
                    "bad",
                    "Not everything was seen",
                    "1 of 2 account-regions could not be examined. "
                    "Seen: 2 repositories in 1 account-region of 1 account.",
                ),
            ],
        ),
        (
            report(
                [finding("a", change=change()), finding("b", change=change())],
                [(target(region="ap-east-1"), failed())],
            ),
            [
                (
                    "unsure",
                    "No image tag can be overwritten, in what was seen",
                    "Of 3 repositories that were seen, none is left open; "
                    "2 were closed by this sweep.",
                ),
                (
                    "bad",
                    "Not everything was seen",
                    "1 of 2 account-regions could not be examined. "
                    "Seen: 3 repositories in 1 account-region of 1 account.",
                ),
            ],
        ),
        (
            aggregate(run(), [(account(), Skipped(Reason.ACCOUNT_SUSPENDED))], []),
            [
                ("unsure", "No repository was seen", "None was found in what was examined."),
                (
                    "bad",
                    "Nothing was seen",
                    "No account-region was left to examine. "
                    "Seen: 0 repositories in 0 account-regions of 0 accounts.",
                ),
            ],
        ),
        (
            early(Reason.NOT_ALLOWED_TO_LIST),
            [
                (
                    "bad",
                    "The sweep ended early",
                    "not_allowed_to_list: AccessDenied: no. What to do: run in the management "
                    "account or a delegated administrator, with organizations:ListAccounts.",
                ),
                (
                    "bad",
                    "Nothing was seen",
                    "Which accounts to sweep could not be determined. "
                    "Seen: 0 repositories in 0 account-regions of 0 accounts.",
                ),
            ],
        ),
    ],
)
def test_the_verdict(item: Report, banners: list[tuple[str, str, str]]) -> None:
    shown = facts(item)
    assert [(each.level, each.title, each.text) for each in shown.banners] == banners
    assert shown.title == banners[0][1]


def test_an_early_end_without_advice() -> None:
    verdict, _ = facts(early(Reason.REQUEST_REFUSED)).banners
    assert verdict.text == "request_refused: AccessDenied: no."


def card(item: Report, title: str) -> Card:
    [found] = [each for each in facts(item).cards if each.title == title]
    return found


def figures(item: Report, title: str) -> list[tuple[str, str, str]]:
    return [(each.value, each.label, each.level) for each in card(item, title).figures]


def test_repositories() -> None:
    item = report([finding("a"), finding("b", change=change()), UNJUDGED], compliant=1200)
    assert figures(item, "Repositories") == [
        ("1,203", "seen", "plain"),
        ("1,200", "compliant", "plain"),
        ("2", "found open", "bad"),
        ("1", "left open", "bad"),
        ("0", "exempt", "plain"),
        ("1", "undetermined", "unsure"),
    ]
    assert figures(report(), "Repositories")[2:] == [
        ("0", "found open", "plain"),
        ("0", "left open", "good"),
        ("0", "exempt", "plain"),
    ]
    unseen = early(Reason.TIMED_OUT)
    assert ("0", "left open", "plain") in figures(unseen, "Repositories")


def test_coverage() -> None:
    item = report(
        [],
        [
            (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED)),
            (target(region="ap-east-1"), failed()),
        ],
        [(target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED))],
    )
    assert figures(item, "Coverage") == [
        ("50 %", "of accounts", "bad"),
        ("50 %", "of their regions", "bad"),
        ("1", "accounts not seen", "bad"),
        ("1", "regions not seen", "bad"),
    ]
    assert card(item, "Coverage").note == (
        "1 of 2 accounts, 1 of 2 account-regions. Skipped on purpose: 0 accounts, 1 account-region."
    )
    assert {level for *_, level in figures(report(), "Coverage")} == {"plain"}
    assert card(report(), "Coverage").note == "1 of 1 account, 1 of 1 account-region."


@pytest.mark.parametrize(
    ("since", "values", "note"),
    [
        (None, [], "This sweep was not compared with an earlier one."),
        (
            SinceLast(None, None, "it is damaged.", 0, 0, 0),
            [],
            "What changed cannot be told: it is damaged.",
        ),
        (
            since_last(),
            [
                ("3", "new", "bad"),
                ("1", "reopened", "bad"),
                ("4", "still open", "plain"),
                ("1", "resolved", "good"),
                ("1", "no longer visible", "unsure"),
            ],
            "The last one: 20261123T010000Z-aaaaaa, 2026-11-23T01:04:00Z.",
        ),
        (
            SinceLast("r", "t", None, 0, 0, 0),
            [
                ("0", "new", "plain"),
                ("0", "reopened", "plain"),
                ("0", "still open", "plain"),
                ("0", "resolved", "plain"),
                ("0", "no longer visible", "plain"),
            ],
            "The last one: r, t.",
        ),
    ],
)
def test_since_the_last_sweep(
    since: SinceLast | None, values: list[tuple[str, str, str]], note: str
) -> None:
    item = replace(report(), since_last=since)
    assert figures(item, "Since the last sweep") == values
    assert card(item, "Since the last sweep").note == note


def test_remediation() -> None:
    changes = [
        change(),
        change(ChangeStatus.FAILED, reason=Reason.THROTTLED),
        change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES),
        change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT),
    ]
    item = report([finding(str(index), change=each) for index, each in enumerate(changes)])
    assert figures(item, "Remediation") == [
        ("1", "applied", "good"),
        ("1", "failed", "bad"),
        ("1", "withheld", "unsure"),
        ("1", "superseded", "plain"),
    ]
    assert card(item, "Remediation").note == "Auto-Remediation is ENABLED."
    assert len(figures(report(), "Remediation")) == 3


def test_a_dry_runs_plan() -> None:
    planned = [finding(str(index), change=change(ChangeStatus.PLANNED)) for index in range(3)]
    held = finding("x", change=change(ChangeStatus.WITHHELD, reason=Reason.MIN_COVERAGE))
    shown = card(report([*planned, held], dry_run=True), "Remediation")
    assert shown.figures == (
        Figure("3", "would be made", "plain"),
        Figure("1", "withheld", "unsure"),
    )
    assert shown.note.startswith("A dry run: nothing was changed.")


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
    assert facts(item).not_made == (
        Group("max_changes", 2, "raise remediation.max_changes if so many changes are meant"),
        Group(
            "denied_by_scp",
            1,
            "let the member role write there (Allow… among its stack's parameters), or leave the "
            "account out with remediation.exclude_accounts",
        ),
    )


def test_not_seen_and_skipped_are_grouped_by_reason_the_most_frequent_first() -> None:
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
    assert [(group.reason, group.count) for group in shown.not_seen] == [
        ("request_refused", 2),
        ("assume_role_denied", 1),
    ]
    assert shown.not_seen[0].advice is None
    assert "deploy the StackSet" in (shown.not_seen[1].advice or "")
    assert shown.skipped == (Group("region_excluded", 2), Group("account_suspended", 1))


@pytest.mark.parametrize(
    ("expires", "said"),
    [
        ([], ""),
        ([None, date(2027, 6, 1)], ""),
        ([date(2026, 11, 23)], "1 finding has an expired one."),
        ([date(2026, 11, 24), date(2026, 12, 24)], "2 end within 30 days."),
        ([date(2026, 12, 25)], ""),
        (
            [date(2026, 1, 1), date(2026, 2, 1), date(2026, 12, 1)],
            "2 findings have an expired one; 1 end within 30 days.",
        ),
    ],
)
def test_exemptions_that_end(expires: list[date | None], said: str) -> None:
    today = date(2026, 11, 24)  # the day on which factories.run finishes
    item = report(
        [
            finding(
                str(index),
                exemption=exemption(expires=day, expired=day is not None and day < today),
            )
            for index, day in enumerate(expires)
        ]
    )
    assert facts(item).exemptions == said
