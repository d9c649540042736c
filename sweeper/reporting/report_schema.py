"""The JSON Schema of report.json, from the model: `python -m sweeper.reporting.report_schema`."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from sweeper.config.json_schema import Untitled
from sweeper.domain.report_model import Report


def schema() -> dict[str, Any]:
    """The schema of what `formats.json` writes; its descriptions are the docstrings."""
    adapter = TypeAdapter(Report)
    result = adapter.json_schema(mode="serialization", schema_generator=Untitled)
    definitions = result.pop("$defs")
    for definition in (result, *definitions.values()):
        if definition["type"] == "object":
            definition["additionalProperties"] = False
            # Whatever has a default is written all the same.
            definition["required"] = list(definition["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sweeper report",
        **{key: value for key, value in result.items() if key != "title"},
        "$defs": definitions,
    }


def text() -> str:
    """The schema as it is published in docs/report.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
