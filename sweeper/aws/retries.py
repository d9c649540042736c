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

from sweeper.aws.errors import UNCERTAIN
from sweeper.concurrency import Stop
from sweeper.errors import OperationFailed
from sweeper.model import Reason

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
        # The call's own dictionary, the same one for all of its attempts.
        call: dict[str, Any] = context.request_context
        call[UNCERTAIN] = call.get(UNCERTAIN, False) or _without_an_answer(context)
        if not self._conditions.is_retryable(context):
            if call[UNCERTAIN] and context.parsed_response is not None:
                context.parsed_response.setdefault("ResponseMetadata", {})[UNCERTAIN] = True
            return None
        longest = min(MAX_WAIT, 2.0 ** (context.attempt_number - 1))
        if not self._stop.wait(random.uniform(0, longest)):  # noqa: S311
            raise OperationFailed(
                self._stop.reason or Reason.INTERRUPTED,
                "stopped while waiting to try again: "
                f"attempt {context.attempt_number} had ended with {_ending(context)}",
                uncertain=call[UNCERTAIN],
            )
        return 0


def _without_an_answer(context: RetryContext) -> bool:
    """Whether an attempt ended without AWS having said no: it may have taken effect."""
    if context.caught_exception is not None:
        return True
    return bool(context.http_response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR)


def _ending(context: RetryContext) -> str:
    """How an attempt ended, for people."""
    if context.caught_exception is not None:
        return type(context.caught_exception).__name__
    return str(context.get_error_code() or f"HTTP {context.http_response.status_code}")
