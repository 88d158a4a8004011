"""Delivers feeds to processors: new records, and what they have to delete."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge

from avowal.config import FeedSettings
from avowal.server.worker import WorkerThread

MAX_BACKOFF_SECONDS = 3600
"""The longest wait after a failed attempt: each wait is twice as long as the one before."""

DELIVERED_PAGES_COUNTER = Counter(
    "avowal_feed_pages_delivered", "How many pages were delivered to a processor.", ["processor"]
)
DELIVERY_FAILED_GAUGE = Gauge(
    "avowal_feed_delivery_failed", "Whether the last delivery to a processor failed (1).", ["processor"]
)

logger = logging.getLogger("avowal")


@dataclass
class FeedDeliveryWorker:
    """Delivers each feed in its interval, in one thread."""

    feeds: Sequence[FeedSettings]
    deliver_feed: Callable[[FeedSettings], int]
    """Delivers the pages that a processor lacks; returns how many."""
    last_errors: dict[str, str] = field(default_factory=dict)
    """Why the last delivery to a processor failed."""
    thread: WorkerThread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = WorkerThread("feed-delivery", self._run)

    def _run(self, stop_event: threading.Event) -> None:
        due_times = dict.fromkeys(self.feeds, time.monotonic())
        waits = {feed: feed.interval_seconds for feed in self.feeds}
        while due_times and not stop_event.wait(max(0.0, min(due_times.values()) - time.monotonic())):
            feed = min(due_times, key=due_times.__getitem__)
            waits[feed] = (
                feed.interval_seconds if self._deliver(feed) else min(2 * waits[feed], MAX_BACKOFF_SECONDS)
            )
            due_times[feed] = time.monotonic() + waits[feed]

    def _deliver(self, feed: FeedSettings) -> bool:
        """Deliver a feed; return whether that succeeded."""
        try:
            DELIVERED_PAGES_COUNTER.labels(feed.processor).inc(self.deliver_feed(feed))
            self.last_errors.pop(feed.processor, None)
        except Exception as error:  # it is tried again later, and the metrics report it meanwhile
            self.last_errors[feed.processor] = type(error).__name__
            logger.exception("a feed was not delivered")
        has_failed = feed.processor in self.last_errors
        DELIVERY_FAILED_GAUGE.labels(feed.processor).set(has_failed)
        return not has_failed
