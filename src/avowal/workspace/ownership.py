"""Which process owns a data folder: the one that holds its lock."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from avowal.config import Folder
from avowal.errors import StoreError
from avowal.private_files import open_private
from avowal.store.interface import Store, StoreRegistry
from avowal.workspace.client import FolderClient
from avowal.workspace.layout import LOCK_FILE, SEGMENTS_FOLDER
from avowal.workspace.messages import RequestHandler
from avowal.workspace.server import FolderServer
from avowal.workspace.unix_socket import connect

WAIT_SECONDS = 10.0
"""How long to wait for an owner that is starting or stopping."""


def open_backend(
    folder: Folder, create_handler: Callable[[Store], RequestHandler], registry: StoreRegistry | None = None
) -> FolderServer | FolderClient:
    """Own the folder, or connect to the process that owns it; the folder is made if it does not exist.

    `registry` knows its store. Raises StoreError if the process that owns it does not answer.
    """
    folder.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        lock = os.fdopen(
            open_private(folder.data_folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+"
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            owner_pid = lock.read().strip()
            lock.close()
        else:
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            return _own(folder, lock, create_handler, registry)
        with suppress(OSError):
            return FolderClient(connect(folder.data_folder), folder.data_folder / SEGMENTS_FOLDER, owner_pid)
        if time.monotonic() > deadline:
            raise StoreError(
                f"`{folder.data_folder}` is in use by process {owner_pid or 'unknown'}, which does not answer",
                "wait until it has finished, or stop it",
                code="folder-in-use",
            )
        time.sleep(0.05)


def _own(
    folder: Folder,
    lock: IO[str],
    create_handler: Callable[[Store], RequestHandler],
    registry: StoreRegistry | None,
) -> FolderServer:
    try:
        return FolderServer(folder, lock, create_handler, registry)
    except BaseException:
        lock.close()
        raise
