"""Files that are either wholly there or not there at all, and that survive a loss of power."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from avowal.errors import InvalidInputError


def sync_folder(folder: Path) -> None:
    """Make renames within a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_text(path: Path, text: str, *, private: bool = False) -> None:
    """Replace the content of a file, or create the file; it is on the disk once this returns.

    With `private`, only the file's owner can read it.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
    with unfinished.open("w", encoding="utf-8") as file:
        if private:
            os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def check_creatable(path: Path | None) -> None:
    """Raise InvalidInputError if a file cannot be created; call this before doing what the file will report."""
    if path is None:
        return
    _check_absent(path)
    if (unfinished := _unfinished(path)).exists():
        raise InvalidInputError(
            f"`{unfinished}` is there already",
            "name another file, or move that one away if nothing is writing it",
            code="file-exists",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InvalidInputError(
            f"nothing can be written to `{path.parent}`",
            "name a file in a folder that you own",
            code="file-unwritable",
        )


@contextmanager
def create_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing, readable by its owner only; it appears under its name when all is written.

    Raises InvalidInputError if the file exists, or another process is writing it.
    """
    check_creatable(path)
    unfinished = _unfinished(path)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _check_absent(path)  # nobody else can finish a file of this name from now on
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")


def _check_absent(path: Path) -> None:
    if path.exists():
        raise InvalidInputError(f"`{path}` is there already", "name another file", code="file-exists")
