"""What a report claims is checked before anything is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest

from sweeper.checks.tag_immutability import TagImmutability
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import REGISTRY, ChangeStatus, Compliance, Finding, Resource
from sweeper.domain.mutability import evaluate, remedy
from sweeper.domain.reasons import Reason
from sweeper.domain.recorded_changes import RecordedChanges, invert
from sweeper.domain.report_model import Report, RunSource
from sweeper.storage import change_reader
from sweeper.storage.change_reader import read_recorded_changes
from tests import recorded_support as support
from tests.cases import case
from tests.fakes import account_id, make_change, make_repository, make_target
from tests.golden import assert_golden
from tests.recorded_support import applied_finding, recorded, source_run
from tests.rendering import as_json

RUN = source_run(account_id="111122223333", organization_id="o-fakeorg0001")
WHOLE = ("MUTABLE_WITH_EXCLUSION", ("v*", "*"))
CHECKS: Mapping[str, tuple[Resource, ...]] = {TagImmutability.name: ("repository",)}
KINDS: tuple[Literal["apply", "undo"], ...] = ("apply", "undo")


def read_object(*_: Any) -> Report:
    raise AssertionError("nothing is in S3")


def report_of(*findings: Any, **run: Any) -> Report:
    return support.report_of(replace(RUN, **run), findings)


def planned(finding: Finding) -> Finding:
    """The finding, its change not yet made."""
    assert finding.change
    return replace(finding, change=replace(finding.change, status=ChangeStatus.PLANNED))


def read(
    report: Report,
    kind: Literal["apply", "undo"] = "undo",
    checks: Mapping[str, tuple[Resource, ...]] = CHECKS,
    **filters: Any,
) -> RecordedChanges:
    """Read the changes of the report, which "r.json" is, without its way through a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(change_reader, "read_report", lambda *_: report)
        return read_recorded_changes(kind, "r.json", read_object, checks, **filters)


def problem(report: Report, kind: Literal["apply", "undo"] = "undo", **filters: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(report, kind, **filters)
    return str(caught.value)


def test_each_kind_takes_its_changes_from_the_file(tmp_path: Path) -> None:
    applied = [applied_finding("app-a", before=WHOLE), applied_finding("app-b")]
    others = [
        replace(applied_finding("app-c"), change=make_change(ChangeStatus.WITHHELD)),
        replace(applied_finding("app-d"), change=None),
    ]
    location = str(tmp_path / "report.json")
    for kind in KINDS:
        with case(kind):
            findings = applied if kind == "undo" else [*map(planned, applied)]
            report = report_of(*findings, *others, dry_run=kind == "apply")
            Path(location).write_bytes(as_json(report))
            assert read_recorded_changes(kind, location, read_object, CHECKS) == RecordedChanges(
                kind,
                RunSource(
                    RUN.id,
                    RUN.started_at,
                    location,
                    # The others are in the same account and region, which an apply checks again.
                    *((0, True) if kind == "apply" else ()),
                ),
                RUN.organization_id,
                RUN.account_id,
                tuple(map(invert, findings)) if kind == "undo" else tuple(findings),
            )


def test_an_apply_can_be_undone_and_a_reviewed_apply_applied() -> None:
    finding = applied_finding("app-a")
    source = support.SOURCE
    assert read(report_of(finding, kind="apply", source=source)).findings == (invert(finding),)
    rehearsed = report_of(planned(finding), kind="apply", source=source, dry_run=True)
    assert read(rehearsed, "apply").findings == (planned(finding),)


def test_the_report_of_an_undo_is_refused() -> None:
    for kind in KINDS:
        for findings in ([], [applied_finding("app-a")], [planned(applied_finding("app-a"))]):
            with case(kind, findings):
                undo = report_of(*findings, kind="undo", dry_run=kind == "apply")
                assert problem(undo, kind).startswith("r.json: the report of an undo;")


def test_a_creation_template_is_taken_without_an_arn() -> None:
    for prefix in ["ROOT", "a", "team/apps"]:
        with case(prefix):
            root = replace(applied_finding(prefix), arn="", resource="repository_creation_template")
            about: dict[str, tuple[Resource, ...]] = {
                TagImmutability.name: ("repository_creation_template",)
            }
            assert read(report_of(root), checks=about).findings == (invert(root),)


def test_a_registry_is_named_root_and_was_mutable() -> None:
    about: dict[str, tuple[Resource, ...]] = {
        TagImmutability.name: ("repository_creation_template", REGISTRY)
    }
    good = replace(applied_finding("ROOT"), arn="", resource=REGISTRY)
    assert read(report_of(good), checks=about).findings == (invert(good),)
    for bad, why in (
        (replace(good, repository="apps"), "the repository is none that ECR allows"),
        (
            replace(good, mutability="MUTABLE_WITH_EXCLUSION", exclusion_filters=("v*",)),
            "a registry without a template is MUTABLE",
        ),
    ):
        with case(why), pytest.raises(ConfigurationError, match=why):
            read(report_of(bad), checks=about)


def test_a_write_that_may_have_taken_effect_is_taken_and_one_that_did_not_is_not() -> None:
    failed = make_change(ChangeStatus.FAILED, reason=Reason.TIMED_OUT)
    maybe = replace(applied_finding("app-a"), change=replace(failed, uncertain=True))
    report = report_of(maybe, replace(applied_finding("app-b"), change=failed))
    assert read(report).findings == (invert(maybe),)
    assert read(report, "apply").findings == ()


def test_a_report_without_any_has_none_whatever_else_it_says() -> None:
    for kind in KINDS:
        with case(kind):
            report = report_of(id="not an id", account_id=None)
            assert read(report, kind, accounts=[account_id(1)], repositories=["b"]).findings == ()


def test_what_is_no_plan_is_not_applied() -> None:
    due = planned(applied_finding("app-a"))
    assert "findings.0" in problem(report_of(due), "apply")  # not of a dry run
    forged = replace(due, region="evil.example.com/")
    assert "findings.0.region" in problem(report_of(forged, dry_run=True), "apply")


def changed(**values: Any) -> Report:
    return report_of(replace(applied_finding("app-a"), **values))


def written(mutability: str, *filters: str) -> Report:
    return report_of(applied_finding("app-a", after=(mutability, filters)))


def was(mutability: str, *filters: str) -> Report:
    return report_of(applied_finding("app-a", before=(mutability, filters)))


REORDERED = applied_finding(
    "app-a",
    before=("IMMUTABLE_WITH_EXCLUSION", ("a", "b")),
    after=("IMMUTABLE_WITH_EXCLUSION", ("b", "a")),
)


def test_an_undo_takes_every_change_that_a_check_plans() -> None:
    words = "MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "OTHER"
    lists = (), ("latest",), ("v*", "*"), tuple("abcde"), tuple("abcdef"), ("a b",), ("x" * 129,)
    allowed = ("latest",)
    planned = 0
    for mutability, filters in product(words, lists):
        with case(mutability, filters):
            found = make_repository("app-a", mutability, filters)
            if evaluate(found, allowed).compliance is not Compliance.NON_COMPLIANT:
                continue
            change = remedy(mutability, filters, exclusions=(), allowed_filters=allowed)
            after = change.to_mutability, change.to_exclusion_filters
            finding = applied_finding("app-a", before=(mutability, filters), after=after)
            assert read(report_of(finding)).findings == (invert(finding),)
            planned += 1
    assert planned == 6


def test_what_no_run_would_have_written_is_an_error() -> None:
    """With the key that is wrong, where one is, or the repository."""
    cases: list[tuple[Report, str]] = [
        (changed(account_id="42"), "findings.0.account_id"),
        (changed(region="evil.example.com/"), "findings.0.region"),
        (changed(repository="a b"), "'a b'"),
        (changed(repository="a\nb"), r"'a\nb'"),
        (changed(repository="ROOT"), "'ROOT'"),
        (changed(arn=""), "ARN"),
        (changed(resource="repository_creation_template"), "ARN"),
        (changed(check="other"), "findings.0.check"),
        (changed(arn="arn:aws:ecr:eu-central-1:222222222222:repository/app-a"), "ARN"),
        (changed(arn="arn:aws:s3:::bucket"), "ARN"),
        (changed(arn=str(applied_finding("app-a").arn).replace("app-a", "app-b")), "ARN"),
        (changed(arn="", resource="repository_creation_template"), "findings.0.resource"),
        (changed(account_name="x" * 10_001), "findings.0.account_name"),
        (was("DREAMING"), "findings.0.mutability"),
        (was("IMMUTABLE"), "findings.0.mutability"),
        (written("MUTABLE"), "findings.0.to_mutability"),
        (was("MUTABLE", "latest"), "MUTABLE"),
        (was("MUTABLE_WITH_EXCLUSION"), "MUTABLE_WITH_EXCLUSION"),
        (written("IMMUTABLE", "latest"), "IMMUTABLE"),
        (was("MUTABLE_WITH_EXCLUSION", *"abcdef"), "findings.0.exclusion_filters"),
        (was("MUTABLE_WITH_EXCLUSION", "a b"), "findings.0.exclusion_filters.0"),
        (report_of(REORDERED), "findings.0"),
        (report_of(applied_finding("app-a"), applied_finding("app-a")), "app-a"),
        (report_of(applied_finding("app-a"), dry_run=True), "findings.0"),
        (report_of(applied_finding("app-a"), kind="undo"), "undo"),
        (report_of(applied_finding("app-a"), id="../x"), "run.id"),
        (report_of(applied_finding("app-a"), account_id=None), "run.account_id"),
        (report_of(applied_finding("app-a"), organization_id="o-\x1b[31m"), "run.organization_id"),
    ]
    told = []
    for item, named in cases:
        with case(item.findings, named):
            told.append(problem(item))
            assert told[-1].startswith("r.json: ")
            assert named in told[-1]
    assert_golden("refusals.undo.txt", "\n".join(told) + "\n")


def test_the_error_is_short_and_plain() -> None:
    told = problem(report_of(replace(applied_finding("app-a"), repository="\x1b[31m" * 10_000)))
    assert "\x1b" not in told
    assert len(told) < 400


def test_a_digest_tells_other_changes() -> None:
    one, two = applied_finding("app-a"), applied_finding("app-a", before=WHOLE)
    assert recorded([one]).digest == recorded([applied_finding("app-a")]).digest
    assert len({recorded(each).digest for each in ([one], [two], [one, two], [])}) == 4


def test_accounts_and_repositories_narrow_the_changes() -> None:
    findings = [
        applied_finding("app-a"),
        applied_finding("team/b"),
        applied_finding("app-c", make_target(2)),
    ]
    report = report_of(*findings)
    narrowed = read(report, accounts=[account_id(1)], repositories=["team/*"])
    assert narrowed.findings == (invert(findings[1]),)
    cases: list[tuple[list[str], list[str], str]] = [
        (["123"], [], "--account: '123' "),
        ([], [""], "--repository: '' "),
        ([], ["UPPER"], "--repository: 'UPPER' "),
        ([account_id(3)], [], f"--account {account_id(3)}: "),
        ([account_id(1), account_id(3)], [], f"--account {account_id(3)}: "),
        ([], ["x"], "--repository x: "),
        ([account_id(1)], ["app-c"], "--account and --repository "),
    ]
    for accounts, repositories, named in cases:
        with case(named):
            told = problem(report, accounts=accounts, repositories=repositories)
            assert told.startswith(named)
