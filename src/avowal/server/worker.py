"""A background thread of the server, which works until it is stopped."""

import threading
from collections.abc import Callable


class WorkerThread:
    """A thread that calls `run` once; `run` returns soon after the event that it gets is set."""

    def __init__(self, name: str, run: Callable[[threading.Event], None]) -> None:
        self._stop_event = threading.Event()
        self._thread = threading.Thread(target=run, args=[self._stop_event], name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and wait until it has finished what it is doing."""
        self._stop_event.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()
