"""What every store of requests, views and visits promises, whichever database it stands on."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import msgspec

from avowal.collect.journal import Journal
from avowal.collect.line_counts import LineCounts
from avowal.collect.probe import ProbeResult
from avowal.collect.segment import Segment, UnparsableLine
from avowal.policy.bounds import Age


class LogPosition(msgspec.Struct, frozen=True):
    """A log that was read before: how far, and the keyed digest of its bytes to there."""

    log_id: str
    name: str
    format: str
    parser_state: str
    head_bytes: int
    head_digest: str
    read_bytes: int
    read_digest: str
    loaded_at: datetime
    """When its last lines were loaded, in UTC."""
    provisional_digest: str | None
    """The digest behind an unfinished last line that was read, too, and whose place the log's next lines take."""


class LoadResult(msgspec.Struct, frozen=True):
    """What a load did: its number, or 0 where the segment was loaded before, and what it took the place of."""

    load_number: int
    replaced_lines: LineCounts = LineCounts()


class RecordCounts(msgspec.Struct, frozen=True):
    """How many records of each relation are stored, or were erased."""

    requests: int
    script_views: int
    events: int
    views: int
    visits: int


class VisitRules(msgspec.Struct, frozen=True):
    """How views and visits are made of what came in."""

    gap_minutes: int = 30
    """A longer pause begins a new visit."""
    prefer_script: bool = True
    """Whether the script's views count where a host has both those and a log's on a day; else the log's."""


class Cutoffs(msgspec.Struct, frozen=True):
    """For each governing number, from 1 on, the oldest event that a derived category may be kept of.

    datetime.max where it may not be kept at all.
    """

    view_time: list[datetime]
    view_duration: list[datetime]
    visit_time: list[datetime]
    visit_duration: list[datetime]


class ConsentCursor(msgspec.Struct, frozen=True):
    """How far the register was read: its last consent, and the last version that had taken effect; 0 is none."""

    last_consent: int = 0
    last_version: int = 0


class GoverningUpdate(msgspec.Struct, frozen=True):
    """The governing number that consents raise the records of visitors to, and how far the register was read for it.

    Visitors are those of whom something changed; 0 is for those who have no consent (any more).
    """

    cursor: ConsentCursor = ConsentCursor()
    governing_by_visitor: dict[int, int] = {}


class RetentionAction(msgspec.Struct, frozen=True):
    """What retention does to a relation: it deletes rows, or coarsens a column of them, that are too old.

    The ages are greatest ages for each governing number, from 1 on; they count back from `now`.
    """

    relation: str
    category: str
    now: datetime
    row_ages: list[Age]
    column: str = ""
    """The column to coarsen; if it is empty, rows are deleted."""
    form_ages: list[list[Age]] = []
    """The ages of each form of the column."""


class OverdueRecords(msgspec.Struct, frozen=True):
    """How many records of a version hold a category for longer than it may be kept."""

    relation: str
    category: str
    version: int
    record_count: int


class RemovedRecords(msgspec.Struct, frozen=True):
    """What a run of retention took away: from how many records of a version, and when."""

    run_number: int
    relation: str
    category: str
    version: int
    record_count: int
    removed_at: datetime


class ResultTable(msgspec.Struct, frozen=True):
    """What a question gave: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[list[Any]]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return each row as a dictionary."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_plain(self) -> "ResultTable":
        """Return the table with its values as JSON has them: a time becomes ISO 8601 text, bytes become base64."""
        return ResultTable(self.columns, msgspec.to_builtins(self.rows))


class QueryFunction(Protocol):
    """Answers SQL with named parameters."""

    def __call__(self, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
        """Return the rows that a statement gives."""
        ...


class Store(Protocol):
    """Keeps requests, views and visits.

    Durable: what a method that writes has returned from survives a crash and a loss of power. Atomic: each of them
    is done wholly or not at all. Concurrent: any number of threads may call; writers take turns, and readers see
    the state before or after a write, never within.
    """

    def log_positions(self) -> list[LogPosition]:
        """Return every log that was read before."""
        ...

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """Load segments, in their order and exactly once: one that was loaded before changes nothing.

        All of them are loaded, or none. Raises StoreError where one does not go on from what is known of its log.
        """
        ...

    def load_journals(self, journals: Sequence[Journal]) -> None:
        """Take in what journals hold, each exactly once: one that was loaded before changes nothing.

        A journal that is not among them any more is forgotten, so its file has to be gone.
        """
        ...

    def consent_cursor(self) -> ConsentCursor:
        """Return how far the register was read when governing numbers were last raised or restored."""
        ...

    def add_probes(self, probes: Sequence[ProbeResult], keep_from: datetime) -> None:
        """Keep what probes found, and forget those that are older than a moment."""
        ...

    def applied_visit_rules(self) -> VisitRules | None:
        """Return the rules that views and visits were made by; None where nobody knows."""
        ...

    def derive_visits(self, rules: VisitRules, cutoffs: Cutoffs, governing_update: GoverningUpdate) -> None:
        """Raise and restore governing numbers, and make views and visits anew of whomever that or new requests concern.

        Of everybody, where they were made by other rules.
        The governing number of each request is then the greater of its version and what its visitor consented to (G3
        in `docs/spec/terms.md`), also of those that come in later.
        """
        ...

    def apply_retention(self, actions: Sequence[RetentionAction], now: datetime) -> None:
        """Do cuts, all of them or none, and write down what they took away."""
        ...

    def find_overdue_records(self, actions: Sequence[RetentionAction]) -> list[OverdueRecords]:
        """Return what retention actions would change, and change nothing."""
        ...

    def next_retention_run(self) -> int:
        """Return the number of a run of retention that no other has."""
        ...

    def unrecorded_removals(self) -> list[RemovedRecords]:
        """Return what was taken away and is not recorded elsewhere yet, by run."""
        ...

    def clear_removals(self, run_number: int) -> None:
        """Forget what a run took away, as it is recorded elsewhere."""
        ...

    def erase_visitor(self, visitor_id: int) -> RecordCounts:
        """Delete everything of a visitor; returns how much that was, since the last `forget_erased`."""
        ...

    def reassign_visitor(self, script_view_ids: Sequence[int], new_visitor_id: int) -> int:
        """Give looks to a visitor of their own; returns how many there are of them."""
        ...

    def clear_erased_counts(self) -> None:
        """Forget how much was erased, as it is recorded elsewhere."""
        ...

    def clear_changes(self, last_change: int) -> None:
        """Forget the changes up to one of a number, as all processors know of them."""
        ...

    def compact(self) -> bool:
        """Write the file anew where it still has bytes of what was taken away; returns whether it had.

        Questions wait for it. A process that is killed within it leaves the old file or the new one, whole.
        """
        ...

    def unparsable_lines(self, log_id: str) -> list[UnparsableLine]:
        """Return where the lines of a log are that could not be read."""
        ...

    def record_counts(self) -> RecordCounts:
        """Return how much is kept."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
        """Ask a question of our own, with named parameters; a question of somebody else's may never come here."""
        ...

    def query_with_timeout(self, views: Mapping[str, str], sql: str, timeout_seconds: float) -> ResultTable:
        """Ask somebody else's question, which was looked at before, over secure views, for so long at the most.

        Raises QueryError where it takes longer, or cannot be answered: it says nothing of what is stored.
        """
        ...

    def open_secure_views(self, views: Mapping[str, str]) -> AbstractContextManager[QueryFunction]:
        """Give what answers questions over secure views, each of which hides the table of its name."""
        ...

    def close(self) -> None:
        """Leave the store as it is."""
        ...
