"""report.json: the report as its values stand, each item of a list on a line of its own.

So two reports can be compared with diff, searched with grep, and written without a second copy
of a large organization in memory. Its schema is docs/report.schema.json.
"""

from __future__ import annotations

from sweeper.domain.json_encoding import document
from sweeper.domain.report_model import Report
from sweeper.reporting.formats import Format


def render(report: Report) -> bytes:
    """Return the report as UTF-8 JSON, keys in the order of the model, a newline at the end."""
    return document(report)


FORMAT = Format("json", "json", "application/json", render)
