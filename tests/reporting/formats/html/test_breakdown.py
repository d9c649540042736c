"""Results by account and region on the map, and by region and organizational unit as bars."""

from dataclasses import replace

from sweeper.domain.model import Compliance, Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import aggregate, ended_early
from sweeper.reporting.formats.html.breakdown import (
    Bar,
    MapRow,
    _MapState,
    by_ou,
    by_region,
    target_map,
)
from tests.factories import (
    ACCOUNT_ID,
    account,
    change,
    exemption,
    failed,
    finding,
    report,
    run,
    target,
)

EXCLUDED = Skipped(Reason.REGION_EXCLUDED)


def test_every_state_of_an_account_in_a_region() -> None:
    regions, rows = target_map(
        report(
            [
                finding("a", region="r1"),
                finding("b", region="r1"),
                finding("c", region="r1", change=change()),
                finding("d", region="r2", change=change()),
                finding("e", region="r3", compliance=Compliance.EXEMPT, exemption=exemption()),
                finding("f", region="r4", compliance=Compliance.UNDETERMINED),
            ],
            [(target(region="r5"), failed())],
            [(target(region="r6"), EXCLUDED)],
            compliant=0,
        )
    )
    assert regions == ["eu-central-1", "r1", "r2", "r3", "r4", "r5", "r6"]
    states = (
        _MapState.EMPTY,
        _MapState.NOT_CHECKED + 2,
        -1,
        _MapState.COMPLIANT,
        _MapState.NOT_CHECKED + 1,
        _MapState.NOT_CHECKED,
        _MapState.SKIPPED,
    )
    assert rows == [MapRow(ACCOUNT_ID, "open", 3, tuple(map(int, states)))]


def test_an_account_that_was_not_opened_is_so_everywhere() -> None:
    regions, rows = target_map(
        report(
            [finding(region="us-east-1")],
            [(account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED))],
            [(account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED))],
        )
    )
    assert regions == ["eu-central-1", "us-east-1"]
    assert [(row.account_id, row.worst, row.states) for row in rows] == [
        (ACCOUNT_ID, "open", (3, 5)),
        ("777788889999", "not checked", (4, 4)),
        ("000011112222", "skipped", (1, 1)),
    ]


def test_the_worst_comes_first() -> None:
    item = report(
        [
            finding("a", account_id="100000000000"),
            finding("a", account_id="200000000000"),
            finding("b", account_id="200000000000"),
            finding("a", account_id="300000000000", change=change()),
            finding("a", account_id="400000000000", change=change()),
            finding("b", account_id="400000000000", change=change()),
        ],
        [(account("500000000000"), failed())],
    )
    _, rows = target_map(item)
    assert [(row.account_id[0], row.worst, row.remaining) for row in rows] == [
        ("2", "open", 2),
        ("1", "open", 1),
        ("5", "not checked", 0),
        ("4", "fixed", 0),
        ("3", "fixed", 0),
        ("1", "compliant", 0),  # the factory's own
    ]


def test_a_sweep_that_ended_early_has_no_rows() -> None:
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert target_map(early) == (["all"], [])


def test_accounts_of_which_no_region_is_known() -> None:
    item = aggregate(run(), [(account(), failed(Reason.ASSUME_ROLE_DENIED))], [])
    assert target_map(item) == (["all"], [MapRow(ACCOUNT_ID, "not checked", 0, (4,))])


FINDINGS = [
    finding("a"),
    finding("b", change=change()),
    finding("c", compliance=Compliance.EXEMPT, exemption=exemption()),
    finding("d", region="us-east-1"),
    finding("e", region="us-east-1"),
    finding("f", region="eu-west-1", compliance=Compliance.UNDETERMINED),
]


def test_repositories_are_counted_as_they_are_left_the_worst_first() -> None:
    assert by_region(report(FINDINGS, compliant=3)) == (
        Bar("us-east-1", compliant=3, remaining=2),
        Bar("eu-central-1", compliant=4, exempt=1, remaining=1),
        Bar("eu-west-1", compliant=3, undetermined=1),
    )


def test_a_region_without_repositories_has_no_bar() -> None:
    assert by_region(report(compliant=0)) == ()
    assert by_ou(report(compliant=0)) == ()


def test_parts_follow_each_other_and_are_all() -> None:
    bar = Bar("x", compliant=5, exempt=2, remaining=3)
    assert bar.total == 10
    assert bar.parts == (("open", 3, 0), ("exempt", 2, 3), ("compliant", 5, 5))


def test_an_ou_names_some_of_its_accounts() -> None:
    others = [finding("x", account_id=f"22223333444{n}", account_name=f"b{n}") for n in range(3)]
    (bar,) = by_ou(report([*FINDINGS, *others], compliant=0))
    name = "r-root/ou-root-prod"
    expected = Bar(name, bar.detail, compliant=1, exempt=1, undetermined=1, remaining=6)
    assert bar == expected
    assert bar.detail.startswith("product-a, b0 ")
    assert " 2 more" in bar.detail


def test_accounts_whose_ou_is_not_known() -> None:
    item = report([*FINDINGS, finding("x", account_id="222233334444", account_name="b")])
    one, other = item.accounts
    unknown = replace(item, accounts=[replace(one, ou_path=None), replace(other, ou_path=None)])
    assert by_ou(unknown) == ()
    partly = replace(item, accounts=[replace(one, ou_path=None), other])
    assert [(bar.name, bar.detail) for bar in by_ou(partly)] == [
        ("not known", "product-a"),
        ("r-root/ou-root-prod", "b"),
    ]
