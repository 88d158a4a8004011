"""Collecting from inside an application: its requests, as the terms let them in, and the script in its pages.

`avowal.asgi` and `avowal.wsgi` wrap an application with this. A request costs it one line in memory; a thread leads the
lines through the same way in as those of a log, and writes what the terms let in into the data folder, where whoever
owns it takes it up. Nothing that fails here reaches the application.
"""

import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import NamedTuple

import msgspec

from avowal.app.folder import create_journal_stream, find_folder, open_register_of
from avowal.clock import utc_now
from avowal.collect.client_address import TrustedProxies
from avowal.config import Folder
from avowal.http.language_choice import negotiate_language
from avowal.ingest.line_stream import LineStream
from avowal.ingest.syslog import LineBuffer
from avowal.register.register import SqliteRegister
from avowal.web.notice import find_current_notice, is_display_recorded, record_display, render_notice

WRITE_INTERVAL_SECONDS = 2.0
"""How often what came in is written: as much is lost at most when the process is killed."""

FINAL_WRITE_ATTEMPTS = 10
FINAL_WRITE_PAUSE_SECONDS = 0.1
"""How often, when the process ends, what waits is tried to be written, and after which pause."""

WRITER_NICENESS = 10
LINE_FORMAT = "nginx-json"
NOTICE_REFRESH_SECONDS = 60.0
"""How often it is looked at whether there is a notice to show."""

EMBEDDED_NOTICE_PLACE = "every page of the application"
"""Where the ledger says that a notice was shown."""

_END_OF_HEAD = re.compile(rb"</(?:head|body)\s*>", re.IGNORECASE)
_END_OF_BODY = re.compile(rb"</body\s*>", re.IGNORECASE)

logger = logging.getLogger("avowal")


class EmbeddedRequest(NamedTuple):
    """What a request says: lives in memory only."""

    remote_addr: str
    method: str
    uri: str
    headers: Mapping[str, str]
    """By their names in lower case."""


@dataclass
class EmbeddedResponse:
    """What became of a request."""

    started_at: float
    """In seconds since 1970."""
    status: int = 500
    """What a server answers where the application fails."""
    body_bytes: int = 0
    """How many bytes of the body."""


@dataclass
class PageInsertions:
    """What one page is to have: the script where its head ends, or its body; a notice where its body ends."""

    script: bytes
    notice: bytes
    on_notice_shown: Callable[[], None]
    """Is called where the notice was put in."""

    def insert(self, chunk: bytes) -> bytes:
        """Return a part of the page, with what belongs into it; each comes in once."""
        if self.script and (found := _END_OF_HEAD.search(chunk)):
            chunk = chunk[: found.start()] + self.script + chunk[found.start() :]
            self.script = b""
        if self.notice and (found := _END_OF_BODY.search(chunk)):
            chunk = chunk[: found.start()] + self.notice + chunk[found.start() :]
            self.notice = b""
            self.on_notice_shown()
        return chunk

    @property
    def is_complete(self) -> bool:
        """Whether it has all of it."""
        return not self.script and not self.notice


@dataclass
class RequestCollector:
    """Takes the exchanges of one application, in this process and in those that are forked from it."""

    folder: Folder
    script_url: str
    line_queue: LineBuffer = field(default_factory=LineBuffer)
    last_error: str = ""
    """Why the last lines could not be written; empty where they could."""
    _notices: dict[str, bytes] = field(default_factory=dict)
    """The notice that is to be shown, by language."""
    _version: int = 0
    """Of that notice."""
    _placed: int = 0
    """Of the last notice that a page had, and no script besides."""
    _looked: float = -NOTICE_REFRESH_SECONDS
    _register: SqliteRegister | None = None
    _held: list[bytes] = field(default_factory=list)
    _stream: LineStream | None = None
    _runs: bool = False
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str] | None, script: str) -> "RequestCollector":
        """Collect into the folder that `avowal init` made; None finds it as the command line does.

        Raises SettingsError where its settings do not check.
        """
        return cls(find_folder(start=Path(folder) if folder else None), script)

    def __post_init__(self) -> None:
        self.proxies = TrustedProxies.parse(self.folder.settings.serve.trusted_proxies)
        self._tag = self.script_url and f'<script src="{escape(self.script_url)}" defer></script>'
        os.register_at_fork(after_in_child=self._forked)

    def collect(self, read_request: Callable[[], EmbeddedRequest], response: EmbeddedResponse) -> None:
        """Take a request that was answered, as an access log would have it."""
        try:
            asked = read_request()
            headers = asked.headers
            if not self._runs:
                self._start()
            address = self.proxies.find_client_address(
                asked.remote_addr, headers.get("forwarded", ""), headers.get("x-forwarded-for", "")
            )
            line = {
                "timestamp": response.started_at,
                "remote_addr": address,
                "method": asked.method,
                "uri": asked.uri,
                "host": headers.get("host", ""),
                "referer": headers.get("referer", ""),
                "user_agent": headers.get("user-agent", ""),
                "status": response.status,
                "body_bytes_sent": response.body_bytes,
                "request_time": max(0.0, time.time() - response.started_at),
            }
            self.line_queue.put(msgspec.json.encode(line))
        except Exception as error:  # noqa: BLE001  # whatever it is, the application goes on
            logger.error("a request was not collected (%s)", type(error).__name__)  # noqa: TRY400  # its text may tell

    def find_insertions(
        self, method: str, status: int, headers: Mapping[str, str], accept_language: str
    ) -> PageInsertions | None:
        """Return what belongs into an answer, by its headers in lower case; None where that is nothing.

        `accepted` is the request's header Accept-Language.
        """
        notices = self._notices
        if not (self._tag or notices) or not self._is_page(method, status, headers):
            return None
        notice = notices[negotiate_language(accept_language, list(notices))] if notices else b""
        return PageInsertions(self._tag.encode(), notice, self._was_shown)

    def _was_shown(self) -> None:
        self._placed = self._placed if self._tag else self._version

    def _is_page(self, method: str, status: int, headers: Mapping[str, str]) -> bool:
        return (
            method != "HEAD"
            and status == 200  # noqa: PLR2004  # a whole page, as HTTP has it
            and headers.get("content-type", "").lower().startswith("text/html")
            and headers.get("content-encoding", "identity").lower() == "identity"
        )

    def close(self) -> None:
        """Write what waits."""
        with self._starting:
            if self._thread and self._runs:
                self._stop.set()
                self._thread.join()
                self._runs = False

    def _start(self) -> None:
        """Begin to write, in a process that is new to this."""
        with self._starting:
            if self._runs:
                return
            self.line_queue, self._held, self._stop, self._stream = LineBuffer(), [], threading.Event(), None
            self._register, self._looked = None, -NOTICE_REFRESH_SECONDS
            self._thread = threading.Thread(target=self._run, name="avowal", daemon=True)
            self._thread.start()
            self._runs = True
        atexit.register(self.close)

    def _forked(self) -> None:
        """Know, in a process that was forked, that nothing writes here yet: what waits is the other one's."""
        self._runs, self._starting = False, threading.Lock()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # behind those that answer, where the system can
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WRITER_NICENESS)
        while not self._stop.wait(WRITE_INTERVAL_SECONDS):
            self._write()
            if time.monotonic() - self._looked >= NOTICE_REFRESH_SECONDS or self._placed:
                self._look()
        for _ in range(FINAL_WRITE_ATTEMPTS):
            while self._write():
                pass
            if not self._held:
                break
            time.sleep(FINAL_WRITE_PAUSE_SECONDS)

    def _write(self) -> bool:
        """Write what waits; returns whether there was anything, and it is done."""
        self._held = self._held or self.line_queue.drain()
        if not self._held:
            return False
        try:
            self._stream = self._stream or self._opened()
            self._stream.load_lines(self._held)
        except Exception as error:  # noqa: BLE001  # the same lines are tried again, and the application goes on
            why = type(error).__name__
            if why != self.last_error:
                logger.error("requests are not collected at the moment (%s)", why)  # noqa: TRY400  # its text may tell
            self.last_error = why
            return False
        self._held, self.last_error = [], ""
        return True

    def _look(self) -> None:
        """Look which notice is to be shown, and record that a page showed it, where no script does."""
        if self._register is None:
            return
        self._looked = time.monotonic()
        try:
            version, told = find_current_notice(self._register, utc_now())
            base = self.script_url.rpartition("/")[0] + "/"
            within = ("<noscript>", "</noscript>") if self._tag else ("", "")
            made = {tag: render_notice(told, tag, base) for tag in told}
            self._notices = {tag: f"{within[0]}{text}{within[1]}".encode() for tag, text in made.items()}
            self._version = version
            if self._placed == version and version and not is_display_recorded(self._register, version):
                record_display(self._register, version, EMBEDDED_NOTICE_PLACE)
                self._register.ledger.sign_checkpoint()
            self._placed = 0
        except Exception as error:  # noqa: BLE001  # pages go without it, and the application goes on
            logger.error("no notice is shown at the moment (%s)", type(error).__name__)  # noqa: TRY400  # its text may tell
            self._notices = {}

    def _opened(self) -> LineStream:
        self._register = open_register_of(self.folder, adopt_terms=True)
        return create_journal_stream(self.folder, self._register, "application", LINE_FORMAT)
