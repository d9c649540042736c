"""`python -m tests.fake_aws [--world FILE.json] [--port 0] [--tls FILE.pem]`, until a signal."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import ssl
import sys
from pathlib import Path

from tests.fake_aws.load import WorldError
from tests.fake_aws.protocol import Connection, Server
from tests.fake_aws.state import State
from tests.fake_aws.world import World

_BACKLOG = 1024


async def serve(world: World, port: int, tls: Path | None) -> None:
    """Listen on 127.0.0.1, print where as one JSON line, and end on a signal.

    With `tls`, a file with a key and its certificate, also on a second port, by TLS.
    """
    loop = asyncio.get_running_loop()
    server = Server(State(world))
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    listener = await loop.create_server(
        lambda: Connection(server), "127.0.0.1", port, backlog=_BACKLOG
    )
    where = {"endpoint": f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"}
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
        secured = await loop.create_server(
            lambda: Connection(server), "127.0.0.1", 0, backlog=_BACKLOG, ssl=context
        )
        where["tls_port"] = secured.sockets[0].getsockname()[1]
    print(json.dumps(where), flush=True)  # noqa: T201 - the interface
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
    parser.add_argument("--tls", type=Path, help="a key and its certificate: listen by TLS, too")
    options = parser.parse_args(arguments)
    try:
        world = World.read(options.world) if options.world else World.generate()
    except WorldError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the interface
        return 2
    asyncio.run(serve(world, options.port, options.tls))
    return 0


if __name__ == "__main__":
    sys.exit(main())
