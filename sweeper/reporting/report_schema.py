"""The JSON Schemas of report.json and of events, from the models.

`python -m sweeper.reporting.report_schema` prints that of the report, with `events` the other.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from sweeper.config.json_schema import Untitled
from sweeper.domain.report_model import Report
from sweeper.reporting.events import FindingChanged, RunFinished


def schema(model: Any = Report, title: str = "sweeper report") -> dict[str, Any]:
    """The schema of what `formats.json` writes; its descriptions are the docstrings."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    result = adapter.json_schema(mode="serialization", schema_generator=Untitled)
    definitions = result.pop("$defs")
    for definition in (result, *definitions.values()):
        if definition.get("type") == "object":
            definition["additionalProperties"] = False
            # Whatever has a default is written all the same.
            definition["required"] = list(definition["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **{key: value for key, value in result.items() if key != "title"},
        "$defs": definitions,
    }


def events_schema() -> dict[str, Any]:
    """The schema of the `detail` of an event on the bus."""
    return schema(RunFinished | FindingChanged, "detail of a sweeper event")


def text(of: dict[str, Any]) -> str:
    """A schema as it is published in docs/."""
    return json.dumps(of, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text(events_schema() if sys.argv[1:] == ["events"] else schema()))
