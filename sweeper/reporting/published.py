"""What docs/ publishes of the program: the JSON Schemas of report.json and of events, the reasons.

`python -m sweeper.reporting.published report` prints the first; the other names are `events` and
`reasons`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from sweeper.config.json_schema import Untitled
from sweeper.domain.reasons import Reason
from sweeper.domain.report_model import Report
from sweeper.reporting.sinks.event_bus import FindingChanged, RunFinished


def report_schema() -> str:
    """Return docs/report.schema.json: the schema of report.json."""
    return _schema(Report, "sweeper report")


def events_schema() -> str:
    """Return docs/events.schema.json: the schema of the `detail` of an event on the bus."""
    return _schema(RunFinished | FindingChanged, "detail of a sweeper event")


def _schema(model: Any, title: str) -> str:
    """Return the schema of what is written; its descriptions are the docstrings of the models."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    result = adapter.json_schema(mode="serialization", schema_generator=Untitled)
    definitions = result.pop("$defs")
    for definition in (result, *definitions.values()):
        if definition.get("type") == "object":
            definition["additionalProperties"] = False
            # A field with a default is written, too.
            definition["required"] = list(definition["properties"])
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **{key: value for key, value in result.items() if key != "title"},
        "$defs": definitions,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def reasons_page() -> str:
    """Return docs/reasons.md: a table of all reasons."""
    return "\n".join(_reason_lines()) + "\n"


def _reason_lines() -> Iterator[str]:
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
    pages = {"report": report_schema, "events": events_schema, "reasons": reasons_page}
    wanted = sys.argv[1:]
    if len(wanted) != 1 or wanted[0] not in pages:
        sys.exit(f"usage: python -m sweeper.reporting.published {'|'.join(pages)}")
    sys.stdout.write(pages[wanted[0]]())
