"""The fake and the command, as the end-to-end tests have them."""

from __future__ import annotations

from tests.end_to_end.conftest import aws, here

__all__ = ["aws", "here"]
