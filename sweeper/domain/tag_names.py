"""What a tag's name looks like: moved by design, or built once; and ECR's filters on names.

A name proves nothing. The tables are those of docs/impact.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sweeper.domain.model import MovedKind


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# A tag that is one of these words, or made of them and of QUALIFIERS only.
WORDS: Mapping[MovedKind, tuple[str, ...]] = {
    "latest": _words(
        "latest current newest edge nightly daily weekly stable unstable canary rolling snapshot "
        "lts next tip"
    ),
    "cache": ("cache", "buildcache"),
    "branch": _words("main master trunk mainline head develop devel development"),
    "environment": _words(
        "dev test testing qa uat int integration ci stage staging stg preprod prod production live "
        "sandbox demo preview alpha beta"
    ),
}
QUALIFIERS = frozenset(
    _words("amd64 arm64 arm armv7 x86 64 linux alpine slim debian ubuntu distroless pre")
)
# What begins with one of these and a separator: as long as the rest does not look built once.
PREFIXES: Mapping[MovedKind, tuple[str, ...]] = {
    "latest": ("latest",),
    "cache": ("cache", "buildcache"),
    "branch": _words(
        "pr mr pull feature feat bugfix fix hotfix topic branch renovate dependabot wip"
    ),
}
# What ends in a separator and one of these, whatever is before it.
SUFFIXES: Mapping[MovedKind, tuple[str, ...]] = {
    "latest": ("latest",),
    "cache": ("cache", "buildcache"),
}
# cosign adds to what it wrote before under the same tag, and so does whoever keeps an index of
# referrers where the registry does not: https://github.com/opencontainers/distribution-spec
SIGNATURE = re.compile(r"sha256-[0-9a-f]{64}(\.(sig|att|sbom))?")
SIGNATURE_SUFFIXES = (".sig", ".att", ".sbom")

_SEPARATORS = "-_."
_SEPARATOR = re.compile(f"[{_SEPARATORS}]")
_KIND_OF_WORD = {word: kind for kind, words in WORDS.items() for word in words}
_ECR_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,299}")  # ECR: ImageTag, 300 characters
# A version, a date, or a commit (hexadecimal, with a digit): a tag that is built once.
_BUILT_ONCE = re.compile(
    r"\d\.\d|\d{4}-\d\d-\d\d|(?<![0-9a-z])(?=[a-f]*\d)[0-9a-f]{7,40}(?![0-9a-z])"
)


def _any_of(words: Mapping[MovedKind, tuple[str, ...]]) -> tuple[str, dict[str, MovedKind]]:
    kinds = {word: kind for kind, group in words.items() for word in group}
    return "|".join(sorted(kinds, key=len, reverse=True)), kinds


_PREFIX_WORDS, _KIND_OF_PREFIX = _any_of(PREFIXES)
_SUFFIX_WORDS, _KIND_OF_SUFFIX = _any_of(SUFFIXES)
_PREFIX = re.compile(rf"({_PREFIX_WORDS})[{_SEPARATORS}]", re.IGNORECASE)
_LONGEST_SUFFIX = 1 + max(map(len, _KIND_OF_SUFFIX))
_SUFFIX = re.compile(rf"[{_SEPARATORS}]({_SUFFIX_WORDS})\Z", re.IGNORECASE)


def kind_of(tag: str) -> MovedKind | None:
    """As what the tag looks moved by design; None where it does not."""
    if not _ECR_TAG.fullmatch(tag):  # what ECR takes for none is judged by nobody
        return None
    if SIGNATURE.fullmatch(tag):
        return "signature"
    lowered = tag.lower()
    parts = _SEPARATOR.split(lowered)
    if all(part in _KIND_OF_WORD or part in QUALIFIERS for part in parts):
        for part in parts:
            if part in _KIND_OF_WORD:
                return _KIND_OF_WORD[part]
    if len(parts) > 1 and parts[-1] in _KIND_OF_SUFFIX:
        return _KIND_OF_SUFFIX[parts[-1]]
    if (found := _PREFIX.match(lowered)) and not _BUILT_ONCE.search(lowered):
        return _KIND_OF_PREFIX[found[1]]
    return None


def patterns(tag: str) -> tuple[str, ...]:
    """Every filter with a wildcard that is ever suggested and matches the tag, the narrowest first.

    So a filter is safe where it is none of the patterns of any tag that should not match.
    """
    found = []
    if tag.startswith("sha256-"):
        found += [f"sha256-*{suffix}" for suffix in SIGNATURE_SUFFIXES if tag.endswith(suffix)]
        found.append("sha256-*")
    if prefix := _PREFIX.match(tag):
        found.append(f"{prefix[0]}*")
    if suffix := _SUFFIX.search(tag, max(0, len(tag) - _LONGEST_SUFFIX)):
        found.append(f"*{suffix[0]}")
    return tuple(found)


def matches(text: str, tag: str) -> bool:
    """Whether ECR's filter `text` matches the tag: ``*`` stands for any characters, or none."""
    first, *rest = text.split("*")
    if not rest:
        return text == tag
    *middle, last = rest
    if not tag.startswith(first):
        return False
    position = len(first)
    for part in middle:
        found = tag.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return position <= len(tag) - len(last) and tag.endswith(last)
