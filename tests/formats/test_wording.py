from dataclasses import replace

import pytest

from sweeper.escaping import hidden
from sweeper.formats.wording import (
    advice,
    as_last_seen,
    ended_early,
    explanation,
    known_as,
    number,
    outcome,
    percent,
    since_last,
    where,
)
from sweeper.model import (
    ACCEPTABLE_REASONS,
    ChangeStatus,
    Compliance,
    EarlierFinding,
    Failed,
    Finding,
    Reason,
    Since,
    SinceLast,
    Stage,
)
from sweeper.report import ended_early as ended_early_report
from tests import factories
from tests.factories import (
    HOSTILE,
    account,
    change,
    earlier,
    exemption,
    failed,
    failure,
    finding,
    report,
    run,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 repositories"), (1, "1 repository"), (1204, "1,204 repositories")],
)
def test_number(count: int, text: str) -> None:
    assert number(count, "repository", "repositories") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.5, "50 %"), (2 / 3, "66.67 %"), (0.99999, "99.9 %"), (1.0, "100 %")],
)
def test_percent_is_never_whole_where_something_is_missing(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize("status", ChangeStatus)
@pytest.mark.parametrize("reason", [None, *Reason])
def test_every_change_has_words(status: ChangeStatus, reason: Reason | None) -> None:
    said = outcome(finding(change=change(status, reason=reason)), run())
    assert said
    assert (" set to IMMUTABLE" in f" {said}") is (status is not ChangeStatus.SUPERSEDED)


def test_an_exempt_repository_is_left_as_it_is() -> None:
    item = finding(compliance=Compliance.EXEMPT, exemption=exemption())
    assert outcome(item, run()) == "left as it is: exempt"


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_returned_is_plain(text: str) -> None:
    item = failure(account_id=text, region=text, error_code=text, message=text)
    said = where(item, {text: text}) + explanation(item)
    said += as_last_seen(earlier(mutability=text, last_seen=text))
    unknown = factories.since_last(unavailable=text)
    said += since_last(replace(report(), since_last=unknown)) or ""
    assert not any(map(hidden, said))


def test_what_is_too_long_is_cut() -> None:
    assert len(explanation(failure(message="x" * 9999, error_code=None), 240)) == 240


@pytest.mark.parametrize("reason", [*ACCEPTABLE_REASONS, Reason.INTERNAL_ERROR])
def test_lasting_failures_come_with_advice(reason: Reason) -> None:
    assert advice(Stage.EXAMINE, reason)


@pytest.mark.parametrize("stage", [Stage.CHANGE, Stage.DELIVER])
def test_a_denied_write_has_its_own_advice(stage: Stage) -> None:
    said = advice(stage, Reason.DENIED_BY_SCP)
    assert said != advice(Stage.EXAMINE, Reason.DENIED_BY_SCP)
    assert advice(stage, Reason.DENIED) == said
    assert advice(Stage.EXAMINE, Reason.NO_ACCOUNT_CHOSEN) is None


def test_only_what_has_no_account_ended_the_sweep() -> None:
    unknown = failed(Reason.ACCOUNT_STATE_UNKNOWN, stage=Stage.ENUMERATE)
    assert ended_early(report([], [(account("777788889999"), unknown)])) is None
    early = ended_early_report(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert ended_early(early) == early.failures[0]
    assert ended_early(replace(early, failures=())) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (None, None),
        (factories.since_last(unavailable="why"), "not known: why"),
        (
            factories.since_last(
                new=1204,
                still_open=2,
                reopened=3,
                resolved=[earlier()],
                not_visible=[earlier()] * 2,
            ),
            "1,204 new, 2 still open, 3 reopened, 1 resolved, 2 not seen this time",
        ),
    ],
)
def test_since_last(changed: SinceLast | None, said: str | None) -> None:
    assert since_last(replace(report(), since_last=changed)) == said


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (finding(), None),
        (finding(since_last=Since.NEW), "new"),
        (finding(since_last=Since.STILL_OPEN), "still open"),
        (finding(since_last=Since.STILL_OPEN, reopened=1), "still open, reopened before"),
        (finding(since_last=Since.REOPENED, reopened=1), "reopened"),
        (finding(since_last=Since.REOPENED, reopened=2), "reopened 2 times by now"),
    ],
)
def test_known_as(item: Finding, said: str | None) -> None:
    assert known_as(item) == said


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (earlier(), "MUTABLE, last seen 2026-11-23T01:04:10Z"),
        (earlier(was_open=False, last_seen=None), "MUTABLE, closed by then"),
    ],
)
def test_as_last_seen(item: EarlierFinding, said: str) -> None:
    assert as_last_seen(item) == said
