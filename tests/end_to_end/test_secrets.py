"""No secret that the process knows leaves it, whatever AWS answers and wherever it is given."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.end_to_end.harness import Ended, Here, calls, run, small_world
from tests.fake_aws.process import FakeAws

EXTERNAL_ID = "2b1c9f0e-77aa-4f7d-9d4e-external"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLEtokenOfTheCaller0123456789"
MOUNTED = "AQoDYXdzEJr-mounted-secret-EXAMPLE-000111222333"
REGION = "us-east-1"
BUCKET = "sweeper-reports"
FORMATS = ["json", "csv", "text", "html", "junit", "markdown", "ocsf", "sarif"]
BUS = f"arn:aws:events:{REGION}:111111111111:event-bus/findings"
CHAT = f"arn:aws:sns:{REGION}:111111111111:chat"
WORLD = small_world(
    accounts=4,
    regions=2,
    security_hub_regions=(REGION,),
    role={"external_id": EXTERNAL_ID},
    event_buses=[BUS],
    aggregators=[{"name": "all", "region": REGION, "failed": ["*/us-*"], "error": EXTERNAL_ID}],
)
WORLD = replace(WORLD, topics=(*WORLD.topics, CHAT))
CONFIG = {
    "organization": {"external_id": EXTERNAL_ID},
    "remediation": {"assess_impact": True},
    "report": {
        "formats": FORMATS,
        "s3": {"bucket": BUCKET, "prefix": "ecr"},
        "sns_topic_arn": WORLD.topics[0],
        "security_hub": {"region": REGION},
        "chat_topic_arn": CHAT,
        "event_bus": BUS,
        "account_tags": ["team"],
        "owner_tag": "team",
        "notify": "always",
    },
    "inventory": {"config_aggregator": {"name": "all", "region": REGION}},
    "state": {"directory": "state"},
}


def outputs(ended: Ended, aws: FakeAws) -> dict[str, str]:
    """Everything that left the process: by where it went."""
    written = {
        str(path): path.read_text(encoding="utf-8")
        for path in ended.directory.rglob("*")
        if path.is_file() and path.name != "config.yaml"
    }
    stored = {each.key: each.body.decode() + json.dumps(each.headers) for each in aws.objects()}
    return {
        **written,
        **stored,
        "stdout": ended.stdout,
        "stderr": ended.stderr,
        "messages": json.dumps(aws.messages()),
        "findings": json.dumps(aws.findings()),
        "events": json.dumps(aws.put_events()),
    }


def assert_hidden(found: dict[str, str], *secrets: str) -> None:
    for place, text in found.items():
        for secret in secrets:
            for part in (secret, secret.strip(), secret.strip()[:20]):
                assert part not in text, f"{part!r} stands in {place}"


@settings(
    suppress_health_check=list(HealthCheck),
    max_examples=max(3, settings().max_examples // 8),
    database=None,
    phases=[Phase.generate],
)
@given(seed=st.integers(0, 2**32))
def test_no_secret_leaves_whatever_is_answered(
    aws: FakeAws, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    aws.load(WORLD)
    aws.faults([{"action": "leak", "share": 0.9, "seed": seed, "message": EXTERNAL_ID}])
    directory = tmp_path_factory.mktemp("leaks")
    ended = run(aws, directory, "--format", "text", config=CONFIG)
    assert ended.status in (2, 3, 4, 5), ended.stderr
    assert "Traceback" not in ended.stderr
    found = outputs(ended, aws)
    assert_hidden(found, EXTERNAL_ID, WORLD.caller.access_key_id, *aws.secrets())
    assert not re.search(r"ASIA[0-9A-F]{16}", "".join(found.values()))


def test_the_leaks_reach_every_output_but_for_the_masks(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    aws.faults(
        [
            {"action": "leak", "operation": operation, "message": EXTERNAL_ID}
            for operation in ("DescribeRepositories", "ListTagsForResource")
        ]
    )
    ended = here.run(aws, "--format", "json", "--dry-run", "--deliver", config=CONFIG)
    found = outputs(ended, aws)
    masked = {Path(place).name for place, text in found.items() if "***" in text}
    assert masked >= {
        *("report.json", "report.csv", "report.txt", "report.html", "report.ocsf.jsonl"),
        *("report.junit.xml", "report.md", "report.sarif", "stdout", "messages", "findings"),
        "events",
    }
    assert_hidden(found, EXTERNAL_ID, *aws.secrets())


@pytest.mark.parametrize(
    "name", ["AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
)
@pytest.mark.parametrize("damage", ["{}\nx", "x\r\n{}", "{}\x07", "{} {}", "ü{}"])
def test_credentials_that_no_request_can_carry_are_refused(
    aws: FakeAws, here: Here, name: str, damage: str
) -> None:
    aws.load(WORLD)
    ended = here.run(aws, config=CONFIG, **{name: damage.replace("{}", MOUNTED)})
    assert ended.status == 2
    assert f"sweeper: environment: {name} " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert calls(aws) == {}
    assert_hidden(outputs(ended, aws), MOUNTED)


@pytest.mark.parametrize("space", ["\n", "\r\n", " ", "\t\n"])
def test_white_space_around_mounted_credentials_is_stripped_and_logged(
    aws: FakeAws, here: Here, space: str
) -> None:
    aws.load(WORLD)
    ended = here.run(
        aws,
        "--dry-run",
        config=CONFIG,
        AWS_SECRET_ACCESS_KEY=WORLD.caller.secret_access_key + space,
        AWS_ACCESS_KEY_ID=space + WORLD.caller.access_key_id,
    )
    assert ended.status == 3
    told = [each for each in ended.logs if each["event"] == "credentials.stripped"]
    assert [each["variable"] for each in told] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert {each["run_id"] for each in told} == {ended.report["run"]["id"]}
    assert_hidden(outputs(ended, aws), *aws.secrets())


def test_a_token_of_a_credential_process_with_a_newline_is_refused(
    aws: FakeAws, here: Here, tmp_path: Path
) -> None:
    aws.load(WORLD)
    keys = {
        "Version": 1,
        "AccessKeyId": "ASIA",
        "SecretAccessKey": "s",
        "SessionToken": f"{TOKEN}\n",
    }
    (tmp_path / "keys.json").write_text(json.dumps({"Version": 1, **keys}))
    (tmp_path / "aws").write_text(
        f"[default]\nregion = {REGION}\ncredential_process = cat {tmp_path / 'keys.json'}\n"
    )
    ended = here.run(
        aws,
        config=CONFIG,
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
        AWS_CONFIG_FILE=str(tmp_path / "aws"),
    )
    assert ended.status == 2
    assert ended.report["failures"][0]["reason"] == "no_credentials"
    assert "custom-process" in ended.report["failures"][0]["message"]
    assert calls(aws) == {}
    (tmp_path / "keys.json").unlink()
    assert_hidden(outputs(ended, aws), TOKEN)


def test_an_error_that_quotes_the_members_token_is_masked(aws: FakeAws, here: Here) -> None:
    aws.load(WORLD)
    aws.faults([{"action": "leak", "service": "ecr", "share": 1.0, "message": EXTERNAL_ID}])
    ended = here.run(aws, "--dry-run", config=CONFIG)
    assert any("***" in each["message"] for each in ended.report["failures"])
    assert_hidden(outputs(ended, aws), EXTERNAL_ID, *aws.secrets())


@pytest.mark.parametrize(
    ("config", "variables"),
    [
        ({"organization": {"external_id": f"{EXTERNAL_ID} !"}}, {}),
        ({"organization": [{"external_id": EXTERNAL_ID}]}, {}),
        ({"organization": {"external_id": [EXTERNAL_ID]}}, {}),
        ({}, {"SWEEPER_ORGANIZATION__EXTERNAL_ID": f"{EXTERNAL_ID}\n"}),
        ({"organization": {"external_id": EXTERNAL_ID}, "checks": [EXTERNAL_ID]}, {}),
    ],
)
def test_no_error_shows_the_external_id(
    aws: FakeAws, here: Here, config: dict[str, Any], variables: dict[str, str]
) -> None:
    ended = here.run(aws, config=config, **variables)
    assert ended.status == 2
    assert "config" in ended.stderr or "environment" in ended.stderr or "checks" in ended.stderr
    assert_hidden({"stderr": ended.stderr}, EXTERNAL_ID)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_config_show_says_only_that_there_is_an_external_id(
    aws: FakeAws, here: Here, form: str
) -> None:
    ended = here.command(aws, "config", "show", "--format", form, config=CONFIG)
    assert ended.status == 0
    assert "***" in ended.stdout
    assert_hidden({"stdout": ended.stdout}, EXTERNAL_ID)
