from dataclasses import replace

from sweeper.domain.model import Compliance
from sweeper.reporting.formats.html.bars import Bar, by_ou, by_region
from tests.factories import change, exemption, finding, report

FINDINGS = [
    finding("a"),
    finding("b", change=change()),
    finding("c", compliance=Compliance.EXEMPT, exemption=exemption()),
    finding("d", region="us-east-1"),
    finding("e", region="us-east-1"),
    finding("f", region="eu-west-1", compliance=Compliance.UNDETERMINED),
]


def test_repositories_are_counted_as_they_are_left_the_most_open_first() -> None:
    assert by_region(report(FINDINGS, compliant=3)) == (
        Bar("us-east-1", compliant=3, open=2),
        Bar("eu-central-1", compliant=4, exempt=1, open=1),
        Bar("eu-west-1", compliant=3, undetermined=1),
    )


def test_a_place_without_repositories_has_no_bar() -> None:
    assert by_region(report(compliant=0)) == ()
    assert by_ou(report(compliant=0)) == ()


def test_parts_follow_each_other_and_are_all() -> None:
    bar = Bar("x", compliant=5, exempt=2, open=3)
    assert bar.total == 10
    assert bar.parts == (("open", 3, 0), ("exempt", 2, 3), ("compliant", 5, 5))


def test_an_ou_names_some_of_its_accounts() -> None:
    others = [finding("x", account_id=f"22223333444{n}", account_name=f"b{n}") for n in range(3)]
    (bar,) = by_ou(report([*FINDINGS, *others], compliant=0))
    place = "r-root/ou-root-prod"
    expected = Bar(place, bar.detail, compliant=1, exempt=1, undetermined=1, open=6)
    assert bar == expected
    assert bar.detail.startswith("product-a, b0 ")
    assert " 2 more" in bar.detail


def test_accounts_whose_ou_is_not_known() -> None:
    item = report([*FINDINGS, finding("x", account_id="222233334444", account_name="b")])
    one, other = item.accounts
    unknown = replace(item, accounts=[replace(one, ou_path=None), replace(other, ou_path=None)])
    assert by_ou(unknown) == ()
    partly = replace(item, accounts=[replace(one, ou_path=None), other])
    assert [(bar.place, bar.detail) for bar in by_ou(partly)] == [
        ("not known", "product-a"),
        ("r-root/ou-root-prod", "b"),
    ]
