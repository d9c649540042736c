"""What is read for the report after a sweep: owner tags, names of OUs, and AWS Config's inventory.

What cannot be read is said in the report, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sweeper.domain.config_inventory import Inventory, Source, compare_inventory
from sweeper.domain.model import Compliance, Failed, Stage
from sweeper.domain.report import nothing_listed
from sweeper.domain.report_model import ConfigInventory, Report
from sweeper.engine.attempts import attempt

if TYPE_CHECKING:
    from sweeper.config.schema import Config


def with_account_tags(
    report: Report,
    keys: Sequence[str],
    read: Callable[[Sequence[str]], Mapping[str, Mapping[str, str] | Failed]],
) -> Report:
    """Return the report with the tags `keys` of the accounts that need attention.

    These have findings that are not exempt, or that were resolved since the last sweep, or could
    not be checked. `read` is called once, with the ids of these accounts, where there are keys and
    accounts.
    """
    listed = {account.id for account in report.accounts}
    concerned = dict.fromkeys(
        finding.account_id
        for finding in report.findings
        if finding.compliance is not Compliance.EXEMPT
    )
    concerned |= dict.fromkeys(
        failure.account_id for failure in report.failures if failure.account_id in listed
    )
    resolved = report.since_last.resolved if report.since_last else ()
    concerned |= dict.fromkeys(item.account_id for item in resolved if item.account_id in listed)
    if not keys or not concerned or nothing_listed(report):
        return report
    tags: dict[str, dict[str, str]] = {}
    failed: list[Failed] = []
    found = read(tuple(concerned))
    for account_id in concerned:
        result = found.get(account_id, {})
        if isinstance(result, Failed):
            failed.append(result)
        else:
            tags[account_id] = {key: result[key] for key in keys if result.get(key)}
    return replace(
        report,
        accounts=tuple(
            replace(account, tags=tags[account.id]) if tags.get(account.id) else account
            for account in report.accounts
        ),
        account_tags_unavailable=(
            f"of {len(failed):,} of {len(concerned):,} accounts: {_explain(failed[0])}"
            if failed
            else None
        ),
    )


def with_ou_names(
    report: Report, read: Callable[[Sequence[str]], Mapping[str, str | Failed]]
) -> tuple[Report, Failed | None]:
    """Return the report with the names of its accounts' OUs, and why a name is missing, if so.

    `read` is called once, with the ids of the OUs; the id stands where a name could not be read.
    """
    paths = {account.id: (account.ou_path or "").split("/")[1:] for account in report.accounts}
    ids = sorted({ou for path in paths.values() for ou in path})
    if not ids:
        return report, None
    found = read(ids)
    names = {ou: ou if isinstance(name, Failed) else name for ou, name in found.items()}
    accounts = [
        replace(account, ou_names="/".join(names.get(ou, ou) for ou in paths[account.id]))
        if paths[account.id]
        else account
        for account in report.accounts
    ]
    failed = next((each for each in found.values() if isinstance(each, Failed)), None)
    return replace(report, accounts=tuple(accounts)), failed


class _Aggregator(Protocol):
    """An aggregator of AWS Config; every method raises OperationFailed."""

    def inventory(self, since: datetime) -> Inventory:
        """Return what is recorded of repositories; `since` tells what was captured after it."""

    def sources(self) -> Sequence[Source]:
        """Return the sources whose data are missing, or old."""


def with_config_inventory(
    report: Report, config: Config, aggregator: _Aggregator | None, *, lists_repositories: bool
) -> Report:
    """Return the report of a sweep with what the aggregator recorded. Raises nothing.

    `lists_repositories` is whether a check of the sweep did.
    """
    named = config.inventory.config_aggregator
    is_sweep = report.run.kind == "sweep" and not nothing_listed(report)
    if named is None or aggregator is None or not is_sweep:
        return report
    since = datetime.fromisoformat(report.run.started_at)
    recorded = attempt(Stage.ENUMERATE, lambda _: aggregator.inventory(since), None)
    if isinstance(recorded, Failed):
        inventory = ConfigInventory(named.name, named.region, unavailable=_explain(recorded))
        return replace(report, config_inventory=inventory)
    sources = attempt(Stage.ENUMERATE, lambda _: aggregator.sources(), None)
    known = () if isinstance(sources, Failed) else sources
    report = compare_inventory(
        report, recorded, known, config, lists_repositories=lists_repositories
    )
    if isinstance(sources, Failed) and report.config_inventory:
        inventory = replace(report.config_inventory, sources_unavailable=_explain(sources))
        report = replace(report, config_inventory=inventory)
    return report


def _explain(failed: Failed) -> str:
    return f"{failed.reason}, {failed.error}"
