"""What cannot be swept ends with exit status 2 and a message that names what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Ended, Here, calls, run, small_world
from tests.fake_aws.process import FakeAws

WORLD = small_world(accounts=3, regions=1)
NOT_THERE = "999999999999"


def assert_explained(ended: Ended, *named: str) -> None:
    assert ended.status == 2
    assert "Traceback" not in ended.stderr
    for text in named:
        assert text in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"organisation": {}}, ("config.yaml", "organisation", "did you mean 'organization'?")),
        ({"remediation": {"autoremediate": "DISABLED"}}, ("remediation.autoremediate",)),
        (
            {"organization": {"include_accounts": ["12345"]}},
            ("organization.include_accounts", "'12345'", "12 digits"),
        ),
        (
            {"organization": {"exclude_accounts": [123456789012]}},
            ("organization.exclude_accounts", "123456789012", "quoted"),
        ),
        ({"report": {"formats": ["papyrus"]}}, ("report.formats", "papyrus", "json")),
        (
            {"checks": ["ecr-tag-immutability", "tags"]},
            ("checks: 'tags' is unknown", "ecr-tag-immutability"),
        ),
        ({"regions": {"exclude": ["eu-central-9"]}}, ("regions.exclude", "eu-central-9")),
        ({"organization": {"sts_region": "mars-north-1"}}, ("sts_region", "mars-north-1")),
        ({"remediation": {"exclusions": ["**"]}}, ("remediation.exclusions", "'**'")),
        (
            {"remediation": {"auto_remediate": "enabled"}},
            ("remediation.auto_remediate", "'ENABLED' or 'DISABLED'"),
        ),
    ],
)
def test_a_wrong_configuration_is_refused_before_any_call(
    aws: FakeAws, here: Here, config: dict[str, Any], named: tuple[str, ...]
) -> None:
    aws.load(WORLD)
    ended = here.run(aws, config=config)
    assert_explained(ended, *named)
    assert calls(aws) == {}
    assert not (ended.directory / "out").exists()


@pytest.mark.parametrize(
    ("options", "variables", "named"),
    [
        (("--config", "absent.yaml"), {}, ("absent.yaml", "No such file")),
        (
            ("--account", "12345"),
            {},
            ("--account: '12345' is not allowed", "12 digits: "),
        ),
        (("--region", "eu-centrall-1"), {}, ("--region: 'eu-centrall-1' is not a region",)),
        (("--ou", "sandbox"), {}, ("--ou: 'sandbox' is not allowed",)),
        (("--format", "papyrus"), {}, ("--format", "papyrus")),
        (("--no-such-option",), {}, ("--no-such-option",)),
        (
            (),
            {"SWEEPER_REMEDIATION__AUTO_REMEDATE": "DISABLED"},
            ("SWEEPER_REMEDIATION__AUTO_REMEDATE", "SWEEPER_REMEDIATION__AUTO_REMEDIATE"),
        ),
        (
            (),
            {"AUTO_REMEDIATE": "DISABLED", "SWEEPER_REMEDIATION__AUTO_REMEDIATE": "ENABLED"},
            ("AUTO_REMEDIATE", "contradict"),
        ),
        ((), {"AWS_PROFILE": "no-such-profile"}, ("no-such-profile",)),
    ],
)
def test_a_wrong_option_or_variable_is_refused_before_any_call(
    aws: FakeAws,
    here: Here,
    options: tuple[str, ...],
    variables: dict[str, str],
    named: tuple[str, ...],
) -> None:
    aws.load(WORLD)
    ended = here.run(aws, *options, config=None, **variables)
    assert_explained(ended, *named)
    assert calls(aws) == {}


@pytest.mark.parametrize(
    ("world", "options", "config", "variables", "reason", "named"),
    [
        pytest.param(
            {},
            (),
            {},
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "no_credentials",
            ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"),
            id="no credentials",
        ),
        pytest.param(
            {},
            (),
            {},
            {"AWS_ACCESS_KEY_ID": "AKIASTRANGER00000000"},
            "no_credentials",
            ("no usable AWS credentials",),
            id="credentials that AWS does not know",
        ),
        pytest.param(
            {},
            (),
            {},
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            "no_credentials",
            ("no usable AWS credentials",),
            id="a wrong secret",
        ),
        pytest.param(
            {"caller_mode": "not_in_organization"},
            (),
            {},
            {},
            "not_in_organization",
            ("user/central", "role_name: null"),
            id="not in an organization",
        ),
        pytest.param(
            {"caller_mode": "not_allowed"},
            (),
            {},
            {},
            "not_allowed_to_list",
            ("user/central", "organizations:ListAccounts", "delegated administrator"),
            id="not allowed to list",
        ),
        pytest.param(
            {},
            ("--account", NOT_THERE),
            {},
            {},
            "unknown_account",
            (NOT_THERE,),
            id="an account of another organization",
        ),
        pytest.param(
            {},
            (),
            {"remediation": {"include_accounts": [NOT_THERE]}},
            {},
            "unknown_account",
            (NOT_THERE,),
            id="a write scope in another organization",
        ),
        pytest.param(
            {},
            ("--ou", "ou-fake-99999999"),
            {},
            {},
            "unknown_ou",
            ("ou-fake-99999999",),
            id="an OU that is not there",
        ),
        pytest.param(
            {"give_paths": False},
            ("--ou", "ou-fake-99999999"),
            {},
            {},
            "unknown_ou",
            ("ou-fake-99999999",),
            id="an OU that is not there, in a tree that must be walked",
        ),
        pytest.param(
            {},
            ("--ou", "ou-fake-00000006"),
            {},
            {},
            "no_account_chosen",
            ("3 are excluded",),
            id="an OU without accounts",
        ),
        pytest.param(
            {},
            (),
            {"organization": {"include_tags": {"team": ["nobody"]}}},
            {},
            "no_account_chosen",
            ("3 are excluded",),
            id="no account has the tag",
        ),
        pytest.param(
            {},
            (),
            {"organization": {"exclude_accounts": [account.id for account in WORLD.accounts]}},
            {},
            "no_account_chosen",
            ("3 are excluded",),
            id="all accounts are excluded",
        ),
    ],
)
def test_nothing_to_sweep_is_explained_and_reported(  # noqa: PLR0917
    aws: FakeAws,
    here: Here,
    world: dict[str, Any],
    options: tuple[str, ...],
    config: dict[str, Any],
    variables: dict[str, str | None],
    reason: str,
    named: tuple[str, ...],
) -> None:
    aws.load(small_world(accounts=3, regions=1, **world))
    ended = here.run(aws, *options, config=config, **variables)
    assert_explained(ended, *named)
    (failure,) = ended.report["failures"]
    assert (failure["stage"], failure["reason"]) == ("enumerate", reason)
    assert (failure["account_id"], failure["region"]) == (None, None)
    for text in named:
        assert text in failure["message"]
    assert ended.report["coverage"] == {"accounts": 0.0, "targets": 0.0, "complete": False}
    events = [entry["event"] for entry in ended.logs]
    assert [each for each in events if each != "sweep.metrics"] == [
        "sweep.started",
        "enumerate.failed",
        "sweep.finished",
    ]
    assert not any("SweepsFinished" in entry for entry in ended.logs)
    assert "sts:AssumeRole" not in calls(aws)


def test_a_passing_failure_to_list_is_not_exit_status_2(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    aws.faults([{"action": "garbage", "operation": "ListAccounts"}])
    ended = here.run(aws)
    (failure,) = ended.report["failures"]
    assert (failure["stage"], failure["reason"]) == ("enumerate", "unexpected_response")
    assert ended.status == 4
    assert "Traceback" not in ended.stderr


def test_the_process_itself_ends_that_way(aws: FakeAws, tmp_path: Path) -> None:
    aws.load(small_world(accounts=3, regions=1, caller_mode="not_allowed"))
    refused = run(aws, tmp_path / "refused")
    assert_explained(refused, "organizations:ListAccounts")
    assert refused.report["failures"][0]["stage"] == "enumerate"
    mistyped = run(aws, tmp_path / "mistyped", SWEEPER_REGION="eu-central-1")
    assert_explained(mistyped, "SWEEPER_REGION")


def test_a_defect_is_told_without_a_trace(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom\x1b[2J")

    monkeypatch.setattr("sweeper.config.loader.load", broken)
    ended = here.run(aws)
    assert ended.status == 1
    assert ended.stderr.startswith("sweeper: internal error, please report it: RuntimeError: boom")
    assert r"boom\x1b[2J" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")]
)
def test_a_stream_that_breaks_within_a_command_is_a_defect(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """Nothing says then that the sweep was done: status 0 would be a lie, and so would 5."""

    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("sweeper.config.loader.load", broken)
    ended = here.run(aws)
    assert ended.status == 1
    assert "internal error" in ended.stderr


def test_an_interrupt_before_the_sweep(
    aws: FakeAws, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweeper.config.loader.load", interrupted)
    ended = here.run(aws)
    assert ended.status == 130
    assert "sweeper: interrupted" in ended.stderr
