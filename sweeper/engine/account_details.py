"""What people need to know of the accounts in a report: owner tags, and names of OUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sweeper.domain.model import Compliance, Failed
from sweeper.domain.report import nothing_listed
from sweeper.domain.report_model import Report

Read = Callable[[Sequence[str]], Mapping[str, Mapping[str, str] | Failed]]


def with_account_tags(report: Report, keys: Sequence[str], read: Read) -> Report:
    """Return the report with the tags `keys` of the accounts that somebody has to look at.

    These have findings that are not exempt, or could not be checked.
    `read` is called once, with the ids of these accounts, where there are keys and accounts. What
    it cannot read is told in `account_tags_unavailable` and changes nothing else.
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
        account_tags_unavailable=_why(failed, len(concerned)) if failed else None,
    )


def _why(failed: Sequence[Failed], asked: int) -> str:
    first = failed[0]
    code = f"{first.error_code}: " if first.error_code else ""
    return f"of {len(failed):,} of {asked:,} accounts: {first.reason}, {code}{first.message}"


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
