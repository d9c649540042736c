"""The result of a preflight as text: at a terminal in its width and colors, else as plain lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.domain.errors import ExitStatus
from sweeper.domain.escaping import shorten
from sweeper.domain.masking import mask
from sweeper.engine.preflight.facts import Facts, OrganizationRole
from sweeper.engine.preflight.problems import Kind, Problem, Verdict
from sweeper.engine.probe import ProbeStatus
from sweeper.entrypoints.findings_tables import masked_plain
from sweeper.reporting.preflight import Remedy, problem_meaning, remedy
from sweeper.reporting.wording import number

if TYPE_CHECKING:
    from sweeper.config.schema import Config

_WIDTH = 140  # columns: no link is broken, where there is no terminal
_MAX_IDS = 4  # ids that are shown of each problem; the JSON has them all
_MAX_MESSAGE = 300  # characters of AWS's own words

_STANDING = {
    OrganizationRole.MANAGEMENT: "the management account of",
    OrganizationRole.DELEGATED: "a delegated administrator of",
    OrganizationRole.ADMITTED: "a delegated administrator, or admitted by the delegation policy, "
    "of",
    OrganizationRole.MEMBER: "neither the management account nor, as far as it may ask, a "
    "delegated administrator of",
    OrganizationRole.NONE: "it belongs to no organization",
    OrganizationRole.NOT_ASKED: "Organizations is not asked",
    OrganizationRole.NOT_KNOWN: "its place in the organization is not known",
}
_VERDICT = {
    ExitStatus.CLEAN: "Everything that was checked works.",
    ExitStatus.INTERNAL_ERROR: "An internal error: report it as a defect of sweeper.",
    ExitStatus.UNUSABLE: "A sweep could not begin.",
    ExitStatus.COVERAGE_INCOMPLETE: "A sweep would miss or could not change accounts or regions.",
    ExitStatus.NOT_DELIVERED: "A report would not be delivered.",
}


def render_preflight(facts: Facts, verdict: Verdict, config: Config) -> bytes:
    """Return the caller, what was checked, and the problems, as printed to stdout."""
    # Into memory: rich would fail on a stdout that cannot be written.
    memory = StringIO()
    console = Console(file=memory, force_terminal=Console().is_terminal, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    _show(facts, verdict, config, console)
    text = memory.getvalue()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    return text.encode()


def _show(facts: Facts, verdict: Verdict, config: Config, console: Console) -> None:
    summary = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    summary.add_column(no_wrap=True)
    summary.add_column(overflow="fold")
    for name, text in _summary(facts, verdict, config):
        summary.add_row(name, Text(masked_plain(text)))
    console.print(summary)
    console.print()
    problems = [each for each in verdict.problems if each.answer is not ProbeStatus.NOT_KNOWN]
    unknown = [each for each in verdict.problems if each.answer is ProbeStatus.NOT_KNOWN]
    for title, found in (("What is wrong", problems), ("What is not known", unknown)):
        if found:
            console.print(_table(title, found, facts, config))
    style = "green" if verdict.status is ExitStatus.CLEAN else "bold red"
    status = f"Exit status {int(verdict.status)}."
    console.print(Text(f"{_VERDICT[verdict.status]} {status}", style=style))


def _summary(facts: Facts, verdict: Verdict, config: Config) -> Iterator[tuple[str, str]]:
    caller = facts.caller
    if caller is None:
        yield "Caller", "not known"
        return
    yield "Caller", caller.arn
    where = _STANDING[caller.standing]
    if caller.standing not in (
        OrganizationRole.NONE,
        OrganizationRole.NOT_ASKED,
        OrganizationRole.NOT_KNOWN,
    ):
        where += f" {caller.organization_id or 'the organization'}"
    yield "Account", f"{caller.account_id}: {where}"
    if caller.management_account and caller.standing is not OrganizationRole.MANAGEMENT:
        yield "Managed by", caller.management_account
    if facts.listed:
        yield "Accounts", f"{facts.active:,} active to sweep, of {facts.listed:,} listed"
    if facts.accounts and (role := config.organization.role_name):
        have = len(facts.with_role(ProbeStatus.WORKS))
        text = f"{role} is in {have:,} of {number(facts.active, 'active account')}"
        if without := facts.with_role(ProbeStatus.DENIED):
            text += f"; not {_first(without)}"
        if unknown := facts.with_role(ProbeStatus.FAILED):
            text += f"; not known of {_first(unknown)}"
        yield "Member role", text
    yield from _actions(facts, config)
    if verdict.accepted:
        yield "Accepted", f"{number(verdict.accepted, 'gap')} that coverage.accept knows"
    yield from _stores(facts, config)


def _stores(facts: Facts, config: Config) -> Iterator[tuple[str, str]]:
    """Yield where a run would store its journal and its report."""
    if facts.may_change and facts.keeps_record:
        yield "Change journal", "OK"
    if not (config.report.directory or config.report.s3):
        yield (
            "Report",
            "stored only if something was changed, on this machine: set report.directory or "
            "report.s3, or pass --output to a run",
        )
    for key in dict.fromkeys(asked.key for asked in facts.destinations):
        asked = [each for each in facts.destinations if each.key == key]
        answers = ", ".join(f"{each.action} {_word(each.probed.answer)}" for each in asked)
        yield key, f"{asked[0].location}: {answers}"


def _actions(facts: Facts, config: Config) -> Iterator[tuple[str, str]]:
    for action in facts.actions:
        answers = Counter(answer.answer for answer in facts.answers(action))
        total = answers.total()
        if total == 0:
            yield action, "not tried anywhere"
            continue
        counts = (
            f"{answers[answer]:,} {_word(answer)}"
            for answer in (ProbeStatus.DENIED, ProbeStatus.FAILED, ProbeStatus.NOT_KNOWN)
            if answers[answer]
        )
        works = f"works in {answers[ProbeStatus.WORKS]:,} of {number(total, 'account-region')}"
        yield action, "; ".join((works, *counts))
    if not facts.accounts:
        return
    if config.remediation.auto_remediate == "DISABLED":
        yield "Writes", "none: remediation.auto_remediate is DISABLED"
    elif not facts.may_change:
        yield "Writes", "none: remediation.checks lets no check that runs write"
    elif not facts.writes:
        yield "Writes", "not tried: --no-write-probe"


def _table(title: str, problems: list[Problem], facts: Facts, config: Config) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        expand=True,
    )
    table.add_column("Problem", overflow="fold", max_width=36)
    table.add_column("Where, and how to fix it", overflow="fold", ratio=1)
    for index, problem in enumerate(problems):
        if index:
            table.add_row()
        table.add_row(_what(problem), _details(problem, remedy(problem, facts, config)))
    return table


def _what(problem: Problem) -> Text:
    if problem.answer is ProbeStatus.NOT_KNOWN:
        name = Text("not known", style="yellow")
    else:
        name = Text(str(problem.reason), style="bold red")
    return Text("\n").join([name, *map(Text, problem.actions), Text(problem_meaning(problem))])


def _details(problem: Problem, fix: Remedy) -> Text:
    text = Text(masked_plain(_where(problem)), style="bold")
    text.append(f"\n{masked_plain(fix.text)}", style="not bold")
    if fix.link:
        text.append(f"\n{fix.link}", style=f"not bold dim link {fix.link}")
    if problem.message:
        said = shorten(mask(problem.message), _MAX_MESSAGE)
        what = "For example" if problem.accounts else "It said"
        if problem.answer is ProbeStatus.NOT_KNOWN:
            what = "Because"
        text.append(f"\n{what}: {said}", style="not bold dim")
    return text


def _where(problem: Problem) -> str:
    if problem.location is not None:
        return f"{problem.key} {problem.location}"
    if not problem.accounts:
        return "every change" if problem.kind is Kind.WRITE else "the organization"
    accounts = f"{number(len(problem.accounts), 'account')}: {_first(problem.accounts)}"
    if not problem.targets:
        return accounts
    targets = number(len(problem.targets), "account-region")
    if problem.whole_accounts:
        return f"{targets}, everywhere in {accounts}"
    return f"{targets}, in {_first(problem.regions)} of {accounts}"


def _first(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - _MAX_IDS:,} more" if len(ids) > _MAX_IDS else ""
    return ", ".join(ids[:_MAX_IDS]) + more


def _word(answer: ProbeStatus) -> str:
    return str(answer).replace("_", " ")
