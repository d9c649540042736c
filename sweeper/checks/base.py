"""What checks have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from sweeper.domain.model import Change, Examined, Finding, Resource, Target
from sweeper.engine.ports import Record
from sweeper.engine.probe import Probe

if TYPE_CHECKING:
    from sweeper.config.schema import Config


class BaseCheck:
    """A check; see `sweeper.engine.ports.Check`. One that writes nothing only has to `examine`."""

    name: str
    resource: Resource
    read_actions: frozenset[str]
    write_actions: frozenset[str] = frozenset()
    assess_actions: frozenset[str] = frozenset()  # besides, where impact is assessed
    exemption_actions: frozenset[str] = frozenset()  # of its reads, those only for exemptions
    probes: ClassVar[Mapping[str, Probe]] = {}  # how preflight tries an action
    permitted_by: ClassVar[Mapping[str, str]] = {}  # by a parameter of the role's stack

    def __init__(self, registry: Any, config: Config, today: date) -> None:
        """Calls nothing."""
        self.registry = registry
        self.config = config
        self.today = today

    def examine(self, target: Target, record: Record | None = None) -> Examined:
        """Return the verdicts on the whole target; raises OperationFailed."""
        raise NotImplementedError

    def remedy(self, finding: Finding) -> Change:
        """Return what would fix the finding."""
        raise NotImplementedError

    def apply(
        self, target: Target, finding: Finding, change: Change, intend: Callable[[], None]
    ) -> Change:
        """Write the change if what was judged still holds; raises OperationFailed."""
        raise NotImplementedError

    def matches_desired(self, target: Target, finding: Finding, change: Change) -> bool | None:
        """Whether all is as the change would make it; raises OperationFailed."""
        raise NotImplementedError
