from dataclasses import replace
from typing import Any

from sweeper.domain.escaping import is_hidden
from sweeper.domain.model import ChangeStatus, Compliance, Failed, Finding, Since, Stage
from sweeper.domain.reasons import Reason
from sweeper.domain.report import ended_early
from sweeper.domain.report_model import Report
from sweeper.reporting.sinks.security_hub import _findings
from tests.cases import case
from tests.factories import (
    HOSTILE,
    change,
    earlier,
    exemption,
    finding,
    hostile_report,
    report,
    run,
    since_last,
)
from tests.fake_aws.asff import LARGEST_FINDING, problems
from tests.golden.reports import whole

CENTRAL = "999988887777"
HUB = "eu-west-1"  # not the repositories' own


def converted(item: Report) -> list[dict[str, Any]]:
    return list(_findings(item, HUB))


def test_each_finding_names_the_hub_and_the_repository() -> None:
    item = whole()
    found = converted(item)
    resolved = item.since_last.resolved if item.since_last else ()
    assert len(found) == len(item.findings) + len(resolved)
    for got, of in zip(found, item.findings, strict=False):
        with case(of):
            assert problems(got) == []
            assert got["ProductArn"].startswith(f"arn:aws:securityhub:{HUB}:{CENTRAL}:product/")
            assert (got["AwsAccountId"], got["GeneratorId"]) == (CENTRAL, of.check)
            assert got["LastObservedAt"] == item.run.finished_at
            assert got["ProductFields"]["sweeper/AccountId"] == of.account_id
            (resource,) = got["Resources"]
            assert (resource["Id"], resource["Region"]) == (of.arn or resource["Id"], of.region)
            assert resource["Owner"] == {"Account": {"Id": of.account_id}}


OPEN = ("FAILED", "ACTIVE", "MEDIUM")
FIXED = ("PASSED", "ARCHIVED", "INFORMATIONAL")


def test_how_a_finding_stands() -> None:
    cases: list[tuple[Finding, tuple[str, str, str]]] = [
        (finding(), OPEN),
        (finding(change=change(ChangeStatus.PLANNED)), OPEN),
        (finding(change=change(ChangeStatus.FAILED, reason=Reason.DENIED)), OPEN),
        (finding(change=change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)), OPEN),
        (
            finding(change=change(ChangeStatus.SUPERSEDED, reason=Reason.CHANGED_SINCE_EXAMINED)),
            OPEN,
        ),
        (finding(change=change()), FIXED),
        (finding(change=change(ChangeStatus.SUPERSEDED, reason=Reason.NOW_COMPLIANT)), FIXED),
        (
            finding(compliance=Compliance.UNDETERMINED, mutability="NEW_WORD"),
            ("WARNING", "ACTIVE", "MEDIUM"),
        ),
        (
            finding(compliance=Compliance.EXEMPT, exemption=exemption()),
            ("NOT_AVAILABLE", "ARCHIVED", "INFORMATIONAL"),
        ),
    ]
    for item, expected in cases:
        with case(item, expected):
            [got] = converted(report([item]))
            assert problems(got) == []
            severity = got["FindingProviderFields"]["Severity"]["Label"]
            assert (got["Compliance"]["Status"], got["RecordState"], severity) == expected
            assert not {"Workflow", "Severity", "Note", "UserDefinedFields"} & set(got)


def test_what_is_gone_is_closed_under_its_id_and_what_is_not_visible_is_left() -> None:
    [before] = converted(report([finding("gone")]))
    since = since_last(resolved=[earlier("gone")], not_visible=[earlier("not-seen")])
    exempted, archived = converted(replace(report([finding("kept")]), since_last=since))
    assert exempted["RecordState"] == "ACTIVE"
    assert (archived["Id"], archived["RecordState"]) == (before["Id"], "ARCHIVED")
    assert archived["Compliance"]["Status"] == "PASSED"
    assert archived["Resources"][0]["Id"] == before["Resources"][0]["Id"]
    assert problems(archived) == []


def test_what_is_exempt_now_is_not_said_to_be_gone_too() -> None:
    exempt = finding("app", compliance=Compliance.EXEMPT, exemption=exemption())
    since = since_last(resolved=[earlier("app")])
    [got] = converted(replace(report([exempt]), since_last=since))
    assert got["Compliance"]["Status"] == "NOT_AVAILABLE"
    assert "rebuilt nightly (rule * * sandbox/*)" in got["Description"]


def test_who_closed_it_before_is_told_that_it_is_open_again() -> None:
    [got] = converted(report([finding(since_last=Since.REOPENED, reopened=2)]))
    assert " 2 times" in got["Description"]
    assert got["ProductFields"]["sweeper/SinceLast"] == "reopened"


def test_exclusions_are_told_where_the_format_has_no_place() -> None:
    item = finding(mutability="MUTABLE_WITH_EXCLUSION", exclusion_filters=("v*",))
    [got] = converted(report([item]))
    assert "ImageTagMutability" not in got["Resources"][0]["Details"]["AwsEcrRepository"]
    setting = got["ProductFields"]["sweeper/ImageTagMutability"]
    assert setting == "MUTABLE_WITH_EXCLUSION (v*)"


def test_a_partition_that_the_format_does_not_know() -> None:
    [got] = converted(report([finding()], partition="aws-eusc"))
    assert "Partition" not in got["Resources"][0]
    assert got["ProductArn"].startswith("arn:aws-eusc:securityhub:")
    assert problems(got) == []


def test_a_sweep_that_did_not_learn_its_account_has_nothing() -> None:
    early = ended_early(run(account_id=None), Failed(Stage.ENUMERATE, Reason.TIMED_OUT, "slow"))
    assert converted(early) == []


def test_hostile_text_is_harmless_and_fits() -> None:
    item = hostile_report()
    got = converted(item)
    assert len(got) == 2 * len(HOSTILE)
    assert [found for each in got for found in problems(each)] == []
    assert max(len(str(each).encode()) for each in got) < LARGEST_FINDING // 10
    assert not any(is_hidden(character) for each in got for character in _texts(each))
    assert len({each["Id"] for each in got}) == len(got)
    assert [each["Id"] for each in converted(item)] == [each["Id"] for each in got]


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"{key}{_texts(each)}" for key, each in value.items())
    return "".join(map(_texts, value)) if isinstance(value, list) else str(value)


def test_what_aws_refuses_would_be_found() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"Title": "x" * 257}, "/Title: 257 characters, not 1 to 256"),
        ({"Description": "x" * 1025}, "/Description: 1025 characters"),
        ({"Id": "x" * 513}, "/Id: 513 characters"),
        ({"Id": " "}, "does not match"),
        ({"Title": None}, "Invalid type for parameter Title"),
        ({"Tittle": "x"}, "Unknown parameter"),
        ({"SchemaVersion": "1"}, "SchemaVersion"),
        ({"CreatedAt": "yesterday"}, "CreatedAt: 'yesterday' is no timestamp"),
        ({"RecordState": "GONE"}, "/RecordState: 'GONE' is none of"),
        ({"Remediation": {"Recommendation": {"Text": "x" * 513}}}, "Text: 513 characters"),
        ({"Resources": [{"Type": "x", "Id": "x", "Region": "x" * 17}]}, "Region: 17 characters"),
        ({"Resources": [{"Type": "x"}]}, "Missing required parameter"),
        ({"ProductFields": {"x" * 129: "y"}}, "too long"),
        ({"ProductFields": {str(number): "y" for number in range(51)}}, "51 pairs"),
        ({"FindingProviderFields": {"Types": ["Mine/x"]}}, "Types: 'Mine/x'"),
        ({"FindingProviderFields": {}}, "Severity"),
        ({"Compliance": {"RelatedRequirements": ["x" * 1000] * 241}}, "larger than 240 KB"),
    ]
    for fault, words in cases:
        with case(fault, words):
            [good] = converted(report([finding()]))
            assert words in "; ".join(problems({**good, **fault}))
