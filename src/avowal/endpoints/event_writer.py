"""Writes events to the journal: an event is acknowledged only once it is on disk.

Events that arrive at the same time are written together, with one sync for all of them (group commit).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from avowal.clock import to_microseconds, utc_now
from avowal.collect.event_admission import EventAdmission
from avowal.collect.event_drop_reason import EventDropReason
from avowal.collect.journal import Journal, JournalRow, JournalWriter, list_journals
from avowal.collect.script_event import ClientIdentity, EventDropError, ScriptEvent, VisitorKeyFactory
from avowal.errors import StoreError
from avowal.storage_errors import explain

GROUP_COMMIT_SECONDS = 0.002
"""How long the first event of a group waits for others, at most."""

MAX_PENDING_EVENTS = 4_000
"""How many events may wait to be written; more are refused, and have to be sent again."""


class JournalUnavailableError(Exception):
    """Events cannot be stored at the moment."""


class _PendingEvent(NamedTuple):
    """An event that waits to be written."""

    event: ScriptEvent
    client: ClientIdentity
    outcome: asyncio.Future[EventDropReason | None]
    """The reason why the event was dropped; None once it is on disk."""


class EventWriter:
    """Writes the events of one event loop. `current_admission` returns the rules in force."""

    def __init__(
        self,
        current_admission: Callable[[], EventAdmission | None],
        visitor_keys: VisitorKeyFactory,
        journal_writer: JournalWriter,
    ) -> None:
        self.current_admission = current_admission
        self._visitor_keys = visitor_keys
        self._journal_writer = journal_writer
        self._thread = ThreadPoolExecutor(1, "journal")
        self._pending: list[_PendingEvent] = []
        self._commit_task: asyncio.Task[None] | None = None
        self.last_error = ""
        """Why the last write failed; empty if it succeeded."""
        self._is_unwritable = False
        """Whether the journal could not be written."""

    async def write(self, event: ScriptEvent, client: ClientIdentity) -> EventDropReason | None:
        """Write an event and return once it is on disk; returns a reason if the event is dropped.

        Raises JournalUnavailableError if it cannot be stored.
        """
        if len(self._pending) >= MAX_PENDING_EVENTS:
            raise JournalUnavailableError
        outcome: asyncio.Future[EventDropReason | None] = asyncio.get_running_loop().create_future()
        self._pending.append(_PendingEvent(event, client, outcome))
        if self._commit_task is None:
            self._commit_task = asyncio.create_task(self._commit())
        return await outcome

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending:
            await asyncio.sleep(GROUP_COMMIT_SECONDS)
            group, self._pending = self._pending, []
            try:
                rows, outcomes = self._admit(group)
                if rows:
                    await loop.run_in_executor(self._thread, self._journal_writer.append, rows)
            except Exception as error:  # noqa: BLE001  # whatever fails, nobody may wait for ever
                known = explain(error, self._journal_writer.folder)
                self.last_error, self._is_unwritable = known.code if known else type(error).__name__, True
                for pending in group:
                    if not pending.outcome.done():
                        pending.outcome.set_exception(JournalUnavailableError())
            else:
                if rows:
                    self.last_error, self._is_unwritable = "", False
                for outcome in outcomes:
                    _resolve(outcome, None)
        self._commit_task = None

    def _admit(
        self, group: list[_PendingEvent]
    ) -> tuple[list[JournalRow], list[asyncio.Future[EventDropReason | None]]]:
        """Return the rows of the admitted events and their outcomes; resolves those of the others."""
        now = to_microseconds(
            utc_now()
        )  # before the terms are read: a version that follows takes effect later
        admission = self.current_admission()
        rows, outcomes = [], []
        for event, client, outcome in group:
            try:
                if admission is None:
                    raise EventDropError(EventDropReason.NOT_DECLARED)  # noqa: TRY301  # as if the terms lacked it
                rows += admission.admit_event(event, client, self._visitor_keys.compute_keys, now)
                outcomes.append(outcome)
            except EventDropError as drop:
                _resolve(outcome, drop.reason)
            except Exception as error:  # noqa: BLE001  # one event that fails must not take the others along
                self.last_error = type(error).__name__
                if not outcome.done():
                    outcome.set_exception(JournalUnavailableError())
        return rows, outcomes

    def rotate_journal(self) -> list[Journal]:
        """Close the current journal and return those that can be loaded. Blocks: not for the event loop."""
        return self._thread.submit(self._rotate).result()

    def _rotate(self) -> list[Journal]:
        self._journal_writer.rotate()
        if self._is_unwritable:
            # Perhaps no event comes that would find out: a load balancer sends none to a server that is not ready.
            with suppress(OSError, StoreError):
                self._journal_writer.check_writable()
                self.last_error, self._is_unwritable = "", False
        return list_journals(self._journal_writer.folder)

    def close(self) -> None:
        """Finish writing and close the journal."""
        self._thread.shutdown()
        self._journal_writer.rotate()


def _resolve(outcome: asyncio.Future[EventDropReason | None], reason: EventDropReason | None) -> None:
    if not outcome.done():  # it is done if whoever waited has gone
        outcome.set_result(reason)
