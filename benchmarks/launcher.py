"""Runs one command and writes what it used: `python -I launcher.py RESULT [--tree] COMMAND…`.

A process of its own, with next to nothing imported: Linux counts the memory of the process that
starts a program into the program's own peak until it has replaced it, and a harness with an
organization of ten thousand accounts in memory would be what is measured.

CPU and `peak_kb` are wait4's: CPU of the command and of every descendant that it waited for, peak
memory of the largest single one of them. With `--tree` the memory of the whole process tree is
sampled too, pages that are shared counted once (Pss); `peak_kb` is then the largest sample.
"""

import json
import os
import sys
import threading
import time

_SAMPLE_SECONDS = 0.2


def _children(pid: int) -> list[int]:
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib is an import too many
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:  # noqa: PTH123
                found += [int(child) for child in file.read().split()]
    except OSError:
        pass  # it ended meanwhile
    return found


def _pss_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def tree_kb(pid: int) -> int:
    """Memory of a process and all below it, shared pages counted once."""
    return _pss_kb(pid) + sum(tree_kb(child) for child in _children(pid))


class _Sampler(threading.Thread):
    """Looks at the tree until told to end."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_kb = 0
        self.ended = threading.Event()
        self._pid = pid

    def run(self) -> None:
        while not self.ended.wait(_SAMPLE_SECONDS):
            self.peak_kb = max(self.peak_kb, tree_kb(self._pid))


def main(arguments: list[str]) -> None:
    """Run the command with this process's environment, directory and streams."""
    result, *command = arguments
    tree = command[0] == "--tree"
    if tree:
        command = command[1:]
    started = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ)
    sampler = _Sampler(pid)
    if tree:
        sampler.start()
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - started
    sampler.ended.set()
    measured = {
        "status": os.waitstatus_to_exitcode(status),
        "wall_seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_kb": max(usage.ru_maxrss, sampler.peak_kb),
    }
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123
        json.dump(measured, file)


if __name__ == "__main__":
    main(sys.argv[1:])
