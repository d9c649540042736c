"""Read files, and replace them as a whole."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from sweeper.domain.errors import OperationFailed
from sweeper.domain.masking import mask
from sweeper.domain.reasons import Reason

_MODE = 0o644
PRIVATE = 0o600
_PRIVATE_DIRECTORY = 0o700

_T = TypeVar("_T")


class Directory:
    """Records in a directory, by file name; every method raises OperationFailed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str, use: Callable[[BinaryIO], _T]) -> _T | None:
        """Return what `use` makes of the file; None where there is none."""
        path = self.path / name
        try:
            with open(path, "rb", opener=_open_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise OperationFailed(Reason.REQUEST_REFUSED, f"{path}: not a regular file")
                return use(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _to_failure(Reason.REQUEST_REFUSED, path, error) from error

    def replace(self, name: str, pieces: Iterable[bytes]) -> None:
        """Replace the file in the directory, which must exist."""
        replace(self.path / name, pieces)


def replace(path: Path, pieces: Iterable[bytes], mode: int = _MODE) -> None:
    """Replace the file: readers see the old one or the new one. Raises OperationFailed."""
    _replace(path, lambda file: file.writelines(map(mask, pieces)), mode)


def copy(source: BinaryIO, path: Path) -> None:
    """Replace the file with a copy of `source`, which has no secrets. Raises OperationFailed."""
    _replace(path, lambda file: shutil.copyfileobj(source, file))


def create_private(directory: Path) -> None:
    """Create the directory and its parents where they are missing: only the owner may enter them.

    `Path.mkdir` gives its mode to the last one alone. Raises OSError.
    """
    for each in (*reversed(directory.parents), directory):
        if not each.exists():
            each.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)


def _replace(path: Path, write: Callable[[BinaryIO], object], mode: int = _MODE) -> None:
    with write_errors(path):
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        # The umask applies. O_EXCL: a link of that name is not followed.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write(path: Path, pieces: Iterable[bytes]) -> None:
    """Write to a path that a person names: replace a file, write into a device or a pipe.

    Raises OperationFailed.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    with write_errors(path):
        if target.exists() and not target.is_file():  # /dev/null, /dev/stdout, <(…)
            with target.open("wb") as stream:
                stream.writelines(map(mask, pieces))
            return
    replace(target, pieces)


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for a writer, if the file is a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn OSError into OperationFailed."""
    try:
        yield
    except OSError as error:
        raise _to_failure(Reason.WRITE_FAILED, path, error) from error


def _to_failure(reason: Reason, path: Path, error: OSError) -> OperationFailed:
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return OperationFailed(reason, f"{path}: {error.strerror or error}", code)
