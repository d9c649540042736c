"""Which tags seem to be moved by design, and exclusion filters that keep only those mutable.

All of it is judged by names, and a name proves nothing. The tables are those of docs/impact.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from itertools import chain

from sweeper.domain.model import (
    MAX_EXCLUSION_FILTERS,
    Finding,
    Image,
    Impact,
    MovedKind,
    MovedTag,
    utc_text,
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# A tag that is one of these words, or made of them and of QUALIFIERS only.
_WORDS: Mapping[MovedKind, tuple[str, ...]] = {
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
_QUALIFIERS = frozenset(
    _words("amd64 arm64 arm armv7 x86 64 linux alpine slim debian ubuntu distroless pre")
)
# What begins with one of these and a separator: as long as the rest does not look built once.
_PREFIXES: Mapping[MovedKind, tuple[str, ...]] = {
    "latest": ("latest",),
    "cache": ("cache", "buildcache"),
    "branch": _words(
        "pr mr pull feature feat bugfix fix hotfix topic branch renovate dependabot wip"
    ),
}
# What ends in a separator and one of these, whatever is before it.
_SUFFIXES: Mapping[MovedKind, tuple[str, ...]] = {
    "latest": ("latest",),
    "cache": ("cache", "buildcache"),
}
# cosign adds to what it wrote before under the same tag, and so does whoever keeps an index of
# referrers where the registry does not: https://github.com/opencontainers/distribution-spec
_SIGNATURE = re.compile(r"sha256-[0-9a-f]{64}(\.(sig|att|sbom))?")
_SIGNATURE_SUFFIXES = (".sig", ".att", ".sbom")

_SEPARATORS = "-_."
_SEPARATOR = re.compile(f"[{_SEPARATORS}]")
_KIND_OF_WORD = {word: kind for kind, words in _WORDS.items() for word in words}
_ECR_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,299}")  # ECR: ImageTag, 300 characters
# A version, a date, or a commit (hexadecimal, with a digit): a tag that is built once.
_BUILT_ONCE = re.compile(
    r"\d\.\d|\d{4}-\d\d-\d\d|(?<![0-9a-z])(?=[a-f]*\d)[0-9a-f]{7,40}(?![0-9a-z])"
)


def _any_of(words: Mapping[MovedKind, tuple[str, ...]]) -> tuple[str, dict[str, MovedKind]]:
    kinds = {word: kind for kind, group in words.items() for word in group}
    return "|".join(sorted(kinds, key=len, reverse=True)), kinds


_PREFIX_WORDS, _KIND_OF_PREFIX = _any_of(_PREFIXES)
_SUFFIX_WORDS, _KIND_OF_SUFFIX = _any_of(_SUFFIXES)
_PREFIX = re.compile(rf"({_PREFIX_WORDS})[{_SEPARATORS}]", re.IGNORECASE)
_LONGEST_SUFFIX = 1 + max(map(len, _KIND_OF_SUFFIX))
_SUFFIX = re.compile(rf"[{_SEPARATORS}]({_SUFFIX_WORDS})\Z", re.IGNORECASE)


def _kind_of(tag: str) -> MovedKind | None:
    """Return as what the tag seems to be moved by design; None where it does not."""
    if not _ECR_TAG.fullmatch(tag):
        return None
    if _SIGNATURE.fullmatch(tag):
        return "signature"
    lowered = tag.lower()
    parts = _SEPARATOR.split(lowered)
    if all(part in _KIND_OF_WORD or part in _QUALIFIERS for part in parts):
        for part in parts:
            if part in _KIND_OF_WORD:
                return _KIND_OF_WORD[part]
    if len(parts) > 1 and parts[-1] in _KIND_OF_SUFFIX:
        return _KIND_OF_SUFFIX[parts[-1]]
    if (found := _PREFIX.match(lowered)) and not _BUILT_ONCE.search(lowered):
        return _KIND_OF_PREFIX[found[1]]
    return None


def _patterns(tag: str) -> tuple[str, ...]:
    """Return every filter with a wildcard that may be suggested for the tag, the narrowest first.

    So a filter is safe if it is no pattern of any tag that must not match.
    """
    found = []
    if tag.startswith("sha256-"):
        found += [f"sha256-*{suffix}" for suffix in _SIGNATURE_SUFFIXES if tag.endswith(suffix)]
        found.append("sha256-*")
    if prefix := _PREFIX.match(tag):
        found.append(f"{prefix[0]}*")
    if suffix := _SUFFIX.search(tag, max(0, len(tag) - _LONGEST_SUFFIX)):
        found.append(f"*{suffix[0]}")
    return tuple(found)


def _matches(text: str, tag: str) -> bool:
    """Tell whether ECR's filter `text` matches the tag: ``*`` is any number of characters."""
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


_MAX_IMAGES = 10_000  # of a repository that are read: ten pages
_MAX_TAGS_READ = 25_000  # of a repository; ECR allows 1,000 an image
_MAX_MOVED_TAGS = 10_000  # tags of a repository that look moved, and are held until all is read
_MAX_CANDIDATES = 1_000  # patterns that are compared: the tables nearly always give far fewer
_MAX_CONFLICTS = 100
_EVERY_TAG = "*"  # stands for more conflicts than these
_MAX_TAGS_LISTED = 20  # of a repository, in the report
_MAX_FILTER_LENGTH = 128  # ECR: ImageTagMutabilityExclusionFilterValue; a tag may have 300

_REPOSITORY = re.compile(r"[a-z0-9._/-]+")  # a name that is no glob
_OLDEST = datetime.min.replace(tzinfo=UTC)


def assess(
    images: Iterable[Image], *, mutability: str, filters: Sequence[str], kept: Sequence[str]
) -> Impact:
    """Return what making a repository with these images immutable may break.

    `mutability` and `filters` are its setting today; `kept` are the filters of the change. No more
    is read, and held, than the limits above, however many tags there are: the rest is `truncated`.
    """
    tags = _TagInventory(mutability, filters)
    for image in images:
        if not tags.add(image):
            break
    due = [tag for tag in tags.moved if not _matching_filter(tag, kept)]
    suggested = _suggest(due, tags.moved, tags.conflicts, MAX_EXCLUSION_FILTERS - len(kept))
    texts = (*kept, *suggested)
    moved = sorted(tags.moved)
    moved.sort(key=lambda tag: _format_time(tags.moved[tag]) or "", reverse=True)
    moved.sort(key=lambda tag: _matching_filter(tag, texts) is not None)
    return Impact(
        images=tags.images,
        truncated=tags.truncated,
        moved=tuple(
            MovedTag(tag, kind, _format_time(tags.moved[tag]), _matching_filter(tag, texts))
            for tag in moved[:_MAX_TAGS_LISTED]
            if (kind := _kind_of(tag))
        ),
        moved_count=len(moved),
        not_kept=sum(_matching_filter(tag, texts) is None for tag in moved),
        other_tags=tags.others,
        untagged=tags.untagged,
        untagged_pushed_at=_format_time(tags.untagged_pushed_at),
        exclusions=suggested,
        conflicts=tuple(sorted(tags.conflicts)),
    )


class _TagInventory:
    """The tags of a repository, image by image: those that seem moved and can be, and the others.

    Of the others it has only their number, and the filters that would match them.
    """

    def __init__(self, mutability: str, filters: Sequence[str]) -> None:
        self._mutability = mutability
        self._filters = filters
        self._tags = 0
        self.images = 0
        self.truncated = False
        self.moved: dict[str, datetime | None] = {}
        self.others = 0
        self.conflicts: set[str] = set()
        self.untagged = 0
        self.untagged_pushed_at: datetime | None = None

    def add(self, image: Image) -> bool:
        """Add an image; return False at a limit, where the image or a part of it was not added."""
        if self.images == _MAX_IMAGES:
            self.truncated = True
            return False
        self.images += 1
        if not image.tags:
            self.untagged += 1
            self.untagged_pushed_at = _later(self.untagged_pushed_at, image.pushed_at)
        for tag in image.tags:
            if self._tags == _MAX_TAGS_READ or len(self.moved) == _MAX_MOVED_TAGS:
                self.truncated = True
                return False
            self._tags += 1
            self._add_tag(tag, image.pushed_at)
        return True

    def _add_tag(self, tag: str, pushed_at: datetime | None) -> None:
        kind = _kind_of(tag)
        if kind and self._is_mutable(tag):
            # One that was moved while the pages were read comes twice.
            self.moved[tag] = _later(self.moved.get(tag), pushed_at)
            return
        self.others += 1
        if _EVERY_TAG in self.conflicts:
            return
        # All suggested filters that would match it. A tag that seems moved, and cannot be moved
        # today, must stay immutable.
        self.conflicts.update(_patterns(tag) or ((tag,) if kind else ()))
        if len(self.conflicts) > _MAX_CONFLICTS:
            self.conflicts = {_EVERY_TAG}

    def _is_mutable(self, tag: str) -> bool:
        """Tell whether the tag can be overwritten as the repository is set today."""
        excluded = _matching_filter(tag, self._filters) is not None
        return excluded == (self._mutability == "IMMUTABLE_WITH_EXCLUSION")


def _matching_filter(tag: str, filters: Sequence[str]) -> str | None:
    """Return the first of the filters that matches the tag."""
    return next((text for text in filters if _matches(text, tag)), None)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each), default=None)


def _format_time(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None


def _suggest(
    due: Sequence[str],
    pushed: Mapping[str, datetime | None],
    conflicts: Collection[str],
    room: int,
) -> tuple[str, ...]:
    """Return at most `room` filters that keep as many as possible of the `due` tags mutable.

    The narrowest for each where they fit; else the filter that keeps most tags comes first, and
    of equal ones that of the latest push. A tag without a safe pattern is named itself.
    """
    if room <= 0:
        return ()

    def safe(tag: str) -> list[str]:
        if _EVERY_TAG in conflicts:
            return []
        return [text for text in _patterns(tag) if text not in conflicts]

    def worth(tags: Collection[str], text: str) -> tuple[int, datetime, int, str]:
        return len(tags), max(pushed[tag] or _OLDEST for tag in tags), len(text), text

    alone = [tag for tag in due if len(tag) <= _MAX_FILTER_LENGTH and not safe(tag)]
    # Each keeps one tag, so only the best can be chosen.
    named = nlargest(room + 1, alone, key=lambda tag: worth((tag,), tag))
    candidates = {*named, *(texts[0] for tag in due if (texts := safe(tag)))}
    if len(candidates) > room:
        counts = Counter(chain.from_iterable(map(safe, due)))
        candidates = {*named, *(text for text, _ in counts.most_common(_MAX_CANDIDATES))}
    covered: dict[str, set[str]] = {text: {text} for text in named}
    for tag in due:
        for text in candidates.intersection(safe(tag)):
            covered.setdefault(text, set()).add(tag)
    chosen: list[str] = []
    while covered and len(chosen) < room:
        best = max(covered, key=lambda text: worth(covered[text], text))
        chosen.append(best)
        kept = covered.pop(best)
        covered = {text: left for text, tags in covered.items() if (left := tags - kept)}
    return tuple(chosen)


# --- for the whole organization -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Suggestion:
    """Filters to add to `remediation.exclusions` and `remediation.exclusions_by_repository`."""

    exclusions: tuple[str, ...]
    by_repository: Mapping[str, tuple[str, ...]]


def suggest_exclusions(findings: Iterable[Finding]) -> _Suggestion | None:
    """Return the filters that the findings' impacts suggest; None where they suggest nothing.

    A filter is for the organization if two repositories at least, and half of those that need a
    filter, need it, it matches no tag that must stay immutable, and each repository has room for
    it. All others are by repository.
    """
    known = [
        _KnownRepository(
            finding.repository,
            needs=finding.impact.exclusions,
            kept=finding.change.to_exclusion_filters,
            conflicts=frozenset(finding.impact.conflicts),
        )
        for finding in findings
        if finding.impact and finding.change
    ]
    needing = [each for each in known if each.needs]
    if not needing:
        return None
    counts = Counter(text for each in needing for text in each.needs)
    common: list[str] = []
    for text, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if (
            count >= max(2, len(needing) / 2)
            and ("*" in text or not _patterns(text))  # `pr-12` itself says nothing elsewhere
            and all(each.has_room_for((*common, text)) for each in known)
        ):
            common.append(text)
    by_name: dict[str, list[_KnownRepository]] = {}
    for each in known:
        by_name.setdefault(each.repository, []).append(each)
    by_repository: dict[str, tuple[str, ...]] = {}
    for name, group in sorted(by_name.items()):
        own: list[str] = []
        for text in dict.fromkeys(chain.from_iterable(each.needs for each in group)):
            fits = all(each.has_room_for((*common, *own, text)) for each in group)
            if text not in common and fits:
                own.append(text)
        if own and _REPOSITORY.fullmatch(name):  # a glob would be about others, too
            by_repository[name] = tuple(own)
    return _Suggestion(tuple(common), by_repository)


@dataclass(frozen=True, slots=True)
class _KnownRepository:
    """The filters that a repository has and needs, and those that it must not get."""

    repository: str
    needs: tuple[str, ...]
    kept: tuple[str, ...]
    conflicts: frozenset[str]

    def has_room_for(self, texts: Sequence[str]) -> bool:
        """Tell whether these may be added, and the filters that it needs still fit."""
        own = {*self.kept, *self.needs}
        room = max(MAX_EXCLUSION_FILTERS, len(own))  # where it is short already, add nothing
        if _EVERY_TAG in self.conflicts:
            return own.issuperset(texts)
        return len(own.union(texts)) <= room and self.conflicts.isdisjoint(texts)
