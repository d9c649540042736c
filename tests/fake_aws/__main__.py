"""`python -m tests.fake_aws [--world FILE.json] [--port 0]`: run until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import sys
from pathlib import Path

from tests.fake_aws.load import WorldError
from tests.fake_aws.protocol import Connection, Server
from tests.fake_aws.state import State
from tests.fake_aws.world import World

_BACKLOG = 1024


async def serve(world: World, port: int) -> None:
    """Listen on 127.0.0.1, print the endpoint as one JSON line, and end on a signal."""
    loop = asyncio.get_running_loop()
    server = Server(State(world))
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    listener = await loop.create_server(
        lambda: Connection(server), "127.0.0.1", port, backlog=_BACKLOG
    )
    chosen = listener.sockets[0].getsockname()[1]
    endpoint = {"endpoint": f"http://127.0.0.1:{chosen}"}
    print(json.dumps(endpoint), flush=True)  # noqa: T201 - the interface
    # The world lives for ever and a call leaves no cycles: collecting often would only cost time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    await stop.wait()
    listener.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 2 for a wrong world file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_aws", description=__doc__)
    parser.add_argument(
        "--world", type=Path, help="a JSON file that describes the world; default: a generated one"
    )
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    options = parser.parse_args(arguments)
    try:
        world = World.read(options.world) if options.world else World.generate()
    except WorldError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the interface
        return 2
    asyncio.run(serve(world, options.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
