"""docs/config.schema.json: current, and of one mind with the program about each key alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sweeper.checks import checks
from sweeper.config import json_schema as config_schema
from sweeper.config.loader import load
from sweeper.config.schema import Config
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.reasons import ACCEPTABLE_REASONS
from tests.cases import case
from tests.config.test_loader import REFUSED
from tests.rendering import formats

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "config.schema.json"
ID = "123456789012"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published, format_checker=Draft202012Validator.FORMAT_CHECKER)


def document(text: str) -> Any:
    """What an editor makes of the YAML: a date is text to it."""
    return json.loads(json.dumps(yaml.safe_load(text), default=date.isoformat))


def schema_now() -> dict[str, Any]:
    return config_schema.schema(checks(), formats())


def keys(node: Any, definitions: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the schema, with what the schema says of it."""
    for name, value in node["properties"].items():
        yield f"{prefix}{name}", value
        for inner in config_schema._definitions(value):
            yield from keys(definitions[inner], definitions, f"{prefix}{name}.")


def test_the_published_schema_is_current() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == schema_now(), "run: make schema"


def test_every_key_is_described_and_no_other() -> None:
    schema = schema_now()
    described = dict(keys(schema, schema["$defs"]))
    assert [key for key, value in described.items() if not value.get("description")] == []
    assert [key for key in config_schema._DESCRIPTIONS if key not in described] == []
    assert {key for key in described if "." not in key} == set(Config.model_fields)


def test_no_object_has_keys_beyond_those() -> None:
    schema = schema_now()
    objects = (schema, *schema["$defs"].values())
    assert all(each["additionalProperties"] is False for each in objects)


def test_the_example_names_it_and_is_one(validator: Draft202012Validator) -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first == "# yaml-language-server: $schema=docs/config.schema.json"
    assert (ROOT / first.partition("$schema=")[2]) == PUBLISHED
    validator.validate(document(text))


def test_its_defaults_are_the_programs() -> None:
    schema = schema_now()
    described = keys(schema, schema["$defs"])
    stated = {key: value["default"] for key, value in described if "default" in value}
    for key, default in stated.items():
        section, _, name = key.partition(".")
        if "." not in name and section not in ("coverage", "exemptions"):
            values = Config().model_dump(mode="json")[section]
            assert default == values[name], key


def test_the_example_has_every_key_with_its_default() -> None:
    example = document((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert example == Config().model_dump(mode="json")


def test_what_is_listed_is_what_there_is() -> None:
    schema = schema_now()
    listed = dict(keys(schema, schema["$defs"]))
    assert listed["report.formats"]["items"]["anyOf"][0]["enum"] == sorted(formats())
    assert listed["coverage.accept.reason"]["enum"] == list(ACCEPTABLE_REASONS)


def test_what_the_program_takes_is_valid(validator: Draft202012Validator) -> None:
    for text in [
        "{}",
        "report:\norganization:\nexemptions:",
        f"organization: {{include_accounts: ['{ID}'], role_name: path/to/role, sts_region: null}}",
        "organization: {include_ous: [r-ab12, ou-ab12-11111111], include_tags: {env: [a, b]}}",
        "regions: {include: [eu-central-1, us-gov-west-1]}",
        "coverage: {accept: [{reason: denied_by_scp, region: 'ap-*'}]}",
        "coverage: {accept: [{reason: denied_by_scp, account: ['123456789012'], region: [a-b-1]}]}",
        "policy: {allowed_exclusions: [latest, 'v*', 'a*b*']}",
        "exemptions: [{repository: 'a/*', reason: why, expires: 2027-01-31}]",
        "exemptions: [{repository: a, reason: ' x', expires: never, account: '12*', region: '*'}]",
        "remediation: {exclusions_by_repository: {'a/*': [a, b, c, d, e], 'b-?': []}}",
        "remediation: {exclusions: [a, b, c, d, e], max_changes: 0, min_coverage: 1}",
        "report: {s3: {bucket: abc}, sns_topic_arn: null, directory: out, formats: [html]}",
        "report: {sns_topic_arn: 'arn:aws-cn:sns:cn-north-1:123456789012:a.fifo'}",
        "report: {security_hub: {region: eu-west-1}, account_tags: [owner]}",
        "limits: {deadline_seconds: 0.5, max_workers: 1024, http_sender: botocore}",
        "limits: {processes: auto}",
        "limits: {processes: 64}",
    ]:
        with case(text):
            Path("config.yaml").write_text(text, encoding="utf-8")
            load()
            validator.validate(document(text))


# Beyond what tests/config/test_loader.py has refused.
REFUSED_TOO = (
    ("report: {formats: [Json]}", "report.formats.0"),
    ("organization: {include_accounts: ['١٢٣٤٥٦٧٨٩٠١٢']}", "organization.include_accounts.0"),
    ("organization: {role_name: 'a b'}", "organization.role_name"),
    ("organization: {role_name: 'arn:aws:iam::111122223333:role/a'}", "organization.role_name"),
    ("organization: {role_name: 'rôle'}", "organization.role_name"),
    ("organization: {external_id: a}", "organization.external_id"),
    ("policy: {allowed_exclusions: ['**']}", "policy.allowed_exclusions.0"),
    ("exemptions: {repository: a}", "exemptions"),
    ("limits: {max_workers: 1025}", "limits.max_workers"),
    ("limits: {processes: 65}", "limits.processes"),
    ("limits: {processes: many}", "limits.processes"),
    ("limits: {delivery_seconds: -1}", "limits.delivery_seconds"),
    ("distributed: {accounts_per_shard: 0}", "distributed.accounts_per_shard"),
    ("distributed: {accounts_per_shard: many}", "distributed.accounts_per_shard"),
)


# What an editor does not tell: JSON has neither times nor nan.
NOT_TOLD = ("expires: 2027-01-31T10:00:00", "min_coverage: .nan")


def test_what_the_program_refuses_is_not(validator: Draft202012Validator) -> None:
    for text, key in (*REFUSED, *REFUSED_TOO):
        with case(text):
            Path("config.yaml").write_text(text, encoding="utf-8")
            with pytest.raises(ConfigurationError):
                load()
            found = {each for error in validator.iter_errors(document(text)) for each in at(error)}
            place = key.replace("[", ".").replace("]", "")
            # A key that is unknown, or missing, is an error of what holds it.
            is_told = bool(found & {place, place.rpartition(".")[0]})
            assert is_told is not any(each in text for each in NOT_TOLD)


def at(error: Any) -> Iterator[str]:
    """Where it is wrong, in every alternative."""
    yield ".".join(map(str, error.absolute_path))
    for inner in error.context or ():
        yield from at(inner)
