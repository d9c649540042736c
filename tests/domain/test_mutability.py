"""Tables of settings -> verdict, remedy; of rules -> exemption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from sweeper.domain.model import ChangeStatus, Compliance
from sweeper.domain.mutability import evaluate, exclusions_of, remedy
from sweeper.domain.reasons import Reason
from tests.cases import case
from tests.fakes import REGION, account_id, make_repository

PLACE = (account_id(1), REGION)
OK, BAD = Compliance.COMPLIANT, Compliance.NON_COMPLIANT
UNKNOWN = Compliance.UNDETERMINED


def test_verdict() -> None:
    cases: list[tuple[str, Sequence[str], Sequence[str], Compliance, str]] = [
        ("IMMUTABLE", (), (), OK, ""),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), ("latest",), OK, ""),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest", "v*"), ("v*", "latest", "x"), OK, ""),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), (), BAD, "match 'latest' can be overwritten"),
        ("IMMUTABLE_WITH_EXCLUSION", ("a", "b", "c"), ("b",), BAD, "match 'a', 'c' can"),
        # Allowed as exact text: neither as a pattern nor whatever the case.
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",), ("late*", "LATEST"), BAD, "'latest'"),
        ("MUTABLE", (), ("latest",), BAD, "image tags can be overwritten"),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), ("v*",), BAD, "but for those that match 'v*'"),
        ("SOMEWHAT_MUTABLE", (), (), UNKNOWN, "'SOMEWHAT_MUTABLE' is unknown to this version"),
        ("immutable", (), (), UNKNOWN, "unknown"),
        ("", (), (), UNKNOWN, "unknown"),
        # What contradicts itself is neither closed nor changed: an undo could not restore it.
        ("IMMUTABLE_WITH_EXCLUSION", (), (), UNKNOWN, "without its exclusion filters"),
        ("MUTABLE_WITH_EXCLUSION", (), (), UNKNOWN, "without its exclusion filters"),
        ("IMMUTABLE", ("*",), (), UNKNOWN, "IMMUTABLE with exclusion filters '*'"),
        ("IMMUTABLE", ("latest",), ("latest",), UNKNOWN, "IMMUTABLE with exclusion filters"),
        ("MUTABLE", ("latest",), (), UNKNOWN, "MUTABLE with exclusion filters 'latest'"),
        ("MUTABLE_WITH_EXCLUSION", tuple("abcdef"), (), UNKNOWN, "6 exclusion filters, more than"),
        ("IMMUTABLE_WITH_EXCLUSION", ("a b",), ("a b",), UNKNOWN, "filter 'a b' is none that ECR"),
        ("MUTABLE_WITH_EXCLUSION", ("v*", "x" * 129), (), UNKNOWN, "is none that ECR allows"),
    ]
    for mutability, filters, allowed, compliance, reason in cases:
        with case(mutability, filters, allowed, compliance, reason):
            verdict = evaluate(make_repository("app", mutability, filters), allowed)
            assert verdict.compliance is compliance
            assert reason in verdict.reason


def test_a_filter_of_an_unknown_type_is_not_judged() -> None:
    for mutability in ["IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"]:
        with case(mutability):
            repository = replace(
                make_repository("app", mutability, ("latest",)), filter_types=("REGEX",)
            )
            verdict = evaluate(repository, ("latest",))
            assert verdict.compliance is UNKNOWN
            assert "'REGEX'" in verdict.reason


def test_remedy() -> None:
    cases: list[tuple[str, Sequence[str], Sequence[str], Sequence[str], tuple[str, ...]]] = [
        ("MUTABLE", (), (), (), ()),
        ("MUTABLE", (), ("latest",), (), ("latest",)),
        ("MUTABLE", (), ("b", "a", "b"), (), ("b", "a")),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), (), ("v*",), ()),
        ("MUTABLE_WITH_EXCLUSION", ("v*",), ("latest",), ("v*",), ("latest",)),
        ("IMMUTABLE_WITH_EXCLUSION", ("a", "b"), (), (), ()),
        ("IMMUTABLE_WITH_EXCLUSION", ("a", "b"), (), ("b",), ("b",)),
        ("IMMUTABLE_WITH_EXCLUSION", ("a", "b"), ("b", "c"), ("b",), ("b", "c")),
        ("IMMUTABLE_WITH_EXCLUSION", ("e", "x"), tuple("abcd"), ("e",), tuple("abcde")),
    ]
    for mutability, filters, exclusions, allowed, expected in cases:
        with case(mutability, filters, exclusions, allowed, expected):
            change = remedy(mutability, filters, exclusions=exclusions, allowed_filters=allowed)
            assert change.status is ChangeStatus.PLANNED
            assert change.to_exclusion_filters == expected
            assert change.to_mutability == ("IMMUTABLE_WITH_EXCLUSION" if expected else "IMMUTABLE")


def test_more_than_five_filters_are_not_written() -> None:
    change = remedy(
        "IMMUTABLE_WITH_EXCLUSION",
        ("e", "f", "x"),
        exclusions=tuple("abcd"),
        allowed_filters=("e", "f"),
    )
    assert (change.status, change.reason) == (ChangeStatus.WITHHELD, Reason.TOO_MANY_FILTERS)
    assert change.to_exclusion_filters == tuple("abcdef")


def test_every_glob_that_matches_adds_its_filters() -> None:
    cases: list[tuple[str, tuple[str, ...]]] = [
        ("other", ("latest",)),
        ("team-a/api", ("latest", "pr-*", "main")),
        ("team-a/ci", ("latest", "pr-*", "main", "cache")),
        ("x/ci", ("latest", "cache", "main")),
        ("Team-a/api", ("latest",)),
    ]
    for name, expected in cases:
        with case(name, expected):
            by_repository = {"team-a/*": ("pr-*", "latest", "main"), "*/ci": ("cache", "main")}
            found = exclusions_of(("latest",), by_repository, partial(fnmatchcase, name))
            assert found == expected
