"""Which tags look moved by design, and the exclusion filters that keep those, and no others, so.

All of it is judged by names, and a name proves nothing: see docs/impact.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from sweeper.model import (
    MAX_EXCLUSION_FILTERS,
    Change,
    Finding,
    Image,
    Impact,
    MovedKind,
    MovedTag,
)
from sweeper.tag_names import kind_of, matches, patterns

MAX_IMAGES = 10_000  # of a repository that are read: ten pages
MAX_TAGS = 20  # of a repository that are told
MAX_FILTER = 128  # ECR: ImageTagMutabilityExclusionFilterValue, characters; a tag may have 300

_REPOSITORY = re.compile(r"[a-z0-9._/-]+")  # a name that is no glob


def assessed(
    images: Iterable[Image], *, mutability: str, filters: Sequence[str], kept: Sequence[str]
) -> Impact:
    """What closing a repository with these images may break.

    `mutability` and `filters` are its setting today; `kept` are the filters of the change.
    """
    seen = _Seen(mutability, filters)
    for image in images:
        if seen.images == MAX_IMAGES:
            seen.truncated = True
            break
        seen.add(image)
    conflicts = _conflicts(seen.others)
    due = [tag for tag in seen.moved if not any(matches(text, tag) for text in kept)]
    suggested = _suggested(due, seen.moved, conflicts, MAX_EXCLUSION_FILTERS - len(kept))
    moved = [
        MovedTag(
            tag,
            kind,
            _told(seen.moved[tag]),
            next((text for text in (*kept, *suggested) if matches(text, tag)), None),
        )
        for tag, kind in sorted(seen.kinds.items())
    ]
    moved.sort(key=lambda each: each.pushed_at or "", reverse=True)
    moved.sort(key=lambda each: each.kept_by is not None)
    return Impact(
        images=seen.images,
        truncated=seen.truncated,
        moved=tuple(moved[:MAX_TAGS]),
        moved_count=len(moved),
        not_kept=sum(each.kept_by is None for each in moved),
        other_tags=len(seen.others),
        untagged=seen.untagged,
        untagged_pushed_at=_told(seen.untagged_pushed_at),
        exclusions=suggested,
        conflicts=tuple(sorted(conflicts)),
    )


class _Seen:
    """What a repository holds, as it is read: tags that look moved and can be, and the others."""

    def __init__(self, mutability: str, filters: Sequence[str]) -> None:
        self._mutability = mutability
        self._filters = filters
        self.images = 0
        self.truncated = False
        self.kinds: dict[str, MovedKind] = {}
        self.moved: dict[str, datetime | None] = {}
        self.others: set[str] = set()
        self.untagged = 0
        self.untagged_pushed_at: datetime | None = None

    def add(self, image: Image) -> None:
        """Take an image in."""
        self.images += 1
        if not image.tags:
            self.untagged += 1
            self.untagged_pushed_at = _later(self.untagged_pushed_at, image.pushed_at)
        for tag in image.tags:
            if (kind := kind_of(tag)) and self._is_mutable(tag):
                self.kinds[tag] = kind
                # One that was moved while the pages were read comes twice.
                self.moved[tag] = _later(self.moved.get(tag), image.pushed_at)
            else:
                self.others.add(tag)

    def _is_mutable(self, tag: str) -> bool:
        """Whether the tag can be overwritten as the repository is set today."""
        excluded = any(matches(text, tag) for text in self._filters)
        return excluded == (self._mutability == "IMMUTABLE_WITH_EXCLUSION")


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each), default=None)


def _told(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


def _conflicts(others: Iterable[str]) -> set[str]:
    """The filters that are ever suggested elsewhere and would match one of these tags."""
    found = set[str]()
    for tag in others:
        if own := patterns(tag):
            found.update(own)
        elif kind_of(tag):  # it looks moved, and cannot be: not for us to open
            found.add(tag)
    return found


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
    safe = {tag: [text for text in patterns(tag) if text not in conflicts] for tag in due}
    for tag, texts in safe.items():
        if not texts and len(tag) <= MAX_FILTER:
            texts.append(tag)
    narrowest = {texts[0] for texts in safe.values() if texts}
    candidates = narrowest if len(narrowest) <= room else set(chain.from_iterable(safe.values()))
    covered = {text: set[str]() for text in candidates}
    for tag, texts in safe.items():
        for text in candidates.intersection(texts):
            covered[text].add(tag)
    oldest = datetime.min.replace(tzinfo=UTC)

    def worth(text: str) -> tuple[int, datetime, int, str]:
        tags = covered[text]
        return len(tags), max(pushed[tag] or oldest for tag in tags), len(text), text

    chosen: list[str] = []
    while covered and len(chosen) < room:
        best = max(covered, key=worth)
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


def suggestion(findings: Iterable[Finding]) -> Suggestion | None:
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
        return len(own.union(texts)) <= room and self.conflicts.isdisjoint(texts)
