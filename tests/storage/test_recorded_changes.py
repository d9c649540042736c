"""What a report claims is checked before anything is called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweeper.checks.tag_immutability import NAME
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.model import ChangeStatus, Resource
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.domain.undo_report import OriginalRun
from sweeper.entrypoints import undo_app as app
from sweeper.storage.recorded_changes import check_options, digest, original_run, recorded_changes
from tests import undo_support as support
from tests.cases import case
from tests.fakes import make_change, make_target
from tests.golden import assert_golden
from tests.rendering import as_json
from tests.undo_support import UNDOES, claim, claimed_run

RUN = claimed_run(account_id="111122223333", organization_id="o-fakeorg0001")
WHOLE = ("MUTABLE_WITH_EXCLUSION", ("v*", "*"))


def report_of(*findings: Any, **run: Any) -> Report:
    return support.report_of(replace(RUN, **run), findings)


def problem(report: Report) -> str:
    with pytest.raises(ConfigurationError) as caught:
        recorded_changes(report, "r.json", {NAME: "repository"})
    return str(caught.value)


def test_the_changes_that_were_applied_are_taken_as_they_stand() -> None:
    planned = replace(claim("app-b"), change=make_change())
    withheld = replace(claim("app-c"), change=make_change(ChangeStatus.WITHHELD))
    report = report_of(
        claim("app-a", before=WHOLE), planned, withheld, replace(claim("app-d"), change=None)
    )
    assert recorded_changes(report, "r.json", {NAME: "repository"}) == (
        claim("app-a", before=WHOLE),
    )
    assert original_run(report, "r.json") == OriginalRun(RUN.id, RUN.started_at, "r.json")


def test_a_creation_template_is_taken_without_an_arn() -> None:
    for prefix in ["ROOT", "a", "team/apps"]:
        with case(prefix):
            root = replace(claim(prefix), arn="", resource="repository_creation_template")
            about: dict[str, Resource] = {NAME: "repository_creation_template"}
            assert recorded_changes(report_of(root), "r.json", about) == (root,)


def test_a_write_that_may_have_taken_effect_is_taken_and_one_that_did_not_is_not() -> None:
    failed = make_change(ChangeStatus.FAILED, reason=Reason.TIMED_OUT)
    maybe = replace(claim("app-a"), change=replace(failed, uncertain=True))
    report = report_of(maybe, replace(claim("app-b"), change=failed))
    assert recorded_changes(report, "r.json", {NAME: "repository"}) == (maybe,)


def test_a_report_without_any_has_none_whatever_else_it_says() -> None:
    assert (
        recorded_changes(report_of(id="not an id", account_id=None), "r.json", {NAME: "repository"})
        == ()
    )


def changed(**values: Any) -> Report:
    return report_of(replace(claim("app-a"), **values))


def written(mutability: str, *filters: str) -> Report:
    return report_of(claim("app-a", after=(mutability, filters)))


def was(mutability: str, *filters: str) -> Report:
    return report_of(claim("app-a", before=(mutability, filters)))


REORDERED = claim(
    "app-a",
    before=("IMMUTABLE_WITH_EXCLUSION", ("a", "b")),
    after=("IMMUTABLE_WITH_EXCLUSION", ("b", "a")),
)


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
        (changed(arn=str(claim("app-a").arn).replace("app-a", "app-b")), "ARN"),
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
        (report_of(claim("app-a"), claim("app-a")), "app-a"),
        (report_of(claim("app-a"), dry_run=True), ""),
        (report_of(claim("app-a"), id="../x"), "run.id"),
        (report_of(claim("app-a"), account_id=None), "run.account_id"),
        (report_of(claim("app-a"), organization_id="o-\x1b[31m"), "run.organization_id"),
        (report_of(claim("app-a"), started_at="soon"), "run.started_at"),
    ]
    told = []
    for item, named in cases:
        with case(item.findings, named):
            told.append(problem(item))
            assert told[-1].startswith("r.json: ")
            assert named in told[-1]
    assert_golden("refusals.undo.txt", "\n".join(told) + "\n")


def test_the_error_is_short_and_plain() -> None:
    told = problem(report_of(replace(claim("app-a"), repository="\x1b[31m" * 10_000)))
    assert "\x1b" not in told
    assert len(told) < 400


def test_a_digest_tells_other_claims() -> None:
    one, two = claim("app-a"), claim("app-a", before=WHOLE)
    assert digest([one]) == digest([claim("app-a")])
    assert len({digest(each) for each in ([one], [two], [one, two], [])}) == 4


def test_options_are_checked() -> None:
    cases: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
        (("123",), (), "--account: '123' "),
        ((), ("",), "--repository: '' "),
        ((), ("UPPER",), "--repository: 'UPPER' "),
    ]
    for accounts, repositories, named in cases:
        with case(named):
            with pytest.raises(ConfigurationError) as caught:
                check_options(accounts, repositories)
            assert str(caught.value).startswith(named)


def kept(directory: Path, report: Report) -> str:
    path = directory / "report.json"
    path.write_bytes(as_json(report))
    return str(path)


def test_the_source_is_narrowed(tmp_path: Path) -> None:
    findings = [claim("app-a"), claim("team/b")]
    location = kept(tmp_path, report_of(*findings))
    assert app.read_source(location, (), ()).claims == tuple(findings)
    source = app.read_source(location, ("000000000001",), ("team/*",))
    assert source.claims == (findings[1],)
    assert source.undoes == replace(UNDOES, report=location)
    for accounts, globs, said in (
        (("000000000002",), (), "--account 000000000002: "),
        ((), ("x",), "--repository x: "),
    ):
        with pytest.raises(ConfigurationError) as caught:
            app.read_source(location, accounts, globs)
        assert said in str(caught.value)


def test_options_that_leave_nothing_together_are_an_error(tmp_path: Path) -> None:
    location = kept(tmp_path, report_of(claim("app-a"), claim("app-b", make_target(2))))
    with pytest.raises(ConfigurationError):
        app.read_source(location, ("000000000001",), ("app-b",))


def test_a_report_without_changes_is_no_error_whatever_is_asked_for(tmp_path: Path) -> None:
    location = kept(tmp_path, report_of())
    assert app.read_source(location, ("000000000001",), ("b",)).claims == ()


def test_an_undo_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "undo.json"
    path.write_text(json.dumps({"schema_version": "1", "run": {}, "undoes": {}}))
    with pytest.raises(ConfigurationError, match=r"undo\.json"):
        app.read_source(str(path), (), ())
