"""What a load records besides its rows: how far the log was read, and what became of each line."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import duckdb
import msgspec
import polars as pl

from avowal.clock import utc_now
from avowal.collect.journal import Journal, add_record_times
from avowal.collect.line_counts import LineCounts
from avowal.collect.segment import SegmentMetadata, SegmentOrigin
from avowal.errors import StoreError
from avowal.sql_files import read_sql
from avowal.store.run_query import execute_statements


class ArrowStream:
    """Shows DuckDB the Arrow stream of a frame and nothing else, so that DuckDB does not look for pandas or pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


class LoadPosition(msgspec.Struct, frozen=True):
    """How far a log was loaded, and the number of the load that has its unfinished last line."""

    read_bytes: int
    read_digest: str
    provisional_load: int | None


VersionCheck = Callable[[pl.DataFrame, str], bool]
"""Tells whether each record, whose time is in a column, names the version that was in force at its time."""


def have_valid_versions(version_starts: Sequence[datetime], records: pl.DataFrame, time_column: str) -> bool:
    """Return whether each record names the version that was in force at its time (G1 in `docs/spec/terms.md`).

    `version_starts` has the time from which each version is in force, from number 1 on. Records that are older than the
    first version belong to it.
    """
    if not version_starts:
        return records.is_empty()
    starts = pl.Series(version_starts[1:], dtype=pl.Datetime("us"))
    in_force = starts.search_sorted(records[time_column], side="right") + 1
    is_wrong = (records["version"] != in_force).fill_null(value=True) | records[time_column].is_null()
    return not is_wrong.any()


def read_journals(
    journals: Sequence[Journal], have_valid_versions: VersionCheck
) -> tuple[list[pl.DataFrame], list[Journal]]:
    """Return the rows of each journal whose records name the right versions, and the other journals."""
    frames, refused = [], []
    for journal in journals:
        rows = journal.read_rows()
        if have_valid_versions(add_record_times(rows), "record_time"):
            frames.append(rows)
        else:
            refused.append(journal)
    return frames, refused


def record_journals(
    cursor: duckdb.DuckDBPyConnection,
    journals: Sequence[Journal],
    have_valid_versions: VersionCheck,
) -> tuple[list[pl.DataFrame], list[Journal]]:
    """Record journals as loaded, and forget those that are not given any more; returns as `read_journals` does."""
    loaded_names = {name for (name,) in cursor.execute("SELECT journal_name FROM loaded_journals").fetchall()}
    existing = {journal.name for journal in journals}
    new_journals = [journal for journal in journals if journal.name not in loaded_names]
    frames, refused = read_journals(new_journals, have_valid_versions)
    cursor.executemany(
        "DELETE FROM loaded_journals WHERE journal_name = ?",
        [[name] for name in loaded_names - existing] or [[""]],
    )
    for name in existing - loaded_names - {journal.name for journal in refused}:
        cursor.execute("INSERT INTO loaded_journals VALUES (?)", [name])
    return frames, refused


def version_mismatch_error(what: str) -> StoreError:
    """Return the error of records that name another version than the one that was in force at their time."""
    return StoreError(
        f"{what} has records that name a version of the terms which was not in force at their time",
        "check that it is of this folder, and that the clock was not set back; nothing of it was loaded",
        code="version-mismatch",
    )


def find_load_position(
    cursor: duckdb.DuckDBPyConnection, origin: SegmentOrigin, *, provisional: bool
) -> LoadPosition | None:
    """Return how far a segment's log was loaded, or None if the segment was loaded before.

    Raises StoreError if the segment does not continue from there.
    """
    sql = "SELECT read_bytes, read_digest, provisional_load FROM logs WHERE log_id = ?"
    rows = cursor.execute(sql, [origin.log_id]).fetchall()
    position = LoadPosition(*rows[0]) if rows else LoadPosition(0, origin.start_digest, None)
    if origin.end <= position.read_bytes or (provisional and origin.start < position.read_bytes):
        return None
    if (origin.start, origin.start_digest) != (position.read_bytes, position.read_digest):
        raise StoreError(
            f"a segment of `{origin.name}` does not continue where the log was read to",
            "import the log again: lines that were read before are not counted twice",
            code="log-mismatch",
        )
    return position


def remove_provisional_line(cursor: duckdb.DuckDBPyConnection, provisional_load: int | None) -> LineCounts:
    """Delete the unfinished last line of a log that has grown since; returns what was deleted."""
    if provisional_load is None:
        return LineCounts()
    values = {"load_number": provisional_load}
    execute_statements(cursor, read_sql("store", "remove_load"), values)
    requests = cursor.execute(
        "DELETE FROM requests WHERE load_number = $load_number RETURNING bot", values
    ).fetchall()
    unparsable = cursor.execute(
        "DELETE FROM unparsable_lines WHERE load_number = $load_number RETURNING reason", values
    ).fetchall()
    dropped = cursor.execute(
        "DELETE FROM dropped_lines WHERE load_number = $load_number RETURNING reason", values
    ).fetchall()
    return LineCounts(
        lines=len(requests) + len(dropped) + len(unparsable),
        requests=len(requests),
        bot_requests=sum(bot is not None for (bot,) in requests),
        dropped=dict(Counter(reason for (reason,) in dropped)),
        unparsable=dict(Counter(reason for (reason,) in unparsable)),
    )


def number_requests(cursor: duckdb.DuckDBPyConnection, requests: pl.DataFrame) -> pl.DataFrame:
    """Add a record number to each request."""
    statement = (
        "UPDATE record_numbers SET last_number = last_number + ? "
        "WHERE relation = 'requests' RETURNING last_number"
    )
    ((last,),) = cursor.execute(statement, [len(requests)]).fetchall()
    return requests.with_columns(
        record_number=pl.int_range(last - len(requests) + 1, last + 1, dtype=pl.UInt64)
    )


def record_load(
    cursor: duckdb.DuckDBPyConnection,
    metadata: SegmentMetadata,
    load_number: int,
    replaced_lines: LineCounts,
) -> None:
    """Record what became of each line of a segment, and how far its log was read."""
    origin = metadata.origin
    if metadata.counts.dropped:
        rows = [
            [origin.log_id, load_number, reason, lines] for reason, lines in metadata.counts.dropped.items()
        ]
        cursor.executemany("INSERT INTO dropped_lines VALUES (?, ?, ?, ?)", rows)
    if metadata.unparsable_lines:
        lines = pl.DataFrame([msgspec.structs.asdict(line) for line in metadata.unparsable_lines])
        cursor.register("new_unparsable_lines", ArrowStream(lines))
        cursor.execute(
            "INSERT INTO unparsable_lines BY NAME "
            "SELECT *, ? AS log_id, ? AS load_number FROM new_unparsable_lines",
            [origin.log_id, load_number],
        )
        cursor.unregister("new_unparsable_lines")
    values = {
        **{
            name: getattr(origin, name)
            for name in ("log_id", "name", "format", "parser_state", "head_bytes", "head_digest")
        },
        "read_bytes": origin.start if metadata.provisional else origin.end,
        "read_digest": origin.start_digest if metadata.provisional else origin.end_digest,
        "lines": metadata.counts.lines - replaced_lines.lines,
        "requests": metadata.counts.requests - replaced_lines.requests,
        "late_requests": metadata.counts.late_requests,
        "early_requests": metadata.counts.early_requests,
        "provisional_load": load_number if metadata.provisional else None,
        "provisional_digest": origin.end_digest if metadata.provisional else None,
        "loaded_at": utc_now(),
    }
    cursor.execute(read_sql("store", "record_log_position"), values)
