"""What closing repositories may break, in words, and the configuration that keeps their tags so.

Text that is returned is plain. All of it is judged by names: nothing here is told as a fact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sweeper.domain.escaping import plain, shorten
from sweeper.domain.impact import suggest_exclusions
from sweeper.domain.model import Finding, Impact
from sweeper.reporting.wording import number

_UNTAGGED = (
    "such may be what overwritten tags left behind, parts of images for several platforms, or "
    "images whose tag was deleted"
)


def counted(findings: Sequence[Finding]) -> str:
    """In how many of the repositories tags look moved; empty where it was not assessed."""
    impacts = [finding.impact for finding in findings if finding.impact]
    if not impacts:
        return ""
    moved = sum(1 for impact in impacts if impact.moved_count)
    not_kept = sum(1 for impact in impacts if impact.moved_count and _stops(impact))
    of = number(len(impacts), "repository", "repositories")
    said = f"Tags look moved by design in {moved:,} of {of}"
    if moved:
        said += f", in {not_kept:,} of them some that no filter of the plan keeps"
    unknown = sum(1 for impact in impacts if impact.unavailable)
    return f"{said}; of {unknown:,} it is not known." if unknown else f"{said}."


def brief(findings: Sequence[Finding], command: str) -> str:
    """As `counted`, in a clause, with the command that tells more; empty where not assessed."""
    impacts = [finding.impact for finding in findings if finding.impact]
    if not impacts:
        return ""
    moved = sum(1 for impact in impacts if impact.moved_count)
    unknown = sum(1 for impact in impacts if impact.unavailable)
    of = number(len(impacts), "repository", "repositories")
    said = f"tags look moved by design in {moved:,} of {of}"
    said += f"; not known for {unknown:,}" if unknown else ""
    more = f": `{command}` lists them and the filters that keep them so"
    return said + more if moved or unknown else said


def _stops(impact: Impact) -> bool:
    """Whether a tag that looks moved could not be moved any more, were the plan made as it is."""
    return bool(impact.exclusions or impact.not_kept)


def sentences(finding: Finding) -> Iterator[str]:
    """What is known of the repository's tags."""
    impact = finding.impact
    if impact is None:
        return
    if impact.unavailable:
        error = f" ({shorten(impact.error, 600)})" if impact.error else ""
        yield f"its tags could not be read: {impact.unavailable}{error}"
        return
    if impact.truncated:
        of = number(impact.images, "image", "images")
        yield f"not all of its tags were read, at most those of {of}: a filter may match others"
    if impact.moved_count:
        look = "tag looks" if impact.moved_count == 1 else "tags look"
        yield f"{impact.moved_count:,} {look} moved by design: {_told(impact)}"
    else:
        yield "no tag looks moved by design"
    if impact.exclusions:
        filters = ", ".join(map(_shown, impact.exclusions))
        yield f"with these exclusion filters they could still be: {filters}"
    if impact.not_kept:
        yield (
            f"no filter keeps {impact.not_kept:,} of them: more than five would be needed, or they "
            "would match other tags"
        )
    if impact.untagged:
        pushed_at = impact.untagged_pushed_at
        newest = f", the newest pushed {_shown(pushed_at)}" if pushed_at else ""
        yield f"{number(impact.untagged, 'image is', 'images are')} untagged{newest}: {_UNTAGGED}"


def _shown(text: str) -> str:
    return shorten(text, 300)  # ECR: ImageTag, characters


def _told(impact: Impact) -> str:
    told = []
    for each in impact.moved:
        notes = [f"pushed {_shown(each.pushed_at)}"] if each.pushed_at else []
        notes += [] if each.kept_by else ["without a filter"]
        told.append(_shown(each.tag) + (f" ({', '.join(notes)})" if notes else ""))
    left = impact.moved_count - len(impact.moved)
    return ", ".join(told) + (f" and {left:,} more" if left else "")


def moved_tags(impact: Impact) -> str:
    """The tags that look moved, or why they are not known, for a cell of a table."""
    if impact.unavailable:
        return f"not known: {impact.unavailable}"
    tags = " ".join(_shown(each.tag) for each in impact.moved)
    left = impact.moved_count - len(impact.moved)
    notes = [tags] if tags else []
    notes += [f"(and {left:,} more)"] if left else []
    notes += ["(not all tags were read)"] if impact.truncated else []
    return " ".join(notes)


def _flow(value: str | Sequence[str]) -> str:
    """The value as YAML on one line: JSON is YAML."""
    return plain(json.dumps(value))


def as_yaml(findings: Sequence[Finding]) -> list[str]:
    """What to add to config.yaml, as its lines, after a line that says so; empty for nothing."""
    found = suggest_exclusions(findings)
    if found is None or not (found.exclusions or found.by_repository):
        return []
    lines = ["", "  To keep them so, add this to config.yaml, or to the lists that are there:", ""]
    if partly := sum(bool(each.impact and each.impact.truncated) for each in findings):
        where = number(partly, "repository", "repositories")
        lines[2:] = [
            f"  Not all tags of {where} were read: these filters may match others there.",
            "",
        ]
    lines.append("remediation:")
    if found.exclusions:
        lines.append(f"  exclusions: {_flow(found.exclusions)}")
    if found.by_repository:
        lines.append("  exclusions_by_repository:")
    lines += (
        f"    {_flow(name)}: {_flow(filters)}" for name, filters in found.by_repository.items()
    )
    return lines
