"""A thread of the server that works beside answering, until it is told to stop."""

import threading
from abc import abstractmethod


class WorkerThread:
    """A thread that does something again and again; `run` is what."""

    name = "worker"

    def __init__(self) -> None:
        self.stop_event = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def run(self) -> None:
        """Work until `stop` is set."""

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what is under way."""
        self.stop_event.set()
        if self._thread:
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()
