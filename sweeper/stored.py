"""A report.json that a person names, read back: a file, or an object in S3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sweeper.errors import ConfigurationError
from sweeper.model import Report
from sweeper.records import MAX_REPORT, Unusable, parsed

S3 = "s3://"


def read_report(location: str, read_object: Callable[[str, int], str]) -> Report:
    """The report at a path or ``s3://<bucket>/<key>``.

    `read_object` reads so many bytes of an object at most. Raises ConfigurationError that names the
    location and what is wrong with it.
    """
    if location.startswith(S3):
        content = read_object(location, MAX_REPORT).encode()
    else:
        content = _read_file(Path(location))
    try:
        return parsed(Report, location, content)
    except Unusable as error:
        raise ConfigurationError(f"{error.message}; needed: a report.json") from None


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_REPORT + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_REPORT:
        raise ConfigurationError(f"{path}: too large; allowed: {MAX_REPORT:,} bytes")
    return content
