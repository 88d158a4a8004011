"""Says what is wrong with a disk or a file when the system refuses to read or write, and what helps.

SQLite and DuckDB have errors of their own for it; their texts may quote stored data, so none of them is shown.
"""

import errno
import os
import re
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from avowal.errors import ErrorCode, StoreError

ROOM_BYTES_MIN = 1 << 16
"""With less free space than this, an error of SQLite that names no cause is taken for a full disk."""

_QUOTED_PATH = re.compile(r'"(/[^"\n]+)"')


class StorageTrouble(NamedTuple):
    """What is wrong; `{path}` is the file or folder."""

    code: ErrorCode
    message: str
    hint: str


FULL = StorageTrouble(
    "disk-full",
    "no space is left on the disk of `{path}`",
    "make room on it, and give the command again; nothing that was acknowledged is lost",
)
READ_ONLY = StorageTrouble(
    "disk-read-only",
    "`{path}` is on a disk that is read-only",
    "mount it for writing (`mount -o remount,rw`), or name another folder with `--data`; then give the command again",
)
NOT_PERMITTED = StorageTrouble(
    "file-not-permitted",
    "this user may not use `{path}`",
    "run the command as the user who owns the folder (`sudo -u USER`), or give it to this one: `chown -R`, "
    "`chmod -R u+rw`",
)
TOO_MANY_FILES = StorageTrouble(
    "too-many-open-files",
    "`{path}` cannot be opened: too many files are open",
    "raise the limit (`ulimit -n`, or `LimitNOFILE` of the service), and give the command again",
)
DISK_FAILED = StorageTrouble(
    "disk-failed",
    "the disk of `{path}` failed to read or write",
    "look for its errors in the log of the system (`dmesg`), and run `avowal verify`; if that finds damage, move "
    "`data/` to a sound disk, and give `avowal restore` the newest backup",
)

BY_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: NOT_PERMITTED,
    errno.EPERM: NOT_PERMITTED,
    errno.EMFILE: TOO_MANY_FILES,
    errno.ENFILE: TOO_MANY_FILES,
    errno.EIO: DISK_FAILED,
}


def explain(error: BaseException, path: Path) -> StoreError | None:
    """Return an error that says what is wrong with a file or its disk; None if the error is about something else.

    `path` is the file or folder that was used, if the error names none.
    """
    trouble, named = _find_trouble(error, path)
    if trouble is None:
        return None
    return StoreError(trouble.message.format(path=named), trouble.hint, code=trouble.code)


def _find_trouble(error: BaseException, path: Path) -> tuple[StorageTrouble | None, Path]:
    if isinstance(error, OSError):
        trouble = BY_ERRNO.get(error.errno or 0)
        written = error.filename2 if trouble in {FULL, READ_ONLY} else None  # of a copy, its target
        name = written or error.filename
        return trouble, Path(os.fsdecode(name)) if isinstance(name, str | bytes) else path
    if isinstance(error, sqlite3.Error):
        return _find_trouble_of_sqlite(getattr(error, "sqlite_errorname", ""), path)
    text = str(error)
    if type(error).__module__.partition(".")[0] in {"duckdb", "_duckdb"}:
        match = _QUOTED_PATH.search(text)
        named = Path(match[1]) if match else path
        for number, trouble in BY_ERRNO.items():
            if os.strerror(number) in text:
                return trouble, named
    return None, path


def _find_trouble_of_sqlite(name: str, path: Path) -> tuple[StorageTrouble | None, Path]:
    """Return the trouble that SQLite has; of several causes that it does not tell apart, the one that is there."""
    if name == "SQLITE_FULL":
        return FULL, path
    if not name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return None, path
    with suppress(OSError):
        state = os.statvfs(path.parent)
        if state.f_flag & os.ST_RDONLY:
            return READ_ONLY, path
        if state.f_bavail * state.f_frsize < ROOM_BYTES_MIN or (state.f_files and not state.f_favail):
            return FULL, path
    for member in (path.parent, *sorted(path.parent.glob(f"{path.name}*"))):
        if not os.access(member, os.R_OK | os.W_OK):
            return NOT_PERMITTED, member
    return (DISK_FAILED if name.startswith("SQLITE_IOERR") else None), path
