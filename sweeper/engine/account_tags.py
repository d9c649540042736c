"""The tags of accounts with findings, beside the findings: so that someone can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sweeper.domain.model import Compliance, Failed
from sweeper.domain.report import nothing_listed
from sweeper.domain.report_model import Report

Read = Callable[[Sequence[str]], Mapping[str, Mapping[str, str] | Failed]]


def with_account_tags(report: Report, keys: Sequence[str], read: Read) -> Report:
    """The report with the tags `keys` of the accounts whose findings are not exempt.

    `read` is called once, with the ids of these accounts, where there are keys and accounts. What
    it cannot read is told in `account_tags_unavailable` and changes nothing else.
    """
    concerned = dict.fromkeys(
        finding.account_id
        for finding in report.findings
        if finding.compliance is not Compliance.EXEMPT
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
