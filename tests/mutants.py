"""Draw mutants of the code that decides what is written and reported, and let the tests find them.

`make mutants` runs it. Each mutant changes one place of one function, in a clone of what is
committed. The tests next to the module are run first, because they find most mutants in seconds;
what survives them meets all of `make test`, and then all of `make test-all`.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[1]
# What is mutated -> the tests that know it best.
NEAREST = {
    "sweeper/domain/planning.py": ("tests/domain/test_planning.py", "tests/test_invariants.py"),
    "sweeper/domain/selection.py": (
        "tests/domain/test_selection.py",
        "tests/test_invariants.py",
    ),
    "sweeper/engine/remediation.py": ("tests/engine/test_remediation.py", "tests/test_resuming.py"),
    "sweeper/engine/guarded_write.py": ("tests/engine/test_remediation.py", "tests/checks"),
    "sweeper/engine/root_template.py": ("tests/engine/test_root_template.py", "tests/checks"),
    "sweeper/domain/mutability.py": ("tests/domain/test_mutability.py", "tests/checks"),
    "sweeper/domain/exit_status.py": ("tests/domain/test_exit_status.py",),
    "sweeper/domain/report.py": ("tests/domain/test_report.py", "tests/test_invariants.py"),
    "sweeper/storage/lease.py": ("tests/aws/test_lease.py",),
    "sweeper/aws/client/credentials.py": ("tests/aws/test_credentials.py",),
    "sweeper/checks/base.py": ("tests/checks",),
    "sweeper/checks/tag_immutability.py": ("tests/checks", "tests/engine/test_sweep.py"),
    "sweeper/checks/creation_template_immutability.py": ("tests/checks",),
}
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider")
QUICK, ALL, NOBODY = "make test", "make test-all", "nothing"


def main() -> int:
    """Run the command; 0 where the tests found as many as they are asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", default="3", help="of `make test` and `make test-all`")
    parser.add_argument("--quick", type=int, default=90, help="%% that `make test` must find")
    parser.add_argument("--all", type=int, default=95, help="%% that `make test-all` must find")
    options = parser.parse_args()
    found: Counter[str] = Counter()
    with _clone() as clone:
        os.chdir(clone)
        without = _run((*_PYTEST, *_at_once(options.workers), "-m", "not slow"))
        if without.returncode:
            sys.exit(f"{without.stdout[-5000:]}\na test fails without a mutant")
        drawn = random.Random(options.seed).sample(_mutants(), options.count)
        for number, (path, mutant) in enumerate(drawn, 1):
            began = time.monotonic()
            by = _found_by(path, mutant, options.workers)
            found[by] += 1
            seconds = time.monotonic() - began
            print(f"{number:4} {mutant}: found by {by}, {seconds:.0f} s", flush=True)  # noqa: T201
    quick = 100 * found[QUICK] / options.count
    whole = quick + 100 * found[ALL] / options.count
    print(f"make test finds {quick:.0f} %, make test-all {whole:.0f} %")  # noqa: T201
    return int(quick < options.quick or whole < options.all)


@contextmanager
def _clone() -> Iterator[Path]:
    """A clone of what is committed, which may be changed at will."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        clone = Path(directory, "sweeper")
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(clone)], check=True)
        for tools in (".venv", ".tools", ".uv"):
            if (_ROOT / tools).exists():
                (clone / tools).symlink_to(_ROOT / tools)
        for name in ("pyproject.toml", "uv.lock", "uv.txt"):  # else make installs the tools anew
            os.utime(clone / name, (0, 0))
        clone.joinpath("setup.cfg").write_text("[mutmut]\nsource_paths=sweeper\n", encoding="utf-8")
        # The environment's sweeper is the checkout's: this one comes before it.
        os.environ["PYTHONPATH"] = str(clone)
        yield clone
        os.chdir(_ROOT)


def _mutants() -> list[tuple[str, str]]:
    """Every mutant of every module, in a fixed order, as mutmut makes them."""
    from mutmut.__main__ import create_mutants_for_file
    from mutmut.mutation.data import SourceFileMutationData

    found: list[tuple[str, str]] = []
    for name in NEAREST:
        output = Path("mutants", name)
        output.parent.mkdir(parents=True, exist_ok=True)
        result = create_mutants_for_file(Path(name), output)
        if result.error:
            raise result.error
        data = SourceFileMutationData(path=Path(name))
        data.load()
        found += [(name, mutant) for mutant in sorted(data.exit_code_by_key)]
    return found


def _found_by(path: str, mutant: str, workers: str) -> str:
    """Which command finds the mutant."""
    from mutmut.mutation.diff_apply import apply_mutant, get_diff_for_mutant

    apply_mutant(mutant)
    at_once = _at_once(workers)
    try:
        if not _passes((*_PYTEST, "-n", "0", "-m", "not slow", *NEAREST[path])):
            return QUICK
        if not _passes((*_PYTEST, *at_once, "-m", "not slow")):
            return QUICK
        thorough = ("--hypothesis-profile=thorough", *at_once)
        if not _passes((*_PYTEST, *thorough)):
            return ALL
        print(get_diff_for_mutant(mutant))  # noqa: T201
        return NOBODY
    finally:
        subprocess.run(["git", "checkout", "--quiet", path], check=True)


def _at_once(workers: str) -> tuple[str, ...]:
    return ("-n", workers, "--dist", "worksteal", "--maxfail=1")


def _passes(command: Sequence[str]) -> bool:
    return _run(command).returncode == 0


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


if __name__ == "__main__":
    sys.exit(main())
