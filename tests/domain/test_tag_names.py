"""What names look like: tables of facts, and what holds of every name."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.domain.model import MovedKind
from sweeper.domain.tag_names import (
    PREFIXES,
    QUALIFIERS,
    SUFFIXES,
    WORDS,
    kind_of,
    matches,
    patterns,
)
from tests.cases import case

DIGEST = "0f" * 32
SHA = "3f2a9c1d5e6b7a8c9d0e1f2a3b4c5d6e7f8a9b0c"


def test_what_looks_moved() -> None:
    cases: list[tuple[str, MovedKind]] = [
        ("latest", "latest"),
        ("Latest", "latest"),
        ("nightly", "latest"),
        ("stable", "latest"),
        ("latest-alpine", "latest"),
        ("1.4-latest", "latest"),
        ("alpine_latest", "latest"),
        ("latest-arm64", "latest"),
        ("cache", "cache"),
        ("buildcache", "cache"),
        ("build-cache", "cache"),
        ("main-buildcache", "branch"),
        ("web-buildcache", "cache"),
        ("cache-linux", "cache"),
        ("main", "branch"),
        ("MASTER", "branch"),
        ("main-amd64", "branch"),
        ("develop", "branch"),
        ("pr-123", "branch"),
        ("PR-123", "branch"),
        (f"pr-{'x' * 297}", "branch"),
        ("mr_7", "branch"),
        ("feature-login", "branch"),
        ("feature.login", "branch"),
        ("feature-deadbeef-words", "branch"),
        ("dependabot-pip-urllib3", "branch"),
        ("dev", "environment"),
        ("pre-prod", "environment"),
        ("staging", "environment"),
        ("prod-stable", "environment"),
        (f"sha256-{DIGEST}.sig", "signature"),
        (f"sha256-{DIGEST}.att", "signature"),
        (f"sha256-{DIGEST}.sbom", "signature"),
        (f"sha256-{DIGEST}", "signature"),
    ]
    for tag, kind in cases:
        with case(tag, kind):
            assert kind_of(tag) == kind


def test_what_does_not() -> None:
    for tag in [
        "1.4.2",
        "v2.0.0",
        "2.0.0-rc1",
        "1",
        "v1",
        "1.4",
        "3f2a9c1",
        SHA,
        "main-3f2a9c1",
        f"main-{SHA}",
        "main-1234",
        "dev-42",
        "pr-123-3f2a9c1",
        "feature-login-1.2.0",
        "dependabot-npm-lodash-4.17.21",
        "hotfix-2026-01-31",
        "latest-20260131",
        "cache-3f2a9c1d5e6b",
        "release-1.4",
        "release",
        "alpine",
        "amd64",
        "mainframe",
        "latest1",
        "prod2",
        "feature",
        "features-x",
        "20260131",
        "2026-01-31",
        "build-77",
        "sha256-0f0f.sig",
        f"sha256-{DIGEST}.zip",
        f"sha256-{DIGEST}\n",
        f"sha512-{DIGEST}.sig",
        "",
        "latest\n",
        "main\u202e",
        "p\u0280-1",
        "-latest",
        "pr/1",
        "*",
        f"pr-{'x' * 298}",  # ECR: 300 characters at most
    ]:
        with case(tag):
            assert kind_of(tag) is None


def test_the_wildcard() -> None:
    cases: list[tuple[str, str, bool]] = [
        ("latest", "latest", True),
        ("latest", "latest2", False),
        ("latest", "Latest", False),
        ("pr-*", "pr-", True),
        ("pr-*", "pr-1", True),
        ("pr-*", "apr-1", False),
        ("*-latest", "a-latest", True),
        ("*-latest", "-latest", True),
        ("*-latest", "latest", False),
        ("sha256-*.sig", "sha256-1.sig", True),
        ("sha256-*.sig", "sha256-.sig", True),
        ("sha256-*.sig", "sha256-1.att", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("*b*", "ac", False),
        ("a*b*", "axxbyy", True),
        ("v1.*", "v12", False),
        ("v?", "v1", False),
        ("[v]", "v", False),
    ]
    for text, tag, expected in cases:
        with case(text, tag, expected):
            assert matches(text, tag) is expected


filters = st.text("ab-.*", max_size=6)
few = st.text("ab-.\n", max_size=8)


@given(filters, few)
def test_the_wildcard_is_that_of_a_regular_expression(text: str, tag: str) -> None:
    expected = re.fullmatch(text.replace(".", r"\.").replace("*", ".*"), tag, re.DOTALL)
    assert matches(text, tag) is (expected is not None)


parts = st.sampled_from(
    [
        *(
            word
            for words in (WORDS, PREFIXES, SUFFIXES)
            for group in words.values()
            for word in group
        ),
        *QUALIFIERS,
        *("1.4.2", "v2", "3f2a9c1", "x", "login", "7", "", "LATEST", "Pr", "sha256", DIGEST, "sig"),
    ]
)
tags = st.lists(st.tuples(parts, st.sampled_from("-_.")), max_size=4).map(
    lambda pairs: "".join(part + separator for part, separator in pairs)[:-1]
)


@given(tags)
@example(f"sha256-{DIGEST}.sig")
def test_every_pattern_matches_its_tag_and_is_a_filter_of_ecr(tag: str) -> None:
    for text in patterns(tag):
        assert matches(text, tag)
        assert re.fullmatch(r"[0-9a-zA-Z._*-]{1,128}", text)
        assert text.count("*") == 1
        assert re.search("[0-9a-zA-Z]", text)


@given(tags, tags)
@example("pr-1", "pr-1.4.2")
@example("1-latest", "1.4.2-latest")
def test_no_pattern_matches_a_tag_that_does_not_have_it(one: str, other: str) -> None:
    """On this it rests that no suggestion matches what it should not."""
    for text in patterns(one):
        assert matches(text, other) is (text in patterns(other))


def test_the_documented_table_is_the_programs() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "impact.md").read_text(encoding="utf-8")
    tables = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    documented = set(re.findall(r"`([^`]+)`", tables))
    named = {word for group in WORDS.values() for word in group} | QUALIFIERS
    named |= {f"{word}-…" for group in PREFIXES.values() for word in group}
    named |= {f"…-{word}" for group in SUFFIXES.values() for word in group}
    assert named <= documented
