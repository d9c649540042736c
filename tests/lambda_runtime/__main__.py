"""`python -m tests.lambda_runtime PYTHON PACKAGE`: sweep once with the package that SAM built.

PYTHON has the runtime interface client and nothing else of sweeper's; what the function imports
comes from the folder PACKAGE. Exit status 1 where it does not close what is open.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.harness import environment, open_repositories, small_world, write_config
from tests.fake_aws.process import FakeAws
from tests.lambda_runtime.emulator import COMMAND, Emulator, binary, free_port, options


def main(python: str, package: str) -> int:
    """Run it; the exit status."""
    world = small_world(accounts=3, regions=2)
    port = free_port()
    with FakeAws(world) as aws, tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_config(directory, {"report": {"s3": {"bucket": world.buckets[0].name}}})
        variables = environment(
            aws,
            PYTHONPATH=str(Path(package).resolve()),
            AWS_LAMBDA_FUNCTION_NAME="sweeper",
            AWS_LAMBDA_FUNCTION_TIMEOUT="900",
        )
        command = [str(binary()), *options(port), str(Path(python).absolute()), *COMMAND]
        with Emulator(command, port, directory=directory, environment=variables) as function:
            before = len(open_repositories(aws))
            summary = function.invoke({})
            closed = before - len(open_repositories(aws))
            sys.stdout.write(f"{summary}\n{before} repositories were open, {closed} were closed\n")
            good = summary.get("exit_status") == 0 and closed == before > 0
            if not good:
                sys.stdout.write(function.said + os.linesep)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
