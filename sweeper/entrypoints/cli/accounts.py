"""`sweeper accounts`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from sweeper.entrypoints.cli.common import print_pieces, read_config, say, text_table
from sweeper.entrypoints.cli.options import config_option, profile_option, value_options
from sweeper.entrypoints.log_style import LogStyle

if TYPE_CHECKING:
    from sweeper.aws.accounts import AwsCloud
    from sweeper.config.loader import Loaded
    from sweeper.config.schema import Config
    from sweeper.domain.model import Account, Failed
    from sweeper.engine.attempts import Stop
    from sweeper.engine.ports import Observer

_WORKS = "works"
_FOREIGN = ("name", "ou", "state", "message")  # text from AWS, which a spreadsheet must not run


@dataclass(frozen=True, slots=True)
class _Row:
    """One account. `ou` has names from below the root down; None where OUs cannot be read.

    `excluded_by` names the filter that leaves it out, `reason` says why else it is not chosen.
    `role` is "works", why the role cannot be assumed, or None where that was not tried.
    """

    account_id: str
    name: str
    ou: str | None
    state: str
    chosen: bool
    excluded_by: str | None
    reason: str | None
    role: str | None
    message: str | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class _Listing:
    """The accounts, or why there are none; `problem` is why a sweep would not start with them."""

    accounts: tuple[_Row, ...]
    problem: str | None


@click.command(short_help="List the accounts that a sweep would choose.")
@config_option
@profile_option
@value_options("accounts", "excluded", "ous", "role_name")
@click.option("--check", is_flag=True, help="Assume the member role in each chosen account.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
    help="How to show them.",
)
def accounts(
    path: str | None, profile: str | None, values: dict[str, Any], check: bool, form: str
) -> int:
    """List every account, whether a sweep would choose it, and the filter that excludes it.

    Each account has its id, name, OU and state. OUs have names where they can be read. With --check
    the member role is assumed in each chosen account, as a sweep does. Nothing is changed.

    \b
    Exit status, the highest that applies:
      0  the accounts are listed
      1  internal error
      2  usage, configuration, or nothing to list or to sweep
      4  with --check: a chosen account cannot be entered
      5  the list could not be printed

    \b
    Examples:
      sweeper accounts
      sweeper accounts --check --ou ou-ab12-11111111
      sweeper accounts --format csv > accounts.csv
    """
    from sweeper.domain.errors import ExitStatus
    from sweeper.domain.escaping import plain
    from sweeper.domain.json_encoding import document

    read = read_config(path, values, profile=profile)
    listing = _list(read, profile, check=check)
    status = ExitStatus.CLEAN
    if any(row.role not in (None, _WORKS) and not row.accepted for row in listing.accounts):
        status = ExitStatus.COVERAGE_INCOMPLETE
    if listing.problem:
        say(plain(listing.problem))
        status = ExitStatus.UNUSABLE
    if not listing.accounts:
        return status
    render = {"text": _text, "json": document, "csv": _csv}[form]
    return print_pieces(render(listing), int(status))


def _list(read: Loaded, profile: str | None, *, check: bool) -> _Listing:
    """List the accounts, with progress for a person at stderr."""
    import secrets

    from sweeper.aws.client.session import callers_session
    from sweeper.checks import chosen_checks
    from sweeper.domain.errors import OperationFailed
    from sweeper.domain.selection import select_accounts
    from sweeper.entrypoints import logs
    from sweeper.entrypoints.bootstrap import make_cloud
    from sweeper.entrypoints.runner import run_supervised

    config, session = read.config, callers_session(profile)
    kinds = chosen_checks(config)

    def work(*, stop: Stop, observer: Observer, **_: object) -> _Listing:
        run_id = f"accounts-{secrets.token_hex(3)}"
        logs.bind_run(run_id)
        cloud = make_cloud(
            config,
            kinds,
            session=session,
            stop=stop,
            run_id=run_id,
            may_write=False,
            today=datetime.now(UTC).date(),
        )
        try:
            organization = cloud.list_accounts()
            problem = None
            try:
                select_accounts(organization.accounts, config)
            except OperationFailed as error:  # the list shows which filter left nothing
                problem = error.message
            rows = _rows(read, cloud, organization.accounts, stop, observer, check=check)
            return _Listing(rows, problem)
        except OperationFailed as error:
            return _Listing((), f"the accounts cannot be listed: {error.reason}: {error.message}")
        finally:
            cloud.clients.close()

    return run_supervised(
        config,
        work,
        terminal=logs.is_terminal(sys.stderr),
        style=LogStyle(quiet=not check),
    )


def _rows(
    read: Loaded,
    cloud: AwsCloud,
    accounts: Sequence[Account],
    stop: Stop,
    observer: Observer,
    *,
    check: bool,
) -> tuple[_Row, ...]:
    from sweeper.domain.model import Failed, Skipped
    from sweeper.domain.selection import accept_known_gaps, excluding_filter, why_left_out

    organization = read.config.organization
    outcomes = {each.id: why_left_out(each, organization) for each in accounts}
    chosen = [each for each in accounts if outcomes[each.id] is None]
    ous = _ous(cloud, accounts)
    roles = _roles(cloud, chosen, read.config, stop, observer) if check else {}
    rows = []
    for account in sorted(accounts, key=lambda each: each.id):
        outcome, role = outcomes[account.id], roles.get(account.id)
        key = excluding_filter(account, organization) if isinstance(outcome, Skipped) else None
        failed = next((each for each in (outcome, role) if isinstance(each, Failed)), None)
        accepted = isinstance(role, Failed) and not isinstance(
            accept_known_gaps(role, account.id, None, read.config.coverage.accept), Failed
        )
        rows.append(
            _Row(
                account.id,
                account.name,
                ous.get(account.id),
                account.state,
                chosen=outcome is None,
                excluded_by=_filter_names(read, key) if key else None,
                reason=str(outcome.reason) if outcome and not key else None,
                role=str(role.reason) if isinstance(role, Failed) else role,
                message=failed.message if failed else None,
                accepted=accepted,
            )
        )
    return tuple(rows)


def _filter_names(read: Loaded, key: str) -> str:
    """Return the names under which the filter was set: the key, the option, or both."""
    from sweeper.config.loader import OPTION_NAMES

    names = (f"organization.{key}", OPTION_NAMES.get(("organization", key)))
    return " or ".join(name for name in names if name in read.provenance.narrowed_by)


def _roles(
    cloud: AwsCloud, chosen: Sequence[Account], config: Config, stop: Stop, observer: Observer
) -> dict[str, str | Failed]:
    """Return whether each account can be entered: "works", or why not."""
    from sweeper.domain.model import Stage
    from sweeper.engine.pool import concurrently, with_log_context

    def enter(account: Account) -> str:
        cloud.enter(account)
        return _WORKS

    observer.begin(Stage.OPEN_ACCOUNT, len(chosen))
    results = concurrently(
        Stage.OPEN_ACCOUNT,
        with_log_context(enter),
        chosen,
        workers=config.limits.max_workers,
        stop=stop,
        observe=lambda batch: observer.done(Stage.OPEN_ACCOUNT, batch),
    )
    return {account.id: result for account, result in zip(chosen, results, strict=True)}


def _ous(cloud: AwsCloud, accounts: Sequence[Account]) -> dict[str, str]:
    """Return the OU of each account, by names where they can be read; none if no OU can be."""
    from sweeper.domain.model import Failed, Stage
    from sweeper.engine.attempts import attempt

    organizations = cloud.organizations
    if organizations is None:
        return {}
    with_ous = attempt(
        Stage.ENUMERATE, lambda accounts: organizations.with_ou_paths(accounts, ()), accounts
    )
    if isinstance(with_ous, Failed):
        say(f"OUs cannot be read: {with_ous.reason}: {with_ous.message}")
        return {}
    paths = {account.id: account.ou_path[1:] for account in with_ous if account.ou_path}
    names = cloud.ou_names(sorted({ou for path in paths.values() for ou in path}))
    known = {ou: ou if isinstance(name, Failed) else name for ou, name in names.items()}
    return {each: "/".join(known.get(ou, ou) for ou in path) for each, path in paths.items()}


def _csv(listing: _Listing) -> Iterator[bytes]:
    import csv
    from io import StringIO

    from sweeper.domain.escaping import csv_cell

    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(_Row))
    for row in listing.accounts:
        cells = asdict(row).items()
        writer.writerow(
            csv_cell(cell) if name in _FOREIGN and cell else _word(cell) for name, cell in cells
        )
    yield text.getvalue().encode()


def _word(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(listing: _Listing) -> Iterator[bytes]:
    rows = listing.accounts
    checked = any(row.role for row in rows)
    table: list[tuple[str, ...]] = [
        ("ACCOUNT", "NAME", "OU", "STATE", "SWEPT", *(("ROLE",) if checked else ()))
    ]
    for row in rows:
        swept = "yes" if row.chosen else f"no: {row.excluded_by or row.reason}"
        role = (row.role or "") + (" (accepted)" if row.accepted else "")
        cells = (row.account_id, row.name, row.ou or "", row.state, swept)
        table.append((*cells, *((role,) if checked else ())))
    yield from text_table(table)
    chosen = sum(row.chosen for row in rows)
    entered = f", {sum(row.role == _WORKS for row in rows):,} can be entered" if checked else ""
    yield f"\n{len(rows):,} accounts, {chosen:,} chosen{entered}\n".encode()
    if any(row.role not in (None, _WORKS) for row in rows):
        yield b"`sweeper preflight` says how to fix what cannot be entered.\n"
