"""The addresses that Lambda templates name: `sweeper.lambda_handler.handler`, `….handle_events`."""

from sweeper.entrypoints.lambda_function import handle_events, handler

__all__ = ["handle_events", "handler"]
