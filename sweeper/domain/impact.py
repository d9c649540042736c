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
    Change,
    Finding,
    Image,
    Impact,
    MovedKind,
    MovedTag,
)


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


MAX_IMAGES = 10_000  # of a repository that are read: ten pages
MAX_TAGS_READ = 25_000  # of a repository; ECR allows 1,000 an image
MAX_MOVED = 10_000  # tags of a repository that look moved, and are held until all is read
MAX_CANDIDATES = 1_000  # patterns that are weighed: the table gives far fewer, but for odd cases
MAX_CONFLICTS = 100
EVERY = "*"  # in the place of more conflicts than these: it matches other tags, as all else may
MAX_TAGS = 20  # of a repository that are told
MAX_FILTER = 128  # ECR: ImageTagMutabilityExclusionFilterValue, characters; a tag may have 300

_REPOSITORY = re.compile(r"[a-z0-9._/-]+")  # a name that is no glob
_OLDEST = datetime.min.replace(tzinfo=UTC)


def assess(
    images: Iterable[Image], *, mutability: str, filters: Sequence[str], kept: Sequence[str]
) -> Impact:
    """What closing a repository with these images may break.

    `mutability` and `filters` are its setting today; `kept` are the filters of the change. No more
    is read, and held, than the limits above, however many tags there are: the rest is `truncated`.
    """
    seen = _Seen(mutability, filters)
    for image in images:
        if not seen.add(image):
            break
    due = [tag for tag in seen.moved if not _keeper(tag, kept)]
    suggested = _suggested(due, seen.moved, seen.conflicts, MAX_EXCLUSION_FILTERS - len(kept))
    texts = (*kept, *suggested)
    moved = sorted(seen.moved)
    moved.sort(key=lambda tag: _told(seen.moved[tag]) or "", reverse=True)
    moved.sort(key=lambda tag: _keeper(tag, texts) is not None)
    return Impact(
        images=seen.images,
        truncated=seen.truncated,
        moved=tuple(
            MovedTag(tag, kind, _told(seen.moved[tag]), _keeper(tag, texts))
            for tag in moved[:MAX_TAGS]
            if (kind := kind_of(tag))
        ),
        moved_count=len(moved),
        not_kept=sum(_keeper(tag, texts) is None for tag in moved),
        other_tags=seen.others,
        untagged=seen.untagged,
        untagged_pushed_at=_told(seen.untagged_pushed_at),
        exclusions=suggested,
        conflicts=tuple(sorted(seen.conflicts)),
    )


class _Seen:
    """What a repository holds, as it is read: tags that look moved and can be, and the others.

    Of the others there is no more than their number, and the filters that would match them.
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
        """Take an image in; False where a limit is met, and this or a part of it was not read."""
        if self.images == MAX_IMAGES:
            self.truncated = True
            return False
        self.images += 1
        if not image.tags:
            self.untagged += 1
            self.untagged_pushed_at = _later(self.untagged_pushed_at, image.pushed_at)
        for tag in image.tags:
            if self._tags == MAX_TAGS_READ or len(self.moved) == MAX_MOVED:
                self.truncated = True
                return False
            self._tags += 1
            self._add_tag(tag, image.pushed_at)
        return True

    def _add_tag(self, tag: str, pushed_at: datetime | None) -> None:
        kind = kind_of(tag)
        if kind and self._is_mutable(tag):
            # One that was moved while the pages were read comes twice.
            self.moved[tag] = _later(self.moved.get(tag), pushed_at)
            return
        self.others += 1
        if EVERY in self.conflicts:
            return
        # The filters that are ever suggested elsewhere and would match it. One that looks moved,
        # and cannot be, is not for us to open.
        self.conflicts.update(patterns(tag) or ((tag,) if kind else ()))
        if len(self.conflicts) > MAX_CONFLICTS:
            self.conflicts = {EVERY}

    def _is_mutable(self, tag: str) -> bool:
        """Whether the tag can be overwritten as the repository is set today."""
        excluded = _keeper(tag, self._filters) is not None
        return excluded == (self._mutability == "IMMUTABLE_WITH_EXCLUSION")


def _keeper(tag: str, filters: Sequence[str]) -> str | None:
    """The first of the filters that matches the tag."""
    return next((text for text in filters if matches(text, tag)), None)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each), default=None)


def _told(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


def _suggested(
    due: Sequence[str],
    pushed: Mapping[str, datetime | None],
    conflicts: Collection[str],
    room: int,
) -> tuple[str, ...]:
    """At most `room` filters that keep the tags that are `due` mutable, or as many as they can.

    The narrowest for each where they fit; else what keeps most tags comes first, and of those that
    keep as many, what was pushed last. A tag that no pattern may stand for is named itself.
    """
    if room <= 0:
        return ()

    def safe(tag: str) -> list[str]:
        if EVERY in conflicts:
            return []
        return [text for text in patterns(tag) if text not in conflicts]

    def worth(tags: Collection[str], text: str) -> tuple[int, datetime, int, str]:
        return len(tags), max(pushed[tag] or _OLDEST for tag in tags), len(text), text

    alone = [tag for tag in due if len(tag) <= MAX_FILTER and not safe(tag)]
    # Each keeps one tag, so of those that are not among the best none is ever chosen.
    named = nlargest(room + 1, alone, key=lambda tag: worth((tag,), tag))
    candidates = {*named, *(texts[0] for tag in due if (texts := safe(tag)))}
    if len(candidates) > room:
        counts = Counter(chain.from_iterable(map(safe, due)))
        candidates = {*named, *(text for text, _ in counts.most_common(MAX_CANDIDATES))}
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
class Suggestion:
    """What to add to `remediation.exclusions` and to `remediation.exclusions_by_repository`."""

    exclusions: tuple[str, ...]
    by_repository: Mapping[str, tuple[str, ...]]


def suggest_exclusions(findings: Iterable[Finding]) -> Suggestion | None:
    """The filters that the findings' impacts suggest, for the organization and by repository.

    For the organization is what two repositories at least, and half of those that need a filter,
    need; if it matches no tag in any repository that should not be matched, and each of them has
    room for it. None where nothing is suggested.
    """
    known = [
        _Known.of(finding.repository, finding.impact, finding.change)
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
            and ("*" in text or not patterns(text))  # `pr-12` itself says nothing elsewhere
            and all(each.has_room_for((*common, text)) for each in known)
        ):
            common.append(text)
    by_name: dict[str, list[_Known]] = {}
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
    return Suggestion(tuple(common), by_repository)


@dataclass(frozen=True, slots=True)
class _Known:
    """A repository, as far as filters for several are concerned."""

    repository: str
    needs: tuple[str, ...]
    kept: tuple[str, ...]
    conflicts: frozenset[str]

    @staticmethod
    def of(repository: str, impact: Impact, change: Change) -> _Known:
        return _Known(
            repository,
            impact.exclusions,
            change.to_exclusion_filters,
            frozenset(impact.conflicts),
        )

    def has_room_for(self, texts: Sequence[str]) -> bool:
        """Whether these may be added, and what this repository needs still fits."""
        own = {*self.kept, *self.needs}
        room = max(MAX_EXCLUSION_FILTERS, len(own))  # where it is short already, add nothing
        if EVERY in self.conflicts:
            return own.issuperset(texts)
        return len(own.union(texts)) <= room and self.conflicts.isdisjoint(texts)
