"""What the options of a run do, through the real command."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cases import case
from tests.end_to_end.harness import Here, calls, changes, small_world, writes
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Role

WORLD = small_world(accounts=4, regions=2)
A, B, C, D = sorted(account.id for account in WORLD.accounts)
ONE, TWO = list(WORLD.regions)[:2]
FEW = small_world(accounts=2, regions=1)
AUDIT = {"remediation": {"auto_remediate": "DISABLED"}}


def examined(report: Any) -> set[str]:
    """The accounts that have findings: each of this world has some."""
    return {finding["account_id"] for finding in report["findings"]}


def excluded(report: Any) -> set[str]:
    return {each["account_id"] for each in report["skipped"] if each["region"] is None}


def test_options_that_may_be_repeated_take_commas_too(aws: FakeAws, here: Here) -> None:
    for options, accounts, regions in (
        (("--account", f"{A}, {B}", "--account", C), {A, B, C}, [ONE, TWO]),
        (("--region", f"{ONE},{TWO}"), {A, B, C, D}, [ONE, TWO]),
        (("--account", f"{A},{B}", "--exclude-account", B, "--region", ONE), {A}, [ONE]),
        (("--exclude-account", f"{A},{B}", "--exclude-account", C), {D}, [ONE, TWO]),
    ):
        with case(options):
            aws.load(WORLD)
            report = here.run(aws, "--dry-run", *options).report
            assert examined(report) == accounts
            assert report["run"]["scope"]["regions"] == sorted(regions)
            assert report["run"]["scope"]["narrowed_by"] == list(
                dict.fromkeys(each for each in options if each.startswith("--"))
            )


def test_an_empty_value_is_a_usage_error(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    for options in (
        ("--account", ""),
        ("--region", f"{ONE},"),
        ("--fail-on", "findings,all"),
        ("--fail-on", "never,findings"),
        ("--resume", ""),  # as of a variable that is not set: no new run may begin
        ("--resume", " "),
    ):
        with case(options):
            ended = here.run(aws, "--yes", *options)
            assert ended.status == 2
            assert options[0] in ended.stderr
    assert calls(aws) == {}


def test_an_empty_value_of_another_command_is_a_usage_error(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    for command in (
        ("apply", "report.json", "--yes", "--resume", ""),
        ("undo", "report.json", "--yes", "--resume", ""),
        ("distributed", "start", "--work", ""),
    ):
        with case(command):
            ended = here.command(aws, *command)
            assert ended.status == 2
            assert f"'{command[-2]}': an empty value" in ended.stderr
    assert calls(aws) == {}


def test_an_excluded_account_is_excluded_besides_those_of_the_configuration(
    aws: FakeAws, here: Here
) -> None:
    aws.load(WORLD)
    config = {"organization": {"exclude_accounts": [A]}}
    report = here.run(aws, "--dry-run", "--exclude-account", B, config=config).report
    assert excluded(report) == {A, B}
    assert report["run"]["scope"]["narrowed_by"] == [
        "organization.exclude_accounts",
        "--exclude-account",
    ]


def test_the_role_that_an_option_names_is_assumed(aws: FakeAws, here: Here) -> None:
    aws.load(small_world(accounts=2, regions=1, role=Role(name="auditor")))
    assert here.run(aws, "--dry-run").status == 4
    assert here.run(aws, "--dry-run", "--role-name", "auditor").status == 3


def test_a_profile_goes_before_the_environment(aws: FakeAws, here: Here, tmp_path: Path) -> None:
    aws.load(WORLD)
    keys = aws.world.caller
    file = tmp_path / "credentials"
    file.write_text(
        f"[auditor]\naws_access_key_id = {keys.access_key_id}\n"
        f"aws_secret_access_key = {keys.secret_access_key}\n[other]\n",
        encoding="utf-8",
    )
    wrong: dict[str, Any] = {
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE000000000",
        "AWS_SECRET_ACCESS_KEY": "x" * 40,
        "AWS_PROFILE": "other",
    }
    assert here.run(aws, "--dry-run", **wrong).status == 2
    assert here.run(aws, "--dry-run", "--profile", "auditor", **wrong).status == 3
    ended = here.command(aws, "accounts", "--profile", "auditor", **wrong)
    assert (ended.status, ended.stdout.count("ACTIVE")) == (0, 4)
    assert here.run(aws, "--dry-run", "--profile", "", **wrong).status == 2
    before = calls(aws)
    for command in (("run", "--dry-run"), ("preflight",), ("accounts",), ("config", "check")):
        with case(command):
            ended = here.command(aws, *command, "--profile", "auditr", **wrong)
            assert ended.status == 2
            assert "--profile: 'auditr' is not a profile" in ended.stderr
            assert "auditor, other" in ended.stderr
    assert calls(aws) == before


def test_the_formats_that_an_option_names_are_written(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    config = {"report": {"formats": ["json", "text"]}}
    ended = here.run(aws, "--dry-run", "--formats", "html,csv", config=config)
    assert ended.status == 3
    names = {path.name for path in (ended.directory / "out").iterdir() if path.is_file()}
    assert {"report.html", "report.csv"} <= names
    assert "report.txt" not in names
    ended = here.run(aws, "--dry-run", "--formats", "html,pdf")
    assert ended.status == 2
    assert "pdf" in ended.stderr


def test_the_most_changes_replace_what_is_configured(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    for config, option, status in ((500, "1", 3), (1, "500", 0)):
        with case(config, option):
            ended = here.run(
                aws,
                "--max-changes",
                option,
                config={"remediation": {"max_changes": config}},
            )
            assert ended.status == status
            made = {("applied", None)} if status == 0 else {("withheld", "max_changes")}
            assert changes(ended.report) == made
    shown = here.command(aws, "config", "show", "--max-changes", "7", "--format", "json")
    assert json.loads(shown.stdout)["remediation.max_changes"] == {
        "value": 7,
        "source": "command line",
    }


def test_of_the_exit_statuses_those_are_used_that_an_option_names(aws: FakeAws, here: Here) -> None:
    first, *others = FEW.accounts
    aws.load(replace(FEW, accounts=(replace(first, role=Role(exists=False)), *others)))
    config = {"report": {"sns_topic_arn": f"arn:aws:sns:{ONE}:{A}:missing"}, **AUDIT}
    for options, status in (
        ((), 5),
        (("--fail-on", "findings"), 3),
        (("--fail-on", "findings,coverage"), 4),
        (("--fail-on", "never"), 0),
        (("--fail-on", "never", "--account", "999999999999"), 2),
    ):
        with case(options):
            ended = here.run(aws, *options, config=config)
            assert ended.status == status
            assert ended.logs[-1]["exit_status"] == status


def test_a_person_may_want_less_or_more(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.load(FEW)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = here.run(aws, "--dry-run").stderr
    assert "targets examined" in shown
    assert "Summary" in shown

    ended = here.run(aws, "--dry-run", "--quiet")
    assert (ended.status, ended.stderr, ended.stdout) == (3, "", "")

    topic = {"report": {"sns_topic_arn": f"arn:aws:sns:{ONE}:{A}:missing"}}
    ended = here.run(aws, "--dry-run", "--deliver", "--quiet", config=topic)
    (error,) = ended.stderr.splitlines()
    assert ended.status == 5
    assert error.startswith("error: delivery.failed ")

    shown = here.run(aws, "--dry-run", "--verbose", config={}).stderr
    assert shown.count("debug: target.examined ") == 2
    assert shown.count("debug: account.opened ") == 2
    assert "targets examined" not in shown
    assert "Summary" in shown

    logs = here.run(aws, "--dry-run", "--log-format", "json").logs
    assert logs[-1]["event"] == "sweep.finished"
    assert here.run(aws, "--quiet", "--verbose").status == 2


def test_a_quiet_run_that_may_write_still_asks(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.load(FEW)
    asked: list[str] = []

    class Person:
        closed = False

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            asked.append("")
            return "n\n"

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", Person())
    ended = here.command(aws, "run", "--quiet")
    assert "About to set" in ended.stderr
    assert asked
    assert writes(aws) == []
    assert ended.status == 3


def test_a_machine_may_have_lines_of_text(aws: FakeAws, here: Here) -> None:
    aws.load(FEW)
    ended = here.run(aws, "--dry-run", "--log-format", "text")
    assert any(" info: sweep.finished " in line for line in ended.stderr.splitlines())
    assert here.run(aws, "--dry-run", "--quiet").stderr == ""


def test_recorded_changes_are_made_but_for_an_excluded_account(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    here.run(aws, "--dry-run")
    report = "out/report.json"
    for value, said in (("999999999999", "no such change"), (f"{A},{B},{C},{D}", "leaves none")):
        with case(value):
            ended = here.command(aws, "apply", report, "--yes", "--exclude-account", value)
            assert ended.status == 2
            assert said in ended.stderr
    assert writes(aws) == []
    ended = here.command(
        aws, "apply", report, "--yes", "--output", "applied", "--exclude-account", f"{A},{B}"
    )
    assert ended.status == 0
    assert {each["account"] for each in writes(aws)} == {C, D}
    (made,) = (ended.directory / "applied").glob("*/report.json")
    name = str(made.relative_to(ended.directory))
    aws.reset_statistics()
    ended = here.command(
        aws, "undo", name, "--yes", "--repository", "*,nothing-else*", "--exclude-account", C
    )
    assert ended.status == 2
    ended = here.command(aws, "undo", name, "--yes", "--exclude-account", C)
    assert ended.status == 0
    assert {each["account"] for each in writes(aws)} == {D}
