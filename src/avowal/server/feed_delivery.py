"""What a server does so that processors have what came since, and delete what has to go, without anybody's doing."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge

from avowal.config import FeedSettings
from avowal.server.worker import WorkerThread

MAX_BACKOFF_SECONDS = 3600
"""How long is waited at most, in seconds, after an attempt that failed: twice as long each time."""

DELIVERED_PAGES_COUNTER = Counter("avowal_feed_pages", "How many pages a processor was given.", ["processor"])
FEED_FAILURE_GAUGE = Gauge(
    "avowal_feed_failing", "Whether the last attempt to hand over a feed failed (1).", ["processor"]
)

logger = logging.getLogger("avowal")


@dataclass
class FeedDeliveryWorker(WorkerThread):
    """A thread that hands over feeds; `push` hands over one, and returns how many pages that were."""

    feeds: Sequence[FeedSettings]
    deliver_feed: Callable[[FeedSettings], int]
    last_errors: dict[str, str] = field(default_factory=dict)
    """Why the last attempt of a processor failed."""
    name = "pusher"

    def __post_init__(self) -> None:
        super().__init__()

    def run(self) -> None:
        """See Worker."""
        due = dict.fromkeys(self.feeds, time.monotonic())
        waits = {feed: feed.every_seconds for feed in self.feeds}
        while due and not self.stop_event.wait(max(0.0, min(due.values()) - time.monotonic())):
            feed = min(due, key=lambda one: due[one])
            waits[feed] = feed.every_seconds if self._try(feed) else min(2 * waits[feed], MAX_BACKOFF_SECONDS)
            due[feed] = time.monotonic() + waits[feed]

    def _try(self, feed: FeedSettings) -> bool:
        try:
            DELIVERED_PAGES_COUNTER.labels(feed.processor).inc(self.deliver_feed(feed))
            self.last_errors.pop(feed.processor, None)
        except Exception as error:  # the next attempt comes, and the numbers say so meanwhile
            self.last_errors[feed.processor] = type(error).__name__
            logger.exception("a feed was not handed over")
        FEED_FAILURE_GAUGE.labels(feed.processor).set(feed.processor in self.last_errors)
        return feed.processor not in self.last_errors
