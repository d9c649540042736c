"""What options narrow, and what a run says of its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeper.config.loader import load
from sweeper.domain.errors import ConfigurationError
from sweeper.domain.report_model import ConfigurationSource
from tests.fakes import account_id

A, B, C = (account_id(number) for number in (1, 2, 3))
OU, OTHER = "ou-ab12-11111111", "ou-ab12-22222222"


def write(text: str) -> None:
    Path("config.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "options", "left"),
    [
        ("{}", {"organization": {"include_accounts": (A,)}}, (A,)),
        (
            f'organization: {{include_accounts: ["{A}", "{B}"]}}',
            {"organization": {"include_accounts": (C, B)}},
            (B,),
        ),
        ("organization: {enumerate: false}", {"organization": {"include_accounts": (A,)}}, (A,)),
    ],
)
def test_accounts_are_those_that_both_name(
    text: str, options: dict[str, Any], left: tuple[str, ...]
) -> None:
    write(text)
    assert load(options=options).config.organization.include_accounts == left


def test_a_variable_of_several_is_narrowed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEPER_REGIONS__INCLUDE", "eu-west-1, us-east-1")
    loaded = load(options={"regions": {"include": ("us-east-1", "us-west-2")}})
    assert loaded.config.regions.include == ("us-east-1",)
    assert loaded.provenance.narrowed_by == ("regions.include", "--region")


def test_ous_of_options_narrow_those_of_the_configuration_by_the_tree() -> None:
    write(f"organization: {{include_ous: [{OU}]}}")
    organization = load(options={"organization": {"within_ous": (OTHER,)}}).config.organization
    assert (organization.include_ous, organization.within_ous) == ((OU,), (OTHER,))


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        (
            f'organization: {{include_accounts: ["{A}"]}}',
            {"organization": {"include_accounts": (B, C)}},
            f"--account: {B}, {C} is not in organization.include_accounts, which it can only "
            f"narrow; allowed: {A}",
        ),
        (
            "regions: {include: [a-a-1, a-a-2, a-a-3, a-a-4, a-a-5, a-a-6]}".replace("a-", "eu-x-"),
            {"regions": {"include": ("us-east-1",)}},
            "and 1 more",
        ),
        # What is narrowed must be good by itself.
        (
            "regions: {include: [moon]}",
            {"regions": {"include": ("us-east-1",)}},
            "config.yaml: regions.include[0]: 'moon' is not allowed",
        ),
        (
            "organization: {enumerate: false}",
            {"organization": {"within_ous": (OU,)}},
            "within_ous cannot be used with enumerate: false",
        ),
    ],
)
def test_nothing_left_is_an_error_and_not_everything(
    text: str, options: dict[str, Any], told: str
) -> None:
    write(text)
    with pytest.raises(ConfigurationError) as caught:
        load(options=options)
    assert told in str(caught.value)


def test_where_a_configuration_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    write("regions: {exclude: [eu-west-1]}")
    monkeypatch.setenv("AUTO_REMEDIATE", "DISABLED")
    monkeypatch.setenv("SWEEPER_LIMITS__MAX_WORKERS", "7")
    provenance = load(options={"regions": {"include": ("us-east-1",)}}).provenance
    file, *others = provenance.configuration.sources
    assert (file.kind, file.name) == ("file", "config.yaml")
    assert len(file.sha256 or "") == 64
    assert others == [
        ConfigurationSource("environment", "AUTO_REMEDIATE"),
        ConfigurationSource("environment", "SWEEPER_LIMITS__MAX_WORKERS"),
        ConfigurationSource("option", "--region"),
    ]
    assert provenance.narrowed_by == ("--region", "regions.exclude")
    assert (provenance.once, provenance.regions_from) == (True, "--region")


def test_equal_configurations_have_equal_digests_whoever_says_so() -> None:
    write("limits: {max_workers: 7}")
    one = load().provenance
    write("# the same\nlimits:\n  max_workers: 7")
    two = load().provenance
    assert one.configuration.digest == two.configuration.digest
    assert one.configuration.sources != two.configuration.sources
    write("limits: {max_workers: 8}")
    assert load().provenance.configuration.digest != one.configuration.digest
    assert (one.once, one.narrowed_by) == (False, ())


def test_the_digest_tells_nothing_of_the_external_id() -> None:
    digests = set()
    for secret in ("first-secret", "second-secret"):
        write(f"organization: {{external_id: {secret}}}")
        digests.add(load().provenance.configuration.digest)
    assert len(digests) == 1
