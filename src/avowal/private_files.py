"""Files that only their owner may change: those of data and keys. They are checked before they are opened.

Whoever could put a link in their place, or write to them, would decide where data goes and what is read as ours. So a
symbolic link, another user's file, and a file or folder that others may write to are refused. The folder itself may be
reached by a link, which its operator has made.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from avowal.errors import StoreError

SECRET_SUFFIXES = {".key", ".json"}
"""The ends of the names of key files that nobody but their owner may read."""

_PLAIN_KINDS = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISSOCK)


def check_private_folder(folder: Path, *, has_secrets: bool = False) -> None:
    """Check a folder and its members, but not the members of its folders. A folder that does not exist is fine.

    With `has_secrets`, nobody but its owner may be able to read a file whose name ends in SECRET_SUFFIXES. Raises
    StoreError.
    """
    with suppress(FileNotFoundError):
        _check(folder, folder.stat(), folder, has_secrets=False)
        with os.scandir(folder) as members:
            check_private_files((Path(member.path) for member in members), has_secrets=has_secrets)


def check_private_files(paths: Iterable[Path], *, has_secrets: bool = False) -> None:
    """Check files as `check_private_folder` does those of a folder. One that is gone is fine. Raises StoreError."""
    for path in paths:
        with suppress(FileNotFoundError):
            _check(path, path.lstat(), path.parent, has_secrets=has_secrets)


def open_private(path: Path, flags: int) -> int:
    """Open a file, or create it for its owner alone, and return its descriptor. Raises StoreError if it is a link."""
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        check_private_files([path])
        raise


def read_private(path: Path) -> bytes:
    """Return the content of a file. Raises StoreError if it is a symbolic link."""
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _check(path: Path, status: os.stat_result, folder: Path, *, has_secrets: bool) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _unsafe(f"`{path}` is a symbolic link", "put the file or folder itself in its place")
    if not any(is_kind(status.st_mode) for is_kind in _PLAIN_KINDS):
        raise _unsafe(f"`{path}` is neither a file nor a folder", "move it away")
    owners, folder_status = {0, os.geteuid()}, folder.stat()
    if os.geteuid() == 0:
        owners.add(folder_status.st_uid)  # root acts for the user who owns the folder
    if status.st_uid not in owners:
        raise _unsafe(f"`{path}` belongs to another user", "give it to the user who runs Avowal: `chown`")
    is_secret = has_secrets and stat.S_ISREG(status.st_mode) and path.suffix in SECRET_SUFFIXES
    if (
        is_secret and status.st_mode & 0o044 & (folder_status.st_mode & 0o011) << 2
    ):  # who may enter the folder
        raise _unsafe(f"others may read `{path}`", "take their rights: `chmod go-rwx`")
    if status.st_mode & (0o022 if path == folder else 0o002):
        raise _unsafe(f"others may write to `{path}`", "take that right from them: `chmod go-w`")


def _unsafe(message: str, hint: str) -> StoreError:
    return StoreError(message, hint, code="file-unsafe")
