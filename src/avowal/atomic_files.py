"""Write files so that they are complete or absent, also after a crash or a loss of power."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from avowal.errors import InvalidInputError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system that names no file name this one: that of a write does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Write the entries of a folder to disk, so that new and renamed files survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock_folder(folder: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock of a folder, alone or shared with others, until the block ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def replace_text(path: Path, text: str, *, private: bool = False) -> None:
    """Replace or create a file with a text. It is on disk when this returns.

    With `private`, only the file's owner can read it.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    with replace_file(path, unfinished, private=private) as file:
        file.write(text.encode())


@contextmanager
def replace_file(path: Path, unfinished: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open the file `unfinished` for writing. When the block ends, it is on disk and has replaced `path`.

    If the block raises, `path` is unchanged, and `unfinished` remains until it is written again. With `private`, only
    the file's owner can read it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(unfinished, flags, 0o600 if private else 0o666)
    with naming(path), os.fdopen(descriptor, "wb") as file:
        if private:
            os.fchmod(file.fileno(), 0o600)
        yield file
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def check_creatable(path: Path | None) -> None:
    """Raise InvalidInputError if a file cannot be created. Call this before the work that it is for."""
    if path is None:
        return
    _check_absent(path)
    if (unfinished := _unfinished(path)).exists():
        raise InvalidInputError(
            f"`{unfinished}` already exists",
            "name another file, or move it away if no process is writing it",
            code="file-exists",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInputError(
            f"cannot write to `{path.parent}`",
            "name a file in a folder where you may write",
            code="file-unwritable",
        )


@contextmanager
def create_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file, readable by its owner only, for writing. It gets its name when the block ends.

    Raises InvalidInputError if the file exists, or if another process is writing it.
    """
    check_creatable(path)
    unfinished = _unfinished(path)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with naming(path), os.fdopen(descriptor, "wb") as file:
            _check_absent(path)  # from here on no other process can complete this file
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")


def _check_absent(path: Path) -> None:
    if path.exists():
        raise InvalidInputError(f"`{path}` already exists", "name another file", code="file-exists")
