"""A document in pieces is the document, and no line lies in two of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain import pieces
from sweeper.domain.pieces import SIZE, in_pieces
from tests.cases import case
from tests.factories import finding, hostile_report, report
from tests.golden.reports import every
from tests.rendering import formats

parts = st.lists(st.one_of(st.binary(), st.sampled_from([b"\n", b"a line\n", b"x" * 50])))


@given(cut=parts, size=st.integers(1, 200), data=st.data())
def test_the_grouping_changes_nothing(cut: list[bytes], size: int, data: st.DataObject) -> None:
    whole = b"".join(cut)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    cut_anew = [
        whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SIZE", size)
        for each in (cut, cut_anew):
            made = list(in_pieces(each))
            assert b"".join(made) == whole
            assert all(piece.endswith(b"\n") for piece in made[:-1])
            assert b"" not in made


def test_a_piece_is_neither_much_smaller_nor_much_larger_than_it_should_be() -> None:
    line = b"x" * 99 + b"\n"
    made = [len(piece) for piece in in_pieces(line for _ in range(10_000))]
    assert sum(made) == 1_000_000
    assert len(made) == 1_000_000 // SIZE + 1
    assert max(made) < SIZE + len(line)


def test_only_so_much_is_taken_as_a_piece_needs() -> None:
    taken = 0

    def lines() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield b"a line of a document without end\n"

    next(in_pieces(lines()))  # type: ignore[arg-type]
    assert taken == SIZE // 33 + 1


def test_every_format_is_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    many = report([finding(f"team/r{number}") for number in range(50)])
    reports = {**every(), "hostile": hostile_report(), "many": many}
    for form in formats().keys() - {"html"}:  # the page is one piece: nearly all of it is a line
        for name, item in reports.items():
            with case(f"{form}: {name}"):
                made = {}
                for size in (1, 1_000, SIZE):
                    monkeypatch.setattr(pieces, "SIZE", size)
                    made[size] = list(formats()[form].render(item))
                    assert all(piece.endswith(b"\n") for piece in made[size])
                assert b"".join(made[1]) == b"".join(made[1_000]) == b"".join(made[SIZE])
                assert len(made[1]) >= len(item.findings)
