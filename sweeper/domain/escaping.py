"""Escape untrusted text for where it is shown.

Account owners choose repository names, account names and parts of service messages. These must not
move a cursor, forge a line, hide or reorder the text beside them, or become a formula.
"""

from __future__ import annotations

import re
from unicodedata import category

from sweeper.domain.masking import mask

# Control and format characters (bidi overrides and zero-width ones are among them), lone
# surrogates, line and paragraph separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters and marks that show nothing: combining grapheme joiner, Hangul and Braille blanks,
# Khmer and Mongolian invisible signs; and the two code points that are no characters and that XML,
# SNS and SQS refuse.
_BLANKS = frozenset(
    "\ufffe\uffff\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
)
# https://owasp.org/www-community/attacks/CSV_Injection: what begins a formula, the full-width forms
# included, where a cell begins: also behind what a spreadsheet may trim or take for a quote, and
# behind a semicolon, which separates the cells of a CSV file in half of Europe.
_FORMULA = re.compile('(?:^|(?<=;))(?=[\\s"]*[=+\\-@\uff1d\uff0b\uff0d\uff20])')


def is_hidden(character: str) -> bool:
    """Tell whether the character is invisible, or changes how others are shown."""
    return category(character) in _HIDDEN_CATEGORIES or character in _BLANKS


def plain(text: str) -> str:
    r"""Return the text on one line, each hidden character as a visible ``\xXX`` or ``\uXXXX``.

    For terminals, logs, messages, text files and, with its markup escaped, XML. Not reversible: a
    backslash stays one.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spell(character) if is_hidden(character) else character for character in text)


def shorten(text: str, limit: int) -> str:
    """Return `plain(text)`, cut to `limit` characters including an ellipsis."""
    shown = plain(text)
    # Mask first: a secret that was cut would not be recognized.
    return shown if len(shown) <= limit else mask(shown)[: limit - 1] + "…"


def csv_cell(text: str) -> str:
    """Return the text for a cell that a spreadsheet shows and does not compute."""
    # Nearly every cell: a search for a formula would cost more than the rest of the row.
    if text[:1].isalnum() and ";" not in text and text.isascii() and text.isprintable():
        return text
    return plain(_FORMULA.sub("'", text))


def _spell(character: str) -> str:
    code = ord(character)
    if character <= "\xff":
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if character <= "\uffff" else f"\\U{code:08x}"
