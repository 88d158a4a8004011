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
from avowal.collect.admission import Promise
from avowal.collect.script_event import Gate
from avowal.server.worker import Worker

LOAD_SECONDS = 2.0
"""How often what came in is loaded into the store."""

NICE = 10

SWEEP_SECONDS = 600.0
DAY_SECONDS = 86_400.0

LOADED = Counter("avowal_loads", "How often what came in was loaded into the store.")
FAILED = Counter("avowal_keeping_failures", "How often loading, deriving or retention failed.")
LOADED_AT = Gauge("avowal_last_load_timestamp_seconds", "When what came in was last loaded.")

log = logging.getLogger("avowal")


@dataclass
class Gates:
    """Gives the gate of the version in force, at each moment: a version that is published binds from then on."""

    stamp: Callable[[], int]
    promises: Callable[[datetime], Sequence[Promise]]
    country_of: Callable[[str], str | None] | None = None
    _stamp: int = -1
    _until: datetime = datetime.min
    _gate: Gate | None = None

    def __call__(self) -> Gate | None:
        """Return the gate; None where no version is in force."""
        now, stamp = utc_now(), self.stamp()
        if stamp != self._stamp or not now < self._until:
            promises = [promise for promise in self.promises(now) if promise.since <= now]
            self._gate = Gate(promises[-1], self.country_of) if promises else None
            self._stamp = stamp
            self._until = min((one.until for one in promises if one.until > now), default=datetime.max)
        return self._gate


@dataclass
class Keeper(Worker):
    """A thread that does, again and again, what has its time."""

    load: Callable[[], bool]
    """Loads what came in; returns whether there was anything."""
    derive: Callable[[], object]
    sweep: Callable[[], object]
    daily: Callable[[], object]
    failing: str = ""
    """Why the last round failed; empty where it did not."""
    _turn: threading.Lock = field(default_factory=threading.Lock)
    name = "keeper"

    def __post_init__(self) -> None:
        super().__init__()

    def close(self) -> None:
        """Finish the round that is under way, and load what came in until then."""
        super().close()
        self._try(self.round)

    def run(self) -> None:
        """See Worker."""
        give_way()
        swept = kept = -DAY_SECONDS
        while not self.stop.wait(LOAD_SECONDS):
            self._try(self.round)
            if time.monotonic() - swept > SWEEP_SECONDS:
                self._try(self.sweep)
                swept = time.monotonic()
            if time.monotonic() - kept > DAY_SECONDS:
                self._try(self.daily)
                kept = time.monotonic()

    def round(self) -> None:
        """Load what came in, and make views and visits of it."""
        with self._turn:
            if self.load():
                self.derive()
                LOADED.inc()
                LOADED_AT.set_to_current_time()

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # the next round tries again, and `/readyz` says so meanwhile
            self.failing = type(error).__name__
            FAILED.inc()
            log.exception("keeping failed")
        else:
            self.failing = ""


def give_way() -> None:
    """Let this thread, and those of the store and of Polars, go behind the one that answers, where the system can."""
    tasks = Path("/proc/self/task")
    if tasks.is_dir():
        for task in tasks.iterdir():
            if int(task.name) != os.getpid():
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, int(task.name), NICE)
