"""The order, the sums and the width of the text; its words are a golden text."""

import re

from sweeper.domain.model import ChangeStatus, Compliance, Failed, Skipped, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.formats.text import _WIDTH
from sweeper.reporting.wording import advice
from tests.cases import case
from tests.factories import account, change, failed, finding, report, target
from tests.golden.reports import whole
from tests.rendering import formats, rendered


def lines(item: Report) -> list[str]:
    return rendered("text", item).decode().splitlines()


def flat(item: Report) -> str:
    return " ".join(rendered("text", item).decode().split())


def test_findings_are_grouped_by_account() -> None:
    findings = [
        finding("app-c", account_id="444455556666", account_name="data"),
        finding("app-b", region="us-east-1"),
        finding("app-a"),
    ]
    named = re.findall(r"app-.|us-east-1|\d{12} \S+", "\n".join(lines(report(findings))))
    assert named[-6:] == [
        *("111122223333 product-a", "app-a", "us-east-1", "app-b"),
        *("444455556666 data", "app-c"),
    ]


def test_a_setting_that_does_not_say_why_it_is_a_finding_comes_with_the_reason() -> None:
    reason = "image tags that match 'latest' can be overwritten"
    for mutability, compliance, times in (
        ("IMMUTABLE_WITH_EXCLUSION", Compliance.NON_COMPLIANT, 1),
        ("IMMUTABLE_WITH_EXCLUSION", Compliance.UNDETERMINED, 1),  # as its outcome
        ("IMMUTABLE_WITH_EXCLUSION", Compliance.EXEMPT, 0),
        ("MUTABLE", Compliance.NON_COMPLIANT, 0),
    ):
        with case(mutability, compliance):
            item = finding(mutability=mutability, compliance=compliance, reason=reason)
            assert flat(report([item])).count(reason) == times


def test_failures_have_a_line_each_and_advice_once() -> None:
    places = [target(region=f"ap-south-{index}") for index in (1, 2)]
    for reason in (Reason.ASSUME_ROLE_DENIED, Reason.REGIONS_UNREADABLE, Reason.DENIED_BY_SCP):
        with case(reason):
            item = report([], [(gap, failed(reason)) for gap in places])
            shown = [line for line in lines(item) if reason in line and "ap-south" in line]
            assert [gap.region in line for gap, line in zip(places, shown, strict=True)]
            assert flat(item).count(advice(Stage.EXAMINE, reason) or "none") == 1


def test_failures_that_say_the_same_of_many_accounts_are_told_once() -> None:
    ids = [f"1111222233{number}" for number in range(40, 49)]
    reason = Reason.ASSUME_ROLE_DENIED
    messages = [Failed(Stage.OPEN_ACCOUNT, reason, f"no role in {each}") for each in ids]
    shown = lines(report([], [(account(each), f) for each, f in zip(ids, messages, strict=True)]))
    assert [line.strip() for line in shown if reason in line] == [
        f"9 times {reason}, no role in *:"
    ]
    assert re.findall(r"1111222233\d\d", "\n".join(shown)) == ids


def test_skipped_are_summed_by_reason_and_three_are_named() -> None:
    places = [target(region=f"us-west-{index}") for index in range(1, 6)]
    item = report([], [], [(gap, Skipped(Reason.REGION_EXCLUDED)) for gap in places])
    (shown,) = [line for line in lines(item) if "region_excluded" in line]
    assert re.findall(r"us-west-\d", shown) == ["us-west-1", "us-west-2", "us-west-3"]
    assert " 5 " in shown


def test_lines_are_short_where_content_allows() -> None:
    item = report(
        [finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED, error="word " * 100))],
        [(account("777788889999"), failed(Reason.ASSUME_ROLE_DENIED))],
    )
    for each in (item, whole()):
        assert max(map(len, lines(each))) <= _WIDTH


def test_the_formats() -> None:
    assert {name: each.extension for name, each in formats().items()} == {
        "csv": "csv",
        "html": "html",
        "json": "json",
        "junit": "junit.xml",
        "markdown": "md",
        "ocsf": "ocsf.jsonl",
        "sarif": "sarif",
        "text": "txt",
    }
