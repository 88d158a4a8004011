"""What a load writes down beside its records: how far a log was read, and what became of each line."""

from collections import Counter
from functools import cache
from importlib import resources

import duckdb
import msgspec
import polars as pl

from avowal.clock import utc_now
from avowal.collect.segment import Intake, Origin
from avowal.errors import StoreError
from avowal.store.columns import NUMBERED
from avowal.store.interface import Replaced


@cache
def statements(name: str) -> str:
    """Return the SQL of one of the files in `sql/`."""
    return (resources.files("avowal.store") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


class Arrow:
    """A frame that shows DuckDB its Arrow stream and nothing else, so that no other library is asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


class Reached(msgspec.Struct, frozen=True):
    """How far a log was loaded, and the load of its unfinished last line."""

    length: int
    digest: str
    load: int | None


def goes_on(cursor: duckdb.DuckDBPyConnection, origin: Origin, *, provisional: bool) -> Reached | None:
    """Return what is known of a segment's log, or None where the segment was loaded before.

    Raises StoreError where the segment does not begin where what is known ends.
    """
    sql = "SELECT length, digest, provisional FROM sources WHERE source = ?"
    rows = cursor.execute(sql, [origin.source]).fetchall()
    known = Reached(*rows[0]) if rows else Reached(0, origin.start_digest, None)
    if origin.end <= known.length or (provisional and origin.start < known.length):
        return None
    if (origin.start, origin.start_digest) != (known.length, known.digest):
        raise StoreError(
            f"what was read of `{origin.name}` does not go on from what is known of it",
            "import the log again: what is known of it is left out",
        )
    return known


def forget_provisional(cursor: duckdb.DuckDBPyConnection, provisional: int | None) -> Replaced:
    """Take away an unfinished last line, as the log has gone on."""
    if provisional is None:
        return Replaced()
    values = {"load": provisional}
    cursor.execute(
        "INSERT INTO stale SELECT visitor_id, request_time FROM requests WHERE load = $load", values
    )
    note_changed(cursor, "load", provisional)
    requests = cursor.execute("DELETE FROM requests WHERE load = $load RETURNING bot", values).fetchall()
    left = cursor.execute("DELETE FROM dead_letters WHERE load = $load RETURNING reason", values).fetchall()
    left += cursor.execute("DELETE FROM dropped WHERE load = $load RETURNING reason", values).fetchall()
    return Replaced(
        len(requests),
        sum(bot is not None for (bot,) in requests),
        dict(Counter(reason for (reason,) in left)),
    )


def numbered(cursor: duckdb.DuckDBPyConnection, requests: pl.DataFrame) -> pl.DataFrame:
    """Give each request its number."""
    more = "UPDATE numbered SET last = last + ? WHERE relation = 'requests' RETURNING last"
    ((last,),) = cursor.execute(more, [len(requests)]).fetchall()
    return requests.with_columns(record=pl.int_range(last - len(requests) + 1, last + 1, dtype=pl.UInt64))


def note_changed(cursor: duckdb.DuckDBPyConnection, column: str, value: int | None) -> None:
    """Note, before they go, the records that have a value in a column: processors that have them are told."""
    for name in NUMBERED:
        which = f"SELECT '{name}' AS relation, record FROM {name} WHERE {column} = ?"  # noqa: S608  # our own names
        cursor.execute(f"INSERT INTO changed BY NAME {which}", [value])


def account(cursor: duckdb.DuckDBPyConnection, intake: Intake, load: int, replaced: Replaced) -> None:
    """Write down what became of each line, and how far the log was read."""
    origin = intake.origin
    if intake.dropped:
        rows = [[origin.source, load, reason, lines] for reason, lines in intake.dropped.items()]
        cursor.executemany("INSERT INTO dropped VALUES (?, ?, ?, ?)", rows)
    if intake.dead_letters:
        letters = pl.DataFrame([msgspec.structs.asdict(letter) for letter in intake.dead_letters])
        cursor.register("letters", Arrow(letters))
        cursor.execute(
            "INSERT INTO dead_letters BY NAME SELECT *, ? AS source, ? AS load FROM letters",
            [origin.source, load],
        )
        cursor.unregister("letters")
    values = {
        **{
            name: getattr(origin, name)
            for name in ("source", "name", "format", "state", "head_bytes", "head_digest")
        },
        "length": origin.start if intake.provisional else origin.end,
        "digest": origin.start_digest if intake.provisional else origin.end_digest,
        "lines": intake.lines - replaced.lines,
        "requests": intake.requests - replaced.requests,
        "late": intake.late,
        "early": intake.early,
        "provisional": load if intake.provisional else None,
        "provisional_digest": origin.end_digest if intake.provisional else None,
        "loaded_at": utc_now(),
    }
    cursor.execute(statements("account_source"), values)
