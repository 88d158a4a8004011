"""The desk that takes what the script tells: nobody is told that it is kept before it is on the disk.

Events that come at the same time are written together, with one sync for all of them (group commit).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from avowal.collect.journal import Journal, JournalRow, JournalWriter, list_journals
from avowal.collect.script_event import (
    ClientIdentity,
    EventAdmission,
    EventDropError,
    ScriptEvent,
    VisitorKeyFactory,
    parse_page_url,
)

GROUP_COMMIT_SECONDS = 0.002
"""How long the first event of a group waits for others, at most."""

MAX_PENDING_EVENTS = 10_000
"""How many events may wait to be written: more than that, and whoever sends has to come again."""


class JournalUnavailableError(Exception):
    """What was told cannot be kept at this moment."""


class EventWriter:
    """Takes events in one event loop; `gate` gives what may be let in at this moment."""

    def __init__(
        self, gate: Callable[[], EventAdmission | None], visitors: VisitorKeyFactory, writer: JournalWriter
    ) -> None:
        self.current_admission = gate
        self._visitors = visitors
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, "journal")
        self._waiting: list[tuple[ScriptEvent, ClientIdentity, asyncio.Future[str | None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self.last_error = ""
        """Why the last write failed; empty where it did not."""

    async def write(self, event: ScriptEvent, client: ClientIdentity) -> str | None:
        """Take an event, and return when it is on the disk; a string is the reason why it was left out.

        Raises UnavailableError where it cannot be kept.
        """
        if len(self._waiting) >= MAX_PENDING_EVENTS:
            raise JournalUnavailableError
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, client, future))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return await future

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(GROUP_COMMIT_SECONDS)
            group, self._waiting = self._waiting, []
            try:
                rows, futures = self._admitted(group)
                if rows:
                    await loop.run_in_executor(self._thread, self._writer.append, rows)
            except Exception as error:  # noqa: BLE001  # whatever fails, nobody may wait for ever
                self.last_error = type(error).__name__
                for _, _, future in group:
                    if not future.done():
                        future.set_exception(JournalUnavailableError())
            else:
                if rows:
                    self.last_error = ""
                _resolve(futures)
        self._committing = None

    def _admitted(
        self, group: list[tuple[ScriptEvent, ClientIdentity, asyncio.Future[str | None]]]
    ) -> tuple[list[JournalRow], list[asyncio.Future[str | None]]]:
        """Return the rows of a group that are let in, and who waits for them; the others are told at once."""
        gate = self.current_admission()
        now = time.time_ns() // 1_000
        rows, futures = [], []
        for event, caller, future in group:
            try:
                if gate is None:
                    raise EventDropError("not-declared")  # noqa: TRY301  # as where the terms do not declare it
                keys = self._visitors.compute_keys(
                    parse_page_url(event.url)[0], caller, now, cookie_key_permitted=gate.permits_cookie_key
                )
                rows.append(gate.admit_event(event, caller, keys, now))
                futures.append(future)
            except EventDropError as drop:
                if not future.done():
                    future.set_result(drop.reason)
            except Exception as error:  # noqa: BLE001  # one event that fails must not take the others along
                self.last_error = type(error).__name__
                if not future.done():
                    future.set_exception(JournalUnavailableError())
        return rows, futures

    def rotate_journal(self) -> list[Journal]:
        """Close the journal that is written to, and return those that can be loaded. Not for the event loop."""
        return self._thread.submit(self._turn).result()

    def _turn(self) -> list[Journal]:
        self._writer.rotate()
        return list_journals(self._writer.folder)

    def close(self) -> None:
        """Write no more."""
        self._thread.shutdown()
        self._writer.rotate()


def _resolve(futures: list[asyncio.Future[str | None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
