"""What a load writes down beside its records: how far a log was read, and what became of each line."""

from collections import Counter

import duckdb
import msgspec
import polars as pl

from avowal.clock import utc_now
from avowal.collect.line_counts import LineCounts
from avowal.collect.segment import SegmentMetadata, SegmentOrigin
from avowal.errors import StoreError
from avowal.sql_files import read_sql


class ArrowStream:
    """A frame that shows DuckDB its Arrow stream and nothing else, so that no other library is asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


class LoadPosition(msgspec.Struct, frozen=True):
    """How far a log was loaded, and the load of its unfinished last line."""

    read_bytes: int
    read_digest: str
    provisional_load: int | None


def find_load_position(
    cursor: duckdb.DuckDBPyConnection, origin: SegmentOrigin, *, provisional: bool
) -> LoadPosition | None:
    """Return what is known of a segment's log, or None where the segment was loaded before.

    Raises StoreError where the segment does not begin where what is known ends.
    """
    sql = "SELECT read_bytes, read_digest, provisional_load FROM logs WHERE log_id = ?"
    rows = cursor.execute(sql, [origin.log_id]).fetchall()
    known = LoadPosition(*rows[0]) if rows else LoadPosition(0, origin.start_digest, None)
    if origin.end <= known.read_bytes or (provisional and origin.start < known.read_bytes):
        return None
    if (origin.start, origin.start_digest) != (known.read_bytes, known.read_digest):
        raise StoreError(
            f"what was read of `{origin.name}` does not go on from what is known of it",
            "import the log again: what is known of it is left out",
            code="log-mismatch",
        )
    return known


def remove_provisional_line(cursor: duckdb.DuckDBPyConnection, provisional_load: int | None) -> LineCounts:
    """Take away an unfinished last line, as the log has gone on."""
    if provisional_load is None:
        return LineCounts()
    values = {"load_number": provisional_load}
    cursor.execute(
        "INSERT INTO stale_visitors SELECT visitor_id, request_time FROM requests WHERE load_number = $load_number",
        values,
    )
    cursor.execute(read_sql("store", "record_changes_of_load"), values)
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
    """Give each request its number."""
    more = "UPDATE record_numbers SET last_number = last_number + ? WHERE relation = 'requests' RETURNING last_number"
    ((last,),) = cursor.execute(more, [len(requests)]).fetchall()
    return requests.with_columns(
        record_number=pl.int_range(last - len(requests) + 1, last + 1, dtype=pl.UInt64)
    )


def record_load(
    cursor: duckdb.DuckDBPyConnection,
    intake: SegmentMetadata,
    load_number: int,
    replaced_lines: LineCounts,
) -> None:
    """Write down what became of each line, and how far the log was read."""
    origin = intake.origin
    if intake.counts.dropped:
        rows = [
            [origin.log_id, load_number, reason, lines] for reason, lines in intake.counts.dropped.items()
        ]
        cursor.executemany("INSERT INTO dropped_lines VALUES (?, ?, ?, ?)", rows)
    if intake.unparsable_lines:
        letters = pl.DataFrame([msgspec.structs.asdict(letter) for letter in intake.unparsable_lines])
        cursor.register("new_unparsable_lines", ArrowStream(letters))
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
        "read_bytes": origin.start if intake.provisional else origin.end,
        "read_digest": origin.start_digest if intake.provisional else origin.end_digest,
        "lines": intake.counts.lines - replaced_lines.lines,
        "requests": intake.counts.requests - replaced_lines.requests,
        "late_requests": intake.counts.late_requests,
        "early_requests": intake.counts.early_requests,
        "provisional_load": load_number if intake.provisional else None,
        "provisional_digest": origin.end_digest if intake.provisional else None,
        "loaded_at": utc_now(),
    }
    cursor.execute(read_sql("store", "record_log_position"), values)
