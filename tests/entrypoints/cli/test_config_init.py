"""`sweeper config init`: a commented config.yaml from answers or options."""

from __future__ import annotations

from pathlib import Path

import pexpect
import pytest
import yaml

from sweeper.config.loader import load_config
from sweeper.entrypoints.cli.config_init import fill
from tests.end_to_end.harness import SWEEPER
from tests.entrypoints.cli.conftest import Sweeper

ROOT = Path(__file__).parents[3]
TEMPLATE = (ROOT / "config.yaml").read_text(encoding="utf-8")
OPTIONS = (
    *("--include-ou", "ou-ab12-11111111,ou-ab12-22222222", "--auto-remediate", "ENABLED"),
    *("--role-name", "path/auditor", "--s3-bucket", "reports"),
    *("--sns-topic-arn", "arn:aws:sns:eu-central-1:123456789012:sweeper"),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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
    config = load_config()
    assert config.report.s3 is not None
    assert config.remediation.auto_remediate == "ENABLED"


def test_without_answers_nothing_is_changed_by_a_sweep(sweeper: Sweeper) -> None:
    assert sweeper("config", "init", "other.yaml")[0] == 0
    config = load_config("other.yaml")
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
    filled = fill(TEMPLATE, {"report": {"formats": ["html"], "directory": "out"}})
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
