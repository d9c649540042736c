"""A check and a sink of another distribution: those that the documents show, as they stand there.

They are beside sweeper on the path of the interpreter, and nothing in sweeper knows them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Here, environment, found, small_world, write_config
from tests.fake_aws.process import FakeAws
from tests.fake_aws.world import Fault, Registry, Repository
from tests.plugins import install

DOCS = Path(__file__).parents[2] / "docs"
CHECK = "scan-on-push"
MODULES = ("scan_on_push", "one_line")
EVERY_FORMAT = ["json", "csv", "html", "junit", "markdown", "ocsf", "sarif", "text"]
SCANNED = Repository("scanned", "IMMUTABLE", scan_on_push=True)
WORLD = small_world(
    accounts=3,
    regions=2,
    registries=(Registry(repositories=(SCANNED, Repository("b/plain", "IMMUTABLE"))),),
)


def documented(page: str, module: str) -> tuple[dict[str, dict[str, str]], str]:
    """The entry points and the source that the page shows of a module."""
    text = (DOCS / page).read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert source.startswith(f'"""{module}.py"""')
    (table,) = re.findall(r"```toml\n(\[project.entry-points.*?)```", text, re.DOTALL)
    return tomllib.loads(table)["project"]["entry-points"], source


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with both distributions, on the path of this interpreter."""
    directory = tmp_path / "site"
    for page, module in (("checks.md", "scan_on_push"), ("report.md", "one_line")):
        entry_points, source = documented(page, module)
        install(directory, module, entry_points, **{module: source})
    monkeypatch.syspath_prepend(directory)
    yield directory
    for module in MODULES:
        sys.modules.pop(module, None)


def config_of(site: Path, **report: Any) -> dict[str, Any]:
    plugins = {"one_line": {"file": str(site.parent / "line.txt")}}
    return {
        "checks": ["ecr-tag-immutability", CHECK],
        "report": {"plugins": plugins, "formats": EVERY_FORMAT, **report},
    }


def unscanned(aws: FakeAws) -> set[tuple[str, str, str]]:
    repositories = {(each.account, each.region, each.name) for each in aws.repositories()}
    expected = {each for each in repositories if each[2] != SCANNED.name}
    assert expected
    assert expected != repositories
    return expected


def test_a_check_and_a_sink_that_are_installed_work_where_they_are_named(
    aws: FakeAws, here: Here, site: Path
) -> None:
    aws.load(WORLD)
    ended = here.run(aws, config=config_of(site, evidence=True))
    report = ended.report
    expected = unscanned(aws)
    assert ended.status == 3, ended.stderr
    assert found(report) == expected
    assert {(each["check"], each["resource"]) for each in report["findings"]} == {
        (CHECK, "repository_scanning")
    }
    assert report["coverage"]["complete"]
    assert report["totals"]["remaining"] == len(expected)
    assert report["totals"]["repositories"]["non_compliant"] == 0
    line = f"{report['run']['id']}: {len(expected)} remain\n"
    assert (site.parent / "line.txt").read_text(encoding="utf-8") == line
    for extension in ("txt", "csv", "html", "junit.xml", "md", "ocsf.jsonl", "sarif"):
        text = (site.parent / "out" / f"report.{extension}").read_text(encoding="utf-8")
        assert "b/plain" in text, extension
    evidence = site.parent / "out" / report["run"]["id"] / "evidence.jsonl.gz"
    assert evidence.exists()


def test_its_actions_are_its_own_in_the_session_and_in_preflight(
    aws: FakeAws, here: Here, site: Path
) -> None:
    aws.load(WORLD)
    config = {"checks": [CHECK], "report": {"plugins": {"one_line": {"file": "line.txt"}}}}
    ended = here.command(aws, "preflight", "--format", "json", config=config)
    said = json.loads(ended.stdout)
    assert ended.status == 0, ended.stderr
    assert list(said["actions"]) == ["ecr:DescribeRepositories"]
    assert said["actions"]["ecr:DescribeRepositories"]["works"] == said["account_regions"] > 0
    aws.faults([Fault("access_denied", operation="DescribeRepositories")])
    ended = here.run(aws, config=config)
    assert ended.status == 4
    assert {item["reason"] for item in ended.report["failures"]} == {"denied"}
    assert ended.report["findings"] == []


PROGRAM = f"""
import sys
from sweeper.entrypoints.cli.main import main
try:
    main()
finally:
    print("imported:", *(name for name in {MODULES!r} if name in sys.modules))
"""


def test_what_is_not_named_is_not_imported(aws: FakeAws, site: Path) -> None:
    for config, imported in (({}, []), (config_of(site), list(MODULES))):
        write_config(site.parent, config)
        ended = subprocess.run(
            (sys.executable, "-c", PROGRAM, "config", "check"),
            cwd=site.parent,
            env=environment(aws, PYTHONPATH=str(site)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert ended.stdout.splitlines()[-1].split()[1:] == imported, ended.stderr


def test_what_is_wrong_names_the_key_and_what_is_installed(
    aws: FakeAws, here: Here, site: Path
) -> None:
    for config, message in (
        ({"checks": ["another"]}, "checks: 'another' is unknown"),
        ({"checks": ["another"]}, f"ecr-tag-immutability, {CHECK}"),
        ({"report": {"plugins": {"two_lines": None}}}, "'two_lines' is unknown; allowed: one_line"),
        (
            {"report": {"plugins": {"one_line": None}}},
            "report.plugins.one_line.file: Field required",
        ),
        (
            {"report": {"plugins": {"one_line": {"file": "x", "mode": 1}}}},
            "report.plugins.one_line.mode: Extra inputs are not permitted",
        ),
        ({"report": {"plugins": {"sns": None}}}, "report.plugins.sns: it is no plugin"),
        (
            {"checks": [CHECK], "remediation": {"checks": [CHECK]}},
            f"remediation.checks: '{CHECK}' changes nothing",
        ),
    ):
        ended = here.command(aws, "config", "check", config=config)
        assert (ended.status, message in ended.stderr) == (2, True), (message, ended.stderr)
