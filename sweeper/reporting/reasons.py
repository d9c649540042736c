"""The page of all reasons: `python -m sweeper.reporting.reasons`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sweeper.domain.reasons import Reason


def table() -> Iterator[str]:
    """The lines of docs/reasons.md."""
    yield "# Reasons"
    yield ""
    yield "Why something was skipped, failed, withheld or superseded: a closed list, that of the"
    yield "report's [schema](report.schema.json). Made by `make reasons`."
    yield ""
    yield "| reason | what it means | what to do |"
    yield "|---|---|---|"
    for reason in Reason:
        todo = (reason.advice or "").replace("|", " or ")
        yield f"| `{reason}` | {reason.meaning} | {todo} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
