"""What a server does so that availability is known also while nobody asks: it asks by itself."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from prometheus_client import Gauge

from avowal.clock import utc_now
from avowal.collect.probe import Prober, ProbeResult, ProbeState
from avowal.server.worker import WorkerThread

MAX_PARALLEL_PROBES = 8
"""How many pages are asked at a time."""

PROBE_SUCCESS_GAUGE = Gauge(
    "avowal_probe_success", "Whether the last probe found the page up (1) or down (0).", ["page"]
)
PROBE_DURATION_GAUGE = Gauge(
    "avowal_probe_duration_seconds", "How long the last probe took that had an answer.", ["page"]
)
CERTIFICATE_DAYS_GAUGE = Gauge(
    "avowal_probe_certificate_valid_days", "For how many days the page's certificate is valid.", ["page"]
)

logger = logging.getLogger("avowal")


@dataclass
class ProbeWorker(WorkerThread):
    """A thread that asks all pages, again and again."""

    prober: Prober
    urls: Sequence[str]
    store_probes: Callable[[list[ProbeResult]], object]
    last_error: str = ""
    """Why the last round was not kept; empty where it was."""
    name = "prober"

    def __post_init__(self) -> None:
        super().__init__()

    def run(self) -> None:
        """See Worker."""
        turn = time.monotonic()
        with ThreadPoolExecutor(MAX_PARALLEL_PROBES, "probe") as pool:
            while self.urls and not self.stop_event.wait(max(0.0, turn - time.monotonic())):
                turn = max(turn + self.prober.interval_seconds, time.monotonic())
                found = list(pool.map(self.prober.probe, self.urls, [utc_now()] * len(self.urls)))
                _show(found)
                try:
                    self.store_probes(found)
                    self.last_error = ""
                except Exception as error:  # the next round tries again, and `/readyz` says so meanwhile
                    self.last_error = type(error).__name__
                    logger.exception("probes were not kept")


def _show(found: Sequence[ProbeResult]) -> None:
    for probe in found:
        PROBE_SUCCESS_GAUGE.labels(probe.page).set(probe.state is not ProbeState.DOWN)
        if probe.response_ms is not None:
            PROBE_DURATION_GAUGE.labels(probe.page).set(probe.response_ms / 1000)
        if probe.certificate_days is not None:
            CERTIFICATE_DAYS_GAUGE.labels(probe.page).set(probe.certificate_days)
