"""Keeps the store's file as it is while another process copies it."""

import threading

from avowal.store.duckdb_store import DuckDBStore
from avowal.workspace.claims import LogClaimant

HOLD_SECONDS_MAX = 600.0
"""How long a process may hold the store; what comes in waits in its journals meanwhile."""


class StoreHold:
    """Lets one process at a time hold the store. Reports read it meanwhile; whoever writes into it waits."""

    def __init__(self, store: DuckDBStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._claimant: LogClaimant | None = None
        self._timer = threading.Timer(0.0, lambda: None)

    def acquire(self, claimant: LogClaimant) -> None:
        """Wait until nobody writes, bring everything into the store's file, and keep it so."""
        self._store.hold()
        with self._lock:
            self._claimant = claimant
            self._timer = threading.Timer(HOLD_SECONDS_MAX, self.release, [claimant])
            self._timer.daemon = True
            self._timer.start()

    def release(self, claimant: LogClaimant) -> bool:
        """Let others write again; returns whether the claimant still held the store."""
        with self._lock:
            if self._claimant is not claimant:
                return False
            self._claimant = None
            self._timer.cancel()
            self._store.release_hold()
            return True
