"""What holds of the words, whatever they are; the words themselves are golden texts."""

from dataclasses import replace

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import Failed, Stage
from sweeper.domain.reasons import ACCEPTABLE_REASONS, Reason
from sweeper.domain.report import ended_early as ended_early_report
from sweeper.reporting.report_wording import early_failure, since_last_words
from sweeper.reporting.wording import (
    advice,
    earlier_state,
    explanation,
    failure_target,
    number,
    percent,
)
from tests import factories
from tests.cases import case
from tests.factories import HOSTILE, account, earlier, failed, failure, report, run


def test_one_is_singular_and_thousands_are_separated() -> None:
    counted = [number(count, "repository") for count in (0, 1, 1204)]
    assert counted == ["0 repositories", "1 repository", "1,204 repositories"]


def test_percent_is_never_whole_where_something_is_missing() -> None:
    shares = (0.0, 0.5, 2 / 3, 0.99999, 1.0)
    assert [percent(share) for share in shares] == ["0 %", "50 %", "66.67 %", "99.9 %", "100 %"]


def test_whatever_is_returned_is_plain() -> None:
    for text in HOSTILE:
        with case(text):
            item = failure(account_id=text, region=text, error_code=text, message=text)
            words = failure_target(item, {text: text}) + explanation(item)
            words += earlier_state(earlier(mutability=text, last_seen=text))
            unknown = factories.since_last(unavailable=text)
            words += since_last_words(replace(report(), since_last=unknown)) or ""
            assert not any(map(is_hidden, words))


def test_what_is_too_long_is_cut() -> None:
    assert len(explanation(failure(message="x" * 9999, error_code=None), 240)) == 240


def test_lasting_failures_come_with_advice() -> None:
    for reason in (*ACCEPTABLE_REASONS, Reason.INTERNAL_ERROR):
        with case(reason):
            assert advice(Stage.EXAMINE, reason)


def test_a_denied_write_has_its_own_advice() -> None:
    for stage in (Stage.CHANGE, Stage.DELIVER):
        with case(stage):
            words = advice(stage, Reason.DENIED_BY_SCP)
            assert words != advice(Stage.EXAMINE, Reason.DENIED_BY_SCP)
            assert (
                words == advice(stage, Reason.DENIED) == advice(stage, Reason.WRITE_NOT_PERMITTED)
            )
    assert advice(Stage.EXAMINE, Reason.NO_ACCOUNT_CHOSEN) is None


def test_only_what_has_no_account_ended_the_sweep() -> None:
    unknown = failed(Reason.ACCOUNT_STATE_UNKNOWN, stage=Stage.ENUMERATE)
    assert early_failure(report([], [(account("777788889999"), unknown)])) is None
    early = ended_early_report(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert early_failure(early) == early.failures[0]
    assert early_failure(replace(early, failures=())) is None
