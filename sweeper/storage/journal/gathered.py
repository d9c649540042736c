"""What the lines of a journal say together: each is checked against those before it."""

from __future__ import annotations

from datetime import UTC, datetime

from sweeper.domain.model import (
    Change,
    ChangeStatus,
    Counts,
    Examined,
    Failed,
    Finding,
    Impact,
    Key,
    OpenedAccount,
    ResumeState,
)
from sweeper.storage.journal import kinds
from sweeper.storage.record_reader import Budget


def is_as_found(finding: Finding) -> bool:
    """Tell whether the finding is as its check left it, which may have withheld the change."""
    return finding.change is None or finding.change.status is ChangeStatus.WITHHELD


class Gathered:
    """What the lines of a journal say together, or of a worker's part, where `is_part`.

    In a part what failed is a fact, and so is each decision about a change. A journal's failures
    are for people: a run that is resumed tries again.
    """

    def __init__(self, budget: Budget, *, is_part: bool) -> None:
        self._budget = budget
        self._is_part = is_part
        self._pending: dict[tuple[str, str], list[Finding]] = {}
        self._opened: dict[str, OpenedAccount] = {}
        self._examined: dict[tuple[str, str], Examined] = {}
        self._settled: dict[Key, Change] = {}
        self._unsettled: set[Key] = set()
        self._healthy: dict[Counts, Examined] = {}
        self._leases: set[str] = set()
        self._found: dict[tuple[str, str], set[Key]] = {}
        self._failures: dict[tuple[str, str | None], Failed] = {}
        self._impacts: dict[Key, Impact] = {}
        self._decided: dict[Key, Change] = {}
        self._count = 0
        self.header: kinds.Header | None = None
        self.is_whole = False

    def take(self, value: kinds.Line) -> str | None:
        """Take the next line in; what is wrong with it, if anything. Raises TooLarge."""
        if isinstance(value, kinds.Header) is not (self.header is None):
            return "the first line, and no other, says which run it is"
        if self.is_whole:
            return "a line after the end"
        self._count += 1
        if isinstance(value, kinds.Header):
            self.header = value
            return kinds.find_problem(value, datetime.now(UTC))
        return self._end(value) if isinstance(value, kinds.End) else self._add(value)

    def _end(self, value: kinds.End) -> str | None:
        before = self._count - 1
        if not self._is_part:
            return "the end of a part, which this is not"
        if value.lines != before:
            return f"the end of {value.lines:,} lines, of which {before:,} stand before"
        self.is_whole = True
        return None

    def _add(self, value: kinds.Line) -> str | None:
        if self._is_part or not isinstance(value, kinds.Failed):  # which is not kept
            self._budget.take(value)
        match value:
            case kinds.Lease(token=token):
                self._leases.add(token)
            case kinds.Opened(account=account, regions=regions, unread=unread):
                self._opened[account.id] = OpenedAccount(account, regions, unread)
            case kinds.Found(finding=finding):
                return self._add_finding(finding)
            case kinds.Examined():
                return self._examine(value)
            case kinds.Failed() | kinds.Assessed():
                return self._add_fact(value) if self._is_part else None
            case kinds.Finished():
                return "the run has finished: its report has all of it"
            case kinds.Intent() | kinds.Result():
                return self._change(value)
            case _:
                pass
        return None

    def _add_fact(self, value: kinds.Failed | kinds.Assessed) -> str | None:
        """Take in what is a fact in a part alone."""
        if isinstance(value, kinds.Failed):
            failure = Failed(value.stage, value.reason, value.message, value.error_code)
            self._failures[value.account_id, value.region] = failure
        elif self._is_found(value.key):
            self._impacts[value.key] = value.impact
        else:
            return "an impact on what the lines before did not find"
        return None

    def _add_finding(self, finding: Finding) -> str | None:
        # What would be written is never taken from a journal, but planned anew.
        if not is_as_found(finding):
            return "a finding with a change that was not withheld"
        if finding.impact:
            return "a finding with its impact, which is assessed anew"
        self._pending.setdefault((finding.account_id, finding.region), []).append(finding)
        return None

    def _examine(self, value: kinds.Examined) -> str | None:
        target = value.account_id, value.region
        # A process may have ended among its lines, and another may have begun the target anew.
        pending = self._pending.pop(target, [])
        findings = tuple(pending[len(pending) - value.findings :]) if value.findings else ()
        if len(findings) != value.findings:
            return f"{value.findings:,} findings, of which {len(pending):,} stand before"
        counts = Counts(*value.counts)
        same = self._healthy.setdefault(counts, Examined(counts))
        self._found.pop(target, None)
        self._examined[target] = Examined(counts, findings) if findings else same
        return None

    def _is_found(self, key: Key) -> bool:
        """Tell whether there is a finding for the change: else no report would have it."""
        target = key[1], key[2]
        if target not in self._found:
            examined = self._examined.get(target)
            self._found[target] = {each.key for each in examined.findings} if examined else set()
        return key in self._found[target]

    def _change(self, value: kinds.Intent | kinds.Result) -> str | None:
        key = value.key
        if not self._is_found(key):
            return "a change of what the lines before did not find"
        if isinstance(value, kinds.Intent):
            self._unsettled.add(key)
        else:
            if self._is_part:
                self._decided[key] = value.change
            self._settle(key, value.change)
        return None

    def _settle(self, key: Key, change: Change) -> None:
        # What failed may have taken effect all the same: it is read again.
        if change.status in (ChangeStatus.APPLIED, ChangeStatus.SUPERSEDED):
            known = self._settled.get(key)
            # What was applied stays applied, whatever a later process found.
            if known is None or known.status is not ChangeStatus.APPLIED:
                self._settled[key] = change
            self._unsettled.discard(key)

    def past(self) -> ResumeState:
        """Return all that the lines say."""
        return ResumeState(
            self._opened,
            self._examined,
            self._settled,
            self._unsettled,
            frozenset(self._leases),
            self._failures,
            self._impacts,
            self._decided,
        )
