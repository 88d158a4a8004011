"""Create and read the secret keys in the folder `keys/`."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from avowal.atomic_files import sync_folder
from avowal.private_files import read_private

SECRET_BYTES = 32
COOKIE_KEY_FILE = "cookie.key"
"""Turns the identifiers of cookies into visitor keys. Without it nobody can get from one to the other."""

FILE_NAME_KEY_FILE = "files.key"
"""Turns the content of uploaded files into their names, so that whoever has a file cannot tell whether it is stored."""

FEED_KEY_FILE = "feed.key"
"""Makes the identifiers of records in feeds to processors."""

WEBHOOK_KEY_FILE = "hook.key"
"""Signs what is delivered to processors."""

SIGN_IN_KEY_FILE = "sign-in.key"
"""Signs the sessions of readers who signed in."""


def read_or_create_secret(path: Path) -> bytes:
    """Return the secret in a file. If there is none, create it; it is on disk before it is returned.

    Raises StoreError if it is a symbolic link.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent) as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process created it first
                os.link(file.name, path)
        sync_folder(path.parent)
    return read_private(path)
