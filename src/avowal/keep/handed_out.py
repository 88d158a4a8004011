"""Files that are handed out: each is there whole, or not at all, and for its owner alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from avowal.errors import MisuseError


def check_free(path: Path | None) -> None:
    """Raise MisuseError where a file cannot be written: to be called before anything is done that it tells of."""
    if path is None:
        return
    _check_new(path)
    if (unfinished := _unfinished(path)).exists():
        raise MisuseError(
            f"`{unfinished}` is there already",
            "name another file; or move that away, where nothing writes it any more",
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise MisuseError(
            f"nothing can be written to `{path.parent}`", "name a file in a folder that is yours"
        )


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; it takes its place at the end, unless something fails before.

    Raises MisuseError where a file is there, or somebody else writes it.
    """
    check_free(path)
    unfinished = _unfinished(path)
    written = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(written, "wb") as file:
            _check_new(path)  # still: nobody else finishes one of that name from now on
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")


def _check_new(path: Path) -> None:
    if path.exists():
        raise MisuseError(f"`{path}` is there already", "name another file")
