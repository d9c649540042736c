"""The distribution as people install it: from its wheel, without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = next((path for path in (ROOT / ".uv/bin/uv",) if path.exists()), Path("uv"))
TEMPLATES = tuple(
    f"{name}.yaml"
    for name in (
        *("member-role", "central-fargate", "central-lambda", "central-stepfunctions"),
        *("member-events", "central-events"),
    )
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", directory, ROOT], check=True)
    (found,) = directory.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script in an environment of its own, with the extra `demo`."""
    directory = tmp_path_factory.mktemp("installed")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, directory], check=True)
    python = directory / "bin" / "python"
    options = ("--quiet", "--python", str(python))
    subprocess.run([UV, "pip", "install", *options, f"{wheel}[demo]"], check=True)
    return directory / "bin" / "sweeper"


def test_what_the_wheel_has(wheel: Path) -> None:
    assert wheel.name.startswith("ecr_immutability_sweeper-")
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {"sweeper/py.typed", *(f"sweeper/stacksets/{name}" for name in TEMPLATES)} <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_it_prints_its_templates(installed: Path, tmp_path: Path) -> None:
    for name in TEMPLATES:
        printed = subprocess.run(
            [installed, "template", name.removesuffix(".yaml")],
            check=True,
            capture_output=True,
            cwd=tmp_path,
        ).stdout
        assert printed == (ROOT / "stacksets" / name).read_bytes()


def test_it_writes_a_configuration(installed: Path, tmp_path: Path) -> None:
    for words in (("init",), ("check",)):
        ended = subprocess.run(
            [installed, "config", *words], check=False, capture_output=True, cwd=tmp_path, text=True
        )
        assert ended.returncode == 0, ended.stderr


def test_the_demo_runs(installed: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [installed, "demo"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    assert ended.returncode in (0, 3, 4), ended.stderr
    assert list(tmp_path.rglob("report.json"))
