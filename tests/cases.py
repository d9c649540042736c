"""Many cases in one test: a loop over a table that names the case that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_LONGEST = 300  # characters of a case in the failure


@contextmanager
def case(*what: object) -> Iterator[None]:
    """Name the case in the failure of what fails inside."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        error.add_note(f"case: {', '.join(repr(each)[:_LONGEST] for each in what)}")
        raise
