"""What a server does so that availability is known also while nobody asks: it asks by itself."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from prometheus_client import Gauge

from avowal.clock import utc_now
from avowal.collect.probe import Probe, Prober, State
from avowal.server.worker import Worker

AT_ONCE = 8
"""How many pages are asked at a time."""

UP = Gauge("avowal_probe_success", "Whether the last probe found the page up (1) or down (0).", ["page"])
TOOK = Gauge("avowal_probe_duration_seconds", "How long the last probe took that had an answer.", ["page"])
DAYS = Gauge(
    "avowal_probe_certificate_valid_days", "For how many days the page's certificate is valid.", ["page"]
)

log = logging.getLogger("avowal")


@dataclass
class Rounds(Worker):
    """A thread that asks all pages, again and again."""

    prober: Prober
    pages: Sequence[str]
    keep: Callable[[list[Probe]], object]
    failing: str = ""
    """Why the last round was not kept; empty where it was."""
    name = "prober"

    def __post_init__(self) -> None:
        super().__init__()

    def run(self) -> None:
        """See Worker."""
        turn = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE, "probe") as pool:
            while self.pages and not self.stop.wait(max(0.0, turn - time.monotonic())):
                turn = max(turn + self.prober.every_seconds, time.monotonic())
                found = list(pool.map(self.prober.probe, self.pages, [utc_now()] * len(self.pages)))
                _show(found)
                try:
                    self.keep(found)
                    self.failing = ""
                except Exception as error:  # the next round tries again, and `/readyz` says so meanwhile
                    self.failing = type(error).__name__
                    log.exception("probes were not kept")


def _show(found: Sequence[Probe]) -> None:
    for probe in found:
        UP.labels(probe.page).set(probe.state is not State.DOWN)
        if probe.response_ms is not None:
            TOOK.labels(probe.page).set(probe.response_ms / 1000)
        if probe.certificate_days is not None:
            DAYS.labels(probe.page).set(probe.certificate_days)
