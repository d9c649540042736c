"""`sweeper config`: what a sweep would read is checked and shown, with where it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweeper.config.loader import load
from sweeper.config.rendering import as_json, as_yaml
from sweeper.config.schema import Config
from sweeper.domain.escaping import is_hidden
from sweeper.entrypoints.cli.config import _fill
from tests.cases import case
from tests.end_to_end.harness import SWEEPER
from tests.entrypoints.cli.conftest import Sweeper
from tests.factories import HOSTILE

ROOT = Path(__file__).parents[3]
ID = "012345678901"
Environment = pytest.MonkeyPatch
FULL: dict[str, Any] = {
    "organization": {
        "include_ous": ["ou-ab12-11111111", "r-ab12"],
        "exclude_accounts": [ID],
        "include_tags": {"env": ["prod", "no", "012"], "#": [], "a: b": [" x ", ""]},
    },
    "regions": {"exclude": ["eu-west-1"]},
    "coverage": {"accept": [{"reason": "denied_by_scp", "region": "ap-*", "account": "*"}]},
    "exemptions": [
        {"repository": "a/*", "reason": "größer # than 'that'", "expires": "2027-01-31"},
        {"repository": "null", "reason": "yes", "expires": "never"},
    ],
    "remediation": {"auto_remediate": "DISABLED", "exclusions": ["v*"], "min_coverage": 0.95},
    "report": {
        "directory": "a b/ü",
        "s3": {"bucket": "123456", "prefix": "on"},
        "security_hub": {"region": "eu-west-1"},
        "sns_topic_arn": f"arn:aws:sns:eu-central-1:{ID}:news",
    },
    "limits": {"deadline_seconds": 1e30},
}


def write(sections: Any, name: str = "config.yaml") -> None:
    Path(name).write_text(yaml.safe_dump(sections), encoding="utf-8")


def again(text: str) -> Config:
    Path("again.yaml").write_text(text, encoding="utf-8")
    return load("again.yaml").config


# --- show -----------------------------------------------------------------------------------------


def test_what_is_shown_is_a_file_that_says_the_same(sweeper: Sweeper) -> None:
    for sections in [{}, FULL]:
        with case(sections):
            write(sections)
            status, text, error = sweeper("config", "show")
            assert (status, error) == (0, "")
            assert again(text) == load().config
            assert max(map(len, text.splitlines())) < 200


def test_each_value_says_where_it_came_from(sweeper: Sweeper, monkeypatch: Environment) -> None:
    write({"limits": {"max_workers": 8}, "report": {"notify": "always"}}, "a.yaml")
    monkeypatch.setenv("SWEEPER_REPORT__S3__BUCKET", "bucket")
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    arguments = ("config", "show", "--config", "a.yaml", "--account", ID, "--region", "eu-west-1")
    text = sweeper(*arguments, "--output", "out")[1]
    shown = dict(line.split("  # ") for line in text.splitlines() if " # " in line)
    assert {key.strip(): source for key, source in shown.items() if source != "default"} == {
        f'include_accounts: ["{ID}"]': "command line",
        "include: [eu-west-1]": "command line",
        "auto_remediate: DISABLED": "environment: AUTO_REMEDIATE",
        "directory: out": "command line",
        "bucket: bucket": "environment: SWEEPER_REPORT__S3__BUCKET",
        "notify: always": "file: a.yaml",
        "max_workers: 8": "file: a.yaml",
    }
    data = json.loads(sweeper(*arguments, "--output", "out", "--format", "json")[1])
    assert data["report.s3.bucket"] == {
        "value": "bucket",
        "source": "environment: SWEEPER_REPORT__S3__BUCKET",
    }
    assert data["report.s3.prefix"] == {"value": "", "source": "default"}
    assert data["organization.include_accounts"] == {"value": [ID], "source": "command line"}
    assert {key.rpartition(".")[2] for key in data} == {
        line.strip().partition(":")[0] for line in text.splitlines() if " # " in line
    }


def test_what_exemptions_by_tag_need_is_named(sweeper: Sweeper) -> None:
    rule = {"repository": "a", "reason": "b", "expires": "never"}
    for more, named in (({}, False), ({"account_tags": {"env": ["dev"]}}, True)):
        with case(more):
            write({"exemptions": [rule | more]})
            status, text, _ = sweeper("config", "check")
            assert status == 0
            assert ("organizations:ListTagsForResource" in text) is named


def test_json_says_what_yaml_says() -> None:
    write(FULL)
    loaded = load()
    nested: dict[str, Any] = {}
    for key, each in json.loads(as_json(loaded)).items():
        *path, name = key.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[name] = each["value"]
    assert Config.model_validate(nested) == loaded.config == again(as_yaml(loaded))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [each for each in HOSTILE if "\ud800" not in each]
)


@settings(suppress_health_check=list(HealthCheck))
@given(texts.filter(str.strip), texts, st.text("0123456789:.-_eE+~yn#&*!|>'\"%@` ", max_size=9))
def test_any_text_is_shown_so_that_it_is_read_again(reason: str, key: str, value: str) -> None:
    rule = {"repository": "a", "reason": reason, "expires": "never"}
    write({"exemptions": [rule], "organization": {"include_tags": {key: [value, key]}}})
    loaded = load()
    text = as_yaml(loaded)
    assert again(text) == loaded.config
    assert not any(map(is_hidden, text.replace("\n", "")))


def test_a_file_with_a_hostile_name_forges_no_line(sweeper: Sweeper) -> None:
    write({"limits": {"max_workers": 8}}, "a\nlimits: {max_workers: 1}")
    text = sweeper("config", "show", "--config", "a\nlimits: {max_workers: 1}")[1]
    assert r"max_workers: 8" in text
    assert r"# file: a\x0alimits" in text


# --- check ----------------------------------------------------------------------------------------


def test_what_was_read_is_told(sweeper: Sweeper, monkeypatch: Environment) -> None:
    write(FULL | {"report": {}}, "other.yaml")
    assert_read(sweeper("config", "check"), [])
    assert_read(sweeper("config", "check", "other.yaml"), ["other.yaml"])
    write(FULL | {"report": {}})
    assert_read(sweeper("config", "check"), ["config.yaml"])
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "always")
    monkeypatch.setenv("SNS_TOPIC_ARN", f"arn:aws:sns:eu-central-1:{ID}:news")
    variables = ["environment: SNS_TOPIC_ARN", "environment: SWEEPER_REPORT__NOTIFY"]
    assert_read(sweeper("config", "check"), ["config.yaml", *variables])


def assert_read(ended: tuple[int, str, str], sources: list[str]) -> None:
    status, out, error = ended
    assert (status, error) == (0, "")
    told = out.splitlines()[0].partition(": ")[2]
    assert told == ", ".join(sources or ["no file"])


def test_what_cannot_be_used_is_refused(sweeper: Sweeper) -> None:
    cases: list[tuple[str, str]] = [
        ("limits: {max_workers: 0}", "config.yaml: limits.max_workers: 0 "),
        ("a: [", "config.yaml: line 1, column 5: "),
        ("report: {formats: [pdf]}", "config.yaml: report.formats: 'pdf' "),
        ("regions: {include: [eu-moon-1]}", "config.yaml: regions.include: 'eu-moon-1' "),
        ("remdiation: {}\nx: 1", "config.yaml: remdiation: "),
    ]
    for text, named in cases:
        with case(text):
            Path("config.yaml").write_text(text, encoding="utf-8")
            status, out, error = sweeper("config", "check")
            assert (status, out) == (2, "")
            assert error.startswith(f"sweeper: {named}")


def test_what_is_no_configuration_is_not_shown(sweeper: Sweeper) -> None:
    Path("config.yaml").write_text("limits: {max_workers: 0}", encoding="utf-8")
    status, out, error = sweeper("config", "show", "--region", "moon")
    assert (status, out) == (2, "")
    assert "config.yaml: limits.max_workers: 0 " in error
    assert "--region: 'moon' " in error


def test_every_problem_is_told_at_once(sweeper: Sweeper, monkeypatch: Environment) -> None:
    Path("config.yaml").write_text("limits: {max_workers: 0}\nnope: 1", encoding="utf-8")
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "never")
    error = sweeper("config", "check")[2]
    assert [line.split(": ")[1] for line in error.splitlines()] == [
        "environment",
        "config.yaml",
        "config.yaml",
    ]


# --- schema ---------------------------------------------------------------------------------------


def test_the_schema_is_printed(sweeper: Sweeper) -> None:
    status, out, err = sweeper("config", "schema")
    assert (status, err) == (0, "")
    assert out == (ROOT / "docs/config.schema.json").read_text(encoding="utf-8")


def test_an_expired_exemption_is_named(sweeper: Sweeper) -> None:
    Path("config.yaml").write_text(
        "exemptions:\n"
        "- {repository: old/*, reason: why, expires: 2026-01-01}\n"
        "- {repository: new/*, reason: why, expires: never}\n"
    )
    status, shown, _ = sweeper("config", "check")
    assert status == 0
    assert "old/* has expired on 2026-01-01" in shown
    assert "new/*" not in shown


def test_every_unknown_name_is_told_in_one_pass_with_what_was_meant(sweeper: Sweeper) -> None:
    Path("config.yaml").write_text(
        "checks: [ecr-tag-immutabilty]\n"
        "regions: {include: [eu-centrl-1]}\n"
        "report: {formats: [jsn]}\n"
    )
    status, _, told = sweeper("config", "check")
    assert status == 2
    for meant in ("ecr-tag-immutability", "eu-central-1", "json"):
        assert f"did you mean {meant}?" in told
    assert told.count("config.yaml: ") == 3


# --- init -----------------------------------------------------------------------------------------


TEMPLATE = (ROOT / "config.yaml").read_text(encoding="utf-8")
OPTIONS = (
    *("--include-ou", "ou-ab12-11111111,ou-ab12-22222222", "--auto-remediate", "ENABLED"),
    *("--role-name", "path/auditor", "--s3-bucket", "reports"),
    *("--sns-topic-arn", "arn:aws:sns:eu-central-1:123456789012:sweeper"),
)


def test_options_become_keys_and_every_other_key_keeps_its_default(sweeper: Sweeper) -> None:
    assert sweeper("config", "init", *OPTIONS)[0] == 0
    written = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))
    expected = yaml.safe_load(TEMPLATE)
    expected["organization"] |= {
        "role_name": "path/auditor",
        "include_ous": ["ou-ab12-11111111", "ou-ab12-22222222"],
    }
    expected["report"] |= {
        "s3": {"bucket": "reports"},
        "sns_topic_arn": "arn:aws:sns:eu-central-1:123456789012:sweeper",
    }
    assert written == expected
    config = load().config
    assert config.report.s3 is not None
    assert config.remediation.auto_remediate == "ENABLED"


def test_without_answers_nothing_is_changed_by_a_sweep(sweeper: Sweeper) -> None:
    assert sweeper("config", "init", "other.yaml")[0] == 0
    config = load("other.yaml").config
    assert config.remediation.auto_remediate == "DISABLED"
    assert config.report.directory == Path("report")


def test_a_file_that_exists_is_never_replaced(sweeper: Sweeper) -> None:
    Path("config.yaml").write_text("{}", encoding="utf-8")
    assert sweeper("config", "init")[0] == 2
    assert Path("config.yaml").read_text(encoding="utf-8") == "{}"


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--role-name", "arn:aws:iam::111122223333:role/a", "--role-name"),
        ("--include-ou", "payments", "--include-ou"),
        ("--s3-bucket", "A", "report.s3.bucket"),
        ("--sns-topic-arn", "topic", "--sns-topic-arn"),
        ("--auto-remediate", "yes", "--auto-remediate"),
    ],
)
def test_what_is_not_allowed_is_named_and_nothing_is_written(
    sweeper: Sweeper, option: str, value: str, named: str
) -> None:
    status, _, said = sweeper("config", "init", option, value)
    assert status == 2
    assert named in said
    assert list(Path().iterdir()) == []


def test_a_directory_that_is_not_there_is_named(sweeper: Sweeper) -> None:
    status, _, said = sweeper("config", "init", "missing/config.yaml")
    assert status == 2
    assert "missing/config.yaml" in said


def test_comments_stay_and_only_the_named_keys_change() -> None:
    filled = _fill(TEMPLATE, {"report": {"formats": ["html"], "directory": "out"}})
    before, after = TEMPLATE.splitlines(), filled.splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert [new.split(":")[0] for _, new in changed] == ["  directory", "  formats"]
    assert all(old.partition("  #")[2] == new.partition("  #")[2] for old, new in changed)


def test_a_person_is_asked_for_what_no_option_says(tmp_path: Path) -> None:
    child = pexpect.spawn(
        SWEEPER[0],
        [*SWEEPER[1:], "config", "init", "--role-name", "auditor"],
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=120,
    )
    for answer in ("ou-ab12-11111111", "ENABLED", "reports", ""):
        child.expect(r": $")
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    written = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert written["organization"]["include_ous"] == ["ou-ab12-11111111"]
    assert written["organization"]["role_name"] == "auditor"
    assert written["remediation"]["auto_remediate"] == "ENABLED"
    assert written["report"]["s3"] == {"bucket": "reports"}
