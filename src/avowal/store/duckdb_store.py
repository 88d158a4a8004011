"""The store of a single machine: a DuckDB file that one process has open at a time."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl

from avowal.collect.journal import (
    JOURNAL_SCHEMA,
    TRANSMISSION_DELAY_MAX,
    Journal,
    extract_events,
    merge_script_views,
)
from avowal.collect.probe import ProbeResult
from avowal.collect.segment import Segment, UnparsableLine
from avowal.sql_files import read_sql
from avowal.store import retention_sql, visitor_sql
from avowal.store.columns import RELATIONS
from avowal.store.consent_updates import update_governing
from avowal.store.derivation import LONGEST_VISITOR_DAY, derive_views_and_visits
from avowal.store.interface import (
    ConsentCursor,
    Cutoffs,
    GoverningUpdate,
    LoadResult,
    LogPosition,
    OverdueRecords,
    QueryFunction,
    RecordCounts,
    RemovedRecords,
    ResultTable,
    RetentionAction,
    StoreRegistry,
    VersionStarts,
    VisitRules,
)
from avowal.store.load_state import (
    ArrowStream,
    VersionCheck,
    find_load_position,
    have_valid_versions,
    number_requests,
    record_journals,
    record_load,
    remove_provisional_line,
    version_mismatch_error,
)
from avowal.store.migrations import read_migrations, read_schema
from avowal.store.run_query import execute_statements, query_secure_views, query_with_timeout, run_query
from avowal.store.sql_builder import compose, identifier
from avowal.store.store_file import StoreFile
from avowal.store.store_seal import find_changed_tables

STORE_FILE = "avowal.duckdb"
BATCH_ROWS = 245_760
"""How many rows of a table a batch is read from: two of DuckDB's row groups."""


class DuckDBStore:
    """Implements Store with DuckDB.

    Rows are loaded as Arrow streams; temporary data goes into the data folder.
    """

    def __init__(
        self,
        folder: Path,
        memory_limit: str,
        version_starts: VersionStarts | None = None,
        registry: StoreRegistry | None = None,
    ) -> None:
        """Open the store of a data folder, and create it if there is none and the registry knows none.

        Whatever is loaded is checked against `version_starts`; None, for a store without a register, checks nothing.

        Raises StoreError if the file cannot be opened, was made by a newer version or an earlier build, or is not the
        store that the registry knows.
        """
        self._file = StoreFile(folder / STORE_FILE, memory_limit, registry)
        self._version_starts = version_starts
        try:
            self._file.prepare(read_schema(), read_migrations())
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Leave the store as it is."""
        self._file.close()

    def log_positions(self) -> list[LogPosition]:
        """See Store."""
        rows = self._read(read_sql("store", "log_positions"), {}).to_dicts()
        return [LogPosition(**row) for row in rows]

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """See Store."""
        results, frames = [], []
        have_valid_versions = self._create_version_check()
        with self._write() as cursor:
            for segment in segments:
                metadata = segment.metadata
                position = find_load_position(cursor, metadata.origin, provisional=metadata.provisional)
                if position is None:
                    results.append(LoadResult(0))
                    continue
                ((load,),) = cursor.execute("SELECT nextval('load_numbers')").fetchall()
                replaced = remove_provisional_line(cursor, position.provisional_load)
                records = segment.records
                if not have_valid_versions(records, "request_time"):
                    raise version_mismatch_error(f"a segment of `{metadata.origin.name}`")
                frames.append(records.with_columns(load_number=pl.lit(load, dtype=pl.UInt64)))
                record_load(cursor, metadata, load, replaced)
                results.append(LoadResult(load, replaced))
            if frames:
                cursor.register("new_requests", ArrowStream(number_requests(cursor, pl.concat(frames))))
                execute_statements(cursor, read_sql("store", "load_requests"), {})
                cursor.unregister("new_requests")
        return results

    def load_journals(self, journals: Sequence[Journal]) -> list[Journal]:
        """See Store."""
        have_valid_versions = self._create_version_check()
        with self._write() as cursor:
            frames, refused = record_journals(cursor, journals, have_valid_versions)
            rows = pl.concat(frames) if frames else JOURNAL_SCHEMA.to_frame()
            if len(rows):
                ((load,),) = cursor.execute("SELECT nextval('load_numbers')").fetchall()
                script_views, events = merge_script_views(rows), extract_events(rows)
                cursor.register("new_script_views", ArrowStream(script_views))
                cursor.register("new_events", ArrowStream(events))
                first_view = script_views["view_time"].min()
                oldest = (
                    first_view - LONGEST_VISITOR_DAY if isinstance(first_view, datetime) else datetime.max
                )
                values = {
                    "load_number": load,
                    "oldest_view_time": oldest,
                    "transmission_delay_max": TRANSMISSION_DELAY_MAX,
                }
                execute_statements(cursor, read_sql("store", "load_script_views"), values)
                cursor.unregister("new_script_views")
                cursor.unregister("new_events")
        return refused

    def loaded_journals(self) -> set[str]:
        """See Store."""
        return {name for (name,) in self._read("SELECT journal_name FROM loaded_journals", {}).rows}

    def consent_cursor(self) -> ConsentCursor:
        """See Store."""
        return ConsentCursor(*self._read("SELECT last_consent, last_version FROM consent_cursor", {}).rows[0])

    def add_probes(self, probes: Sequence[ProbeResult], keep_from: datetime) -> None:
        """See Store."""
        with self._write() as cursor:
            for probe in probes:
                cursor.execute(read_sql("store", "insert_probe"), msgspec.structs.asdict(probe))
            cursor.execute("DELETE FROM probes WHERE probe_time < ?", [keep_from])

    def applied_visit_rules(self) -> VisitRules | None:
        """See Store."""
        (rules,) = self._read(
            "SELECT gap_minutes, time_zone, day_start_minutes FROM derivation_state", {}
        ).rows
        return None if None in rules else VisitRules(*rules)

    def derive_visits(self, rules: VisitRules, cutoffs: Cutoffs, governing_update: GoverningUpdate) -> None:
        """See Store."""
        with self._write() as cursor:
            update_governing(cursor, governing_update)
            have_changed = self.applied_visit_rules() not in {None, rules}
            execute_statements(cursor, read_sql("store", "set_day_start"), msgspec.structs.asdict(rules))
            if have_changed:
                execute_statements(cursor, read_sql("store", "derive_all"), {})
            derive_views_and_visits(cursor, rules, cutoffs)

    def apply_retention(self, actions: Sequence[RetentionAction], now: datetime) -> None:
        """See Store."""
        with self._write() as cursor:
            ((run,),) = cursor.execute("SELECT nextval('retention_run_numbers')").fetchall()
            for statement in retention_sql.end_consents(actions):
                cursor.execute(statement)
            for group in retention_sql.group_actions(actions):
                values = {
                    "run_number": run,
                    "relation": group[0].relation,
                    "category": group[0].category,
                    "removed_at": now,
                }
                if cursor.execute(retention_sql.record_removal(group), values).fetchall():
                    for action in group:
                        for statement in retention_sql.apply_action(action):
                            cursor.execute(statement)
                    cursor.execute("UPDATE compaction_state SET is_due = true")
                    cursor.execute("UPDATE derivation_state SET last_retained_load = last_load")

    def find_overdue_records(self, actions: Sequence[RetentionAction]) -> list[OverdueRecords]:
        """See Store."""
        return [
            OverdueRecords(group[0].relation, group[0].category, version, record_count)
            for group in retention_sql.group_actions(actions)
            for version, record_count in self._read(retention_sql.count_records(group), {}).rows
        ]

    def next_retention_run(self) -> int:
        """See Store."""
        with self._write() as cursor:
            return int(cursor.execute("SELECT nextval('retention_run_numbers')").fetchall()[0][0])

    def unrecorded_removals(self) -> list[RemovedRecords]:
        """See Store."""
        rows = self._read(read_sql("store", "unrecorded_removals"), {}).to_dicts()
        return [RemovedRecords(**row) for row in rows]

    def clear_removals(self, run_number: int) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM retention_removals WHERE run_number = ?", [run_number])

    def holds_visitor(self, visitor_id: int) -> bool:
        """See Store."""
        return bool(self._read(visitor_sql.hold_visitor(), {"visitor_id": visitor_id}).rows[0][0])

    def erase_visitor(self, visitor_id: int) -> RecordCounts:
        """See Store."""
        with self._write() as cursor:
            values = {"visitor_id": visitor_id}
            cursor.execute(visitor_sql.record_deletions(), values)
            for statement in visitor_sql.find_erased_rows().values():
                cursor.execute(statement, values)
            execute_statements(cursor, read_sql("store", "erase_daily_key"), values)
            deleted = {
                table: int(cursor.execute(statement).fetchall()[0][0])
                for table, statement in visitor_sql.delete_erased_rows().items()
            }
            counts = {relation: deleted[relation] for relation in RELATIONS}
            cursor.execute("UPDATE compaction_state SET is_due = true")
            totals = cursor.execute(read_sql("store", "add_erased_counts"), values | counts).fetchall()
        return RecordCounts(*totals[0])

    def reassign_visitor(self, script_view_ids: Sequence[int], new_visitor_id: int) -> int:
        """See Store."""
        values = {"script_view_ids": list(script_view_ids), "new_visitor_id": new_visitor_id}
        if not self._read(read_sql("store", "visitor_tab_views"), values).rows:
            return 0  # each transaction is sealed, even one that changes nothing
        with self._write() as cursor:
            execute_statements(cursor, read_sql("store", "reassign_script_views"), values)
            count = "SELECT count(*) FROM script_views WHERE visitor_id = ?"
            return int(cursor.execute(count, [new_visitor_id]).fetchall()[0][0])

    def clear_erased_counts(self) -> None:
        """See Store."""
        if self._read("SELECT 1 FROM erased_counts LIMIT 1", {}).rows:
            with self._write() as cursor:
                cursor.execute("DELETE FROM erased_counts")

    def clear_changes(self, last_change: int) -> None:
        """See Store."""
        values = {"last_change": last_change}
        if self._read(
            "SELECT 1 FROM record_changes WHERE change_number <= $last_change LIMIT 1", values
        ).rows:
            with self._write() as cursor:
                cursor.execute("DELETE FROM record_changes WHERE change_number <= $last_change", values)

    def is_compacting(self) -> bool:
        """See Store."""
        return self._file.is_compacting

    def wait_for_compaction(self) -> None:
        """See Store."""
        self._file.wait_for_compaction()

    def hold(self) -> None:
        """Bring everything into the file, and let nobody write until `release_hold`; readers go on."""
        self._file.hold()

    def release_hold(self) -> None:
        """Let others write again."""
        self._file.release_hold()

    def renew_identity(self) -> None:
        """Give the store a new identity, so that no copy of it that was made before is taken for it."""
        with self._file.write(new_identity=True):
            pass

    def compact(self) -> bool:
        """See Store."""
        is_due = self._read("SELECT is_due FROM compaction_state", {}).rows[0][0]
        return bool(is_due) and self._file.compact()

    def unparsable_lines(self, log_id: str) -> list[UnparsableLine]:
        """See Store."""
        sql = "SELECT offset_bytes, length_bytes, reason, shape FROM unparsable_lines WHERE log_id = $log_id"
        return [UnparsableLine(*row) for row in self._read(sql, {"log_id": log_id}).rows]

    def find_changed_tables(self) -> list[str]:
        """See Store."""
        with self._file.read() as cursor:
            return find_changed_tables(cursor, self._file.registry) if self._file.registry else []

    def record_counts(self) -> RecordCounts:
        """See Store."""
        (counts,) = self._read(read_sql("store", "record_counts"), {}).to_dicts()
        return RecordCounts(**counts)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> ResultTable:
        """See Store."""
        return self._read(sql, parameters)

    @contextmanager
    def open_secure_views(self, views: Mapping[str, str]) -> Iterator[QueryFunction]:
        """See Store."""
        with self._file.read() as cursor:
            yield partial(query_secure_views, cursor, dict(views))

    def read_batches(
        self, selects: Mapping[str, Callable[[range], str]]
    ) -> Generator[tuple[str, pl.DataFrame], None, None]:
        """See Store."""
        with self._file.read() as cursor:
            cursor.execute("BEGIN")
            for name, select in selects.items():
                last_row = compose("SELECT max(rowid) FROM {table}", table=identifier(name)).text
                ((last,),) = cursor.execute(last_row).fetchall()
                for first in range(0, (last or 0) + 1, BATCH_ROWS):
                    yield name, pl.DataFrame(cursor.sql(select(range(first, first + BATCH_ROWS))))

    def query_with_timeout(self, sql: str, timeout_seconds: float) -> ResultTable:
        """See Store."""
        with self._file.read() as cursor:
            return query_with_timeout(cursor, sql, timeout_seconds)

    def _create_version_check(self) -> VersionCheck:
        """Return what tells whether records name the versions in force at their times, which are read once."""
        if self._version_starts is None:
            return lambda *_: True
        return partial(have_valid_versions, self._version_starts())

    def _read(self, sql: str, values: Mapping[str, Any]) -> ResultTable:
        with self._file.read() as cursor:
            return run_query(cursor, sql, values)

    def _write(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        return self._file.write()
