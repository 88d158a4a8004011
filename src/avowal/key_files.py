"""Secrets in files of `keys/`."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from avowal.atomic_files import sync_folder

SECRET_BYTES = 32
COOKIE_KEY_FILE = "cookie.key"
"""Makes visitors' keys of cookies: without it nobody gets from the one to the other."""

FILE_NAME_KEY_FILE = "files.key"
"""Makes the names of files of their content: who has a file cannot tell whether it is here."""

FEED_KEY_FILE = "feed.key"
"""Makes the identifiers by which processors know records."""

WEBHOOK_KEY_FILE = "hook.key"
"""Signs what is sent to processors."""

SIGN_IN_KEY_FILE = "sign-in.key"
"""Signs what tells that a reader signed in."""


def read_or_create_secret(path: Path) -> bytes:
    """Return the secret in a file, and make it where there is none: on the disk before it is used."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent) as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first
                os.link(file.name, path)
        sync_folder(path.parent)
    return path.read_bytes()
