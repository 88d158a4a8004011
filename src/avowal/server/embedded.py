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

from avowal.change.draft import begin
from avowal.clock import utc_now
from avowal.collect.client_address import Proxies
from avowal.collect.segment import write
from avowal.config import Folder, locate
from avowal.ingest.importer import Ways
from avowal.ingest.line_stream import Stream
from avowal.ingest.syslog import Lines
from avowal.keep.enforcement import in_force, promises
from avowal.register.register import SqliteRegister, open_register
from avowal.store.duckdb_store import FILE as STORE
from avowal.web.notice import part, record, recorded, words
from avowal.web.policy_pages import chosen
from avowal.workspace.server import JOURNALS

WRITE_SECONDS = 2.0
"""How often what came in is written: as much is lost at most when the process is killed."""

LAST_TRIES = 10
LAST_WAIT_SECONDS = 0.1
"""How often, when the process ends, what waits is tried to be written, and after which pause."""

NICE = 10
FORMAT = "nginx-json"
REFRESH_SECONDS = 60.0
"""How often it is looked at whether there is a notice to show."""

PLACE = "every page of the application"
"""Where the ledger says that a notice was shown."""

_END_OF_HEAD = re.compile(rb"</(?:head|body)\s*>", re.IGNORECASE)
_END_OF_BODY = re.compile(rb"</body\s*>", re.IGNORECASE)

log = logging.getLogger("avowal")


class Exchange(NamedTuple):
    """What a request says: lives in memory only."""

    remote_addr: str
    method: str
    uri: str
    headers: Mapping[str, str]
    """By their names in lower case."""


@dataclass
class Answer:
    """What became of a request."""

    began: float
    """In seconds since 1970."""
    status: int = 500
    """What a server answers where the application fails."""
    sent: int = 0
    """How many bytes of the body."""


@dataclass
class Marks:
    """What one page is to have: the script where its head ends, or its body; a notice where its body ends."""

    script: bytes
    notice: bytes
    shown: Callable[[], None]
    """Is called where the notice was put in."""

    def put(self, part: bytes) -> bytes:
        """Return a part of the page, with what belongs into it; each comes in once."""
        if self.script and (found := _END_OF_HEAD.search(part)):
            part = part[: found.start()] + self.script + part[found.start() :]
            self.script = b""
        if self.notice and (found := _END_OF_BODY.search(part)):
            part = part[: found.start()] + self.notice + part[found.start() :]
            self.notice = b""
            self.shown()
        return part

    @property
    def done(self) -> bool:
        """Whether it has all of it."""
        return not self.script and not self.notice


@dataclass
class Collector:
    """Takes the exchanges of one application, in this process and in those that are forked from it."""

    folder: Folder
    script: str
    lines: Lines = field(default_factory=Lines)
    failing: str = ""
    """Why the last lines could not be written; empty where they could."""
    _notices: dict[str, bytes] = field(default_factory=dict)
    """The notice that is to be shown, by language."""
    _version: int = 0
    """Of that notice."""
    _placed: int = 0
    """Of the last notice that a page had, and no script besides."""
    _looked: float = -REFRESH_SECONDS
    _register: SqliteRegister | None = None
    _held: list[bytes] = field(default_factory=list)
    _stream: Stream | None = None
    _runs: bool = False
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def of(cls, folder: str | os.PathLike[str] | None, script: str) -> "Collector":
        """Collect into the folder that `avowal init` made; None finds it as the command line does.

        Raises SettingsError where its settings do not check.
        """
        return cls(locate(Path(folder or Path.cwd()).absolute(), None, os.environ), script)

    def __post_init__(self) -> None:
        self.proxies = Proxies.of(self.folder.settings.serve.trusted_proxies)
        self._tag = self.script and f'<script src="{escape(self.script)}" defer></script>'
        os.register_at_fork(after_in_child=self._forked)

    def take(self, told: Callable[[], Exchange], answer: Answer) -> None:
        """Take a request that was answered, as an access log would have it."""
        try:
            asked = told()
            headers = asked.headers
            if not self._runs:
                self._start()
            address = self.proxies.client(
                asked.remote_addr, headers.get("forwarded", ""), headers.get("x-forwarded-for", "")
            )
            line = {
                "timestamp": answer.began,
                "remote_addr": address,
                "method": asked.method,
                "uri": asked.uri,
                "host": headers.get("host", ""),
                "referer": headers.get("referer", ""),
                "user_agent": headers.get("user-agent", ""),
                "status": answer.status,
                "body_bytes_sent": answer.sent,
                "request_time": max(0.0, time.time() - answer.began),
            }
            self.lines.put(msgspec.json.encode(line))
        except Exception as error:  # noqa: BLE001  # whatever it is, the application goes on
            log.error("a request was not collected (%s)", type(error).__name__)  # noqa: TRY400  # its text may tell

    def marks(self, method: str, status: int, headers: Mapping[str, str], accepted: str) -> Marks | None:
        """Return what belongs into an answer, by its headers in lower case; None where that is nothing.

        `accepted` is the request's header Accept-Language.
        """
        notices = self._notices
        if not (self._tag or notices) or not self._is_page(method, status, headers):
            return None
        notice = notices[chosen(accepted, list(notices))] if notices else b""
        return Marks(self._tag.encode(), notice, self._was_shown)

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
            self.lines, self._held, self._stop, self._stream = Lines(), [], threading.Event(), None
            self._register, self._looked = None, -REFRESH_SECONDS
            self._thread = threading.Thread(target=self._run, name="avowal", daemon=True)
            self._thread.start()
            self._runs = True
        atexit.register(self.close)

    def _forked(self) -> None:
        """Know, in a process that was forked, that nothing writes here yet: what waits is the other one's."""
        self._runs, self._starting = False, threading.Lock()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # behind those that answer, where the system can
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self._stop.wait(WRITE_SECONDS):
            self._write()
            if time.monotonic() - self._looked >= REFRESH_SECONDS or self._placed:
                self._look()
        for _ in range(LAST_TRIES):
            while self._write():
                pass
            if not self._held:
                break
            time.sleep(LAST_WAIT_SECONDS)

    def _write(self) -> bool:
        """Write what waits; returns whether there was anything, and it is done."""
        self._held = self._held or self.lines.take()
        if not self._held:
            return False
        try:
            self._stream = self._stream or self._opened()
            self._stream.load(self._held)
        except Exception as error:  # noqa: BLE001  # the same lines are tried again, and the application goes on
            why = type(error).__name__
            if why != self.failing:
                log.error("requests are not collected at the moment (%s)", why)  # noqa: TRY400  # its text may tell
            self.failing = why
            return False
        self._held, self.failing = [], ""
        return True

    def _look(self) -> None:
        """Look which notice is to be shown, and record that a page showed it, where no script does."""
        if self._register is None:
            return
        self._looked = time.monotonic()
        try:
            version, told = words(self._register, utc_now())
            base = self.script.rpartition("/")[0] + "/"
            within = ("<noscript>", "</noscript>") if self._tag else ("", "")
            made = {tag: part(told, tag, base) for tag in told}
            self._notices = {tag: f"{within[0]}{text}{within[1]}".encode() for tag, text in made.items()}
            self._version = version
            if self._placed == version and version and not recorded(self._register, version):
                record(self._register, version, PLACE)
                self._register.ledger.sign()
            self._placed = 0
        except Exception as error:  # noqa: BLE001  # pages go without it, and the application goes on
            log.error("no notice is shown at the moment (%s)", type(error).__name__)  # noqa: TRY400  # its text may tell
            self._notices = {}

    def _opened(self) -> Stream:
        register = open_register(self.folder.data, self.folder.keys, store=STORE)
        try:
            begin(register, self.folder)
        except BaseException:
            register.close()
            raise
        self._register, journals = register, self.folder.data / JOURNALS
        return Stream(
            Ways(self.folder, lambda moment: promises(tuple(in_force(register.versions(), moment)))),
            lambda segments: [write(journals, segment) for segment in segments],
            "application",
            FORMAT,
        )
