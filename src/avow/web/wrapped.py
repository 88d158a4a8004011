"""Collecting from inside an application: its requests, as the terms let them in, and the script in its pages.

`avow.asgi` and `avow.wsgi` wrap an application with this. A request costs it one line in memory; a thread leads the
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

from avow.change.draft import begin
from avow.collect.client import Proxies
from avow.collect.segment import write
from avow.collect.syslog import Lines
from avow.config import Folder, locate
from avow.keep.duckdb import FILE as STORE
from avow.keep.governing import in_force, promises
from avow.keep.load import Ways
from avow.keep.owner import JOURNALS
from avow.keep.register import open_register
from avow.keep.stream import Stream

WRITE_SECONDS = 2.0
"""How often what came in is written: as much is lost at most when the process is killed."""

LAST_TRIES = 10
LAST_WAIT_SECONDS = 0.1
"""How often, when the process ends, what waits is tried to be written, and after which pause."""

NICE = 10
FORMAT = "nginx-json"
_END_OF_HEAD = re.compile(rb"</(?:head|body)\s*>", re.IGNORECASE)

log = logging.getLogger("avow")


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
class Collector:
    """Takes the exchanges of one application, in this process and in those that are forked from it."""

    folder: Folder
    script: str
    lines: Lines = field(default_factory=Lines)
    failing: str = ""
    """Why the last lines could not be written; empty where they could."""
    _held: list[bytes] = field(default_factory=list)
    _stream: Stream | None = None
    _runs: bool = False
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def of(cls, folder: str | os.PathLike[str] | None, script: str) -> "Collector":
        """Collect into the folder that `avow init` made; None finds it as the command line does.

        Raises SettingsError where its settings do not check.
        """
        return cls(locate(Path(folder or Path.cwd()).absolute(), None, os.environ), script)

    def __post_init__(self) -> None:
        self.proxies = Proxies.of(self.folder.settings.serve.trusted_proxies)
        self._tag = f'<script src="{escape(self.script)}" defer></script>'.encode()
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

    def marked(self, part: bytes) -> bytes:
        """Return a part of a page with the script in it, where its head or body ends there; else the part."""
        if not self.script or not (found := _END_OF_HEAD.search(part)):
            return part
        return part[: found.start()] + self._tag + part[found.start() :]

    def marks(self, method: str, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether an answer is a page that the script belongs into, by its headers in lower case."""
        return (
            bool(self.script)
            and method != "HEAD"
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
            self._thread = threading.Thread(target=self._run, name="avow", daemon=True)
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

    def _opened(self) -> Stream:
        register = open_register(self.folder.data, self.folder.keys, store=STORE)
        try:
            begin(register, self.folder)
        except BaseException:
            register.close()
            raise
        journals = self.folder.data / JOURNALS
        return Stream(
            Ways(self.folder, lambda moment: promises(tuple(in_force(register.versions(), moment)))),
            lambda segments: [write(journals, segment) for segment in segments],
            "application",
            FORMAT,
        )
