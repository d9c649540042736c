"""What `make install` installs before anything is locked: uv itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_uv_is_installed_in_one_version_by_its_hashes() -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "install", "UV=.uv/bin/uv"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    (command,) = (line for line in shown.splitlines() if line.startswith(".uv/bin/pip install"))
    assert "--require-hashes" in command
    assert "--only-binary :all:" in command
    requirements = ROOT / command.split("-r ", 1)[1].strip()
    text = requirements.read_text(encoding="utf-8")
    pinned = re.findall(r"^(\S+)==(\S+) ", text, re.MULTILINE)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^ARG UV=\S+/uv:(\S+)$", dockerfile, re.MULTILINE)
    assert pinned == [("uv", version)]
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= 10  # one for each platform
