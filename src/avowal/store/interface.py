"""The store of requests, script views, events, views and visits: what it promises, and the types it exchanges."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

import msgspec
import polars as pl

from avowal.collect.journal import Journal
from avowal.collect.line_counts import LineCounts
from avowal.collect.probe import ProbeResult
from avowal.collect.segment import Segment, UnparsableLine
from avowal.policy.bounds import Age

VersionStarts = Callable[[], Sequence[datetime]]
"""Returns the time from which each version of the terms is in force (UTC), from number 1 on."""


class LogPosition(msgspec.Struct, frozen=True):
    """How far a log was read, with the keyed digest of its bytes up to there."""

    log_id: str
    name: str
    format: str
    parser_state: str
    head_bytes: int
    head_digest: str
    read_bytes: int
    read_digest: str
    loaded_at: datetime
    """When the last lines were loaded (UTC)."""
    provisional_digest: str | None
    """The digest after an unfinished last line that was loaded provisionally; None if there is none.

    The next lines of the log replace it.
    """


class LoadResult(msgspec.Struct, frozen=True):
    """The number of a load, or 0 if the segment was loaded before, and the provisional lines that it replaced."""

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
    """The rules by which views and visits are derived."""

    gap_minutes: int = 30
    """A longer gap starts a new visit."""
    time_zone: str = "UTC"
    day_start_minutes: int = 4 * 60
    """When a visitor day begins in that zone, in minutes after midnight."""


class Cutoffs(msgspec.Struct, frozen=True):
    """The oldest times of which derived categories may be kept, for each governing number from 1 on (UTC).

    datetime.max means that a category may not be kept at all.
    """

    view_time: list[datetime]
    view_duration: list[datetime]
    visit_time: list[datetime]
    visit_duration: list[datetime]
    whole: list[datetime] = []
    """The oldest time of which retention has removed nothing that views and visits are derived from; by version."""


class ConsentCursor(msgspec.Struct, frozen=True):
    """How far the register was read: the last consent, and the last version that had taken effect; 0 means none."""

    last_consent: int = 0
    last_version: int = 0


class GoverningUpdate(msgspec.Struct, frozen=True):
    """The governing numbers that consents give to the records of visitors, and how far the register was read for them.

    It has the visitors whose consents changed; 0 stands for a visitor without a consent in force.
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
    announced_governing: list[int] = []
    """The governing numbers whose records a processor may keep for longer: it has to be told of their deletion."""


class OverdueRecords(msgspec.Struct, frozen=True):
    """How many records of a version hold a category for longer than it may be kept."""

    relation: str
    category: str
    version: int
    record_count: int


class RemovedRecords(msgspec.Struct, frozen=True):
    """From how many records of a version a run of retention removed a category, and when (UTC)."""

    run_number: int
    relation: str
    category: str
    version: int
    record_count: int
    removed_at: datetime


class ResultTable(msgspec.Struct, frozen=True):
    """The result of a query: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[list[Any]]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return each row as a dictionary."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_plain(self) -> "ResultTable":
        """Return the table with its values as JSON has them: a time becomes ISO 8601 text, bytes become base64."""
        return ResultTable(self.columns, msgspec.to_builtins(self.rows))


class StoreVersion(msgspec.Struct, frozen=True):
    """Which store a file has, and how often it was changed."""

    store_id: str
    generation: int


class StoreRegistry(Protocol):
    """Knows which store a folder has, how new it is, and which journals wait for it.

    So another store, an older copy of it, and a journal that was lost are found.
    """

    def known_version(self) -> StoreVersion | None:
        """Return the version that was noted last; None before the first store."""
        ...

    def note_version(self, version: StoreVersion) -> None:
        """Note that a change is durable. An older version than the one that was noted changes nothing."""
        ...

    def replace_version(self, version: StoreVersion) -> None:
        """Note that the store has another identity from now on."""
        ...

    def note_journal(self, name: str) -> None:
        """Note a journal, durably, before rows are written to it."""
        ...

    def noted_journals(self) -> set[str]:
        """Return the names of the journals that wait until they are loaded."""
        ...

    def forget_journals(self, names: Collection[str]) -> None:
        """Forget journals that are loaded, and whose files are removed."""
        ...

    def authenticate(self, data: bytes) -> bytes:
        """Return a code of data that nobody can compute without the key of the folder."""
        ...


class QueryFunction(Protocol):
    """Runs SQL with named parameters."""

    def __call__(self, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
        """Return the result of the last statement."""
        ...


class Store(Protocol):
    """Stores requests, script views, events, views and visits.

    Durable: when a method that writes has returned, its effect survives a crash and a loss of power. Atomic: such a
    method takes effect completely or not at all. Concurrent: any number of threads may call; writers run one after the
    other, and a reader sees the state before or after a write, never in between.
    """

    def log_positions(self) -> list[LogPosition]:
        """Return how far each log was read."""
        ...

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """Load all of the segments in order, or none; one that was loaded before changes nothing.

        Raises StoreError: `log-mismatch` if a segment does not continue where its log was read to, and
        `version-mismatch` if a record names another version than the one in force at its time.
        """
        ...

    def load_journals(self, journals: Sequence[Journal]) -> list[Journal]:
        """Load the rows of journals; one that was loaded before changes nothing.

        Returns the journals that are refused, because a record names another version than the one in force at its time.

        The names of journals that are not given any more are deleted, so their files must not exist any more.
        """
        ...

    def loaded_journals(self) -> set[str]:
        """Return the names of the journals that were loaded, as far as they were not deleted."""
        ...

    def consent_cursor(self) -> ConsentCursor:
        """Return how far the register was read when consents were last applied."""
        ...

    def add_probes(self, probes: Sequence[ProbeResult], keep_from: datetime) -> None:
        """Store the results of probes, and delete results older than `keep_from` (UTC)."""
        ...

    def applied_visit_rules(self) -> VisitRules | None:
        """Return the rules by which views and visits were derived; None if they never were."""
        ...

    def derive_visits(self, rules: VisitRules, cutoffs: Cutoffs, governing_update: GoverningUpdate) -> None:
        """Apply consents, and derive the views and visits again that they or new records concern.

        All of them are derived again if they were derived by other rules. The governing number of each record is then
        the greater of its version and the version that its visitor consented to (G3 in `docs/spec/terms.md`); this
        also holds for records that are loaded later.
        """
        ...

    def apply_retention(self, actions: Sequence[RetentionAction], now: datetime) -> None:
        """Apply all of the actions or none, and record what they removed as a run of retention."""
        ...

    def find_overdue_records(self, actions: Sequence[RetentionAction]) -> list[OverdueRecords]:
        """Return what retention actions would change, and change nothing."""
        ...

    def next_retention_run(self) -> int:
        """Return a number for a run of retention that no other run has."""
        ...

    def unrecorded_removals(self) -> list[RemovedRecords]:
        """Return what retention removed and the register has not recorded yet, by run."""
        ...

    def clear_removals(self, run_number: int) -> None:
        """Delete the record of what a run removed, after the register has recorded it."""
        ...

    def holds_visitor(self, visitor_id: int) -> bool:
        """Return whether `erase_visitor` would delete anything."""
        ...

    def erase_visitor(self, visitor_id: int) -> RecordCounts:
        """Delete all records of a visitor; returns how many, in total since the last `clear_erased_counts`."""
        ...

    def reassign_visitor(self, script_view_ids: Sequence[int], new_visitor_id: int) -> int:
        """Give script views to a new visitor; returns how many script views that visitor has."""
        ...

    def clear_erased_counts(self) -> None:
        """Delete the counts of erased records, after the register has recorded them."""
        ...

    def clear_changes(self, last_change: int) -> None:
        """Delete record changes up to a number, after every processor has acknowledged them."""
        ...

    def is_compacting(self) -> bool:
        """Return whether the file is being rewritten, so that whoever writes has to wait."""
        ...

    def wait_for_compaction(self) -> None:
        """Wait until the file is not being rewritten."""
        ...

    def compact(self) -> bool:
        """Rewrite the file if it still holds bytes of deleted data; returns whether it was rewritten.

        Those who write wait meanwhile; those who read wait while the new file takes the place of the old one. A crash
        leaves either the old file or the new one complete.
        """
        ...

    def unparsable_lines(self, log_id: str) -> list[UnparsableLine]:
        """Return the places of the lines of a log that could not be parsed."""
        ...

    def find_changed_tables(self) -> list[str]:
        """Read everything, and return the tables that do not hold what was sealed at the last change.

        Raises StoreError (`store-damaged`) if something cannot be read.
        """
        ...

    def record_counts(self) -> RecordCounts:
        """Return the number of records of each relation."""
        ...

    def query(self, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
        """Run a query of our own with named parameters. A reader's SQL runs in another process."""
        ...

    def read_batches(
        self, selects: Mapping[str, Callable[[range], str]]
    ) -> Generator[tuple[str, pl.DataFrame], None, None]:
        """Yield what queries select of tables, in batches, each with its table's name; at least one of each table.

        A query is made for each range of row numbers. All of them see the same state, and writes wait for none.
        """
        ...

    def query_with_timeout(self, sql: str, timeout_seconds: float) -> ResultTable:
        """Run a query of our own with a condition that somebody chose.

        Raises QueryError if it fails or times out. The error tells nothing about what is stored.
        """
        ...

    def open_secure_views(self, views: Mapping[str, str]) -> AbstractContextManager[QueryFunction]:
        """Open secure views, each of which hides the table of its name, and return what runs queries over them."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...
