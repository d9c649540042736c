"""What the pages show: no output that no test holds, and no command that is not there."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from moto.sns.utils import FilterPolicyMatcher

from sweeper.config.loader import load
from sweeper.domain.model import ChangeStatus
from sweeper.entrypoints.cli.main import cli
from sweeper.entrypoints.lambda_function import _overrides
from sweeper.reporting.sinks.sns import _attributes
from sweeper.reporting.sinks.topic import encode_attributes
from tests.commands_page import commands
from tests.factories import change, finding, impact, report
from tests.rendering import rendered
from tests.uv import ROOT, uv

PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")))
}
MADE = "docs/commands.md"  # a test holds the whole page
BLOCK = re.compile(
    r"^(?P<before>[^\n]*)\n *```(?P<kind>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
HOLDER = re.compile(r"<!-- (?:sample: (?P<name>\S+)|.*held by (?P<test>tests/\S+)) -->")
MAKE = {
    name
    for names in re.findall(
        r"^([A-Za-z -]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    for name in names.split()
}
# What is no command of the project, and is not run here: programs, and what a shell does itself.
OTHERS = {"aws", "docker", "git", "mutmut", "uv", "kubectl", "eval", "output()"}
ASSIGNMENT = re.compile(r"[A-Z]+=")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page, and the line before it."""

    page: str
    before: str
    kind: str
    body: str

    def __str__(self) -> str:
        return f"{self.page}: {self.body.splitlines()[0]}"


def blocks(kind: str | None = None) -> list[Block]:
    found = [
        Block(
            page,
            match["before"],
            match["kind"],
            textwrap.dedent(match["body"]),
        )
        for page, text in PAGES.items()
        if page != MADE
        for match in BLOCK.finditer(text)
    ]
    return [each for each in found if kind in (None, each.kind)]


def command_lines() -> list[tuple[str, list[str]]]:
    """The commands of all console blocks: the page and the words, without what the shell does."""
    lines = [
        (block.page, line)
        for block in blocks("console")
        for line in block.body.replace("\\\n", " ").splitlines()
    ]
    assert [(page, line) for page, line in lines if not line.startswith("$ ")] == []
    return [
        (page, shlex.split(re.split(r" [|>] ", line)[0], comments=True)[1:]) for page, line in lines
    ]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    fences = [
        (page, line)
        for page, text in PAGES.items()
        for line in text.splitlines()
        if line.lstrip().startswith("```")
    ]
    made = PAGES[MADE].count("\n```")
    assert len(fences) - made == 2 * len(blocks())
    kinds = {"text", "console", "yaml", "json", "mermaid", "toml", "python"}
    assert [str(block) for block in blocks() if block.kind not in kinds] == []
    # tests/end_to_end/test_plugins.py runs them.
    assert [block.page for block in blocks("python")] == ["docs/checks.md", "docs/report.md"]


def test_no_output_is_shown_that_no_test_holds() -> None:
    assert blocks("text")
    readme = (ROOT / "tests/test_readme.py").read_text(encoding="utf-8")
    for block in blocks("text"):
        holder = HOLDER.fullmatch(block.before)
        assert holder, f"{block}: is held by no test"
        if holder["test"]:
            test = (ROOT / holder["test"]).read_text(encoding="utf-8")
            assert f'"{Path(block.page).name}"' in test, block
        else:
            assert (block.page, f'"{holder["name"]}"' in readme) == ("README.md", True), block


def test_every_command_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, context in commands():
        if not hasattr(context.command, "commands"):
            monkeypatch.setattr(context.command, "callback", lambda **given: None)
    for page, words in command_lines():
        program, *arguments = words
        program = program.removeprefix(".venv/bin/")
        if program == "make":
            named = [each for each in arguments if "=" not in each]
            assert MAKE.issuperset(named), (page, words)
        elif program == "sweeper":
            result = CliRunner().invoke(cli, arguments)
            assert result.exit_code == 0, (page, words, result.output)
        else:
            assert program in OTHERS or ASSIGNMENT.match(program), (page, words)


def test_every_command_that_the_text_names_is_there() -> None:
    names = {name for name, _ in commands()}
    for page, text in PAGES.items():
        for target in re.findall(r"`make ([a-z-]+)", text):
            assert target in MAKE, (page, target)
        for module in re.findall(r"`python -m ((?:tests|benchmarks|sweeper)[\w.]*)", text):
            assert importlib.util.find_spec(module), (page, module)
        for command in re.findall(r"`sweeper ([a-z]+)", text):
            assert f"sweeper {command}" in names, (page, command)


WORKFLOWS = [each for each in blocks("yaml") if each.body.startswith("on:\n")]


@pytest.mark.parametrize(
    "block", [each for each in blocks("yaml") if each not in WORKFLOWS], ids=str
)
def test_a_configuration_is_one(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block.body, encoding="utf-8")
    load(str(path))


def test_the_steps_of_a_workflow_are_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, context in commands():
        if not hasattr(context.command, "commands"):
            monkeypatch.setattr(context.command, "callback", lambda **given: None)
    steps = [
        step for block in WORKFLOWS for step in yaml.safe_load(block.body)["jobs"]["sweep"]["steps"]
    ]
    lines = [
        shlex.split(line)
        for step in steps
        for line in step.get("run", "").replace("\\\n", " ").splitlines()
    ]
    ran = [words[1:] for words in lines if words[0] == "sweeper"]
    assert ran
    for arguments in ran:
        result = CliRunner().invoke(cli, [each for each in arguments if each != ">"])
        assert result.exit_code == 0, (arguments, result.output)


def test_the_event_of_a_lambda_is_one() -> None:
    (event,) = (json.loads(each.body) for each in blocks("json") if each.page == "docs/image.md")
    assert _overrides(event) == event


def test_the_filter_policy_lets_through_what_it_is_meant_for() -> None:
    (block,) = (each for each in blocks("json") if each.page == "docs/report.md")
    matcher = FilterPolicyMatcher(json.loads(block.body), "MessageAttributes")

    def passes(*findings: Any) -> bool:
        sent = encode_attributes(_attributes(report(list(findings))))
        return bool(
            matcher.matches(
                {
                    name: {"Type": each["DataType"], "Value": each["StringValue"]}
                    for name, each in sent.items()
                },
                "",
            )
        )

    assert passes(finding())
    assert not passes()


def test_the_suggested_configuration_is_what_the_report_ends_with() -> None:
    (block, _) = (each for each in blocks("yaml") if each.page == "docs/impact.md")
    planned = change(ChangeStatus.PLANNED)
    tags = {"payments/api": ("latest", "pr-*", "sha256-*.sig"), "payments/web": ("latest",)}
    item = report(
        [finding(name, change=planned, impact=impact(*each)) for name, each in tags.items()]
    )
    assert rendered("text", item).decode().endswith(f"\n\n{block.body}")


def test_the_index_lists_every_decision_once() -> None:
    folder = ROOT / "docs/decisions"
    titles = {
        path.name: path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for path in sorted(folder.glob("0*.md"))
    }
    index = (folder / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\d{4})\]\((.*?)\) (.*) \(\d{4}-\d\d-\d\d\)$", index, re.MULTILINE)
    assert [(name, f"{number}. {title}") for number, name, title in listed] == [*titles.items()]


def test_the_bill_of_materials_has_what_the_image_has(tmp_path: Path) -> None:
    (words,) = (words for page, words in command_lines() if "cyclonedx1.5" in words)
    output = tmp_path / words[-1]
    subprocess.run(
        [uv(), *words[1:-1], str(output), "--offline"], cwd=ROOT, check=True, capture_output=True
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["lambda"]]
    direct = {re.split(r"[<>=\[]", each)[0] for each in wanted}
    components = json.loads(output.read_text(encoding="utf-8"))["components"]
    listed = {each["name"] for each in components}
    assert direct < listed
    assert {"coverage", "moto", "pytest"}.isdisjoint(listed)
