"""What every service's operations have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from tests.fake_aws import paging
from tests.fake_aws.wire import ApiError, Codes, Request, Wire

if TYPE_CHECKING:
    from tests.fake_aws.iam import Principal
    from tests.fake_aws.state import State

T = TypeVar("T")
Function = Callable[["Call"], Any]


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its protocol, how it words errors, and its operations by name.

    `target` is the JSON target prefix, or the API version for the query protocols.
    """

    name: str
    wire: Wire
    codes: Codes
    target: str = ""
    is_global: bool = False
    operations: dict[str, Function] = field(default_factory=dict)

    def operation(self, name: str) -> Callable[[Function], Function]:
        """Register a function as an operation."""

        def register(function: Function) -> Function:
            self.operations[name] = function
            return function

        return register

    def error(self, code: tuple[str, int], message: str, **extra: str) -> ApiError:
        """Give an error of this service."""
        return ApiError(code[0], message, code[1], **extra)


@dataclass(slots=True)
class Call:
    """One authenticated call; `region` is the signed one."""

    state: State
    service: Service
    operation: str
    principal: Principal
    region: str
    params: dict[str, Any]
    request: Request

    @property
    def partition(self) -> str:
        """The partition for ARNs."""
        return self.state.world.partition

    def allow(self, action: str, resource: str, account: str | None = None) -> None:
        """Pass if the caller may do this; raises the service's access-denied error."""
        owner = self.principal.account if account is None else account
        refusal = self.state.guard.refusal(self.principal, action, resource, self.region, owner)
        if refusal is not None:
            raise self.service.error(self.service.codes.denied, refusal)

    def invalid(self, message: str, **extra: str) -> ApiError:
        """Give the service's error for a bad parameter."""
        return self.service.error(self.service.codes.invalid, message, **extra)

    def text(self, name: str) -> str:
        """Read a mandatory text parameter; raises the bad-parameter error."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise self.invalid(
                f"1 validation error detected: Value at '{name}' failed to satisfy constraint: not "
                "null"
            )
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """Read an optional number from 1 to `most`; raises the bad-parameter error."""
        value = self.params.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self.invalid(
                f"Invalid parameter at '{name}' failed to satisfy constraint: 'Member must be "
                f"between 1 and {most}'"
            )
        return value

    def page(
        self,
        fetch: Callable[[int, int], list[T]],
        total: int,
        size: int,
        *,
        token: str = "NextToken",
        about: str = "",
        empty_pages: bool = False,
    ) -> tuple[list[T], dict[str, str]]:
        """Give one page and the member that holds the next page's token, if there is one."""
        owner = (
            f"{self.service.name}/{self.operation}/{self.principal.account}/{self.region}/{about}"
        )
        value = self.params.get(token)
        if value is not None and not isinstance(value, str):
            raise self.invalid(f"{token} must be a string")
        self.state.counters.pages[f"{self.service.name}:{self.operation}"] += 1
        items, more = paging.page(fetch, total, size, value, owner, empty_pages=empty_pages)
        return items, {token: more} if more else {}
