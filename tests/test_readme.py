"""What the README shows is what the program prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import case

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def sample(name: str) -> str:
    found = re.search(rf"<!-- sample: {re.escape(name)} -->\n```text\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md shows no sample {name!r}"
    return found.group(1)


def without_what_varies(text: str) -> list[str]:
    """The report's lines; its ids and times are of the run."""
    text = re.sub(r"\d{8}T\d{6}Z-[0-9a-f]{6}", "<run>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text)
    return re.sub(r"\bo-[a-z0-9]{10}\b", "<organization>", text).splitlines()


@pytest.mark.slow  # the demo whole
def test_the_report_is_the_demos(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sweeper", "demo"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    report = (tmp_path / "sweeper-demo" / "report.txt").read_text(encoding="utf-8")
    shown = without_what_varies(sample("report.txt"))
    assert without_what_varies(report)[: len(shown)] == shown
    assert "Second sweep" in ended.stderr


def test_what_is_linked_is_there() -> None:
    found = 0
    for document in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        with case(document.name):
            links = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
            here = [link for link in links if "://" not in link]
            found += len(here)
            assert [link for link in here if not (document.parent / link).exists()] == []
    assert found


def test_every_key_of_the_configuration_is_in_config_yaml_with_its_default() -> None:
    from sweeper.config.loader import load
    from sweeper.config.schema import Config

    assert load(str(ROOT / "config.yaml")).config.model_dump() == Config().model_dump()
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    for section, field in Config.model_fields.items():
        assert f"\n{section}:" in text
        for key in getattr(field.annotation, "model_fields", {}):
            assert re.search(rf"^  {key}: ", text, re.MULTILINE), f"{section}.{key}"


def test_the_member_roles_actions_are_named() -> None:
    from sweeper.aws.accounts import _CORE_ACTIONS
    from sweeper.checks import checks
    from sweeper.config.schema import CHECKS

    deploy = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    for action in _CORE_ACTIONS:
        assert f"`{action}`" in README
    for check in checks().values():
        for action in check.read_actions | check.write_actions:
            assert f"`{action}`" in (README if check.name in CHECKS else deploy), check.name
