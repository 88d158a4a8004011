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
from avowal.collect.journal import SCHEMA, UNDER_WAY, Journal, interactions, merged
from avowal.collect.probe import Probe
from avowal.collect.segment import DeadLetter, Segment
from avowal.errors import StoreError
from avowal.store.compaction import CUT_OFF, Gate, beside, swapped
from avowal.store.consent_updates import raise_governing
from avowal.store.interface import (
    Ask,
    Counts,
    Cut,
    Cutoffs,
    Erased,
    Known,
    Loaded,
    Raised,
    Removed,
    Rules,
    Settled,
    Table,
)
from avowal.store.load_state import (
    Arrow,
    account,
    forget_provisional,
    goes_on,
    note_changed,
    numbered,
    statements,
)
from avowal.store.run_query import ask, ask_once, ask_over, execute

FILE = "avowal.duckdb"
SPILL = "spill"
LONGEST_DAY = timedelta(hours=25)
"""An event-day on which the clock was put back: what belongs to one visitor lies within it."""

INSERT_PROBE = (
    f"INSERT INTO probes ({', '.join(Probe.__struct_fields__)}) "  # noqa: S608  # our own names
    f"VALUES ({', '.join(f'${name}' for name in Probe.__struct_fields__)})"
)

SLICE_VISITORS = 200_000
"""How many visitors' visits are made at once: bounds the memory that this takes."""

CHECKPOINT_THRESHOLD = "256MB"
"""How long the write-ahead log may grow before it is written into the file: bounds the start after a crash."""

ERASED = """
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
        self._path = folder / FILE
        self._memory_limit = memory_limit
        beside(self._path).unlink(missing_ok=True)
        self._connection = self._connect()
        self._writing = threading.Lock()
        self._gate = Gate()
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
                    "temp_directory": str(self._path.with_name(SPILL)),
                    "preserve_insertion_order": "false",
                    "checkpoint_threshold": CHECKPOINT_THRESHOLD,
                    **CUT_OFF,
                },
            )
        except duckdb.Error as error:
            raise StoreError(
                f"`{self._path}` cannot be opened ({type(error).__name__})",
                "if another program has it open, close that; if it is damaged, put it back from a backup",
            ) from None
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def close(self) -> None:
        """Leave the store as it is."""
        with self._writing:
            self._connection.close()

    def known(self) -> list[Known]:
        """See Store."""
        names = ", ".join(Known.__struct_fields__)
        return [Known(*row) for row in self._read(f"SELECT {names} FROM sources", {}).rows]  # noqa: S608  # our own names

    def load(self, segments: Sequence[Segment]) -> list[Loaded]:
        """See Store."""
        loaded, frames = [], []
        with self._write() as cursor:
            for segment in segments:
                intake = segment.intake
                known = goes_on(cursor, intake.origin, provisional=intake.provisional)
                if known is None:
                    loaded.append(Loaded(0))
                    continue
                ((load,),) = cursor.execute("SELECT nextval('load_numbers')").fetchall()
                replaced = forget_provisional(cursor, known.load)
                frames.append(segment.records.with_columns(load=pl.lit(load, dtype=pl.UInt64)))
                account(cursor, intake, load, replaced)
                loaded.append(Loaded(load, replaced))
            if frames:
                cursor.register("records", Arrow(numbered(cursor, pl.concat(frames))))
                execute(cursor, statements("load_requests"), {})
                cursor.unregister("records")
        return loaded

    def load_journals(self, journals: Sequence[Journal]) -> None:
        """See Store."""
        with self._write() as cursor:
            known = {name for (name,) in cursor.execute("SELECT journal FROM journals").fetchall()}
            there = {journal.name for journal in journals}
            frames = [journal.rows() for journal in journals if journal.name not in known]
            cursor.executemany(
                "DELETE FROM journals WHERE journal = ?", [[name] for name in known - there] or [[""]]
            )
            for name in there - known:
                cursor.execute("INSERT INTO journals VALUES (?)", [name])
            rows = pl.concat(frames) if frames else SCHEMA.to_frame()
            if len(rows):
                ((load,),) = cursor.execute("SELECT nextval('load_numbers')").fetchall()
                told = merged(rows)
                cursor.register("told_now", Arrow(told))
                cursor.register("done_now", Arrow(interactions(rows)))
                oldest = told.select(pl.col("view_time").min()).item() - LONGEST_DAY
                values = {"load": load, "oldest": oldest, "under_way": UNDER_WAY}
                execute(cursor, statements("load_looks"), values)
                cursor.unregister("told_now")
                cursor.unregister("done_now")

    def settled(self) -> Settled:
        """See Store."""
        return Settled(*self._read("SELECT consent, version FROM settled", {}).rows[0])

    def add_probes(self, probes: Sequence[Probe], keep_from: datetime) -> None:
        """See Store."""
        with self._write() as cursor:
            for probe in probes:
                cursor.execute(INSERT_PROBE, msgspec.structs.asdict(probe))
            cursor.execute("DELETE FROM probes WHERE probe_time < ?", [keep_from])

    def made_by(self) -> Rules | None:
        """See Store."""
        (made,) = self._read("SELECT gap_minutes, script_counts FROM derived", {}).rows
        return None if None in made else Rules(*made)

    def derive(self, rules: Rules, cutoffs: Cutoffs, raised: Raised) -> None:
        """See Store."""
        values = {f"{name}_since": since for name, since in msgspec.structs.asdict(cutoffs).items()}
        values |= msgspec.structs.asdict(rules) | {"slice_visitors": SLICE_VISITORS}
        with self._write() as cursor:
            raise_governing(cursor, raised)
            if self.made_by() not in {None, rules}:
                execute(cursor, statements("derive_rules"), {})
            execute(cursor, statements("derive_stale"), values)
            execute(cursor, statements("derive_slices"), values)
            for begin, end in pairwise([since for (since,) in cursor.fetchall() if since]):
                slice_of = {
                    **values,
                    "slice_from": begin,
                    "slice_to": end,
                    "rows_from": begin - LONGEST_DAY,
                    "rows_to": end + LONGEST_DAY,
                }
                execute(cursor, statements("derive_anew"), slice_of)
                if cursor.execute("SELECT 1 FROM anew WHERE visitor_id & 1 = 1 LIMIT 1").fetchall():
                    slice_of["rows_to"] = datetime.max  # who has the cookie comes again on any day
                for step in ("activity", "forget", "views", "visits"):
                    execute(cursor, statements(f"derive_{step}"), slice_of)
            execute(cursor, statements("derive_close"), values)

    def remove(self, cuts: Sequence[Cut], now: datetime) -> None:
        """See Store."""
        with self._write() as cursor:
            ((run,),) = cursor.execute("SELECT nextval('retention_runs')").fetchall()
            for cut in cuts:
                if cursor.execute(cut.counting, [run, cut.relation, cut.category, now]).fetchall():
                    cursor.execute(cut.doing)
                    cursor.execute("UPDATE rewriting SET due = true")

    def new_run(self) -> int:
        """See Store."""
        with self._write() as cursor:
            return int(cursor.execute("SELECT nextval('retention_runs')").fetchall()[0][0])

    def removed(self) -> list[Removed]:
        """See Store."""
        sql = """
            SELECT run, relation, category, version, sum(records)::UBIGINT, max(removed_at)
            FROM removed GROUP BY ALL ORDER BY ALL
        """
        return [Removed(*row) for row in self._read(sql, {}).rows]

    def forget_removed(self, run: int) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM removed WHERE run = $run", {"run": run})

    def erase(self, visitor: int) -> Erased:
        """See Store."""
        counts = []
        with self._write() as cursor:
            note_changed(cursor, "visitor_id", visitor)
            for name in ("requests", "looks", "interactions", "views", "visits", "consents", "stale"):
                gone = f"DELETE FROM {name} WHERE visitor_id = ?"  # noqa: S608  # our own names
                ((count,),) = cursor.execute(gone, [visitor]).fetchall()
                counts.append(count)
            cursor.execute("UPDATE looks SET day_key = NULL WHERE day_key = ?", [visitor])
            cursor.execute("UPDATE rewriting SET due = true")
            totals = cursor.execute(ERASED, [visitor, *counts[:5]]).fetchall()
        return Erased(*totals[0])

    def take_apart(self, looks: Sequence[int], visitor: int) -> int:
        """See Store."""
        with self._write() as cursor:
            execute(cursor, statements("apart_looks"), {"looks": list(looks), "visitor": visitor})
            return int(
                cursor.execute("SELECT count(*) FROM looks WHERE visitor_id = ?", [visitor]).fetchall()[0][0]
            )

    def forget_erased(self) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM erased")

    def forget_changed(self, through: int) -> None:
        """See Store."""
        with self._write() as cursor:
            cursor.execute("DELETE FROM changed WHERE change <= ?", [through])

    def rewrite(self) -> bool:
        """See Store."""
        if not self._read("SELECT due FROM rewriting", {}).rows[0][0]:
            return False
        with self._writing, self._gate.alone():
            self._connection.execute("CHECKPOINT")
            self._connection.close()
            try:
                return swapped(self._path, self._memory_limit)
            finally:
                self._connection = self._connect()

    def dead_letters(self, source: str) -> list[DeadLetter]:
        """See Store."""
        sql = 'SELECT "offset", length, reason, shape FROM dead_letters WHERE source = $source'
        return [DeadLetter(*row) for row in self._read(sql, {"source": source}).rows]

    def counts(self) -> Counts:
        """See Store."""
        counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in Counts.__struct_fields__)  # noqa: S608  # our own names
        return Counts(*self._read(f"SELECT {counts}", {}).rows[0])

    def query(self, sql: str, values: Mapping[str, Any]) -> Table:
        """See Store."""
        return self._read(sql, values)

    @contextmanager
    def reading(self, views: Mapping[str, str]) -> Iterator[Ask]:
        """See Store."""
        with self._gate.shared(), self._connection.cursor() as cursor:
            yield partial(ask_over, cursor, dict(views))

    def ask_once(self, views: Mapping[str, str], sql: str, seconds: float) -> Table:
        """See Store."""
        with self._gate.shared(), self._connection.cursor() as cursor:
            return ask_once(cursor, views, sql, seconds)

    def _read(self, sql: str, values: Mapping[str, Any]) -> Table:
        with self._gate.shared(), self._connection.cursor() as cursor:
            return ask(cursor, sql, values)

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
            )
        for number, file in enumerate(files[done:], done + 1):
            with self._write() as cursor:
                cursor.execute(file.read_text(encoding="utf-8"))
                cursor.execute("INSERT INTO migrations VALUES (?, ?)", [number, utc_now()])
