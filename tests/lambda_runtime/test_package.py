"""The Lambda's package, as SAM builds it from the template, under Lambda's emulator.

The Python that runs it has the runtime interface client and nothing else of sweeper's.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.harness import environment, open_repositories, small_world, write_config
from tests.fake_aws.process import FakeAws
from tests.lambda_runtime.emulator import COMMAND, Emulator, binary, free_port, options
from tests.uv import ROOT, uv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"),
        reason="the package is for Linux on x86-64",
    ),
]

RUNTIME = "3.13"  # the template's


def runtime() -> tuple[str, str]:
    """Lambda's own Python where this machine has it, also by pyenv; else the one of the tests."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    own = shutil.which(f"python{RUNTIME}")
    for python in (
        *filter(None, (own,)),
        *map(str, pyenv.glob(f"versions/{RUNTIME}.*/bin/python")),
    ):
        command = [python, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
        said = subprocess.run(command, check=False, capture_output=True, text=True).stdout
        if said.strip() == RUNTIME:
            return RUNTIME, python
    return "{}.{}".format(*sys.version_info), sys.executable


def succeed(*command: str) -> str:
    variables = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_package_that_sam_builds_sweeps(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    version, python = runtime()
    record_property("summary", f"Lambda's package was run by Python {version}")
    succeed("make", "sam-package", f"PYTHON={sys.executable}", f"RUNTIME={version}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    succeed(uv(), "venv", "--quiet", "--python", python, str(tmp_path / "runtime"))
    python = str(tmp_path / "runtime/bin/python")
    client = project["optional-dependencies"]["lambda"]
    succeed(uv(), "pip", "install", "--quiet", "--python", python, *client)

    world = small_world(accounts=3, regions=2)
    write_config(tmp_path, {"report": {"s3": {"bucket": world.buckets[0].name}}})
    port = free_port()
    command = [str(binary()), *options(port), python, *COMMAND]
    with FakeAws(world) as aws:
        variables = environment(
            aws,
            PYTHONPATH=str(ROOT / ".aws-sam/build/Function"),
            AWS_LAMBDA_FUNCTION_NAME="sweeper",
            AWS_LAMBDA_FUNCTION_TIMEOUT="900",
        )
        assert open_repositories(aws)
        with Emulator(command, port, directory=tmp_path, environment=variables) as function:
            summary = function.invoke({})
            assert summary["exit_status"] == 0, function.said
        assert open_repositories(aws) == {}
