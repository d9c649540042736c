from sweeper.domain.model import Compliance, Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import aggregate, ended_early
from sweeper.reporting.formats.html.places import AccountRow, State, place_map
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
    regions, rows = place_map(
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
        State.EMPTY,
        State.NOT_CHECKED + 2,
        -1,
        State.COMPLIANT,
        State.NOT_CHECKED + 1,
        State.NOT_CHECKED,
        State.SKIPPED,
    )
    assert rows == [AccountRow(ACCOUNT_ID, "open", 3, tuple(map(int, states)))]


def test_an_account_that_was_not_opened_is_so_everywhere() -> None:
    regions, rows = place_map(
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
    _, rows = place_map(item)
    assert [(row.account_id[0], row.worst, row.open) for row in rows] == [
        ("2", "open", 2),
        ("1", "open", 1),
        ("5", "not checked", 0),
        ("4", "fixed", 0),
        ("3", "fixed", 0),
        ("1", "compliant", 0),  # the factory's own
    ]


def test_a_sweep_that_ended_early_has_no_rows() -> None:
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert place_map(early) == (["all"], [])


def test_accounts_of_which_no_region_is_known() -> None:
    item = aggregate(run(), [(account(), failed(Reason.ASSUME_ROLE_DENIED))], [])
    assert place_map(item) == (["all"], [AccountRow(ACCOUNT_ID, "not checked", 0, (4,))])
