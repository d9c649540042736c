"""Retries whose budget belongs to the call, and whose waits end when the sweep is told to stop.

What may be retried is botocore's judgement (its standard mode), and so is sending again with a
new signature. botocore's own retry quota and its adaptive limiter belong to a client; clients are
shared here, and one throttled account must not use up what the others need.
"""

from __future__ import annotations

import random
from typing import Any

from botocore.client import BaseClient
from botocore.retries.standard import RetryEventAdapter, StandardRetryConditions

from sweeper.concurrency import Stop

MAX_ATTEMPTS = 5
MAX_WAIT = 20.0  # seconds


class Retries:
    """Retries of every client of a sweep: exponential backoff with full jitter."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._adapter = RetryEventAdapter()
        self._conditions = StandardRetryConditions(max_attempts=MAX_ATTEMPTS)

    def register(self, client: BaseClient) -> None:
        """Let `client`, built to try once, retry this way."""
        service = client.meta.service_model.service_id.hyphenize()
        handler: Any = self._needs_retry  # botocore-stubs: handlers that answer are not known
        client.meta.events.register(f"needs-retry.{service}", handler)

    def _needs_retry(self, **event: Any) -> int | None:
        """Wait and answer 0, send again now; or answer None, give up. Raises OperationFailed."""
        context = self._adapter.create_retry_context(**event)
        if not self._conditions.is_retryable(context):
            return None
        self._stop.wait(random.uniform(0, min(MAX_WAIT, 2.0 ** (context.attempt_number - 1))))  # noqa: S311
        return 0
