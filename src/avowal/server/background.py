"""What a server does beside answering: loads what came in, makes views of it, and keeps to the terms' times."""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from prometheus_client import Counter, Gauge

from avowal.clock import utc_now
from avowal.collect.admission import AdmissionRules
from avowal.collect.script_event import EventAdmission
from avowal.server.worker import WorkerThread

LOAD_INTERVAL_SECONDS = 2.0
"""How often what came in is loaded into the store."""

BACKGROUND_NICENESS = 10

SALT_SWEEP_INTERVAL_SECONDS = 600.0
DAILY_INTERVAL_SECONDS = 86_400.0

LOAD_COUNTER = Counter("avowal_loads", "How often what came in was loaded into the store.")
FAILURE_COUNTER = Counter("avowal_keeping_failures", "How often loading, deriving or retention failed.")
LAST_LOAD_GAUGE = Gauge("avowal_last_load_timestamp_seconds", "When what came in was last loaded.")

logger = logging.getLogger("avowal")


@dataclass
class CurrentAdmission:
    """Gives the gate of the version in force, at each moment: a version that is published binds from then on."""

    read_register_revision: Callable[[], int]
    read_admission_rules: Callable[[datetime], Sequence[AdmissionRules]]
    find_country: Callable[[str], str | None] | None = None
    _stamp: int = -1
    _until: datetime = datetime.min
    _gate: EventAdmission | None = None

    def __call__(self) -> EventAdmission | None:
        """Return the gate; None where no version is in force."""
        now, stamp = utc_now(), self.read_register_revision()
        if stamp != self._stamp or not now < self._until:
            promises = [
                promise for promise in self.read_admission_rules(now) if promise.effective_from <= now
            ]
            self._gate = EventAdmission(promises[-1], self.find_country) if promises else None
            self._stamp = stamp
            self._until = min(
                (one.effective_until for one in promises if one.effective_until > now), default=datetime.max
            )
        return self._gate


@dataclass
class BackgroundWorker(WorkerThread):
    """A thread that does, again and again, what has its time."""

    load_pending: Callable[[], bool]
    """Loads what came in; returns whether there was anything."""
    derive_views: Callable[[], object]
    destroy_old_salts: Callable[[], object]
    run_daily_tasks: Callable[[], object]
    last_error: str = ""
    """Why the last round failed; empty where it did not."""
    _turn: threading.Lock = field(default_factory=threading.Lock)
    name = "keeper"

    def __post_init__(self) -> None:
        super().__init__()

    def close(self) -> None:
        """Finish the round that is under way, and load what came in until then."""
        super().close()
        self._try(self.load_and_derive)

    def run(self) -> None:
        """See Worker."""
        lower_thread_priority()
        swept = kept = -DAILY_INTERVAL_SECONDS
        while not self.stop_event.wait(LOAD_INTERVAL_SECONDS):
            self._try(self.load_and_derive)
            if time.monotonic() - swept > SALT_SWEEP_INTERVAL_SECONDS:
                self._try(self.destroy_old_salts)
                swept = time.monotonic()
            if time.monotonic() - kept > DAILY_INTERVAL_SECONDS:
                self._try(self.run_daily_tasks)
                kept = time.monotonic()

    def load_and_derive(self) -> None:
        """Load what came in, and make views and visits of it."""
        with self._turn:
            if self.load_pending():
                self.derive_views()
                LOAD_COUNTER.inc()
                LAST_LOAD_GAUGE.set_to_current_time()

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # the next round tries again, and `/readyz` says so meanwhile
            self.last_error = type(error).__name__
            FAILURE_COUNTER.inc()
            logger.exception("keeping failed")
        else:
            self.last_error = ""


def lower_thread_priority() -> None:
    """Let this thread, and those of the store and of Polars, go behind the one that answers, where the system can."""
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        for task in tasks.iterdir():
            if int(task.name) != os.getpid():
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, int(task.name), BACKGROUND_NICENESS)
