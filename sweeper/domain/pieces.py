"""A document in pieces, so that a large one is never in memory as a whole.

What leaves the process is masked piece by piece. A piece ends where a line ends, and no secret has
a line break in it: so none lies in two pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SIZE = 65_536  # bytes; what a piece costs to mask and to write is little beside what is in it


def in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join the parts into pieces of whole lines, of about `SIZE` where no line is longer."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= SIZE and b"\n" in part:
            lines, end, rest = b"".join(waiting).rpartition(b"\n")
            yield lines + end
            waiting, size = [rest], len(rest)
    if size:
        yield b"".join(waiting)
