"""What names look like: tables of facts, and what holds of every name."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.domain.impact import (
    _EVERY_TAG,
    _MAX_CONFLICTS,
    _MAX_IMAGES,
    _MAX_MOVED_TAGS,
    _MAX_TAGS_LISTED,
    _MAX_TAGS_READ,
    _PREFIXES,
    _QUALIFIERS,
    _SUFFIXES,
    _WORDS,
    _kind_of,
    _matches,
    _patterns,
    assess,
    suggest_exclusions,
)
from sweeper.domain.model import ChangeStatus, Finding, Image, Impact, MovedKind, MovedTag
from sweeper.domain.reasons import Reason
from tests.cases import case
from tests.fakes import make_change, make_config, make_finding

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
            assert _kind_of(tag) == kind


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
            assert _kind_of(tag) is None


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
            assert _matches(text, tag) is expected


filters = st.text("ab-.*", max_size=6)
few = st.text("ab-.\n", max_size=8)


@given(filters, few)
def test_the_wildcard_is_that_of_a_regular_expression(text: str, tag: str) -> None:
    expected = re.fullmatch(text.replace(".", r"\.").replace("*", ".*"), tag, re.DOTALL)
    assert _matches(text, tag) is (expected is not None)


parts = st.sampled_from(
    [
        *(
            word
            for words in (_WORDS, _PREFIXES, _SUFFIXES)
            for group in words.values()
            for word in group
        ),
        *_QUALIFIERS,
        *("1.4.2", "v2", "3f2a9c1", "x", "login", "7", "", "LATEST", "Pr", "sha256", DIGEST, "sig"),
    ]
)
tags = st.lists(st.tuples(parts, st.sampled_from("-_.")), max_size=4).map(
    lambda pairs: "".join(part + separator for part, separator in pairs)[:-1]
)


@given(tags)
@example(f"sha256-{DIGEST}.sig")
def test_every_pattern_matches_its_tag_and_is_a_filter_of_ecr(tag: str) -> None:
    for text in _patterns(tag):
        assert _matches(text, tag)
        assert re.fullmatch(r"[0-9a-zA-Z._*-]{1,128}", text)
        assert text.count("*") == 1
        assert re.search("[0-9a-zA-Z]", text)


@given(tags, tags)
@example("pr-1", "pr-1.4.2")
@example("1-latest", "1.4.2-latest")
def test_no_pattern_matches_a_tag_that_does_not_have_it(one: str, other: str) -> None:
    """On this it rests that no suggestion matches what it should not."""
    for text in _patterns(one):
        assert _matches(text, other) is (text in _patterns(other))


def test_the_documented_table_is_the_programs() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "impact.md").read_text(encoding="utf-8")
    tables = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    documented = set(re.findall(r"`([^`]+)`", tables))
    named = {word for group in _WORDS.values() for word in group} | _QUALIFIERS
    named |= {f"{word}-…" for group in _PREFIXES.values() for word in group}
    named |= {f"…-{word}" for group in _SUFFIXES.values() for word in group}
    assert named <= documented


EARLY = datetime(2026, 5, 1, 8, 30, tzinfo=UTC)
LATE = EARLY + timedelta(days=9)


def impact_of(
    *given: str,
    mutability: str = "MUTABLE",
    filters: Sequence[str] = (),
    kept: Sequence[str] = (),
) -> Impact:
    images = [Image((tag,), EARLY) for tag in given]
    return assess(images, mutability=mutability, filters=filters, kept=kept)


SIGNATURES = [f"sha256-{DIGEST}.{kind}" for kind in ("sig", "att", "sbom")]


def test_what_is_suggested() -> None:
    cases: list[tuple[list[str], tuple[str, ...]]] = [
        ([], ()),
        (["1.4.2", "v2.0.0", "3f2a9c1"], ()),
        (["latest", "1.4.2"], ("latest",)),
        (["Latest", "1.4.2"], ("Latest",)),
        (["latest", "main"], ("latest", "main")),
        (["pr-1", "pr-2", "1.4.2"], ("pr-*",)),
        (["pr-1", "pr-2", "latest"], ("pr-*", "latest")),
        (["pr-1", "pr-1.4.2"], ("pr-1",)),  # the pattern would match a release
        (["latest-slim", "latest-1.4.2"], ("latest-slim",)),
        (["alpine-latest", "slim-latest"], ("*-latest",)),
        (["web-latest", "pr-latest", "pr-2"], ("*-latest", "pr-*")),
        (SIGNATURES, ("sha256-*.sbom", "sha256-*.sig", "sha256-*.att")),
        ([*SIGNATURES, "main", "latest", "dev"], ("sha256-*", "latest", "main", "dev")),
        ([*SIGNATURES, "sha256-release.zip"], ("sha256-*.sbom", "sha256-*.sig", "sha256-*.att")),
        (
            ["latest", "main", "dev", "qa", "prod", "edge"],
            ("latest", "prod", "main", "edge", "dev"),
        ),
    ]
    for names, expected in cases:
        with case(names, expected):
            assert impact_of(*names).exclusions == expected


def test_where_five_do_not_suffice_it_is_said_which_stay_without() -> None:
    impact = impact_of("latest", "main", "dev", "qa", "prod", "edge")
    assert impact.not_kept == 1
    assert impact.moved[0] == MovedTag("qa", "environment", "2026-05-01T08:30:00Z", None)
    assert {each.kept_by for each in impact.moved[1:]} == set(impact.exclusions)


def test_what_keeps_most_comes_first_then_what_was_pushed_last() -> None:
    names = ("latest", "main", "dev", "prod", "edge", "cache")
    images = [Image((tag,), EARLY) for tag in (*names, "pr-1", "pr-2")]
    images.append(Image(("qa",), LATE))
    impact = assess(images, mutability="MUTABLE", filters=(), kept=())
    assert impact.exclusions[:2] == ("pr-*", "qa")
    assert impact.not_kept == 3


def test_what_the_change_keeps_is_not_suggested_again() -> None:
    impact = impact_of("latest", "main", "pr-7", kept=("l*t", "pr-*", "x", "y"))
    assert impact.exclusions == ("main",)
    assert {each.tag: each.kept_by for each in impact.moved} == {
        "latest": "l*t",
        "main": "main",
        "pr-7": "pr-*",
    }


def test_a_change_without_room_gets_no_suggestion() -> None:
    impact = impact_of("latest", kept=tuple("abcdef"))
    assert (impact.exclusions, impact.not_kept) == ((), 1)


def test_a_tag_that_cannot_be_moved_today_is_no_moved_tag() -> None:
    cases: list[tuple[str, Sequence[str], set[str]]] = [
        ("MUTABLE", (), {"latest", "main"}),
        ("MUTABLE_WITH_EXCLUSION", ("la*",), {"main"}),
        ("IMMUTABLE_WITH_EXCLUSION", ("la*",), {"latest"}),
    ]
    for mutability, filters, moved in cases:
        with case(mutability, filters, moved):
            impact = impact_of("latest", "main", "1.0", mutability=mutability, filters=filters)
            assert {each.tag for each in impact.moved} == moved == set(impact.exclusions)
            assert impact.other_tags == 3 - len(moved)
            assert set(impact.conflicts) == {"latest", "main"} - moved


def test_untagged_images_are_counted_with_the_newest() -> None:
    images = [Image((), EARLY), Image((), LATE), Image((), None), Image(("1.0",), LATE)]
    impact = assess(images, mutability="MUTABLE", filters=(), kept=())
    assert (impact.images, impact.untagged, impact.other_tags) == (4, 3, 1)
    assert impact.untagged_pushed_at == "2026-05-10T08:30:00Z"


def test_a_tag_that_comes_twice_is_one_with_its_last_push() -> None:
    images = [Image(("latest", "1.1"), LATE), Image(("latest", "1.0"), EARLY)]
    (moved,) = assess(images, mutability="MUTABLE", filters=(), kept=()).moved
    assert moved == MovedTag("latest", "latest", "2026-05-10T08:30:00Z", "latest")


def test_images_are_read_to_the_limit() -> None:
    read = 0

    def images() -> Any:
        nonlocal read
        while True:
            read += 1
            yield Image((f"1.0.{read}",), None)

    impact = assess(images(), mutability="MUTABLE", filters=(), kept=())
    assert (impact.images, impact.truncated, impact.other_tags) == (_MAX_IMAGES, True, _MAX_IMAGES)
    assert read == _MAX_IMAGES + 1
    exactly = [Image((f"1.{number}",), None) for number in range(_MAX_IMAGES)]
    assert not assess(exactly, mutability="MUTABLE", filters=(), kept=()).truncated


def test_the_report_keeps_few_tags_and_counts_the_rest() -> None:
    impact = impact_of(*(f"pr-{number}" for number in range(5000)), "pr-1.2.3", "latest")
    assert (impact.moved_count, len(impact.moved)) == (5001, _MAX_TAGS_LISTED)
    assert impact.not_kept == 5001 - len(impact.exclusions) == 4996
    assert {each.kept_by for each in impact.moved} == {None}


def test_a_tag_that_is_too_long_for_a_filter_has_none() -> None:
    long = f"feature-{'x' * 130}"
    impact = impact_of(long, "feature-1.0.0", "main")
    assert (impact.exclusions, impact.not_kept) == (("main",), 1)


def _with_letters_of(word: str, number: int) -> str:
    """The word in one of its ways to be written large and small."""
    return "".join(
        letter.upper() if number >> place & 1 else letter for place, letter in enumerate(word)
    )


HOSTILE: dict[str, Callable[[int], str]] = {
    "releases": lambda number: f"{number:06}.4.2-{'x' * 280}",
    "moved": lambda number: f"pr-{number:06}{'-g' * 140}",
    "each by itself": lambda number: f"pr-{number:06}{'g' * 119}" if number else "pr-1.4.2",
    "patterns": lambda number: (
        f"{_with_letters_of('dependabot', number)}{'-_.'[number // 1024 % 3]}{number:06}"
        f"{'-g' * 120}{'-_.'[number // 7 % 3]}{_with_letters_of('buildcache', number * 7)}"
    ),
    "conflicts": lambda number: f"{_with_letters_of('dependabot', number)}-1.2.{number:06}",
}


def hostile_images(name: str) -> Iterator[Image]:
    """ECR allows an image 1,000 tags, each of 300 characters."""
    for image in range(_MAX_IMAGES):
        names = tuple(HOSTILE[name](image * 1000 + each) for each in range(1000))
        assert all(len(each) <= 300 for each in names)
        yield Image(names, EARLY + timedelta(seconds=image))


def assess_hostile(name: str, filters: Sequence[str] = ()) -> None:
    """Assess it, and find that no more was read, and little told."""
    read = 0

    def images() -> Iterator[Image]:
        nonlocal read
        for image in hostile_images(name):
            read += 1
            yield image

    mutability = "MUTABLE_WITH_EXCLUSION" if filters else "MUTABLE"
    impact = assess(images(), mutability=mutability, filters=filters, kept=())
    assert impact.truncated
    assert impact.images == read <= 1 + _MAX_TAGS_READ / 1000
    assert impact.moved_count == _MAX_MOVED_TAGS or impact.other_tags == _MAX_TAGS_READ
    assert len(impact.exclusions) <= 5
    assert len(impact.conflicts) <= _MAX_CONFLICTS


def test_what_is_read_of_a_hostile_repository_is_limited() -> None:
    for name in ("moved", "conflicts"):
        with case(name):
            assess_hostile(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "filters"), [*((name, ()) for name in HOSTILE), ("patterns", ("*",))]
)
def test_what_is_held_of_a_hostile_repository_is_little(name: str, filters: Sequence[str]) -> None:
    tracemalloc.start()
    try:
        assess_hostile(name, filters)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000, f"{peak:,} bytes"


def test_tags_are_read_to_the_limit() -> None:
    cases: list[tuple[str, int]] = [("1.0.{}", _MAX_TAGS_READ), ("pr-{}", _MAX_MOVED_TAGS)]
    for more in [0, 1]:
        for tag, limit in cases:
            with case(more, tag, limit):
                given = [tag.format(number) for number in range(limit)] + ["2.0"] * more
                images = [
                    Image(tuple(given[place : place + 500]), EARLY)
                    for place in range(0, len(given), 500)
                ]
                impact = assess(images, mutability="MUTABLE", filters=(), kept=())
                assert impact.moved_count + impact.other_tags == limit
                assert impact.truncated is bool(more)


def test_what_conflicts_beyond_the_limit_leaves_no_pattern() -> None:
    releases = [f"{_with_letters_of('renovate', number)}-1.2" for number in range(_MAX_CONFLICTS)]
    assert impact_of("pr-1", *releases).exclusions == ("pr-*",)
    impact = impact_of("pr-1", "pr-2", *releases, "wip-1.2")
    assert impact.conflicts == (_EVERY_TAG,)
    assert impact.exclusions == ("pr-2", "pr-1")


def test_where_more_conflicts_than_are_told_only_what_it_needs_itself_is_suggested() -> None:
    releases = [f"{_with_letters_of('renovate', number)}-1.2" for number in range(200)]
    found = suggest_exclusions(
        [
            finding("a", "latest", "main"),
            finding("b", "latest", "main", *releases),
            finding("c", "latest", *releases),
        ]
    )
    assert found is not None
    assert found.exclusions == ("latest",)
    assert found.by_repository == {"a": ("main",), "b": ("main",)}


@given(
    st.lists(tags.filter(bool), max_size=30),
    st.sampled_from(["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"]),
    st.lists(st.sampled_from(["latest", "pr-*", "*-cache", "main"]), unique=True, max_size=3),
    st.lists(st.sampled_from(["latest", "dev", "feature-*"]), unique=True, max_size=3),
)
def test_a_suggested_filter_never_matches_a_tag_that_is_not_judged_moved(
    given: list[str], mutability: str, filters: list[str], kept: list[str]
) -> None:
    impact = impact_of(*given, mutability=mutability, filters=filters, kept=kept)
    excepted = {tag for tag in given if any(_matches(text, tag) for text in filters)}
    mutable = excepted if mutability.startswith("IMM") else set(given) - excepted
    moved = {tag for tag in mutable if _kind_of(tag)}
    for text in impact.exclusions:
        assert {tag for tag in given if _matches(text, tag)} <= moved
        assert any(_matches(text, tag) for tag in moved)
    assert len({*kept, *impact.exclusions}) == len(kept) + len(impact.exclusions) <= 5
    # Each is one that the configuration takes.
    make_config(remediation={"exclusions": impact.exclusions})
    assert impact.moved_count == len(moved)
    if len(moved) <= _MAX_TAGS_LISTED:
        assert {each.tag for each in impact.moved} == moved
    for each in impact.moved:
        texts = (*kept, *impact.exclusions)
        assert (each.kept_by is not None) is any(_matches(text, each.tag) for text in texts)
        assert each.kept_by is None or _matches(each.kept_by, each.tag)


# --- for the organization -------------------------------------------------------------------------


def finding(name: str, *given: str, kept: Sequence[str] = (), **values: Any) -> Finding:
    impact = impact_of(*given, kept=kept)
    change = make_change(to_exclusion_filters=tuple(kept))
    return make_finding(name, change=change, impact=impact, **values)


def test_what_half_of_the_repositories_need_is_for_the_organization() -> None:
    found = suggest_exclusions(
        [
            finding("a", "latest", "main", "1.0"),
            finding("b", "latest", "pr-7"),
            finding("c", "latest"),
            finding("d", "cache"),
            finding("e", "1.0"),
        ]
    )
    assert found is not None
    assert found.exclusions == ("latest",)
    assert found.by_repository == {"a": ("main",), "b": ("pr-*",), "d": ("cache",)}


def test_one_repository_is_not_many() -> None:
    found = suggest_exclusions([finding("a", "latest")])
    assert found is not None
    assert (found.exclusions, found.by_repository) == ((), {"a": ("latest",)})


def test_a_filter_that_matches_a_release_elsewhere_is_for_those_that_need_it() -> None:
    found = suggest_exclusions(
        [finding("a", "pr-1"), finding("b", "pr-2"), finding("c", "pr-1.4.2")]
    )
    assert found is not None
    assert found.exclusions == ()
    assert found.by_repository == {"a": ("pr-*",), "b": ("pr-*",)}


def test_a_filter_for_which_one_has_no_room_is_for_those_that_need_it() -> None:
    full = finding("c", "1.0", kept=tuple("vwxyz"))
    found = suggest_exclusions([finding("a", "latest"), finding("b", "latest"), full])
    assert found is not None
    assert found.exclusions == ()
    assert found.by_repository == {"a": ("latest",), "b": ("latest",)}


def test_a_tag_named_by_itself_is_never_for_the_organization() -> None:
    of_release = ("pr-1", "pr-1.4.2")
    found = suggest_exclusions([finding("a", *of_release), finding("b", *of_release)])
    assert found is not None
    assert found.exclusions == ()
    assert found.by_repository == {"a": ("pr-1",), "b": ("pr-1",)}


def test_repositories_of_one_name_share_what_fits_all() -> None:
    found = suggest_exclusions(
        [
            finding("app", "main", "cache"),
            finding("app", "cache", "dev", "pr-1", region="eu-west-1"),
            finding("app", "pr-1.2.3", region="eu-west-2"),
        ]
    )
    assert found is not None
    assert found.exclusions == ("cache",)
    assert found.by_repository == {"app": ("main", "dev")}


def test_a_name_that_the_configuration_would_read_otherwise_is_left_out() -> None:
    for name in ["*", "team/?", "te am", "a\nb"]:
        with case(name):
            found = suggest_exclusions([finding(name, "main")])
            assert found is not None
            assert found.by_repository == {}


def test_where_nothing_is_needed_nothing_is_suggested() -> None:
    unknown = make_finding(change=make_change(), impact=Impact(unavailable=Reason.DENIED))
    assert suggest_exclusions([finding("a", "1.0"), unknown, make_finding("b")]) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(tags.filter(bool), min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_pasted_opens_no_other_tag(given: list[tuple[str, list[str]]]) -> None:
    findings = [finding(name, *names) for name, names in given]
    found = suggest_exclusions(findings)
    if found is None:
        return
    for name, names in given:
        texts = (*found.exclusions, *found.by_repository.get(name, ()))
        assert len(texts) <= 5
        # A tag that is named by itself was judged by its name, which is the same everywhere.
        assert all(_kind_of(tag) for tag in names for text in texts if _matches(text, tag)), (
            texts,
            names,
        )
    make_config(
        remediation={
            "exclusions": found.exclusions,
            "exclusions_by_repository": found.by_repository,
        }
    )


def test_a_change_that_is_withheld_counts_like_one_that_is_planned() -> None:
    withheld = make_change(ChangeStatus.WITHHELD, reason=Reason.MAX_CHANGES)
    findings = [
        make_finding(name, change=withheld, impact=impact_of("latest")) for name in ("a", "b")
    ]
    found = suggest_exclusions(findings)
    assert found is not None
    assert found.exclusions == ("latest",)
