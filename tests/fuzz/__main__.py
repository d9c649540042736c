"""Run every fuzzer with many examples: `python -m tests.fuzz --examples N`."""

from __future__ import annotations

import argparse
import os
import sys

import pytest


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--examples", type=int, default=10_000, help="of each fuzzer")
    arguments, others = parser.parse_known_args()
    os.environ["EXAMPLES"] = str(arguments.examples)
    return int(pytest.main(["tests/fuzz", *others]))


if __name__ == "__main__":
    sys.exit(main())
