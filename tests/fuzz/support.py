"""What the fuzzers share: how many runs were made, and that none hangs."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

TOO_LONG = 30  # seconds
RUNS: Counter[str] = Counter()


def bounded(test: Callable[..., None]) -> Callable[..., None]:
    """Let the profile alone say how many examples there are.

    A function: this module is imported before the profile is loaded, and `settings` has the numbers
    of the profile at its time.
    """
    return settings(suppress_health_check=list(HealthCheck), database=None)(test)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@contextmanager
def run_of(fuzzer: str) -> Iterator[None]:
    """One run, counted; one that hangs is an error."""

    def hangs(*_: object) -> None:
        raise AssertionError(f"{fuzzer}: hangs")

    RUNS[fuzzer] += 1
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(TOO_LONG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with some cut, doubled, changed or put in."""
    mutant = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(mutant)))
        upto = min(len(mutant), at + draw(st.integers(0, 30)))
        match draw(st.sampled_from(["cut", "double", "put", "change", "end"])):
            case "cut":
                del mutant[at:upto]
            case "double":
                mutant[at:at] = mutant[at:upto]
            case "put":
                mutant[at:at] = draw(st.binary(max_size=8))
            case "change" if at < len(mutant):
                mutant[at] = draw(st.integers(0, 255))
            case "end":
                del mutant[at:]
    return bytes(mutant)


@st.composite
def misshapen(draw: st.DrawFn, value: Any) -> Any:
    """The JSON value with one value anywhere in it replaced by any other, or left out."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    return _replaced(value, draw(values), chance)


def _replaced(value: Any, other: Any, chance: random.Random) -> Any:
    if not value or not isinstance(value, dict | list) or chance.random() < 0.2:
        return other
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return [*value[:at], _replaced(value[at], other, chance), *value[at + 1 :]]
    key = chance.choice(sorted(value))
    if chance.random() < 0.2:
        return {name: each for name, each in value.items() if name != key}
    return {**value, key: _replaced(value[key], other, chance)}
