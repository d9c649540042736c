"""Texts without the secrets that the process knows, and with everything else as it was."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.domain import masking
from sweeper.domain.errors import ConfigurationError, OperationFailed
from sweeper.domain.escaping import shorten
from sweeper.domain.masking import (
    _MIN_LENGTH,
    _PIECE_SIZE,
    MASK,
    adopt_secrets,
    forget_run,
    in_pieces,
    mask,
    mask_message,
    register,
    register_external_id,
    share_secrets,
)
from sweeper.domain.model import ChangeStatus
from sweeper.domain.reasons import Reason
from sweeper.reporting.formats.html.document import _embedded_json
from tests.cases import case
from tests.factories import change, finding, hostile_report, report
from tests.golden.reports import every
from tests.rendering import formats

TOKEN = "IQoJb3JpZ2luX2VjEOr//////////wEaCXVzLWVhc3QtMSJHMEUC+EXAMPLE=="
KEY_ID = "ASIAEXAMPLE123456789"
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=16, max_size=60)


def forget() -> None:
    masking._secrets = masking._Secrets()


@given(secrets=st.lists(tokens, min_size=1, max_size=5), around=st.lists(st.text(), min_size=6))
def test_no_secret_is_left_in_a_text_nor_in_a_document(
    secrets: list[str], around: list[str]
) -> None:
    forget()
    for secret in secrets:
        register(secret)
    text = around[0] + "".join(
        secret + rest for secret, rest in zip(secrets, around[1:], strict=False)
    )
    document = text.encode("utf-8", "surrogatepass")
    for secret in secrets:
        assert secret not in mask(text)
        assert secret.encode() not in mask(document)
        assert secret.encode() not in mask(document * 2000 + b"x" * 20_000)


@given(secrets=st.lists(tokens, min_size=1, max_size=5))
def test_what_another_process_knows_is_masked_here(secrets: list[str]) -> None:
    forget()
    for secret in secrets:
        register(secret, of_run=True)
    register_external_id("payments")
    shared = share_secrets()
    assert share_secrets(but=shared.lengths).lengths == {}
    forget()
    adopt_secrets(shared, of_run=True)
    assert all(secret not in mask(f"a {secret} b") for secret in secrets)
    assert mask_message("of payments") == f"of {MASK}"
    forget_run()
    assert share_secrets().lengths == {}
    adopt_secrets(shared, of_run=False)
    forget_run()
    assert share_secrets().lengths == shared.lengths


def test_a_longer_secret_that_begins_alike_is_shared_again() -> None:
    forget()
    register(TOKEN)
    sent = dict(share_secrets().lengths)
    register(f"{TOKEN}-and-more")
    (length,) = share_secrets(but=sent).lengths.values()
    assert length == len(f"{TOKEN}-and-more")


@given(text=st.text())
def test_what_has_no_secret_is_as_it_was(text: str) -> None:
    forget()
    register(TOKEN)
    register_external_id("payments-2b1c9f0e-77aa-4f7d")
    assert mask(text) == text
    assert mask(text.encode("utf-8", "surrogatepass")) == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    "spelling",
    [
        str,
        lambda text: quote(text, safe=""),
        json.dumps,
        html.escape,
        lambda text: html.escape(text, quote=False),
        lambda text: text.replace('"', '""'),
        _embedded_json,
        lambda text: text[:30],
    ],
)
def test_a_secret_is_known_in_other_spellings_and_cut_short(spelling: object) -> None:
    assert callable(spelling)
    for secret in (TOKEN, 'quo"te<and>&back\\slash-0123456789'):
        register(secret)
        for text in (f"before {spelling(secret)} after", f"a={spelling(secret)}&b=c"):
            assert secret[:16] not in mask(text)
            assert secret[-16:] not in unquote(mask(text))
            assert mask(text.encode()) == mask(text).encode()
            assert mask(text)[:2] == text[:2]


def test_many_secrets_are_found_as_few_are() -> None:
    known = [f"{number:05}-secret-of-an-account-{number * 7919:09}" for number in range(2000)]
    for secret in known:
        register(secret)
    document = ("filler " * 5000 + " ".join(known)).encode()
    assert mask(document).count(MASK.encode()) == len(known)
    assert b"secret-of-an-account" not in mask(document)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\x07", "\r\nx: "])
def test_the_parts_of_a_broken_secret_are_masked(line_break: str) -> None:
    register(f"{TOKEN}{line_break}{KEY_ID}")
    shown = mask(repr(f"{TOKEN}{line_break}{KEY_ID}".encode()))
    assert TOKEN not in shown
    assert KEY_ID not in shown


@pytest.mark.parametrize("value", ["payments", "ecr-immutability-sweeper", "012345678901", "1e3x"])
def test_an_external_id_that_a_name_could_be_is_masked_in_messages_only(value: str) -> None:
    register_external_id(value)
    assert mask(f'{{"repository": "{value}/api"}}') == f'{{"repository": "{value}/api"}}'
    assert mask_message(f"not with {value}: {value}!") == f"not with {MASK}: {MASK}!"
    assert mask_message(f"un{value}ed {value}s") == f"un{value}ed {value}s"


def test_an_external_id_that_no_name_is_is_masked_everywhere() -> None:
    register_external_id("2b1c9f0e-77aa-4f7d-9d4e")
    assert mask(b'"x-2b1c9f0e-77aa-4f7d-9d4e-y"') == b'"x-***-y"'


def test_short_credentials_are_masked_in_messages_only() -> None:
    register("test")
    register("a")
    assert mask("test") == "test"
    assert mask_message("a test of latest") == f"a {MASK} of latest"


def test_the_sessions_of_a_run_are_forgotten_when_the_next_begins() -> None:
    register(TOKEN, of_run=True)
    register(KEY_ID, of_run=True)
    register(KEY_ID)
    masking.forget_run()
    assert mask(f"{TOKEN} {KEY_ID}") == f"{TOKEN} {MASK}"


def test_errors_have_no_secret_in_them() -> None:
    register(TOKEN)
    failed = OperationFailed(Reason.REQUEST_REFUSED, f"no {TOKEN}", f"Bad{TOKEN}")
    assert (failed.message, failed.error_code, str(failed)) == (
        f"no {MASK}",
        f"Bad{MASK}",
        f"no {MASK}",
    )
    assert str(ConfigurationError(f"a: {TOKEN}")) == f"a: {MASK}"


def test_a_secret_is_masked_before_a_text_is_cut() -> None:
    register(TOKEN)
    for limit in range(1, 70):
        assert TOKEN[:8] not in shorten(f"x {TOKEN} and so on, for a while longer", limit)


def test_a_report_in_pieces_is_masked_as_the_whole_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In every format, wherever the pieces end, with secrets in as many of them as there are."""
    secrets = (TOKEN, 'quo"te<and>&back\\slash-0123456789')
    for secret in secrets:
        register(secret)
    register_external_id("2b1c9f0e-77aa-4f7d-9d4e")
    said = " and ".join((*secrets, quote(TOKEN, safe=""), "2b1c9f0e-77aa-4f7d-9d4e"))
    failed = change(ChangeStatus.FAILED, reason=Reason.DENIED, error=f"no: {said}")
    item = report([finding(f"team/r{number}", change=failed) for number in range(200)])
    for kind in formats().values():
        for size in (1, 5_000, masking._PIECE_SIZE):
            with case(f"{kind.name}: {size}"):
                monkeypatch.setattr(masking, "_PIECE_SIZE", size)
                made = list(kind.render(item))
                masked = b"".join(map(mask, made))
                assert masked == mask(b"".join(made))
                # The page has each text once.
                assert masked.count(MASK.encode()) >= 4 * (1 if kind.name == "html" else 200)
                for secret in secrets:
                    for part in (secret[:_MIN_LENGTH], secret[-_MIN_LENGTH:]):
                        assert part not in unquote(masked.decode())


@pytest.mark.parametrize("name", masking._VARIABLES)
def test_credentials_in_the_environment_are_known(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f" {TOKEN}\n")
    masking.register_environment()
    assert mask(TOKEN) == MASK


parts = st.lists(st.one_of(st.binary(), st.sampled_from([b"\n", b"a line\n", b"x" * 50])))


@given(cut=parts, size=st.integers(1, 200), data=st.data())
def test_the_grouping_changes_nothing(cut: list[bytes], size: int, data: st.DataObject) -> None:
    whole = b"".join(cut)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    cut_anew = [
        whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masking, "_PIECE_SIZE", size)
        for each in (cut, cut_anew):
            made = list(in_pieces(each))
            assert b"".join(made) == whole
            assert all(piece.endswith(b"\n") for piece in made[:-1])
            assert b"" not in made


def test_a_piece_is_neither_much_smaller_nor_much_larger_than_it_should_be() -> None:
    line = b"x" * 99 + b"\n"
    made = [len(piece) for piece in in_pieces(line for _ in range(10_000))]
    assert sum(made) == 1_000_000
    assert len(made) == 1_000_000 // _PIECE_SIZE + 1
    assert max(made) < _PIECE_SIZE + len(line)


def test_only_so_much_is_taken_as_a_piece_needs() -> None:
    taken = 0

    def lines() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield b"a line of a document without end\n"

    next(in_pieces(lines()))  # type: ignore[arg-type]
    assert taken == _PIECE_SIZE // 33 + 1


def test_every_format_is_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    many = report([finding(f"team/r{number}") for number in range(50)])
    reports = {**every(), "hostile": hostile_report(), "many": many}
    for form in formats().keys() - {"html"}:  # the page is one piece: nearly all of it is a line
        for name, item in reports.items():
            with case(f"{form}: {name}"):
                made = {}
                for size in (1, 1_000, _PIECE_SIZE):
                    monkeypatch.setattr(masking, "_PIECE_SIZE", size)
                    made[size] = list(formats()[form].render(item))
                    assert all(piece.endswith(b"\n") for piece in made[size])
                assert b"".join(made[1]) == b"".join(made[1_000]) == b"".join(made[_PIECE_SIZE])
                assert len(made[1]) >= len(item.findings)
