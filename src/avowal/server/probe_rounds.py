"""Probes the site's own pages, so that their availability is known while nobody visits them."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from prometheus_client import Gauge

from avowal.clock import utc_now
from avowal.collect.probe import Prober, ProbeResult, ProbeState
from avowal.server.worker import WorkerThread

MAX_PARALLEL_PROBES = 8
"""How many pages are probed at the same time."""

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
class ProbeWorker:
    """Probes all pages in rounds, in one thread."""

    prober: Prober
    urls: Sequence[str]
    store_probes: Callable[[list[ProbeResult]], object]
    last_error: str = ""
    """Why the results of the last round were not stored; empty if they were."""
    thread: WorkerThread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = WorkerThread("probes", self._run)

    def _run(self, stop_event: threading.Event) -> None:
        next_round = time.monotonic()
        with ThreadPoolExecutor(MAX_PARALLEL_PROBES, "probe") as pool:
            while self.urls and not stop_event.wait(max(0.0, next_round - time.monotonic())):
                next_round = max(next_round + self.prober.interval_seconds, time.monotonic())
                results = list(pool.map(self.prober.probe, self.urls, [utc_now()] * len(self.urls)))
                _update_metrics(results)
                try:
                    self.store_probes(results)
                    self.last_error = ""
                except Exception as error:  # the next round tries again, and `/readyz` reports it meanwhile
                    self.last_error = type(error).__name__
                    logger.exception("the results of probes were not stored")


def _update_metrics(results: Sequence[ProbeResult]) -> None:
    for result in results:
        PROBE_SUCCESS_GAUGE.labels(result.page).set(result.state is not ProbeState.DOWN)
        if result.response_ms is not None:
            PROBE_DURATION_GAUGE.labels(result.page).set(result.response_ms / 1000)
        if result.certificate_days is not None:
            CERTIFICATE_DAYS_GAUGE.labels(result.page).set(result.certificate_days)
