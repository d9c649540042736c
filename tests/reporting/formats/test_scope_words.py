"""What reports say of their scope, and that none says "all" where something was left out."""

from __future__ import annotations

import pytest

from sweeper.domain.model import Skipped
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report, Scope
from sweeper.reporting.formats.html.facts import facts
from sweeper.reporting.notification import message, subject
from sweeper.reporting.wording import coverage_sentence, scope
from tests.factories import account, failed, report, target
from tests.rendering import rendered

SKIPPED = (target(region="us-west-2"), Skipped(Reason.REGION_EXCLUDED))
NARROW = Scope(4, 6, ("us-east-1",), 3, ("organization.include_accounts", "--region"))


def narrowed() -> Report:
    return report([], (), [SKIPPED], scope=NARROW)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (Scope(4, 4, ("a", "b", "c"), 3, ()), "4 accounts, 3 regions"),
        (
            Scope(4, 4, ("a",), 3, ("regions.include",)),
            "4 accounts, 1 of 3 regions: regions.include",
        ),
        (NARROW, "4 of 6 accounts, 1 of 3 regions: organization.include_accounts, --region"),
        (Scope(1, 1, ("a",), 1, ()), "1 account, 1 region"),
        (Scope(1, 1, (), 2, ("regions.include",)), "1 account, 0 of 2 regions: regions.include"),
        (None, None),
    ],
)
def test_the_scope_in_words(of: Scope | None, said: str | None) -> None:
    assert scope(report(scope=of)) == said


def test_the_first_line_names_the_scope() -> None:
    said = scope(narrowed())
    assert said is not None
    assert said in rendered("text", narrowed()).decode().splitlines()[0]
    assert said in message(narrowed(), ()).splitlines()[0]
    assert facts(narrowed()).scope == said


def test_where_something_was_skipped_nothing_claims_all() -> None:
    for item, everything in ((report(), True), (narrowed(), False)):
        assert item.coverage.complete
        assert facts(item).everything is everything
        said = [coverage_sentence(item), subject(item), message(item, ()).partition("\n\n")[0]]
        said += [banner.title for banner in facts(item).banners]
        scoped = ["in scope", "in this scope", "in what was checked"]
        for sentence in said:
            assert any(words in sentence for words in scoped) is not everything, sentence


def test_an_account_that_was_examined_in_part_is_told_from_one_that_was_not() -> None:
    unread = failed(Reason.REGIONS_UNREADABLE)
    item = report([], [(account(), unread), (account("777788889999"), unread)])
    assert coverage_sentence(item) == (
        "COVERAGE IS INCOMPLETE: 1 of 2 accounts could not be checked; of 1 of 2 accounts only "
        "the named regions were examined, others are unknown."
    )
