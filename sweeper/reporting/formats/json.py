"""report.json: the report as its values stand, each item of a list on a line of its own.

So two reports can be compared with diff, searched with grep, and written without a second copy
of a large organization in memory. Its schema is docs/report.schema.json.
"""

from __future__ import annotations

from sweeper.domain.json_encoding import document
from sweeper.reporting.formats.base import Format

FORMAT = Format("json", "json", "application/json", document)
