"""The order, the sums and the limits of the message; its words are a golden text."""

import re
from dataclasses import replace

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance, Finding, Skipped
from sweeper.domain.reasons import Reason
from sweeper.reporting.notification import MAX_BYTES, json_size, message, subject
from tests.cases import case
from tests.factories import (
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    since_last,
    target,
)
from tests.golden.reports import every

FAILED_CHANGE = change(ChangeStatus.FAILED, reason=Reason.THROTTLED, error="Throttling: slow down")


def entries(text: str) -> list[str]:
    return re.findall(r"^\d+\. [A-Z][a-z ]+: (.*)$", text, re.MULTILINE)


def test_failed_changes_come_first_then_what_remains_then_what_was_dealt_with() -> None:
    item = report(
        [
            finding("a-applied", change=change()),
            finding("b-exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
            finding("c-open"),
            finding("d-failed", change=FAILED_CHANGE),
            finding("e-undetermined", compliance=Compliance.UNDETERMINED, reason="unknown"),
        ]
    )
    assert entries(message(item, ())) == ["d-failed", "c-open", "e-undetermined", "a-applied"]


def test_size_is_that_of_a_json_string() -> None:
    text = 'a"b\\c\nd→'
    assert json_size(text) == len('a\\"b\\\\c\\nd→'.encode())


def test_what_was_not_checked_is_counted_by_reason_and_some_places_are_named() -> None:
    text = message(
        report(
            [],
            [
                (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED)),
                *((target(region=f"ap-south-{index}"), failed()) for index in range(1, 7)),
            ],
            [(target(region="us-east-1"), Skipped(Reason.REGION_EXCLUDED))],
        ),
        (),
    )
    assert re.search(r"assume_role_denied: 1\n +777788889999 \(product-a\): ", text)
    assert re.search(r"denied_by_scp: 6\n +111122223333 \(product-a\) ap-south-1: ", text)
    assert re.findall(r"ap-south-\d", text) == [f"ap-south-{index}" for index in (1, 2)]
    assert " 4 more\n" in text
    assert "us-east-1" not in text


def test_the_subject_counts_what_is_open_closed_and_failed() -> None:
    item = report(
        [
            *(finding(f"open-{index}") for index in range(9)),
            *(finding(f"failed-{index}", change=FAILED_CHANGE) for index in range(3)),
            finding("applied", change=change()),
        ],
        [(target(region="us-east-1"), failed())],
    )
    assert re.findall(r"\d+", subject(item)) == ["12", "3", "1"]
    for name, each in every().items():
        with case(name):
            assert len(subject(each)) < 100


def test_a_subject_that_would_be_too_long_ends_with_a_whole_clause() -> None:
    few, most = 9, 10**9
    for open_, failed_, complete, closed_, reopened, ending in [
        (few, few, False, few, few, "9 reopened"),
        (few, few, False, 100, 10**5, "100,000 reopened"),  # 99 characters, and one more:
        (few, few, False, 1000, 10**5, "1,000 fixed"),
        (few, 10**5, False, 10**5, few, "100,000 fixed"),
        (few, most, False, most, few, "coverage incomplete"),
        (few, most, True, most, 10**7, "1,000,000,000 fixed"),
        (few, most, True, 0, most, "1,000,000,000 reopened"),
        (few, 0, False, 0, 0, "coverage incomplete"),
        (few, 0, True, 0, 0, "9 mutable repositories"),
        (0, 0, True, 0, 0, "no mutable repository"),
    ]:
        for dry_run in (False, True):
            with case(open_, failed_, complete, closed_, reopened, dry_run):
                item = report([finding(f"open-{index}") for index in range(open_)], dry_run=dry_run)
                changes = replace(item.totals.changes, applied=closed_, failed=failed_)
                text = subject(
                    replace(
                        item,
                        totals=replace(item.totals, changes=changes),
                        coverage=replace(item.coverage, complete=complete),
                        since_last=since_last(reopened=reopened),
                    )
                )
                assert len(text) < 100
                if not dry_run:
                    assert text.endswith(ending), text
                clauses = text.partition(": ")[2].split(", ")
                assert all(re.fullmatch(CLAUSE, clause) for clause in clauses), text


CLAUSE = (
    r"[\d,]+ (fixed|reopened|changes? failed|mutable repositor(y|ies))|coverage incomplete"
    r"|no mutable repository"
)


def many(count: int) -> list[Finding]:
    return [
        finding(
            f"team-{index:05}/service",
            change=FAILED_CHANGE if index % 2 else change(),
            account_name="データ基盤",
        )
        for index in range(count)
    ]


def test_repositories_have_an_address_where_all_findings_have_room_with_theirs() -> None:
    for count, linked in ((1, True), (700, True), (1000, False)):
        with case(count):
            text = message(report(many(count)), ())
            assert len(entries(text)) == count
            assert text.count("https://") == (count if linked else 0)
    assert "https://" not in message(report(many(1), partition="aws-iso"), ())


def test_five_thousand_findings_fit_and_the_rest_is_counted() -> None:
    item = report(many(5000), [(account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED))])
    text = message(item, ())
    assert MAX_BYTES - 1000 < json_size(text) <= MAX_BYTES
    listed = entries(text)
    assert 1000 < len(listed) < 5000
    assert f" {5000 - len(listed):,} more " in text
    assert {int(name[5:10]) % 2 for name in listed} == {1}  # failed ones first
    for kept in ("ENABLED\n", "assume_role_denied: 1", item.run.id):
        assert kept in text


def test_the_limit_holds() -> None:
    for limit in (900, 1000, 1200, 5000):
        with case(limit):
            assert json_size(message(report(many(100)), (), limit)) <= limit


def test_every_reason_at_its_worst_fits() -> None:
    bad = failed(message="🚀" * 600, error_code="🚀" * 300)
    failures = [
        (account(f"{index:012}", "🚀" * 50), replace(bad, reason=reason))
        for index, reason in enumerate(list(Reason) * 4)
    ]
    text = message(report(many(3000), failures), ())
    assert json_size(text) <= MAX_BYTES
    assert len(entries(text)) < 3000


def test_hostile_text_stays_in_its_place() -> None:
    item = hostile_report()
    text = message(item, ())
    assert not any(is_hidden(char) for char in text.replace("\n", ""))
    assert len(entries(text)) == len(item.findings)
    assert subject(item).isascii()
    assert subject(item).isprintable()


def test_of_what_is_resolved_ten_are_named() -> None:
    resolved = [earlier(f"r-{number}") for number in range(12)]
    item = replace(report(), since_last=since_last(resolved=resolved))
    assert set(re.findall(r"\br-\d+", message(item, ()))) == {f"r-{each}" for each in range(10)}
    assert " 2 more\n" in message(item, ())
