"""config.yaml, the environment, the options; a refusal says where, which key, what is allowed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sweeper.config.loader import load
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.reasons import ACCEPTABLE_REASONS, Reason
from tests.cases import case
from tests.golden import assert_golden, sections

ID = "123456789012"
ARN = "arn:aws:sns:eu-central-1:123456789012:news"
Environment = pytest.MonkeyPatch


def write(text: str, name: str = "config.yaml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def refusal(path: str | None = None, options: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(path, options)
    return str(caught.value)


def test_without_a_file_everything_is_the_default() -> None:
    config = load().config
    assert config.model_dump(exclude_defaults=True) == {}
    assert config.remediation.auto_remediate == "ENABLED"
    assert config.limits.max_workers == 64


def test_an_empty_file_or_section_means_the_defaults() -> None:
    for text in ["", "# nothing\n", "report:\n", "organization:\nremediation:\n", "{}"]:
        with case(text):
            write(text)
            assert load().config.model_dump(exclude_defaults=True) == {}


def test_the_file_is_the_argument_then_the_variable_then_the_default(
    monkeypatch: Environment,
) -> None:
    for number, name in enumerate(("a.yaml", "b.yaml", "config.yaml"), start=1):
        write(f"limits: {{max_workers: {number}}}", name)
    assert load().config.limits.max_workers == 3
    monkeypatch.setenv("SWEEPER_CONFIG", "b.yaml")
    assert load().config.limits.max_workers == 2
    assert load("a.yaml").config.limits.max_workers == 1


# What is refused by itself, and the key that the refusal names.
TOPIC = "arn:aws:sns:eu-west-1:111111111111:news"
BUS = "arn:aws:events:eu-west-1:111111111111:event-bus/findings"
REFUSED = (
    ("remdiation: {}", "remdiation"),
    ("nothing_like_it: 1", "nothing_like_it"),
    ("report: {s3: {bucket: abc, prefx: x}}", "report.s3.prefx"),
    ("remediation: {auto_remedate: DISABLED}", "remediation.auto_remedate"),
    ("exemptions: [{repository: a, reason: b, expires: never, until: 1}]", "exemptions[0].until"),
    ("checks: []", "checks"),
    ("checks: [ECR]", "checks[0]"),
    ("organization: {include_accounts: ['123']}", "organization.include_accounts[0]"),
    (f"organization: {{include_accounts: [{ID}]}}", "organization.include_accounts[0]"),
    ("organization: {exclude_accounts: [012345670123]}", "organization.exclude_accounts[0]"),
    (f"organization: {{include_accounts: {ID}}}", "organization.include_accounts"),
    ("organization: {include_ous: [ou-1]}", "organization.include_ous[0]"),
    ("organization: {include_ous: ''}", "organization.include_ous"),
    ("organization: {include_tags: {env: prod}}", "organization.include_tags.env"),
    ("organization: {include_tags: prod}", "organization.include_tags"),
    ("regions: {include: [moon]}", "regions.include[0]"),
    ("remediation: {exclusions: ['**']}", "remediation.exclusions[0]"),
    ("policy: {allowed_exclusions: ['*']}", "policy.allowed_exclusions[0]"),
    ("policy: {allowed_exclusions: ['*a*b*']}", "policy.allowed_exclusions[0]"),
    ("policy: {allowed_exclusions: ['a b']}", "policy.allowed_exclusions[0]"),
    ("remediation: {exclusions: [a, b, c, d, e, f]}", "remediation.exclusions"),
    (
        "remediation: {exclusions_by_repository: {'a/*': ['**']}}",
        "remediation.exclusions_by_repository.a/*[0]",
    ),
    (
        "remediation: {exclusions_by_repository: {'a/*': [a, b, c, d, e, f]}}",
        "remediation.exclusions_by_repository.a/*",
    ),
    (
        "remediation: {exclusions_by_repository: {'Team A': [latest]}}",
        "remediation.exclusions_by_repository.Team A",
    ),
    ("remediation: {exclusions_by_repository: [latest]}", "remediation.exclusions_by_repository"),
    (
        "remediation: {exclusions_by_repository: {'a/*': null}}",
        "remediation.exclusions_by_repository.a/*",
    ),
    ("remediation: {assess_impact: perhaps}", "remediation.assess_impact"),
    ("exemptions: [{repository: a, reason: b}]", "exemptions[0].expires"),
    (
        "exemptions: [{repository: a, reason: b, expires: never, ous: [ou-1]}]",
        "exemptions[0].ous[0]",
    ),
    (
        "exemptions: [{repository: a, reason: b, expires: never, account_tags: {env: dev}}]",
        "exemptions[0].account_tags.env",
    ),
    ("exemptions: [{repository: a, reason: b, expires: soon}]", "exemptions[0].expires"),
    (
        "exemptions: [{repository: a, reason: b, expires: 2027-01-31T10:00:00}]",
        "exemptions[0].expires",
    ),
    ("exemptions: [{repository: a, reason: ' ', expires: never}]", "exemptions[0].reason"),
    ("exemptions: [{repository: '[a]', reason: b, expires: never}]", "exemptions[0].repository"),
    ("coverage: {accept: [{reason: throttled}]}", "coverage.accept[0].reason"),
    ("coverage: {accept: [{reason: endpoint_unreachable}]}", "coverage.accept[0].region"),
    (
        "coverage: {accept: [{reason: endpoint_unreachable, region: 'ap-*'}]}",
        "coverage.accept[0].region",
    ),
    ("coverage: {accept: null}", "coverage.accept"),
    ("remediation: {auto_remediate: on}", "remediation.auto_remediate"),
    ("remediation: {min_coverage: 1.1}", "remediation.min_coverage"),
    ("remediation: {min_coverage: .nan}", "remediation.min_coverage"),
    ("remediation: {max_changes: -1}", "remediation.max_changes"),
    ("remediation: {max_reopened: 0}", "remediation.max_reopened"),
    ("limits: {max_workers: 0}", "limits.max_workers"),
    ("limits: {processes: 0}", "limits.processes"),
    ("limits: {processes: true}", "limits.processes"),
    ("limits: {http_sender: other}", "limits.http_sender"),
    ("limits: {max_workers: many}", "limits.max_workers"),
    ("limits: {deadline_seconds: 0}", "limits.deadline_seconds"),
    ("report: {formats: []}", "report.formats"),
    ("report: {notify: never}", "report.notify"),
    ("report: {s3: {bucket: B}}", "report.s3.bucket"),
    ("report: {s3: {bucket: abc, kms_key_id: reports}}", "report.s3.kms_key_id"),
    (r'report: {s3: {bucket: abc, prefix: "a\eb"}}', "report.s3.prefix"),
    (r'report: {s3: {bucket: abc, prefix: "a\u202eb"}}', "report.s3.prefix"),
    ("report: {sns_topic_arn: news}", "report.sns_topic_arn"),
    ("report: {security_hub: {}}", "report.security_hub.region"),
    ("report: {security_hub: {region: moon}}", "report.security_hub.region"),
    ("report: {account_tags: [' ']}", "report.account_tags[0]"),
    ("report: {account_tags: [a, b, c, d, e, f, g, h, i, j, k]}", "report.account_tags"),
    ("report: always", "report"),
    ("remediation: {max_changes: true}", "remediation.max_changes"),
    ("remediation: {min_coverage: true}", "remediation.min_coverage"),
    ("limits: {max_workers: true}", "limits.max_workers"),
    ("limits: {deadline_seconds: true}", "limits.deadline_seconds"),
    ('report: {directory: ""}', "report.directory"),
    ("remediation: {rollout: [{}]}", "remediation.rollout[0].from"),
    ("remediation: {rollout: [{from: soon}]}", "remediation.rollout[0].from"),
    ("remediation: {rollout: [{from: 5}]}", "remediation.rollout[0].from"),
    ("remediation: {rollout: [{start: 2027-01-15}]}", "remediation.rollout[0].from"),
    (
        "remediation: {rollout: [{from: 2027-01-15, include_ous: [x]}]}",
        "remediation.rollout[0].include_ous[0]",
    ),
    ("remediation: {rollout: 5}", "remediation.rollout"),
    ("remediation: {grace_days: -1}", "remediation.grace_days"),
    ("remediation: {grace_days: 367}", "remediation.grace_days"),
    ("remediation: {max_changes_per_account: -1}", "remediation.max_changes_per_account"),
    ("remediation: {root_template_applied_for: [PUSH]}", "remediation.root_template_applied_for"),
)


# Keys that contradict each other.
CONTRADICTIONS = (
    ("report: {notify: on_change}", "report"),
    ("report: {event_bus: default, directory: out}", "report.event_bus"),
    (f"report: {{event_bus: '{BUS}'}}", "report"),
    (f"report: {{chat_topic_arn: '{TOPIC}.fifo/x'}}", "report.chat_topic_arn"),
    (f"report: {{chat_topic_arn: '{TOPIC}', sns_topic_arn: '{TOPIC}'}}", "report"),
    (f"report: {{owner_tag: team, sns_topic_arn: '{TOPIC}'}}", "report"),
    ("report: {owner_tag: team, account_tags: [team]}", "report"),
    ("report: {owner_tag: ' '}", "report.owner_tag"),
    ("inventory: {config_aggregator: {name: all}}", "inventory.config_aggregator.region"),
    (
        "inventory: {config_aggregator: {name: 'arn:aws:config:x', region: eu-west-1}}",
        "inventory.config_aggregator.name",
    ),
    (
        "inventory: {config_aggregator: {name: all, region: moon}}",
        "inventory.config_aggregator.region",
    ),
    (
        "{organization: {role_name: null}, exemptions: "
        "[{repository: a, reason: b, expires: never, ous: [r-ab12]}]}",
        "exemptions: ous",
    ),
    (
        "{organization: {enumerate: false, include_accounts: ['111122223333']}, exemptions: "
        "[{repository: a, reason: b, expires: never, account_tags: {env: [dev]}}]}",
        "exemptions: account_tags",
    ),
    ("remediation: {checks: [ecr-tag-immutability, other]}", "remediation.checks"),
    ("organization: {enumerate: false}", "organization"),
    ("organization: {enumerate: false, include_tags: {env: [prod]}}", "organization"),
    (f"organization: {{role_name: null, exclude_accounts: ['{ID}']}}", "organization"),
    (
        "organization: {role_name: null}\nremediation: {include_ous: [r-ab12]}",
        "remediation.include_ous",
    ),
    (
        f"organization: {{enumerate: false, include_accounts: ['{ID}']}}\n"
        "report: {account_tags: [owner]}",
        "report.account_tags",
    ),
    ("regions: {include: [eu-west-1], exclude: [eu-west-1]}", "regions"),
    ("remediation: {grace_days: 3}", "remediation.grace_days"),
    (
        "{remediation: {grace_days: 3}, report: {directory: out, formats: [csv]}}",
        "remediation.grace_days",
    ),
    (
        "organization: {role_name: null}\nremediation: {rollout: [{from: 2027-01-15, include_ous: "
        "[r-ab12]}]}",
        "remediation.rollout: include_ous",
    ),
    (
        "remediation: {root_template_applied_for: [PULL_THROUGH_CACHE]}",
        "remediation.root_template_applied_for",
    ),
)
# No YAML, or not this kind of it, and the place where the refusal names one.
NOT_YAML = (
    ("exemptions: [{repository: a, reason: b, expires: 2027-02-30}]", "line 1, column 50"),
    ("a: [", "line 1, column 5"),
    ("report: {}\nreport: {}", "line 2, column 1"),
    ("report: {notify: always, notify: always}", "line 1, column 26"),
    ("1: 2", "line 1, column 1"),
    ("- report", ""),
    ("report: !!python/object:os.system {}", "line 1, column 9"),
    ("report: \x01", ""),
)


def test_a_bad_file_is_refused() -> None:
    told = {}
    for text, key in (*REFUSED, *CONTRADICTIONS):
        with case(text):
            write(text)
            told[text] = refusal()
            assert told[text].startswith(f"config.yaml: {key}")
    assert_golden("refusals.config.txt", sections(told))


def test_what_is_not_yaml_is_refused() -> None:
    for text, place in NOT_YAML:
        with case(text):
            write(text)
            assert refusal().startswith(f"config.yaml: {place}")


def test_only_lasting_conditions_can_be_accepted() -> None:
    for reason in list(Reason):
        with case(reason):
            write(f"coverage: {{accept: [{{reason: {reason}, region: ap-south-1}}]}}")
            if reason in ACCEPTABLE_REASONS:
                assert load().config.coverage.accept[0].reason is reason
            else:
                assert refusal().startswith("config.yaml: coverage.accept[0].reason: ")


KMS = f"arn:aws:kms:eu-central-1:{ID}:"


def test_a_key_is_named_as_s3_takes_it() -> None:
    for key in [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        f"{KMS}key/1234abcd-12ab-34cd-56ef-1234567890ab",
        f"arn:aws-us-gov:kms:us-gov-west-1:{ID}:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/reports",
        "alias/aws/s3",
        f"{KMS}alias/team_a/reports-1",
    ]:
        with case(key):
            write(f"report: {{s3: {{bucket: abc, kms_key_id: '{key}'}}}}")
            s3 = load().config.report.s3
            assert s3 is not None
            assert s3.kms_key_id == key


def test_what_names_no_key_is_refused() -> None:
    for key in [
        "arn:",
        "arn:aws",
        "arn:aws:kms",
        KMS,
        f"{KMS}key/",
        f"{KMS}alias/",
        f"{KMS}1234abcd-12ab-34cd-56ef-1234567890ab",
        f"arn:aws:kms::{ID}:key/1",
        f"arn:aws:s3:eu-central-1:{ID}:key/1",
        "alias/",
        "key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "1234abcd-12ab-34cd-56ef-1234567890a",
        "alias/reports ",
    ]:
        with case(key):
            write(f"report: {{s3: {{bucket: abc, kms_key_id: '{key}'}}}}")
            assert f"report.s3.kms_key_id: {key!r} " in refusal()


def test_every_problem_is_told_at_once() -> None:
    write("limits: {max_workers: 0}\nregions: {include: [moon]}\nnope: 1")
    assert len(refusal().splitlines()) == 3


def test_what_cannot_be_read_is_refused_by_its_name() -> None:
    Path("directory.yaml").mkdir()
    Path("bytes.yaml").write_bytes(b"a: \xff")
    Path("link.yaml").symlink_to("elsewhere.yaml")
    write("a: " + "[" * 1000, "deep.yaml")
    names = ("missing.yaml", "directory.yaml", "bytes.yaml", "link.yaml", "deep.yaml")
    told = {name: refusal(name) for name in names}
    for name, text in told.items():
        assert text.startswith(f"{name}: ")
    assert_golden("refusals.files.txt", sections(told))
    Path("config.yaml").symlink_to("elsewhere.yaml")  # which leads nowhere, and is no default
    assert refusal().startswith("config.yaml: ")


def test_options_override_the_environment_which_overrides_the_file(
    monkeypatch: Environment,
) -> None:
    write("limits: {max_workers: 1, deadline_seconds: 1}\nreport: {notify: always}")
    monkeypatch.setenv("SWEEPER_LIMITS__MAX_WORKERS", "2")
    monkeypatch.setenv("SWEEPER_LIMITS__DEADLINE_SECONDS", "2")
    config = load(options={"limits": {"max_workers": 3}}).config
    assert (config.limits.max_workers, config.limits.deadline_seconds) == (3, 2.0)
    assert config.report.notify == "always"


def test_variables(monkeypatch: Environment) -> None:
    cases: list[tuple[str, str, str, object]] = [
        ("ORGANIZATION__INCLUDE_ACCOUNTS", f"{ID}, {ID[::-1]},", "organization", (ID, ID[::-1])),
        ("ORGANIZATION__INCLUDE_ACCOUNTS", f'["{ID}"]', "organization", (ID,)),
        ("ORGANIZATION__INCLUDE_ACCOUNTS", "[]", "organization", ()),
        ("ORGANIZATION__INCLUDE_TAGS", '{"env": ["prod"]}', "organization", {"env": ("prod",)}),
        ("ORGANIZATION__ROLE_NAME", "null", "organization", None),
        ("ORGANIZATION__ENUMERATE", "true", "organization", True),
        ("REGIONS__EXCLUDE", "eu-west-1,eu-west-2", "regions", ("eu-west-1", "eu-west-2")),
        ("REMEDIATION__AUTO_REMEDIATE", "DISABLED", "remediation", "DISABLED"),
        ("REPORT__DIRECTORY", "out", "report", Path("out")),
        ("REPORT__ACCOUNT_TAGS", "owner,cost-center", "report", ("owner", "cost-center")),
        ("LIMITS__DEADLINE_SECONDS", "null", "limits", None),
        ("LIMITS__PROCESSES", "2", "limits", 2),
        ("LIMITS__PROCESSES", "auto", "limits", "auto"),
    ]
    for variable, text, section, expected in cases:
        with case(variable, text), monkeypatch.context() as patch:
            patch.setenv(f"SWEEPER_{variable}", text)
            key = variable.split("__")[1].lower()
            assert getattr(getattr(load().config, section), key) == expected


def test_the_checks_as_variables(monkeypatch: Environment) -> None:
    monkeypatch.setenv("SWEEPER_CHECKS", "ecr-tag-immutability, other")
    monkeypatch.setenv("SWEEPER_REMEDIATION__CHECKS", '["other"]')
    config = load().config
    assert config.checks == ("ecr-tag-immutability", "other")
    assert config.remediation.checks == ("other",)


def test_where_nothing_is_said_of_it_only_what_runs_may_write() -> None:
    write("checks: [other]")
    assert load().config.checks == ("other",)


def test_variables_of_lists_and_of_optional_sections(monkeypatch: Environment) -> None:
    monkeypatch.setenv("SWEEPER_REPORT__S3__BUCKET", "bucket")
    monkeypatch.setenv("SWEEPER_REPORT__S3__PREFIX", "/a/b/")
    monkeypatch.setenv("SWEEPER_REPORT__SECURITY_HUB__REGION", "eu-west-1")
    rule = '{"repository": "a", "reason": "b", "expires": "2027-01-31"}'
    monkeypatch.setenv("SWEEPER_EXEMPTIONS", f"[{rule}]")
    config = load().config
    assert config.report.s3 is not None
    assert (config.report.s3.bucket, config.report.s3.prefix) == ("bucket", "a/b")
    assert config.report.security_hub is not None
    assert config.report.security_hub.region == "eu-west-1"
    assert config.exemptions[0].expires == date(2027, 1, 31)


def test_a_bad_variable_is_refused(monkeypatch: Environment) -> None:
    told = {}
    for variable, text in (
        ("SWEEPER_REMEDIATION__AUTO_REMEDATE", "DISABLED"),
        ("SWEEPER_REMEDIATION", '{"auto_remediate": "DISABLED"}'),
        ("SWEEPER_QQQQQQQQQQQQ", "x"),
        ("sweeper_remediation__auto_remediate", "DISABLED"),
        ("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "disabled"),
        ("SWEEPER_REMEDIATION__AUTO_REMEDIATE", ""),
        ("SWEEPER_REMEDIATION__INCLUDE_ACCOUNTS", ""),
        ("SWEEPER_REMEDIATION__INCLUDE_ACCOUNTS", " , "),
        ("SWEEPER_ORGANIZATION__INCLUDE_ACCOUNTS", f"[{ID}]"),
        ("SWEEPER_EXEMPTIONS", '[{"repository": "a", "reason": "b"}]'),
        ("SWEEPER_LIMITS__MAX_WORKERS", "many"),
        ("AUTO_REMEDIATE", "off"),
        ("SNS_TOPIC_ARN", "news"),
        # one that is empty is no default
        ("AUTO_REMEDIATE", ""),
        ("SNS_TOPIC_ARN", ""),
        ("SWEEPER_CONFIG", ""),
        # a metric's dimension
        ("SWEEPER_DEPLOYMENT", "a b"),
        ("SWEEPER_DEPLOYMENT", ""),
    ):
        with case(variable, text), monkeypatch.context() as patch:
            patch.setenv(variable, text)
            message = told[f"{variable}={text}"] = refusal()
            assert message.startswith(f"environment: {variable}")
    assert_golden("refusals.environment.txt", sections(told))
    monkeypatch.setenv("SWEEPER_ORGANIZATION__INCLUDE_ACCOUNTS", '["1')  # no JSON
    assert refusal().startswith("environment: SWEEPER_ORGANIZATION__INCLUDE_ACCOUNTS: ")
    monkeypatch.delenv("SWEEPER_ORGANIZATION__INCLUDE_ACCOUNTS")
    monkeypatch.setenv("SWEEPER_EXEMPTIONS", "[" * 60_000)
    assert refusal().startswith(
        "environment: SWEEPER_EXEMPTIONS: not valid JSON: nested too deeply"
    )


def test_a_bad_option_is_refused_by_its_own_name() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"regions": {"include": ("eu-west-1", "moon")}}, "--region: 'moon' "),
        ({"organization": {"include_accounts": ("12345",)}}, "--account: '12345' "),
        ({"organization": {"within_ous": ("sandbox",)}}, "--ou: 'sandbox' "),
        ({"report": {"directory": ""}}, "--output: "),
        ({"limits": {"max_workers": 0}}, "command line: limits.max_workers: 0 "),
    ]
    told = {}
    for options, named in cases:
        with case(options):
            message = told[named.strip()] = refusal(options=options)
            assert message.startswith(named)
    assert_golden("refusals.options.txt", sections(told))


def test_a_bad_value_elsewhere_is_told_by_its_key() -> None:
    write("organization: {include_accounts: ['1']}")
    told = "config.yaml: organization.include_accounts[0]: '1' "
    assert refusal(options={"regions": {"include": ("eu-west-1",)}}).startswith(told)


def test_a_bad_value_of_the_file_is_not_blamed_on_an_option() -> None:
    write("limits: {max_workers: 0}")
    assert refusal(options={"limits": {"deadline_seconds": 5}}).startswith("config.yaml: limits.")


def test_a_contradiction_between_sections_has_no_key_of_its_own() -> None:
    options = {"organization": {"role_name": None}, "remediation": {"include_ous": ["r-ab12"]}}
    assert refusal(options=options).startswith("configuration: remediation.include_ous ")


def test_only_one_process_stores_evidence() -> None:
    write("report: {evidence: true, directory: out}\nlimits: {processes: 2}")
    assert refusal().startswith("config.yaml: report.evidence: one process stores it")


def test_the_variables_of_the_parent_tool(monkeypatch: Environment) -> None:
    write("remediation: {auto_remediate: ENABLED}")
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    monkeypatch.setenv("SNS_TOPIC_ARN", ARN)
    config = load().config
    assert (config.remediation.auto_remediate, config.report.sns_topic_arn) == ("DISABLED", ARN)
    options = {"remediation": {"auto_remediate": "ENABLED"}}
    assert load(options=options).config.remediation.auto_remediate == "ENABLED"


def test_an_empty_file_name_is_no_default() -> None:
    write("remediation: {auto_remediate: DISABLED}")
    assert refusal("").startswith("command line: --config ")


def test_both_spellings_must_agree(monkeypatch: Environment) -> None:
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    monkeypatch.setenv("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "DISABLED")
    assert load().config.remediation.auto_remediate == "DISABLED"
    monkeypatch.setenv("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "ENABLED")
    for variable in ("environment: AUTO_REMEDIATE ", " SWEEPER_REMEDIATION__AUTO_REMEDIATE "):
        assert variable in refusal()


def test_what_is_named_twice_counts_once() -> None:
    write("regions: {include: [eu-west-1, eu-west-1]}\nreport: {formats: [json, json]}")
    config = load().config
    assert config.regions.include == ("eu-west-1",)
    assert config.report.formats == ("json",)


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().config.limits.max_workers = 1


def test_an_option_against_the_file_is_refused() -> None:
    write("regions: {exclude: [eu-west-1]}")
    message = refusal(options={"regions": {"include": ["eu-west-1"]}})
    assert message.startswith("command line: regions: eu-west-1: ")


def test_a_bad_section_of_the_file_is_not_blamed_on_what_would_go_over_it(
    monkeypatch: Environment,
) -> None:
    write("report: always")
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "always")
    message = refusal(options={"report": {"directory": "out"}})
    assert message.startswith("config.yaml: report: 'always' ")


def test_an_empty_section_gives_way(monkeypatch: Environment) -> None:
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "always")
    monkeypatch.setenv("SWEEPER_EXEMPTIONS", "[]")
    for section in ("report", "exemptions"):
        with case(section):
            write(f"{section}:")
            assert load().config.report.notify == "always"


# --- where it came from ---------------------------------------------------------------------------


def test_every_value_knows_where_it_came_from(monkeypatch: Environment) -> None:
    write(
        "organization: {include_tags: {env: [prod]}, exclude_tags: {}}\n"
        "limits: {max_workers: 1, deadline_seconds: 5}\n"
        "report: {s3: null, notify: always}"
    )
    monkeypatch.setenv("SWEEPER_LIMITS__MAX_WORKERS", "2")
    monkeypatch.setenv("SWEEPER_REPORT__S3__BUCKET", "bucket")
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "when_needed")
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    loaded = load(options={"report": {"notify": "always"}})
    assert loaded.file == "config.yaml"
    assert loaded.config.report.s3 is not None
    expected = {
        ("organization", "include_tags"): "file: config.yaml",
        ("organization", "exclude_tags"): "file: config.yaml",
        ("organization", "role_name"): None,
        ("limits", "max_workers"): "environment: SWEEPER_LIMITS__MAX_WORKERS",
        ("limits", "deadline_seconds"): "file: config.yaml",
        ("limits", "http_sender"): None,
        ("remediation", "auto_remediate"): "environment: AUTO_REMEDIATE",
        ("report", "s3", "bucket"): "environment: SWEEPER_REPORT__S3__BUCKET",
        ("report", "s3", "prefix"): None,
        ("report", "notify"): "command line",
    }
    origins = {key: loaded.layers.origin(key) for key in expected}
    assert {key: str(each) if each else None for key, each in origins.items()} == expected


def test_a_variable_takes_the_place_of_a_whole_mapping(monkeypatch: Environment) -> None:
    write("organization: {include_tags: {env: [prod], team: [a]}}")
    monkeypatch.setenv("SWEEPER_ORGANIZATION__INCLUDE_TAGS", '{"env": ["test"]}')
    loaded = load()
    assert loaded.config.organization.include_tags == {"env": ("test",)}
    assert str(loaded.layers.origin(("organization", "include_tags"))).startswith("environment: ")
    monkeypatch.setenv("SWEEPER_ORGANIZATION__INCLUDE_TAGS", '{"env": "test"}')
    assert refusal().startswith("environment: SWEEPER_ORGANIZATION__INCLUDE_TAGS: 'test' ")


def test_a_home_directory_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "config.yaml"
    file.write_text("report: {directory: ~/reports}")
    assert load(str(file)).config.report.directory == tmp_path / "reports"
