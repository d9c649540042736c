"""The address that Lambda templates name: `sweeper.lambda_handler.handler`."""

from sweeper.entrypoints.lambda_function import handler

__all__ = ["handler"]
