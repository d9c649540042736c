"""config.yaml, the environment, the options; a refusal says where, which key, what is allowed."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sweeper.config_loading import load, load_config
from sweeper.errors import ConfigurationError
from sweeper.model import ACCEPTABLE_REASONS, Reason

ID = "123456789012"
ARN = "arn:aws:sns:eu-central-1:123456789012:news"
Environment = pytest.MonkeyPatch


def write(text: str, name: str = "config.yaml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def refusal(path: str | None = None, options: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, options)
    return str(caught.value)


def test_without_a_file_everything_is_the_default() -> None:
    config = load_config()
    assert config.model_dump(exclude_defaults=True) == {}
    assert config.remediation.auto_remediate == "ENABLED"
    assert config.limits.max_workers == 64


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "report:\n", "organization:\nremediation:\n", "{}"]
)
def test_an_empty_file_or_section_means_the_defaults(text: str) -> None:
    write(text)
    assert load_config().model_dump(exclude_defaults=True) == {}


def test_the_file_is_the_argument_then_the_variable_then_the_default(
    monkeypatch: Environment,
) -> None:
    for number, name in enumerate(("a.yaml", "b.yaml", "config.yaml"), start=1):
        write(f"limits: {{max_workers: {number}}}", name)
    assert load_config().limits.max_workers == 3
    monkeypatch.setenv("SWEEPER_CONFIG", "b.yaml")
    assert load_config().limits.max_workers == 2
    assert load_config("a.yaml").limits.max_workers == 1


@pytest.mark.parametrize(
    ("text", "names"),
    [
        # unknown keys
        ("remdiation: {}", ("remdiation: unknown key", "did you mean 'remediation'?")),
        ("nothing_like_it: 1", ("unknown key; allowed here: checks, organization, regions",)),
        ("report: {s3: {bucket: abc, prefx: x}}", ("report.s3.prefx", "'prefix'?", "kms_key_id")),
        (
            "remediation: {auto_remedate: DISABLED}",
            ("remediation.auto_remedate", "allowed here: auto_remediate, checks, include_ous"),
        ),
        (
            "exemptions: [{repository: a, reason: b, expires: never, until: 1}]",
            ("exemptions[0].until", "allowed here: account, region, repository"),
        ),
        # checks
        ("checks: []", ("checks", "at least 1")),
        ("checks: [ECR]", ("checks[0]", "'ECR'", "allowed: a check's name")),
        (
            "remediation: {checks: [ecr-tag-immutability, other]}",
            (
                "remediation.checks: other: not among the checks that run",
                "allowed: ecr-tag-immutability",
            ),
        ),
        # accounts, regions, OUs
        ("organization: {include_accounts: ['123']}", ("include_accounts[0]", "12 digits")),
        (f"organization: {{include_accounts: [{ID}]}}", (ID, "not quoted")),
        ("organization: {exclude_accounts: [012345670123]}", ("[0]", "not quoted")),
        (f"organization: {{include_accounts: {ID}}}", ("include_accounts", "allowed: a list")),
        ("organization: {include_ous: [ou-1]}", ("include_ous[0]", "allowed: an OU id")),
        ("organization: {include_ous: ''}", ("include_ous", "empty text", "[] for none")),
        ("organization: {include_tags: {env: prod}}", ("include_tags.env", "allowed: a list")),
        ("organization: {include_tags: prod}", ("include_tags", "allowed: a mapping")),
        ("regions: {include: [moon]}", ("regions.include[0]", "'moon'", "eu-central-1")),
        ("organization: {enumerate: false}", ("organization", "needs include_accounts")),
        (
            "organization: {enumerate: false, include_tags: {env: [prod]}}",
            ("include_tags cannot be used with enumerate: false",),
        ),
        (
            f"organization: {{role_name: null, exclude_accounts: ['{ID}']}}",
            ("role_name null looks at the caller's own account only",),
        ),
        (
            "organization: {role_name: null}\nremediation: {include_ous: [r-ab12]}",
            ("remediation.include_ous needs Organizations",),
        ),
        # filters
        ("remediation: {exclusions: ['**']}", ("exclusions[0]", "matches every tag")),
        ("policy: {allowed_exclusions: ['*']}", ("allowed_exclusions[0]", "matches every tag")),
        ("policy: {allowed_exclusions: ['*a*b*']}", ("more than 2 '*'",)),
        ("policy: {allowed_exclusions: ['a b']}", ("allowed_exclusions[0]", "1 to 128 of")),
        ("remediation: {exclusions: [a, b, c, d, e, f]}", ("exclusions", "at most 5")),
        (
            "remediation: {exclusions_by_repository: {'a/*': ['**']}}",
            ("exclusions_by_repository.a/*[0]", "matches every tag"),
        ),
        (
            "remediation: {exclusions_by_repository: {'a/*': [a, b, c, d, e, f]}}",
            ("exclusions_by_repository.a/*", "at most 5"),
        ),
        (
            "remediation: {exclusions_by_repository: {'Team A': [latest]}}",
            ("exclusions_by_repository.Team A", "'Team A' is not allowed", "with * and ?"),
        ),
        (
            "remediation: {exclusions_by_repository: [latest]}",
            ("exclusions_by_repository", "allowed: a mapping"),
        ),
        (
            "remediation: {exclusions_by_repository: {'a/*': null}}",
            ("exclusions_by_repository.a/*", "allowed: a list"),
        ),
        ("remediation: {assess_impact: perhaps}", ("remediation.assess_impact", "'perhaps'")),
        # exemptions
        (
            "exemptions: [{repository: a, reason: b}]",
            ("exemptions[0].expires", "missing", "required here: repository, reason, expires"),
        ),
        (
            "exemptions: [{repository: a, reason: b, expires: soon}]",
            ("exemptions[0].expires", "'soon'", "a date such as 2027-01-31, or never"),
        ),
        (
            "exemptions: [{repository: a, reason: b, expires: 2027-01-31T10:00:00}]",
            ("exemptions[0].expires", "or never"),
        ),
        (
            "exemptions: [{repository: a, reason: b, expires: 2027-02-30}]",
            ("line 1", "2027-02-30: day"),
        ),
        (
            "exemptions: [{repository: a, reason: ' ', expires: never}]",
            ("exemptions[0].reason", "not empty"),
        ),
        ("exemptions: [{repository: '[a]', reason: b, expires: never}]", ("with * and ?",)),
        # the rest
        ("coverage: {accept: [{reason: throttled}]}", ("accept[0].reason", "denied_by_scp")),
        ("coverage: {accept: null}", ("coverage.accept", "allowed: a list")),
        ("remediation: {auto_remediate: on}", ("auto_remediate", "'ENABLED' or 'DISABLED'")),
        ("remediation: {min_coverage: 1.1}", ("min_coverage", "less than or equal to 1")),
        ("remediation: {min_coverage: .nan}", ("remediation.min_coverage",)),
        ("remediation: {max_changes: -1}", ("max_changes", "greater than or equal to 0")),
        ("limits: {max_workers: 0}", ("limits.max_workers", "greater than or equal to 1")),
        ("limits: {http_sender: other}", ("limits.http_sender", "'other'", "own", "botocore")),
        ("limits: {max_workers: many}", ("limits.max_workers", "'many'", "integer")),
        ("limits: {deadline_seconds: 0}", ("limits.deadline_seconds", "greater than 0")),
        ("report: {formats: []}", ("report.formats", "at least 1")),
        ("report: {notify: never}", ("report.notify", "'when_needed' or 'always'")),
        ("report: {s3: {bucket: B}}", ("report.s3.bucket", "3 to 63")),
        (
            "report: {s3: {bucket: abc, kms_key_id: reports}}",
            ("report.s3.kms_key_id: 'reports' is not allowed", "allowed: a KMS key's id", "alias/"),
        ),
        ("report: {sns_topic_arn: news}", ("report.sns_topic_arn", "an SNS topic's ARN")),
        ("report: {security_hub: {}}", ("report.security_hub.region", "missing")),
        ("report: {security_hub: {region: moon}}", ("security_hub.region", "eu-central-1")),
        ("report: {account_tags: [' ']}", ("report.account_tags[0]", "1 to 128 characters")),
        (
            "report: {account_tags: [a, b, c, d, e, f, g, h, i, j, k]}",
            ("account_tags", "at most 10"),
        ),
        (
            f"organization: {{enumerate: false, include_accounts: ['{ID}']}}\n"
            "report: {account_tags: [owner]}",
            ("report.account_tags needs Organizations",),
        ),
        ("report: always", ("report", "'always'", "allowed: a mapping")),
        # not YAML, or not this kind of YAML
        ("a: [", ("line 1, column 5", "not valid YAML")),
        ("report: {}\nreport: {}", ("line 2, column 1", "'report' stands twice")),
        ("report: {notify: always, notify: always}", ("'notify' stands twice",)),
        ("1: 2", ("key 1 is not text",)),
        ("- report", ("a mapping of keys is expected",)),
        ("report: !!python/object:os.system {}", ("not valid YAML",)),
        ("report: \x01", ("not valid YAML", "special characters")),
    ],
)
def test_a_bad_file_is_refused(text: str, names: tuple[str, ...]) -> None:
    write(text)
    message = refusal()
    assert message.startswith("config.yaml: ")
    for name in names:
        assert name in message


@pytest.mark.parametrize("reason", list(Reason))
def test_only_lasting_conditions_can_be_accepted(reason: Reason) -> None:
    write(f"coverage: {{accept: [{{reason: {reason}, region: 'ap-*'}}]}}")
    if reason in ACCEPTABLE_REASONS:
        assert load_config().coverage.accept[0].reason is reason
    else:
        assert "cannot be accepted in advance; allowed: assume_role_denied" in refusal()


KMS = f"arn:aws:kms:eu-central-1:{ID}:"


@pytest.mark.parametrize(
    "key",
    [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        f"{KMS}key/1234abcd-12ab-34cd-56ef-1234567890ab",
        f"arn:aws-us-gov:kms:us-gov-west-1:{ID}:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/reports",
        "alias/aws/s3",
        f"{KMS}alias/team_a/reports-1",
    ],
)
def test_a_key_is_named_as_s3_takes_it(key: str) -> None:
    write(f"report: {{s3: {{bucket: abc, kms_key_id: '{key}'}}}}")
    s3 = load_config().report.s3
    assert s3 is not None
    assert s3.kms_key_id == key


@pytest.mark.parametrize(
    "key",
    [
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
    ],
)
def test_what_names_no_key_is_refused(key: str) -> None:
    write(f"report: {{s3: {{bucket: abc, kms_key_id: '{key}'}}}}")
    assert f"report.s3.kms_key_id: {key!r} is not allowed; allowed: " in refusal()


def test_every_problem_is_told_at_once() -> None:
    write("limits: {max_workers: 0}\nregions: {include: [moon]}\nnope: 1")
    assert len(refusal().splitlines()) == 3


def test_a_missing_file() -> None:
    assert refusal("other.yaml") == "other.yaml: cannot be read: No such file or directory"


def test_a_directory_is_not_a_file() -> None:
    Path("config.yaml").mkdir()
    assert refusal() == "config.yaml: cannot be read: Is a directory"


def test_a_file_that_is_not_utf8() -> None:
    Path("config.yaml").write_bytes(b"a: \xff")
    assert refusal() == "config.yaml: not UTF-8 text: byte 3"


def test_options_override_the_environment_which_overrides_the_file(
    monkeypatch: Environment,
) -> None:
    write("limits: {max_workers: 1, deadline_seconds: 1}\nreport: {notify: always}")
    monkeypatch.setenv("SWEEPER_LIMITS__MAX_WORKERS", "2")
    monkeypatch.setenv("SWEEPER_LIMITS__DEADLINE_SECONDS", "2")
    config = load_config(options={"limits": {"max_workers": 3}})
    assert (config.limits.max_workers, config.limits.deadline_seconds) == (3, 2.0)
    assert config.report.notify == "always"


@pytest.mark.parametrize(
    ("variable", "text", "section", "expected"),
    [
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
    ],
)
def test_variables(
    variable: str, text: str, section: str, expected: object, monkeypatch: Environment
) -> None:
    monkeypatch.setenv(f"SWEEPER_{variable}", text)
    key = variable.split("__")[1].lower()
    assert getattr(getattr(load_config(), section), key) == expected


def test_the_checks_as_variables(monkeypatch: Environment) -> None:
    monkeypatch.setenv("SWEEPER_CHECKS", "ecr-tag-immutability, other")
    monkeypatch.setenv("SWEEPER_REMEDIATION__CHECKS", '["other"]')
    config = load_config()
    assert config.checks == ("ecr-tag-immutability", "other")
    assert config.remediation.checks == ("other",)


def test_where_nothing_is_said_of_it_only_what_runs_may_write() -> None:
    write("checks: [other]")
    assert load_config().checks == ("other",)


def test_variables_of_lists_and_of_optional_sections(monkeypatch: Environment) -> None:
    monkeypatch.setenv("SWEEPER_REPORT__S3__BUCKET", "bucket")
    monkeypatch.setenv("SWEEPER_REPORT__S3__PREFIX", "/a/b/")
    monkeypatch.setenv("SWEEPER_REPORT__SECURITY_HUB__REGION", "eu-west-1")
    rule = '{"repository": "a", "reason": "b", "expires": "2027-01-31"}'
    monkeypatch.setenv("SWEEPER_EXEMPTIONS", f"[{rule}]")
    config = load_config()
    assert config.report.s3 is not None
    assert (config.report.s3.bucket, config.report.s3.prefix) == ("bucket", "a/b")
    assert config.report.security_hub is not None
    assert config.report.security_hub.region == "eu-west-1"
    assert config.exemptions[0].expires == date(2027, 1, 31)


@pytest.mark.parametrize(
    ("variable", "text", "names"),
    [
        (
            "SWEEPER_REMEDIATION__AUTO_REMEDATE",
            "DISABLED",
            "did you mean SWEEPER_REMEDIATION__AUTO_",
        ),
        ("SWEEPER_REMEDIATION", '{"auto_remediate": "DISABLED"}', "is not a variable of sweeper"),
        ("SWEEPER_QQQQQQQQQQQQ", "x", "names are like SWEEPER_REPORT__NOTIFY"),
        ("sweeper_remediation__auto_remediate", "DISABLED", "did you mean SWEEPER_REMEDIATION__"),
        ("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "disabled", "'ENABLED' or 'DISABLED'"),
        ("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "", "'ENABLED' or 'DISABLED'"),
        ("SWEEPER_REMEDIATION__INCLUDE_ACCOUNTS", "", "empty text is not allowed"),
        ("SWEEPER_REMEDIATION__INCLUDE_ACCOUNTS", " , ", "empty text is not allowed"),
        ("SWEEPER_ORGANIZATION__INCLUDE_ACCOUNTS", f"[{ID}]", "not quoted"),
        ("SWEEPER_ORGANIZATION__INCLUDE_ACCOUNTS", '["1', "not valid JSON"),
        ("SWEEPER_EXEMPTIONS", '[{"repository": "a", "reason": "b"}]', "missing"),
        ("SWEEPER_LIMITS__MAX_WORKERS", "many", "integer"),
        ("AUTO_REMEDIATE", "off", "'ENABLED' or 'DISABLED'"),
        ("SNS_TOPIC_ARN", "news", "an SNS topic's ARN"),
    ],
)
def test_a_bad_variable_is_refused(
    variable: str, text: str, names: str, monkeypatch: Environment
) -> None:
    monkeypatch.setenv(variable, text)
    message = refusal()
    assert message.startswith(f"environment: {variable}")
    assert names in message


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"regions": {"include": ("eu-west-1", "moon")}}, "--region: 'moon' is not allowed"),
        (
            {"organization": {"include_accounts": ("12345",)}},
            "--account: '12345' is not allowed; allowed: an account id, 12 digits: ",
        ),
        ({"organization": {"within_ous": ("sandbox",)}}, "--ou: 'sandbox' is not allowed"),
        ({"report": {"directory": ""}}, "--output: "),
        ({"limits": {"max_workers": 0}}, "command line: limits.max_workers: 0 is not allowed"),
    ],
)
def test_a_bad_option_is_refused_by_its_own_name(options: dict[str, Any], told: str) -> None:
    message = refusal(options=options)
    assert message.startswith(told)
    assert "in quotes" not in message


def test_a_bad_value_elsewhere_is_told_by_its_key() -> None:
    write("organization: {include_accounts: ['1']}")
    told = "config.yaml: organization.include_accounts[0]: '1' is not allowed"
    assert refusal(options={"regions": {"include": ("eu-west-1",)}}).startswith(told)
    assert "12 digits in quotes" in refusal()


def test_a_bad_value_of_the_file_is_not_blamed_on_an_option() -> None:
    write("limits: {max_workers: 0}")
    assert refusal(options={"limits": {"deadline_seconds": 5}}).startswith("config.yaml: limits.")


def test_a_contradiction_between_sections_has_no_key_of_its_own() -> None:
    options = {"organization": {"role_name": None}, "remediation": {"include_ous": ["r-ab12"]}}
    assert refusal(options=options).startswith("configuration: remediation.include_ous needs")


def test_the_variables_of_the_parent_tool(monkeypatch: Environment) -> None:
    write("remediation: {auto_remediate: ENABLED}")
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    monkeypatch.setenv("SNS_TOPIC_ARN", ARN)
    config = load_config()
    assert (config.remediation.auto_remediate, config.report.sns_topic_arn) == ("DISABLED", ARN)
    options = {"remediation": {"auto_remediate": "ENABLED"}}
    assert load_config(options=options).remediation.auto_remediate == "ENABLED"


@pytest.mark.parametrize("variable", ["AUTO_REMEDIATE", "SNS_TOPIC_ARN", "SWEEPER_CONFIG"])
def test_an_empty_variable_is_no_default(monkeypatch: Environment, variable: str) -> None:
    monkeypatch.setenv(variable, "")
    assert refusal().startswith(f"environment: {variable} is empty; ")


def test_an_empty_file_name_is_no_default() -> None:
    write("remediation: {auto_remediate: DISABLED}")
    with pytest.raises(ConfigurationError, match=r"^command line: --config is empty; "):
        load_config("")


def test_a_link_that_leads_nowhere_is_no_default() -> None:
    Path("config.yaml").symlink_to("elsewhere.yaml")
    assert refusal() == "config.yaml: cannot be read: No such file or directory"


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    write("a: " + "[" * 5000)
    assert refusal() == "config.yaml: nested too deeply"


def test_both_spellings_must_agree(monkeypatch: Environment) -> None:
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    monkeypatch.setenv("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "DISABLED")
    assert load_config().remediation.auto_remediate == "DISABLED"
    monkeypatch.setenv("SWEEPER_REMEDIATION__AUTO_REMEDIATE", "ENABLED")
    assert refusal() == (
        "environment: AUTO_REMEDIATE and SWEEPER_REMEDIATION__AUTO_REMEDIATE "
        "contradict each other; set one of them"
    )


def test_what_is_named_twice_counts_once() -> None:
    write("regions: {include: [eu-west-1, eu-west-1]}\nreport: {formats: [json, json]}")
    config = load_config()
    assert config.regions.include == ("eu-west-1",)
    assert config.report.formats == ("json",)


def test_the_configuration_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config().limits.max_workers = 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("regions: {include: [eu-west-1], exclude: [eu-west-1]}", "eu-west-1: both included and"),
        ("remediation: {max_changes: true}", "True is not allowed; allowed: a number"),
        ("remediation: {min_coverage: true}", "True is not allowed; allowed: a number"),
        ("limits: {max_workers: true}", "True is not allowed; allowed: a number"),
        ("limits: {deadline_seconds: true}", "True is not allowed; allowed: a number"),
        ('report: {directory: ""}', "empty text is not allowed; allowed: a directory's path"),
    ],
)
def test_what_would_be_taken_for_something_else_is_refused(text: str, problem: str) -> None:
    write(text)
    assert problem in refusal()


def test_an_option_against_the_file_is_refused() -> None:
    write("regions: {exclude: [eu-west-1]}")
    message = refusal(options={"regions": {"include": ["eu-west-1"]}})
    assert message == (
        "command line: regions: eu-west-1: both included and excluded; allowed: one of them"
    )


def test_a_bad_section_of_the_file_is_not_blamed_on_what_would_go_over_it(
    monkeypatch: Environment,
) -> None:
    write("report: always")
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "always")
    message = refusal(options={"report": {"directory": "out"}})
    assert message == "config.yaml: report: 'always' is not allowed; allowed: a mapping of keys"


@pytest.mark.parametrize("section", ["report", "exemptions"])
def test_an_empty_section_gives_way(section: str, monkeypatch: Environment) -> None:
    write(f"{section}:")
    monkeypatch.setenv("SWEEPER_REPORT__NOTIFY", "always")
    monkeypatch.setenv("SWEEPER_EXEMPTIONS", "[]")
    assert load_config().report.notify == "always"


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
    assert refusal().startswith("environment: SWEEPER_ORGANIZATION__INCLUDE_TAGS: 'test' is not")
