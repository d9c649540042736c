"""Retries whose budget belongs to the call, and whose waits end when the sweep is told to stop.

What may be retried is botocore's judgement (its standard mode), and whatever else is throttled or
timed out by its code, such as SNS's KMSThrottling. To send again with a new signature is botocore's
work. Its own retry quota and its adaptive limiter belong to a client; clients are shared here, and
one throttled account must not use up what the others need.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from botocore.client import BaseClient
from botocore.retries.standard import (
    RetryContext,
    RetryEventAdapter,
    StandardRetryConditions,
)

from sweeper.aws.client.circuit_breaker import CircuitBreaker
from sweeper.aws.client.errors import UNCERTAIN, WITHOUT_AN_ANSWER, reason_for, refused_keys
from sweeper.domain.errors import OperationFailed
from sweeper.domain.reasons import Reason
from sweeper.engine.attempts import Stop

MAX_ATTEMPTS = 5
# The report does not wait long for the one before it.
_ATTEMPTS_OF = {"GetObject": 2}
MAX_WAIT = 20.0  # seconds
_RENEWED = "sweeper_renewed"
_PASSING = {Reason.THROTTLED, Reason.TIMED_OUT}


class Retries:
    """Retries of every client of a sweep: exponential backoff with full jitter.

    `renew`, where it is given, is told of a call whose keys were refused, as expired or not known;
    it answers whether there are new ones, and may raise OperationFailed.
    """

    def __init__(self, stop: Stop, renew: Callable[[Reason], bool] | None = None) -> None:
        self._stop = stop
        self._renew = renew
        self._adapter = RetryEventAdapter()
        self._conditions = {
            attempts: StandardRetryConditions(max_attempts=attempts)
            for attempts in (MAX_ATTEMPTS, *_ATTEMPTS_OF.values())
        }

    def register(self, client: BaseClient) -> None:
        """Let `client`, built to try once, retry this way, and leave a silent endpoint alone."""
        service = client.meta.service_model.service_id.hyphenize()
        circuit = CircuitBreaker(client.meta.endpoint_url, self._stop)
        handler: Any = partial(self._needs_retry, circuit)  # the stubs know no answers of handlers
        client.meta.events.register(f"before-call.{service}", lambda **_: circuit.enter())
        client.meta.events.register(f"needs-retry.{service}", handler)

    def _needs_retry(self, circuit: CircuitBreaker, **event: Any) -> int | None:
        """Wait and answer 0, send again now; or answer None, give up. Raises OperationFailed."""
        if isinstance(event["caught_exception"], OperationFailed):  # of what stops an attempt
            error: OperationFailed = event["caught_exception"]
            error.uncertain = error.uncertain or event["request_dict"]["context"].get(
                UNCERTAIN, False
            )
            raise error
        circuit.saw(event["caught_exception"])
        context = self._adapter.create_retry_context(**event)
        # The call's own dictionary, the same one for all of its attempts.
        call: dict[str, Any] = context.request_context
        call[UNCERTAIN] = call.get(UNCERTAIN, False) or _without_an_answer(context)
        try:
            return self._decide(circuit, context, call)
        except OperationFailed as error:  # whatever ends the call now, an attempt was made
            error.uncertain = error.uncertain or call[UNCERTAIN]
            raise

    def _decide(self, circuit: CircuitBreaker, context: Any, call: dict[str, Any]) -> int | None:
        if self._renew and not call.get(_RENEWED):
            refused = refused_keys(context.get_error_code())
            if refused:
                call[_RENEWED] = True  # once for each call
                if self._renew(refused):
                    return 0
        attempts = _ATTEMPTS_OF.get(context.operation_model.name, MAX_ATTEMPTS)
        passes = reason_for(context.get_error_code() or "") in _PASSING
        if not (
            self._conditions[attempts].is_retryable(context)
            or (passes and context.attempt_number < attempts)
        ):
            if call[UNCERTAIN] and context.parsed_response is not None:
                context.parsed_response.setdefault("ResponseMetadata", {})[UNCERTAIN] = True
            return None
        circuit.check()
        longest = min(MAX_WAIT, 2.0 ** (context.attempt_number - 1))
        if not self._stop.wait(random.uniform(0, longest)):  # noqa: S311
            raise OperationFailed(
                self._stop.reason or Reason.INTERRUPTED,
                "stopped while waiting to try again: "
                f"attempt {context.attempt_number} had ended with {_ending(context)}",
            )
        circuit.check()
        return 0


def _without_an_answer(context: RetryContext) -> bool:
    """Tell whether an attempt ended without AWS having said no: it may have taken effect."""
    if context.caught_exception is not None:
        return True
    return bool(
        context.http_response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        or (context.get_error_code() or "") in WITHOUT_AN_ANSWER
    )


def _ending(context: RetryContext) -> str:
    """Say how an attempt ended."""
    if context.caught_exception is not None:
        return type(context.caught_exception).__name__
    return str(context.get_error_code() or f"HTTP {context.http_response.status_code}")
