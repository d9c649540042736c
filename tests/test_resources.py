"""What is no repository is never called one, wherever findings are shown, nor counted as one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

from rich.console import Console

from sweeper.domain.errors import ExitStatus
from sweeper.domain.exit_status import exit_status
from sweeper.domain.model import ChangeStatus, Compliance
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report, RepositoryTotals
from sweeper.entrypoints import terminal
from sweeper.reporting.notification import message, subject
from sweeper.reporting.sinks.security_hub import _findings as security_hub
from tests.cases import case
from tests.factories import (
    ACCOUNT_ID,
    REGION,
    change,
    earlier,
    exemption,
    finding,
    report,
    since_last,
    template,
)
from tests.fake_aws.asff import problems
from tests.rendering import rendered

RESOURCE_ID = f"repository-creation-template/{ACCOUNT_ID}/{REGION}/sandbox"
GONE = earlier("gone", resource="repository_creation_template")
TEMPLATE = replace(
    report([template()], compliant=0), since_last=since_last(resolved=(GONE,), not_visible=(GONE,))
)


def shown(item: Report) -> str:
    out = io.StringIO()
    terminal.show_summary(item, Console(file=out, width=200))
    return out.getvalue()


def showing(name: str) -> Callable[[Report], str]:
    return lambda item: rendered(name, item).decode()


def test_a_template_is_shown_as_one() -> None:
    views: dict[str, Callable[[Report], str]] = {
        **{name: showing(name) for name in ("text", "csv", "html", "junit", "markdown")},
        "terminal": shown,
        "message": lambda item: message(item, ()),
        "subject": subject,
    }
    for name, show in views.items():
        with case(name):
            text = show(TEMPLATE)
            assert "creation template" in text.lower().replace("_", " ")
            assert not re.search(r"[Rr]epository:? (sandbox|gone)|repositories? closed", text)
            if name != "subject":
                assert "sandbox" in text
                assert ("gone" in text) is (name != "terminal")


def test_systems_are_given_an_id_that_is_no_arn() -> None:
    event, gone = map(json.loads, showing("ocsf")(TEMPLATE).splitlines())
    for each, name in ((event, "sandbox"), (gone, "gone")):
        (resource,) = each["resources"]
        assert resource["type"] == "AWS::ECR::RepositoryCreationTemplate"
        assert (resource["uid"], resource["name"]) == (RESOURCE_ID.replace("sandbox", name), name)
    assert "creation template sandbox" in event["message"]
    assert "creation template" in event["remediation"]["desc"]
    imported, closed = security_hub(TEMPLATE, REGION)
    assert [problems(each) for each in (imported, closed)] == [[], []]
    assert imported["Resources"] == [
        {
            "Type": "Other",
            "Id": RESOURCE_ID,
            "Region": REGION,
            "Partition": "aws",
            "Owner": {"Account": {"Id": ACCOUNT_ID}},
            "Details": {"Other": {"Prefix": "sandbox", "ImageTagMutability": "MUTABLE"}},
        }
    ]
    assert closed["Resources"][0]["Id"] == RESOURCE_ID.replace("sandbox", "gone")


def test_a_template_without_a_setting_is_imported_too() -> None:
    unset = template(mutability="", compliance=Compliance.UNDETERMINED)
    (imported,) = security_hub(report([unset]), REGION)
    assert problems(imported) == []
    assert imported["Resources"][0]["Details"] == {"Other": {"Prefix": "sandbox"}}


def test_totals_count_repositories_only_and_what_remains_counts_all() -> None:
    item = report(
        [
            finding("open"),
            finding("unknown", compliance=Compliance.UNDETERMINED),
            template(),
            template("closed", change=change()),
            template("unknown", compliance=Compliance.UNDETERMINED),
            template("exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
        ]
    )
    assert item.totals.repositories == RepositoryTotals(3, 1, 1, 0, 1)
    assert item.accounts[0].regions == {REGION: (1, 1, 0)}
    assert item.totals.changes.applied == 1
    assert item.totals.remaining == 4


def test_a_template_that_cannot_be_judged_is_a_gap() -> None:
    item = report([template(compliance=Compliance.UNDETERMINED)])
    assert not item.coverage.complete
    assert exit_status(item) is ExitStatus.COVERAGE_INCOMPLETE
    assert "COVERAGE IS INCOMPLETE: 1 creation template could not be determined." in message(
        item, ()
    )


def test_what_is_told_of_repositories_leaves_templates_out() -> None:
    item = report(
        [
            finding("open"),
            finding("closed", change=change()),
            template("closed", change=change()),
            template("exempt", compliance=Compliance.EXEMPT, exemption=exemption()),
        ]
    )
    text = message(item, ())
    assert "in 2 ECR repositories of o-exampleorg: 1 made immutable by this run, 1 still" in text
    assert "makes repositories whose image tags can be overwritten: 1 made immutable" in text
    assert "Exempt, and not listed: 1 creation template\n" in text
    assert subject(item) == "sweeper: 1 mutable repository, 2 fixed"
    page = showing("html")(report([finding("open"), template(), template("other")]))
    assert "2 creation templates make more of them." in page


def test_the_question_says_what_each_is() -> None:
    planned = change(ChangeStatus.PLANNED)
    asked = [finding(change=planned), template(change=planned), template("b", change=planned)]
    assert terminal.question(asked, None)[1] == (
        "About to set 1 repository to IMMUTABLE and 2 creation templates to IMMUTABLE, in "
        "1 account. Go on?"
    )


def test_what_is_manual_review_required_says_what_to_do() -> None:
    reason = Reason.MANUAL_REVIEW_REQUIRED
    withheld = change(ChangeStatus.WITHHELD, reason=reason, error="a role would be passed")
    text = " ".join(showing("text")(report([template(change=withheld)])).split())
    assert f"not set to IMMUTABLE: {reason.meaning}: a role would be passed" in text
    assert f"1 change not made ({reason}): {reason.advice}" in text
