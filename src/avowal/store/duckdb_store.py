"""The store of one machine: a DuckDB file, owned by one process at a time."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl

from avowal.clock import utc_now
from avowal.collect.journal import JOURNAL_SCHEMA, UNDER_WAY, Journal, extract_events, merge_script_views
from avowal.collect.probe import ProbeResult
from avowal.collect.segment import Segment, UnparsableLine
from avowal.errors import StoreError
from avowal.store.compaction import EXTENSION_SETTINGS, ReadWriteLock, compact_file, compacted_path
from avowal.store.consent_updates import update_governing
from avowal.store.interface import (
    ConsentCursor,
    Cutoffs,
    ErasedCounts,
    GoverningUpdate,
    LoadResult,
    LogPosition,
    QueryFunction,
    RecordCounts,
    RemovedRecords,
    ResultTable,
    RetentionAction,
    VisitRules,
)
from avowal.store.load_state import (
    ArrowStream,
    find_load_position,
    number_requests,
    read_sql,
    record_changes,
    record_load,
    remove_provisional_line,
)
from avowal.store.run_query import execute_statements, query_secure_views, query_with_timeout, run_query

STORE_FILE = "avowal.duckdb"
SPILL_FOLDER = "spill"
LONGEST_VISITOR_DAY = timedelta(hours=25)
"""An event-day on which the clock was put back: what belongs to one visitor lies within it."""

INSERT_PROBE = (
    f"INSERT INTO probes ({', '.join(ProbeResult.__struct_fields__)}) "  # noqa: S608  # our own names
    f"VALUES ({', '.join(f'${name}' for name in ProbeResult.__struct_fields__)})"
)

SLICE_VISITORS_MAX = 200_000
"""How many visitors' visits are made at once: bounds the memory that this takes."""

CHECKPOINT_THRESHOLD = "256MB"
"""How long the write-ahead log may grow before it is written into the file: bounds the start after a crash."""

ADD_ERASED_COUNTS = """
    INSERT INTO erased (visitor_id, requests, looks, interactions, views, visits) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (visitor_id) DO UPDATE SET
        requests = requests + excluded.requests, looks = looks + excluded.looks,
        interactions = interactions + excluded.interactions,
        views = views + excluded.views, visits = visits + excluded.visits
    RETURNING requests, looks, interactions, views, visits
"""


class DuckDBStore:
    """See Store for what it promises.

    The file is locked by the process that has it open. The whole instance is cut off from the file system and the
    network, and its configuration is locked: rows come in as Arrow, and spill goes into the data folder.
    """

    def __init__(self, folder: Path, memory_limit: str) -> None:
        """Open the store of a data folder, and make it where there is none.

        Raises StoreError where the file cannot be opened or was made by a newer Avowal.
        """
        self._path = folder / STORE_FILE
        self._memory_limit = memory_limit
        compacted_path(self._path).unlink(missing_ok=True)
        self._connection = self._connect()
        self._writing = threading.Lock()
        self._gate = ReadWriteLock()
        try:
            self._migrate()
        except BaseException:
            self._connection.close()
            raise

    def _connect(self) -> duckdb.DuckDBPyConnection:
        """Open the file, cut off from everything else, and with its configuration locked."""
        try:
            connection = duckdb.connect(
                self._path,
                config={
                    "memory_limit": self._memory_limit,
                    "temp_directory": str(self._path.with_name(SPILL_FOLDER)),
                    "preserve_insertion_order": "false",
                    "checkpoint_threshold": CHECKPOINT_THRESHOLD,
                    **EXTENSION_SETTINGS,
                },
            )
        except duckdb.Error as error:
            raise StoreError(
                f"`{self._path}` cannot be opened ({type(error).__name__})",
                "if another program has it open, close that; if it is damaged, put it back from a backup",
                code="store-unusable",
            ) from None
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def close(self) -> None:
        """Leave the store as it is."""
        with self._writing:
            self._connection.close()

    def log_positions(self) -> list[LogPosition]:
        """See Store."""
        names = ", ".join(LogPosition.__struct_fields__)
        return [LogPosition(*row) for row in self._read(f"SELECT {names} FROM sources", {}).rows]  # noqa: S608  # our own names

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """See Store."""
        loaded, frames = [], []
        with self._write() as cursor:
            for segment in segments:
                intake = segment.metadata
                known = find_load_position(cursor, intake.origin, provisional=intake.provisional)
                if known is None:
                    loaded.append(LoadResult(0))
                    continue
                ((load,),) = cursor.execute("SELECT nextval('load_numbers')").fetchall()
                replaced = remove_provisional_line(cursor, known.load)
                frames.append(segment.records.with_columns(load=pl.lit(load, dtype=pl.UInt64)))
                record_load(cursor, intake, load, replaced)
                loaded.append(LoadResult(load, replaced))
            if frames:
                cursor.register("records", ArrowStream(number_requests(cursor, pl.concat(frames))))
                execute_statements(cursor, read_sql("load_requests"), {})
                cursor.unregister("records")
        return loaded

    def load_journals(self, journals: Sequence[Journal]) -> None:
        """See Store."""
        with self._write() as cursor:
            known = {name for (name,) in cursor.execute("SELECT journal FROM journals").fetchall()}
            there = {journal.name for journal in journals}
            frames = [journal.read_rows() for journal in journals if journal.name not in known]
            cursor.executemany(
                "DELETE FROM journals WHERE journal = ?", [[name] for name in known - there] or [[""]]
            )
            for name in there - known:
                cursor.execute("INSERT INTO journals VALUES (?)", [name])
            rows = pl.concat(frames) if frames else JOURNAL_SCHEMA.to_frame()
            if len(rows):
                ((load,),) = cursor.execute("SELECT nextval('load_numbers')").fetchall()
                told = merge_script_views(rows)
                cursor.register("told_now", ArrowStream(told))
                cursor.register("done_now", ArrowStream(extract_events(rows)))
                oldest = told.select(pl.col("view_time").min()).item() - LONGEST_VISITOR_DAY
                values = {"load": load, "oldest": oldest, "under_way": UNDER_WAY}
                execute_statements(cursor, read_sql("load_looks"), values)
                cursor.unregister("told_now")
                cursor.unregister("done_now")

    def consent_cursor(self) -> ConsentCursor:
        """See Store."""
        return ConsentCursor(*self._read("SELECT consent, version FROM settled", {}).rows[0])

    def add_probes(self, probes: Sequence[ProbeResult], keep_from: datetime) -> None:
        """See Store."""
        with self._write() as cursor:
            for probe in probes:
                cursor.execute(INSERT_PROBE, msgspec.structs.asdict(probe))
            cursor.execute("DELETE FROM probes WHERE probe_time < ?", [keep_from])

    def applied_visit_rules(self) -> VisitRules | None:
        """See Store."""
        (made,) = self._read("SELECT gap_minutes, script_counts FROM derived", {}).rows
        return None if None in made else VisitRules(*made)

    def derive_visits(self, rules: VisitRules, cutoffs: Cutoffs, governing_update: GoverningUpdate) -> None:
        """See Store."""
        values = {f"{name}_since": since for name, since in msgspec.structs.asdict(cutoffs).items()}
        values |= msgspec.structs.asdict(rules) | {"slice_visitors": SLICE_VISITORS_MAX}
        with self._write() as cursor:
            update_governing(cursor, governing_update)
            if self.applied_visit_rules() not in {None, rules}:
                execute_statements(cursor, read_sql("derive_rules"), {})
            execute_statements(cursor, read_sql("derive_stale"), values)
            execute_statements(cursor, read_sql("derive_slices"), values)
            for begin, end in pairwise([since for (since,) in cursor.fetchall() if since]):
                slice_of = {
                    **values,
                    "slice_from": begin,
                    "slice_to": end,
                    "rows_from": begin - LONGEST_VISITOR_DAY,
                    "rows_to": end + LONGEST_VISITOR_DAY,
                }
                execute_statements(cursor, read_sql("derive_anew"), slice_of)
                if cursor.execute("SELECT 1 FROM anew WHERE visitor_id & 1 = 1 LIMIT 1").fetchall():
                    slice_of["rows_to"] = datetime.max  # who has the cookie comes again on any day
                for step in ("activity", "forget", "views", "visits"):
                    execute_statements(cursor, read_sql(f"derive_{step}"), slice_of)
            execute_statements(cursor, read_sql("derive_close"), values)

    def apply_retention(self, actions: Sequence[RetentionAction], now: datetime) -> None:
        """See Store."""
        with self._write() as cursor:
            ((run,),) = cursor.execute("SELECT nextval('retention_runs')").fetchall()
            for cut in actions:
                if cursor.execute(
                    cut.record_removal_statement, [run, cut.relation, cut.category, now]
                ).fetchall():
                    cursor.execute(cut.apply_statement)
                    cursor.execute("UPDATE rewriting SET due = true")

    def next_retention_run(self) -> int:
        """See Store."""
        with self._write() as cursor:
            return int(cursor.execute("SELECT nextval('retention_runs')").fetchall()[0][0])

    def unrecorded_removals(self) -> list[RemovedRecords]:
        """See Store."""
        sql = """
            SELECT run, relation, category, version, sum(records)::UBIGINT, max(removed_at)
            FROM removed GROUP BY ALL ORDER BY ALL
        """
        return [RemovedRecords(*row) for row in self._read(sql, {}).rows]

    def clear_removals(self, run: int) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM removed WHERE run = $run", {"run": run})

    def erase_visitor(self, visitor_id: int) -> ErasedCounts:
        """See Store."""
        counts = []
        with self._write() as cursor:
            record_changes(cursor, "visitor_id", visitor_id)
            for name in ("requests", "looks", "interactions", "views", "visits", "consents", "stale"):
                gone = f"DELETE FROM {name} WHERE visitor_id = ?"  # noqa: S608  # our own names
                ((count,),) = cursor.execute(gone, [visitor_id]).fetchall()
                counts.append(count)
            cursor.execute("UPDATE looks SET day_key = NULL WHERE day_key = ?", [visitor_id])
            cursor.execute("UPDATE rewriting SET due = true")
            totals = cursor.execute(ADD_ERASED_COUNTS, [visitor_id, *counts[:5]]).fetchall()
        return ErasedCounts(*totals[0])

    def reassign_visitor(self, looks: Sequence[int], visitor: int) -> int:
        """See Store."""
        with self._write() as cursor:
            execute_statements(cursor, read_sql("apart_looks"), {"looks": list(looks), "visitor": visitor})
            return int(
                cursor.execute("SELECT count(*) FROM looks WHERE visitor_id = ?", [visitor]).fetchall()[0][0]
            )

    def clear_erased_counts(self) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM erased")

    def clear_changes(self, last_change: int) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM changed WHERE change <= ?", [last_change])

    def compact(self) -> bool:
        """See Store."""
        if not self._read("SELECT due FROM rewriting", {}).rows[0][0]:
            return False
        with self._writing, self._gate.exclusive():
            self._connection.execute("CHECKPOINT")
            self._connection.close()
            try:
                return compact_file(self._path, self._memory_limit)
            finally:
                self._connection = self._connect()

    def unparsable_lines(self, source: str) -> list[UnparsableLine]:
        """See Store."""
        sql = 'SELECT "offset", length, reason, shape FROM dead_letters WHERE source = $source'
        return [UnparsableLine(*row) for row in self._read(sql, {"source": source}).rows]

    def record_counts(self) -> RecordCounts:
        """See Store."""
        counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in RecordCounts.__struct_fields__)  # noqa: S608  # our own names
        return RecordCounts(*self._read(f"SELECT {counts}", {}).rows[0])

    def query(self, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
        """See Store."""
        return self._read(sql, parameters)

    @contextmanager
    def open_secure_views(self, views: Mapping[str, str]) -> Iterator[QueryFunction]:
        """See Store."""
        with self._gate.shared(), self._connection.cursor() as cursor:
            yield partial(query_secure_views, cursor, dict(views))

    def query_with_timeout(self, views: Mapping[str, str], sql: str, timeout_seconds: float) -> ResultTable:
        """See Store."""
        with self._gate.shared(), self._connection.cursor() as cursor:
            return query_with_timeout(cursor, views, sql, timeout_seconds)

    def _read(self, sql: str, values: Mapping[str, Any]) -> ResultTable:
        with self._gate.shared(), self._connection.cursor() as cursor:
            return run_query(cursor, sql, values)

    @contextmanager
    def _write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor in a transaction: committed at the end, rolled back on an error."""
        with self._writing, self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def _migrate(self) -> None:
        """Bring the schema to the newest number; each migration is done wholly or not at all."""
        folder = resources.files("avowal.store") / "sql" / "migrations"
        files = sorted(
            (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
        )
        with self._write() as cursor:
            cursor.execute(
                "CREATE TABLE IF NOT EXISTS migrations (number UINTEGER PRIMARY KEY, done_at TIMESTAMP)"
            )
            ((done,),) = cursor.execute("SELECT coalesce(max(number), 0) FROM migrations").fetchall()
        if done > len(files):
            raise StoreError(
                f"the store is of a newer Avowal (migration {done}; this one knows {len(files)})",
                "use the newer one",
                code="newer-store",
            )
        for number, file in enumerate(files[done:], done + 1):
            with self._write() as cursor:
                cursor.execute(file.read_text(encoding="utf-8"))
                cursor.execute("INSERT INTO migrations VALUES (?, ?)", [number, utc_now()])
