import csv
import io
from dataclasses import replace
from datetime import date

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import (
    ChangeStatus,
    Compliance,
    Failed,
    Finding,
    Impact,
    Since,
    Skipped,
    Stage,
)
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.reporting.formats.csv import _COLUMNS
from tests.cases import case
from tests.factories import (
    ACCOUNT_ID,
    account,
    change,
    earlier,
    exemption,
    failed,
    finding,
    hostile_report,
    impact,
    report,
    run,
    since_last,
    target,
    unavailable,
)
from tests.rendering import rendered

# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def filled(row: dict[str, str]) -> dict[str, str]:
    return {column: value for column, value in row.items() if value}


def test_the_header_is_always_there() -> None:
    assert rendered("csv", report()) == (",".join(_COLUMNS) + "\n").encode()


BASE = {
    "record": "finding",
    "account_id": ACCOUNT_ID,
    "account_name": "product-a",
    "region": "eu-central-1",
    "repository": "product-a/service-one",
    "arn": f"arn:aws:ecr:eu-central-1:{ACCOUNT_ID}:repository/product-a/service-one",
    "mutability": "MUTABLE",
    "compliance": "non_compliant",
    "reason": "image tags can be overwritten",
    "check": "ecr-tag-immutability",
    "resource": "repository",
    "ou": "r-root/ou-root-prod",
}


def test_findings() -> None:
    cases: list[tuple[Finding, dict[str, str]]] = [
        (finding(), {}),
        (finding(exclusion_filters=("a*", "b")), {"exclusion_filters": "a* b"}),
        (finding(change=change()), {"change_status": "applied", "change_to": "IMMUTABLE"}),
        (
            finding(
                change=change(
                    ChangeStatus.FAILED,
                    reason=Reason.THROTTLED,
                    error="Throttling: slow",
                    to_mutability="IMMUTABLE_WITH_EXCLUSION",
                    to_exclusion_filters=("latest", "dev*"),
                )
            ),
            {
                "change_status": "failed",
                "change_reason": "throttled",
                "change_to": "IMMUTABLE_WITH_EXCLUSION (latest, dev*)",
                "message": "Throttling: slow",
            },
        ),
        (
            finding(compliance=Compliance.EXEMPT, exemption=exemption(expires=date(2027, 1, 31))),
            {
                "compliance": "exempt",
                "exemption": "until 2027-01-31: rebuilt nightly (rule * * sandbox/*)",
            },
        ),
    ]
    for item, more in cases:
        with case(item, more):
            [row] = rows(rendered("csv", report([item])))
            assert filled(row) == BASE | more


def test_account_tags_are_columns_after_the_others() -> None:
    items = [finding("a"), finding("b", account_id="222233334444"), finding("c")]
    item = report(items, [(target(region="eu-west-1"), failed())])
    first, second = item.accounts
    accounts = (
        replace(first, tags={"owner": "payments", "=cost": "+1"}),
        replace(second, tags={"Zone": "blue"}),
    )
    content = rendered("csv", replace(item, accounts=accounts))
    assert content.decode().startswith(",".join((*_COLUMNS, "tag:=cost", "tag:Zone", "tag:owner")))
    assert [(row["tag:owner"], row["tag:=cost"], row["tag:Zone"]) for row in rows(content)] == [
        ("payments", "'+1", ""),
        ("payments", "'+1", ""),
        ("", "", "blue"),
        ("payments", "'+1", ""),
    ]


def test_failures_and_skipped() -> None:
    content = rendered(
        "csv",
        report(
            [],
            [(target(region="eu-west-1"), failed())],
            [(account("000011112222"), Skipped(Reason.ACCOUNT_SUSPENDED))],
        ),
    )
    assert [filled(row) for row in rows(content)] == [
        {
            "record": "failure",
            "account_id": ACCOUNT_ID,
            "account_name": "product-a",
            "region": "eu-west-1",
            "reason": "denied_by_scp",
            "error_code": "AccessDeniedException",
            "message": "User is not authorized",
            "stage": "examine",
            "ou": "r-root/ou-root-prod",
        },
        {
            "record": "skipped",
            "account_id": "000011112222",
            "account_name": "product-a",
            "reason": "account_suspended",
            "ou": "r-root/ou-root-prod",
        },
    ]


def test_what_changed() -> None:
    item = replace(
        report([finding(since_last=Since.REOPENED, reopened=2)]),
        since_last=since_last(
            resolved=(earlier("a", was_open=False),), not_visible=(earlier("b", reopened=3),)
        ),
    )
    found, resolved, lost = (filled(row) for row in rows(rendered("csv", item)))
    assert found == BASE | {"since_last": "reopened", "reopened": "2"}
    assert resolved == {
        "record": "resolved",
        "account_id": ACCOUNT_ID,
        "account_name": "product-a",
        "region": "eu-central-1",
        "repository": "a",
        "mutability": "MUTABLE",
        "reason": "fixed by then",
        "last_seen": "2026-11-23T01:04:10Z",
        "check": "ecr-tag-immutability",
        "resource": "repository",
    }
    assert (lost["record"], lost["reason"]) == ("not_visible", "open when last seen")
    assert (lost["repository"], lost["reopened"]) == ("b", "3")


def test_a_sweep_that_ended_early() -> None:
    early = ended_early(run(), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    [row] = rows(rendered("csv", early))
    assert filled(row) == {
        "record": "failure",
        "reason": "timed_out",
        "message": "slow",
        "stage": "enumerate",
    }


def test_hostile_text_is_no_formula_and_no_second_line() -> None:
    content = rendered("csv", hostile_report())
    assert not any(is_hidden(char) for char in content.decode().replace("\n", ""))
    found = rows(content)
    assert len(found) == content.count(b"\n") - 1
    for delimiter, trims in ((",", False), (",", True), (";", False), (";", True)):
        # As spreadsheets read it: with the separator of the country, trimmed or not.
        text = io.StringIO(content.decode(), newline="")
        cells = {
            cell.strip(" \t")
            for row in csv.reader(text, delimiter=delimiter, skipinitialspace=trims)
            for cell in row
        }
        assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS)]
    assert "'=cmd|' /C calc'!A1" in {row["repository"] for row in found}


def test_tags_that_look_moved() -> None:
    cases: list[tuple[Impact, str, str]] = [
        (impact("latest", "pr-1", exclusions=("latest", "pr-*")), "latest pr-1", "latest pr-*"),
        (impact("pr-1", moved_count=30), "pr-1 (and 29 more)", "pr-1"),
        (impact(), "", ""),
        (impact(truncated=True), "(not all tags were read)", ""),
        (
            impact("pr-1", moved_count=30, truncated=True),
            "pr-1 (and 29 more) (not all tags were read)",
            "pr-1",
        ),
        (unavailable(), "not known: denied_by_identity_policy", ""),
    ]
    for item, moved, suggested in cases:
        with case(item, moved, suggested):
            (row,) = rows(rendered("csv", report([finding(impact=item)])))
            assert (row["moved_tags"], row["suggested_exclusions"]) == (moved, suggested)
