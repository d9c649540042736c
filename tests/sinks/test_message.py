import re
from dataclasses import replace
from datetime import date

import pytest

from sweeper.escaping import hidden
from sweeper.model import (
    ChangeStatus,
    Compliance,
    Delivery,
    Failed,
    Finding,
    Reason,
    Report,
    Since,
    Skipped,
    Stage,
)
from sweeper.report import ended_early
from sweeper.sinks.message import LIMIT, message, size, subject
from tests.factories import (
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    report,
    run,
    since_last,
    target,
    with_tags,
)

FAILED_CHANGE = change(ChangeStatus.FAILED, reason=Reason.THROTTLED, error="Throttling: slow down")


def entries(text: str) -> list[str]:
    return re.findall(r"^\d+\. Repository: (.*)$", text, re.MULTILINE)


def test_the_message_whole() -> None:
    item = report([finding(change=change())], auto_remediate="ENABLED")
    assert message(item, (Delivery("s3", "s3://b/p/report.json", "delivered"),)) == (
        "Image tags could be overwritten in 1 ECR repository of o-exampleorg: 1 closed by this "
        "sweep, 0 still open.\n"
        "\n"
        "1. Repository: product-a/service-one\n"
        "   Account: 111122223333 (product-a), region: eu-central-1\n"
        "   MUTABLE: set to IMMUTABLE\n"
        "\n"
        "Auto-Remediation: ENABLED\n"
        "\n"
        "Coverage: complete. Seen: 2 repositories in 1 account-region of 1 account.\n"
        "\n"
        "The full report: s3://b/p/report.json\n"
        "Sweep 20261124T010000Z-0a1b2c, 2026-11-24T01:00:00Z to 2026-11-24T01:04:10Z, "
        "sweeper 0.1.0\n"
    )


def test_failed_changes_come_first_then_what_remains_then_what_was_dealt_with() -> None:
    text = message(
        report(
            [
                finding("a-applied", change=change()),
                finding("b-exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
                finding("c-open"),
                finding("d-failed", change=FAILED_CHANGE),
                finding("e-undetermined", compliance=Compliance.UNDETERMINED, reason="unknown"),
            ]
        ),
        (),
    )
    assert entries(text) == ["d-failed", "c-open", "e-undetermined", "a-applied"]
    assert "1 change FAILED: they come first" in text
    assert "MUTABLE: could NOT be set to IMMUTABLE (throttled: Throttling: slow down)" in text
    assert "Exempt, and not listed: 1 repository" in text
    assert "1 closed by this sweep, 2 still open" in text


def test_an_exemption_that_expired_is_told() -> None:
    item = finding(exemption=exemption(expires=date(2026, 10, 31), expired=True))
    said = "   Its exemption expired on 2026-10-31: rebuilt nightly (rule * * sandbox/*)\n"
    assert said in message(report([item]), ())


def test_whom_to_ask_stands_beside_the_finding() -> None:
    text = message(with_tags(report([finding()]), owner="payments\n", cost="12"), ())
    assert "   Account: 111122223333 (product-a), region: eu-central-1\n" in text
    assert "   Account tags: owner: payments\\x0a, cost: 12\n   MUTABLE" in text


def test_tags_that_could_not_be_read_are_told() -> None:
    item = replace(report([finding()]), account_tags_unavailable="of 1 of 2 accounts: denied, no")
    said = "\nThe account tags could not be read of 1 of 2 accounts: denied, no.\n"
    assert said in message(item, ())


def test_size_is_that_of_a_json_string() -> None:
    text = 'a"b\\c\nd→'
    assert size(text) == len('a\\"b\\\\c\\nd→'.encode())


def test_coverage_counts_by_reason_and_names_some() -> None:
    text = message(
        report(
            [],
            [
                (account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED)),
                *((target(region=f"ap-south-{index}"), failed()) for index in range(1, 7)),
            ],
            [
                (account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED)),
                (target(region="us-east-1"), Skipped(Reason.REGION_EXCLUDED)),
            ],
        ),
        (),
    )
    assert "NOT EVERYTHING WAS SEEN: 1 of 2 accounts and 6 of 7 account-regions" in text
    assert "- assume_role_denied: 1\n    777788889999: AccessDeniedException: User" in text
    assert "- denied_by_scp: 6\n    111122223333 (product-a) ap-south-1: AccessDenied" in text
    assert "    … and 3 more\n" in text
    assert "Skipped on purpose: 1 account, 1 account-region." in text


@pytest.mark.parametrize(
    ("so_far", "said"),
    [
        ((), "The full report is kept nowhere else"),
        (
            (
                Delivery("directory", "/out", "delivered"),
                Delivery("s3", "s3://b/", "failed", Reason.DENIED, "AccessDenied", "no\nway"),
                Delivery("other", "elsewhere", "not_needed"),
            ),
            "The full report: /out\n"
            "The full report could NOT be delivered to s3://b/ "
            "(denied: AccessDenied: no\\x0away)\nSweep ",
        ),
        (
            (Delivery("security_hub", "Security Hub in eu-west-1", "delivered"),),
            "The findings: Security Hub in eu-west-1\nThe full report is kept nowhere else",
        ),
        (
            (
                Delivery("s3", "s3://b/r", "delivered"),
                Delivery("security_hub", "Security Hub in eu-west-1", "failed", Reason.THROTTLED),
            ),
            "The full report: s3://b/r\n"
            "The findings could NOT be delivered to Security Hub in eu-west-1 (throttled)\nSweep ",
        ),
    ],
)
def test_where_the_full_report_lies(so_far: tuple[Delivery, ...], said: str) -> None:
    assert said in message(report(), so_far)


@pytest.mark.parametrize(
    ("item", "first"),
    [
        (report(), "No ECR repository of o-exampleorg was found whose image tags can be"),
        (report(compliant=0), "No ECR repository of o-exampleorg was seen.\n"),
        (
            report([finding()], dry_run=True),
            "Image tags could be overwritten in 1 ECR repository of o-exampleorg: 0 closed by "
            "this sweep, 1 still open.\nThis was a dry run: nothing was changed.\n",
        ),
        (
            report(
                [finding(change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES))],
                organization_id=None,
            ),
            "Image tags could be overwritten in 1 ECR repository of 999988887777: 0 closed by "
            "this sweep, 1 still open.\n1 change withheld: each says why.\n",
        ),
        (
            ended_early(
                run(organization_id=None, account_id=None),
                Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"),
            ),
            "No ECR repository was seen.\nNOTHING WAS SEEN: which accounts",
        ),
    ],
)
def test_the_opening(item: Report, first: str) -> None:
    assert message(item, ()).startswith(first)


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (report(), "sweeper: no mutable repository"),
        (report([finding()]), "sweeper: 1 mutable repository"),
        (report([finding()], dry_run=True), "sweeper (dry run): 1 mutable repository"),
        (
            report(
                [
                    *(finding(f"open-{index}") for index in range(9)),
                    *(finding(f"failed-{index}", change=FAILED_CHANGE) for index in range(3)),
                    finding("applied", change=change()),
                ],
                [(target(region="us-east-1"), failed())],
            ),
            "sweeper: 12 mutable repositories, 1 closed, 3 changes failed, coverage incomplete",
        ),
        (
            ended_early(run(), Failed(Stage.ENUMERATE, Reason.NOT_ALLOWED_TO_LIST, "")),
            "sweeper: sweep ended early (not_allowed_to_list), coverage incomplete",
        ),
    ],
)
def test_subject(item: Report, line: str) -> None:
    assert subject(item) == line


def test_the_longest_subject_is_short_enough() -> None:
    big = report([finding()], [(account("777788889999"), failed())])
    changes = replace(big.totals.changes, applied=10**9, failed=10**9)
    many = replace(big, totals=replace(big.totals, changes=changes))
    assert len(subject(many)) < 100


def many(count: int) -> list[Finding]:
    return [
        finding(
            f"team-{index:05}/service",
            change=FAILED_CHANGE if index % 2 else change(),
            account_name="データ基盤",
        )
        for index in range(count)
    ]


def test_five_thousand_findings_fit_and_the_rest_is_counted() -> None:
    item = report(many(5000), [(account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED))])
    text = message(item, ())
    assert LIMIT - 1000 < size(text) <= LIMIT
    listed = entries(text)
    assert 1000 < len(listed) < 5000
    assert f"… and {5000 - len(listed):,} more findings for which" in text
    assert [int(name[5:10]) % 2 for name in listed] == [1] * len(listed)  # failed ones first
    assert "\nAuto-Remediation: ENABLED\n" in text
    assert "- assume_role_denied: 1" in text


@pytest.mark.parametrize("limit", [900, 1000, 1200, 5000])
def test_the_limit_holds(limit: int) -> None:
    assert size(message(report(many(100)), (), limit)) <= limit


def test_every_reason_at_its_worst_fits() -> None:
    bad = failed(message="🚀" * 600, error_code="🚀" * 300)
    failures = [
        (account(f"{index:012}", "🚀" * 50), replace(bad, reason=reason))
        for index, reason in enumerate(list(Reason) * 4)
    ]
    text = message(report(many(3000), failures), ())
    assert size(text) <= LIMIT
    assert "more findings" in text


def test_hostile_text_stays_in_its_place() -> None:
    item = hostile_report()
    text = message(item, ())
    assert not any(hidden(char) for char in text.replace("\n", ""))
    assert not any(line.lstrip().startswith("Forged") for line in text.splitlines())
    assert len(entries(text)) == len(item.findings)
    assert subject(item).isascii()
    assert subject(item).isprintable()


def test_the_same_facts_give_the_same_text() -> None:
    items = [finding(name) for name in ("c", "a", "b")]
    assert message(report(items), ()) == message(report(items[::-1]), ())


def test_what_changed_since_the_last_sweep() -> None:
    item = replace(
        report([finding("a", since_last=Since.REOPENED, reopened=2)]),
        since_last=since_last(
            reopened=1,
            resolved=[earlier(f"r-{number}") for number in range(12)],
            not_visible=[earlier("lost", region="eu-west-1")],
        ),
    )
    text = message(item, ())
    assert (
        "\nSince the last sweep: 0 new, 0 still open, 1 reopened, 12 resolved, 1 not seen this "
        "time.\n"
    ) in text
    assert "   MUTABLE, reopened 2 times by now: left as it is" in text
    assert (
        "\nResolved since the last sweep: 12\n- r-0 in 111122223333 eu-central-1: MUTABLE" in text
    )
    assert "- r-9 in " in text
    assert "- r-10 in " not in text
    assert "\n  … and 2 more\n" in text
    assert "\nNot seen this time, and not resolved: 1\n- lost in 111122223333 eu-west-1: " in text
    assert "1 reopened" in subject(item)


def test_why_what_changed_is_not_known() -> None:
    item = replace(report(), since_last=since_last(unavailable="latest.json is damaged"))
    assert "Since the last sweep: not known: latest.json is damaged.\n" in message(item, ())
    assert "reopened" not in subject(item)


def test_what_could_not_be_kept_is_said_where_the_report_lies() -> None:
    delivery = Delivery("s3", "s3://b/", "delivered", message="latest.json was left as it is")
    text = message(report(), (delivery,))
    assert "The full report: s3://b/\n  latest.json was left as it is\n" in text
