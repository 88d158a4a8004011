"""What a server does besides answering: loads what was received, derives views, and enforces retention periods."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import Counter, Gauge

from avowal.errors import AvowalError
from avowal.server.worker import WorkerThread
from avowal.storage_errors import explain

LOAD_INTERVAL_SECONDS = 2.0
"""How often what was received is loaded into the store."""

BACKGROUND_NICENESS = 10

SALT_SWEEP_INTERVAL_SECONDS = 600.0
DAILY_INTERVAL_SECONDS = 86_400.0
COMPACTION_INTERVAL_SECONDS = 3_600.0
"""How often the store's file is rewritten after erasures, at most: their bytes have to be gone within 24 hours."""

LOAD_COUNTER = Counter("avowal_loads", "How often received records were loaded into the store.")
FAILURE_COUNTER = Counter("avowal_background_failures", "How often loading, deriving or retention failed.")
LAST_LOAD_GAUGE = Gauge("avowal_last_load_timestamp_seconds", "When received records were last loaded.")

logger = logging.getLogger("avowal")


@dataclass
class BackgroundWorker:
    """Runs the periodic tasks of a server in one thread."""

    load_pending: Callable[[], bool]
    """Loads what was received; returns whether there was anything."""
    derive_views: Callable[[], object]
    destroy_old_salts: Callable[[], object]
    run_daily_tasks: Callable[[], object]
    compact: Callable[[], bool]
    """Rewrites the store's file if it holds bytes of deleted data; returns whether it did."""
    find_warnings: Callable[[], list[str]] = list
    """Returns what is wrong with what was collected; looked for as often as old salts are."""
    warnings: list[str] = field(default_factory=list)
    last_error: str = ""
    """Why the last task failed; empty if it succeeded."""
    thread: WorkerThread = field(init=False)
    _load_lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.thread = WorkerThread("background", self._run)

    def stop(self) -> None:
        """Stop the thread, load what was received until then, and rewrite the store's file if that is due."""
        self.thread.stop()
        self._try(self.load_and_derive)
        self._try(self.compact)

    def load_and_derive(self) -> None:
        """Load what was received, and derive views and visits from it."""
        with self._load_lock:
            if self.load_pending():
                self.derive_views()
                LOAD_COUNTER.inc()
                LAST_LOAD_GAUGE.set_to_current_time()

    def _warn(self) -> None:
        """Look for warnings, and log those that are new."""
        warnings = self.find_warnings()
        for warning in warnings:
            if warning not in self.warnings:
                logger.warning("%s", warning)
        self.warnings = warnings

    def _run(self, stop_event: threading.Event) -> None:
        lower_thread_priority()
        swept_at = daily_tasks_at = compacted_at = -DAILY_INTERVAL_SECONDS
        while not stop_event.wait(LOAD_INTERVAL_SECONDS):
            self._try(self.load_and_derive)
            if time.monotonic() - swept_at > SALT_SWEEP_INTERVAL_SECONDS:
                self._try(self.destroy_old_salts)
                self._try(self._warn)
                swept_at = time.monotonic()
            if time.monotonic() - daily_tasks_at > DAILY_INTERVAL_SECONDS:
                self._try(self.run_daily_tasks)
                daily_tasks_at = time.monotonic()
            if time.monotonic() - compacted_at > COMPACTION_INTERVAL_SECONDS and self._try(self.compact):
                compacted_at = time.monotonic()

    def _try(self, task: Callable[[], object]) -> object:
        """Return what a task returns; None if it fails."""
        try:
            result = task()
        except Exception as error:  # the next round tries again, and `/readyz` reports it meanwhile
            known = error if isinstance(error, AvowalError) else explain(error, Path.cwd())
            self.last_error = known.code if known else type(error).__name__
            FAILURE_COUNTER.inc()
            if known:
                logger.error("a background task failed: %s; %s", known.message, known.hint)  # noqa: TRY400
            else:
                logger.exception("a background task failed")
            return None
        self.last_error = ""
        return result


def lower_thread_priority() -> None:
    """Lower the priority of this thread, and of those of the store and of Polars, below the one that answers.

    Does nothing on systems that cannot.
    """
    threads = Path("/proc/self/task")
    if threads.is_dir():
        for thread in threads.iterdir():
            if int(thread.name) != os.getpid():
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, int(thread.name), BACKGROUND_NICENESS)
