"""What making repositories immutable may break, and the configuration that prevents it.

Text that is returned is plain. It is a guess from the names of tags, and worded as one.
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


def impact_sentence(findings: Sequence[Finding]) -> str:
    """Return in how many repositories tags appear to be re-pushed; "" where it was not assessed."""
    impacts = [finding.impact for finding in findings if finding.impact]
    if not impacts:
        return ""
    moved = sum(1 for impact in impacts if impact.moved_count)
    not_kept = sum(1 for impact in impacts if impact.moved_count and _loses_tags(impact))
    of = number(len(impacts), "repository")
    text = f"Tags look moved by design in {moved:,} of {of}"
    if moved:
        text += f", in {not_kept:,} of them some that no filter of the plan keeps"
    unknown = sum(1 for impact in impacts if impact.unavailable)
    return f"{text}; of {unknown:,} it is not known." if unknown else f"{text}."


def impact_clause(findings: Sequence[Finding], command: str) -> str:
    """Return `impact_sentence` as a clause, with the command that lists more."""
    impacts = [finding.impact for finding in findings if finding.impact]
    if not impacts:
        return ""
    moved = sum(1 for impact in impacts if impact.moved_count)
    unknown = sum(1 for impact in impacts if impact.unavailable)
    of = number(len(impacts), "repository")
    text = f"tags look moved by design in {moved:,} of {of}"
    text += f"; not known for {unknown:,}" if unknown else ""
    more = f": `{command}` lists them and the filters that keep them so"
    return text + more if moved or unknown else text


def _loses_tags(impact: Impact) -> bool:
    """Tell whether the plan would freeze a tag that appears to be re-pushed."""
    return bool(impact.exclusions or impact.not_kept)


def impact_sentences(finding: Finding) -> Iterator[str]:
    """Yield what is known of the repository's tags."""
    impact = finding.impact
    if impact is None:
        return
    if impact.unavailable:
        error = f" ({shorten(impact.error, 600)})" if impact.error else ""
        yield f"its tags could not be read: {impact.unavailable}{error}"
        return
    if impact.truncated:
        of = number(impact.images, "image")
        yield f"not all of its tags were read, at most those of {of}: a filter may match others"
    if impact.moved_count:
        look = "tag looks" if impact.moved_count == 1 else "tags look"
        yield f"{impact.moved_count:,} {look} moved by design: {_moved_tag_list(impact)}"
    else:
        yield "no tag looks moved by design"
    if impact.exclusions:
        filters = ", ".join(map(_short, impact.exclusions))
        yield f"with these exclusion filters they could still be: {filters}"
    if impact.not_kept:
        yield (
            f"no filter keeps {impact.not_kept:,} of them: more than five would be needed, or they "
            "would match other tags"
        )
    if impact.untagged:
        pushed_at = impact.untagged_pushed_at
        newest = f", the newest pushed {_short(pushed_at)}" if pushed_at else ""
        yield f"{number(impact.untagged, 'image is', 'images are')} untagged{newest}: {_UNTAGGED}"


def _short(text: str) -> str:
    return shorten(text, 300)  # ECR: ImageTag, characters


def _moved_tag_list(impact: Impact) -> str:
    tags = []
    for each in impact.moved:
        notes = [f"pushed {_short(each.pushed_at)}"] if each.pushed_at else []
        notes += [] if each.kept_by else ["without a filter"]
        tags.append(_short(each.tag) + (f" ({', '.join(notes)})" if notes else ""))
    left = impact.moved_count - len(impact.moved)
    return ", ".join(tags) + (f" and {left:,} more" if left else "")


def moved_tags(impact: Impact) -> str:
    """Return the tags that appear to be re-pushed, or why they are not known, for a cell."""
    if impact.unavailable:
        return f"not known: {impact.unavailable}"
    tags = " ".join(_short(each.tag) for each in impact.moved)
    left = impact.moved_count - len(impact.moved)
    notes = [tags] if tags else []
    notes += [f"(and {left:,} more)"] if left else []
    notes += ["(not all tags were read)"] if impact.truncated else []
    return " ".join(notes)


def _yaml_flow(value: str | Sequence[str]) -> str:
    """Return the value as YAML on one line: JSON is YAML."""
    return plain(json.dumps(value))


def suggested_config(findings: Sequence[Finding]) -> list[str]:
    """Return the lines to add to config.yaml, below an introduction; empty without any."""
    found = suggest_exclusions(findings)
    if found is None or not (found.exclusions or found.by_repository):
        return []
    lines = ["", "  To keep them so, add this to config.yaml, or to the lists that are there:", ""]
    if partly := sum(bool(each.impact and each.impact.truncated) for each in findings):
        of = number(partly, "repository")
        lines[2:] = [f"  Not all tags of {of} were read: these filters may match others there.", ""]
    lines.append("remediation:")
    if found.exclusions:
        lines.append(f"  exclusions: {_yaml_flow(found.exclusions)}")
    if found.by_repository:
        lines.append("  exclusions_by_repository:")
    lines += (
        f"    {_yaml_flow(name)}: {_yaml_flow(filters)}"
        for name, filters in found.by_repository.items()
    )
    return lines
