"""A body on its way to S3: of a known length and checksum, and sent again where that fails."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import BinaryIO

IN_MEMORY = 8_000_000  # bytes: with anything larger, a file is nothing beside the transfer


def spooled(pieces: Iterable[bytes]) -> BinaryIO:
    """Return the pieces as a file at its beginning; a large one is a temporary file without a name.

    Where no such file can be made, or the disk is full, all of it is in memory: no delivery is lost
    for that.
    """
    memory = io.BytesIO()
    rest = iter(pieces)
    for piece in rest:
        memory.write(piece)
        if memory.tell() > IN_MEMORY:
            return _on_disk(memory.getvalue(), rest)
    memory.seek(0)
    return memory


def _on_disk(beginning: bytes, rest: Iterator[bytes]) -> BinaryIO:
    with ExitStack() as at_the_end:
        try:
            # Without a buffer: what was written is known when the disk is full.
            file = at_the_end.enter_context(tempfile.TemporaryFile(buffering=0))
        except OSError:
            return _in_memory(chain((beginning,), rest))
        size = 0
        for piece in chain((beginning,), rest):
            try:
                _write(file, piece)
            except OSError:
                file.seek(0)
                return _in_memory(chain((file.read(size), piece), rest))
            size += len(piece)
        file.seek(0)
        at_the_end.pop_all()
        return file


def _in_memory(pieces: Iterable[bytes]) -> BinaryIO:
    memory = io.BytesIO()
    memory.writelines(pieces)
    memory.seek(0)
    return memory


def _write(file: BinaryIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]
