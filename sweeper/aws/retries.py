"""Retries whose budget belongs to the call, and whose waits end when the sweep is told to stop.

What may be retried is botocore's judgement (its standard mode), and so is sending again with a
new signature. botocore's own retry quota and its adaptive limiter belong to a client; clients are
shared here, and one throttled account must not use up what the others need.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import Any

from botocore.client import BaseClient
from botocore.retries.standard import (
    RetryContext,
    RetryEventAdapter,
    StandardRetryConditions,
)

from sweeper.concurrency import Stop
from sweeper.errors import OperationFailed
from sweeper.model import Reason

MAX_ATTEMPTS = 5
# The report does not wait long for the one before it.
ATTEMPTS_OF = {"GetObject": 2}
MAX_WAIT = 20.0  # seconds


class Retries:
    """Retries of every client of a sweep: exponential backoff with full jitter."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._adapter = RetryEventAdapter()
        self._conditions = StandardRetryConditions(max_attempts=MAX_ATTEMPTS)
        self._conditions_of = {
            operation: StandardRetryConditions(max_attempts=attempts)
            for operation, attempts in ATTEMPTS_OF.items()
        }

    def register(self, client: BaseClient) -> None:
        """Let `client`, built to try once, retry this way."""
        service = client.meta.service_model.service_id.hyphenize()
        handler: Any = self._needs_retry  # botocore-stubs: handlers that answer are not known
        client.meta.events.register(f"needs-retry.{service}", handler)

    def _needs_retry(self, **event: Any) -> int | None:
        """Wait and answer 0, send again now; or answer None, give up. Raises OperationFailed."""
        context = self._adapter.create_retry_context(**event)
        operation = context.operation_model.name
        if not self._conditions_of.get(operation, self._conditions).is_retryable(context):
            return None
        longest = min(MAX_WAIT, 2.0 ** (context.attempt_number - 1))
        if not self._stop.wait(random.uniform(0, longest)):  # noqa: S311
            raise OperationFailed(
                self._stop.reason or Reason.INTERRUPTED,
                "stopped while waiting to try again: "
                f"attempt {context.attempt_number} had ended with {_ending(context)}",
            )
        return 0


def _ending(context: RetryContext) -> str:
    """How an attempt ended, for people; without AWS having said no, it may have taken effect."""
    if context.caught_exception is not None:
        return f"{type(context.caught_exception).__name__}, and may have taken effect"
    code = context.get_error_code() or f"HTTP {context.http_response.status_code}"
    if context.http_response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{code}, and may have taken effect"
    return str(code)
