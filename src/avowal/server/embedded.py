"""Collects the requests of an application from inside its process, as far as the terms permit.

`avowal.asgi` and `avowal.wsgi` wrap an application with this. A request costs it one line in memory; a thread passes
the lines through the same pipeline as those of a log, and writes what the terms permit to the journals folder, from
which the process that owns the data folder loads it. Nothing that fails here reaches the application.
"""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from avowal.app.folder import create_journal_stream, find_folder, open_register_of
from avowal.collect.client_address import TrustedProxies
from avowal.config import Folder
from avowal.errors import RefusedError, SettingsError
from avowal.ingest.line_stream import LineStream
from avowal.ingest.syslog import LineBuffer
from avowal.register.register import Register
from avowal.server.page_insertion import PageInserter

WRITE_INTERVAL_SECONDS = 2.0
"""How often collected requests are written: a killed process loses at most as much."""

FINAL_WRITE_ATTEMPTS = 10
"""How often the last requests are tried to be written when the process ends."""

FINAL_WRITE_PAUSE_SECONDS = 0.1
"""The pause between these attempts."""

WRITER_NICENESS = 10
LINE_FORMAT = "nginx-json"

logger = logging.getLogger("avowal")


class EmbeddedRequest(NamedTuple):
    """What is read of a request. Lives in memory only."""

    remote_addr: str
    method: str
    uri: str
    headers: Sequence[tuple[str, str]]
    """Name in lower case, and value, of each line."""


@dataclass
class EmbeddedResponse:
    """What is known of the response to a request."""

    started_at: float
    """In seconds since 1970."""
    status: int = 500
    """What a server sends if the application fails."""
    body_bytes: int = 0
    content_type: str = ""
    """Empty if the response has none."""


@dataclass
class RequestCollector:
    """Collects the requests of one application, in this process and in those forked from it."""

    folder: Folder
    script_url: str
    line_queue: LineBuffer = field(default_factory=LineBuffer)
    last_error: str = ""
    """Why the last lines could not be written; empty if they were."""
    _register: Register | None = None
    _unwritten_lines: list[bytes] = field(default_factory=list)
    _stream: LineStream | None = None
    _is_running: bool = False
    _start_lock: threading.Lock = field(default_factory=threading.Lock)
    _stop_event: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str] | None, script_url: str) -> "RequestCollector":
        """Collect into the folder that `avowal init` made; None finds it as the command line does.

        Raises SettingsError if its settings are not valid, or if there is no such folder: nothing is collected into a
        new one.
        """
        found = find_folder(start=Path(folder) if folder else None)
        if (folder and not Path(folder).is_dir()) or not (found.policy_folder or found.data_folder.is_dir()):
            raise SettingsError(
                f"`{folder or Path.cwd()}` is no folder of Avowal: there is no `avowal.toml` in it or above it",
                "check the name, or make the folder with `avowal init`",
                code="file-missing",
            )
        return cls(found, script_url)

    def __post_init__(self) -> None:
        serve = self.folder.settings.serve
        self.proxies = TrustedProxies.parse(serve.trusted_proxies, serve.client_address_header)
        self.page_inserter = PageInserter(self.script_url)
        os.register_at_fork(after_in_child=self._after_fork)

    def collect(self, read_request: Callable[[], EmbeddedRequest], response: EmbeddedResponse) -> None:
        """Collect a request that was answered, as an access log would."""
        try:
            request = read_request()
            headers = dict(request.headers)
            if not self._is_running:
                self._start()
            address_lines = [value for name, value in request.headers if name == self.proxies.address_header]
            address = self.proxies.find_client_address(request.remote_addr, address_lines)
            line = {
                "timestamp": response.started_at,
                "remote_addr": address,
                "method": request.method,
                "uri": request.uri,
                "host": headers.get("host", ""),
                "referer": headers.get("referer", ""),
                "user_agent": headers.get("user-agent", ""),
                "status": response.status,
                "body_bytes_sent": response.body_bytes,
                "sent_http_content_type": response.content_type,
                "request_time": max(0.0, time.time() - response.started_at),
            }
            self.line_queue.put(msgspec.json.encode(line))
        except Exception as error:  # noqa: BLE001  # whatever fails, the application goes on
            logger.error("a request was not collected (%s)", type(error).__name__)  # noqa: TRY400  # its text may hold data

    def close(self) -> None:
        """Write the remaining requests and stop."""
        with self._start_lock:
            if self._thread and self._is_running:
                self._stop_event.set()
                self._thread.join()
                self._is_running = False

    def _start(self) -> None:
        """Start writing, if this process does not yet."""
        with self._start_lock:
            if self._is_running:
                return
            self.line_queue, self._unwritten_lines = LineBuffer(), []
            self._stop_event, self._stream, self._register = threading.Event(), None, None
            self.page_inserter.reset()
            self._thread = threading.Thread(target=self._run, name="avowal", daemon=True)
            self._thread.start()
            self._is_running = True
        atexit.register(self.close)

    def _after_fork(self) -> None:
        """Note in a forked process that nothing writes here yet: queued lines are the parent's."""
        self._is_running, self._start_lock = False, threading.Lock()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # lower than the threads that answer, if the system can
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WRITER_NICENESS)
        while not self._stop_event.wait(WRITE_INTERVAL_SECONDS):
            self._write()
            if self._register and self.page_inserter.is_refresh_due():
                self.page_inserter.refresh(self._register)
        for _ in range(FINAL_WRITE_ATTEMPTS):
            while self._write():
                pass
            if not self._unwritten_lines:
                break
            time.sleep(FINAL_WRITE_PAUSE_SECONDS)

    def _write(self) -> bool:
        """Write the queued lines; return whether there were any and they were written."""
        self._unwritten_lines = self._unwritten_lines or self.line_queue.drain()
        if not self._unwritten_lines:
            return False
        try:
            self._stream = self._stream or self._open_stream()
            self._stream.load_lines(self._unwritten_lines)
        except Exception as error:  # noqa: BLE001  # the lines are tried again, and the application goes on
            reason = type(error).__name__
            if reason != self.last_error:
                logger.error("requests are not collected at the moment (%s)", reason)  # noqa: TRY400  # its text may hold data
            self.last_error = reason
            return False
        self._unwritten_lines, self.last_error = [], ""
        return True

    def _open_stream(self) -> LineStream:
        self._register = open_register_of(self.folder, adopt_terms=True, adopt_template=False)
        if not self._register.versions():
            raise RefusedError(
                "no version is in force yet",
                "`avowal policy adopt` adopts the first one",
                code="no-version-in-force",
            )
        return create_journal_stream(self.folder, self._register, "application", LINE_FORMAT)
