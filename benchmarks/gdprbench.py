"""Run GDPRBench (Shastri et al., VLDB 2020) over submissions, beside plain stores that enforce and prove nothing.

    python benchmarks/gdprbench.py [--records 100000] [--operations 10000] [--workloads controller,customer,…]

A record is a submission with 100 bytes of data and nine metadata: its form (the purpose), until when it is kept, its
visitor, what is objected to, whether programs may decide by it, who reads it, who may be given it, where it came from,
and its category. What record `n` has of a metadata is `list[n % length]`, as the benchmark's own generator does. Each
operation is a transaction that is on the disk when it returns, in all of the stores; time is the benchmark's own, so
that what expires does so alike in each run. All that is read is compared with what a model of the same says.
"""

import argparse
import csv
import gc
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from avow.errors import RefusedError
from avow.keep.access import MAY_SEE, Access
from avow.keep.governing import governs
from avow.keep.handling import Change, Which
from avow.keep.readers import Reader
from avow.keep.recorded import unlike
from avow.keep.register import SqliteRegister, Version
from avow.keep.submission import Given, Submission, new_reference
from avow.ledger.entry import Entry
from avow.policy.bounds import OPERATOR
from avow.policy.terms import compile_terms, parse_terms

PURPOSE = "requested-service"
OTHERS = ("abuse", "availability", "content", "performance", "third-party-service")
BITS = [tuple(word for bit, word in enumerate(OTHERS) if number >> bit & 1) for number in range(32)]
LISTS: dict[str, list[Any]] = {
    "form": [f"purpose{number}" for number in range(25)],
    "keep_until": [30, *range(10_000, 24_001, 2_000), 1_000_000],
    "visitor": [f"{number:015x}1" for number in range(10_000)],
    "objects_to": [(*BITS[n % 32], PURPOSE) if n % 10 == 0 else BITS[n % 32] for n in range(100)],
    "automated": [True, False],
    "readers": [("processor", f"reader{number}") for number in range(10)],
    "recipients": [(f"recipient{number}",) for number in range(10)],
    "source": [f"source{number}" for number in range(10)],
    "category": ["answer", "email-address", "message", "person-name", "postal-address", "telephone-number"],
}
"""The values of each metadata. Of every hundred, ten object to the purpose that all of it is read for."""

SETTABLE = [name for name in LISTS if name != "form"]
WORKLOADS = {
    "controller": ("uniform", {"update_meta": 50, "delete_user": 25, "insert": 25}),
    "customer": (
        "zipfian",
        {"read": 20, "read_user": 20, "update": 20, "update_user": 20, "delete": 20},
    ),
    "processor": ("uniform", {"read": 20, "read_purpose": 40, "read_user": 40}),
    "regulator": ("zipfian", {"read_user": 50, "log": 50}),
}
ZIPF = 0.99
LOG_MAX = 1000
TICK = timedelta(milliseconds=10)
BEGINS = datetime(2026, 1, 1)  # noqa: DTZ001  # UTC, as the register keeps times

TERMS = """
vocabulary = 2
controller = "Example Ltd"
contact = "privacy@example.com"
updated = 2026-01-01
languages = ["en"]

[[collect]]
categories = ["submission", "visitor-id"]
keep = { full = "3650 days" }
for = ["requested-service"]
"""


def deterministic(number: int, name: str) -> Any:
    """Return what a record has of a metadata."""
    return LISTS[name][number % len(LISTS[name])]


def data(number: int, turn: int = 0) -> str:
    """Return what a record says: 100 bytes."""
    return (f"{number}-{turn} " * 50)[:100]


class Operation(NamedTuple):
    """What is done, at which moment."""

    kind: str
    number: int
    """Of the record that it is about, or whose purpose or user it is about."""
    name: str
    """The metadata that is set."""
    length: int
    """How much of the log is read."""
    at: datetime


def operations(workload: str, records: int, count: int, seed: int) -> Iterator[Operation]:
    """Yield the operations of a workload: the same for all stores."""
    chance = random.Random(seed)  # a benchmark
    distribution, mix = WORKLOADS[workload]
    places = list(range(records))
    chance.shuffle(places)
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, records + 1)))
    kinds = chance.choices(list(mix), list(mix.values()), k=count)
    fresh = records
    for turn, drawn in enumerate(kinds):
        number = (
            chance.choices(places, cum_weights=weights)[0]
            if distribution == "zipfian"
            else chance.randrange(records)
        )
        if drawn == "insert":
            number, fresh = fresh, fresh + 1
        kind = chance.choice(["update_purpose", "update_user"]) if drawn == "update_meta" else drawn
        name, length = chance.choice(SETTABLE), chance.randint(1, LOG_MAX)
        yield Operation(kind, number, name, length, BEGINS + timedelta(hours=1) + turn * TICK)


def told(number: int) -> dict[str, Any]:
    """Return all metadata of a record as it is loaded."""
    found = {name: deterministic(number, name) for name in LISTS}
    return {**found, "keep_until": BEGINS + timedelta(seconds=found["keep_until"])}


def value(one: Operation) -> Any:
    """Return what is set by an operation."""
    found = deterministic(one.number, one.name)
    return one.at + timedelta(seconds=found) if one.name == "keep_until" else found


class Model:
    """What every read should return, kept in memory; `enforced` as Avow reads, else as plain stores do."""

    def __init__(self, records: int, *, enforced: bool) -> None:
        self.enforced = enforced
        self.rows = {number: {**told(number), "data": data(number)} for number in range(records)}
        self.by: dict[str, dict[str, set[int]]] = {"form": defaultdict(set), "visitor": defaultdict(set)}
        for number, row in self.rows.items():
            for name, of in self.by.items():
                of[row[name]].add(number)

    def do(self, one: Operation, *, processor: bool) -> Any:
        """Do an operation; returns the numbers of what should be read, or one with all that is known of it."""
        if one.kind.startswith("read"):
            return self.read(one, processor=processor)
        row = self.rows.get(one.number)
        match one.kind:
            case "insert":
                self.rows[one.number] = {**told(one.number), "data": data(one.number)}
                for name, of in self.by.items():
                    of[self.rows[one.number][name]].add(one.number)
            case "update" if row:
                row["data"] = data(one.number, 1)
            case "update_purpose" | "update_user":
                for number in list(self.chosen(one)):
                    self.put(number, one)
            case "delete" if row:
                self.drop(one.number)
            case "delete_user":
                for number in list(self.chosen(one)):
                    self.drop(number)
        return None

    def read(self, one: Operation, *, processor: bool) -> Any:
        """Return what should be read."""
        if one.kind != "read":
            return {
                number
                for number in self.chosen(one)
                if self.sees(self.rows[number], one, processor=processor)
            }
        row = self.rows.get(one.number)
        over = self.enforced and row and row["keep_until"] <= one.at
        return row if row and not over and self.sees(row, one, processor=processor) else None

    def chosen(self, one: Operation) -> set[int]:
        """Return the numbers of the records of a purpose or a user."""
        name = "form" if one.kind.endswith("purpose") else "visitor"
        return self.by[name][deterministic(one.number, name)]

    def sees(self, row: dict[str, Any], one: Operation, *, processor: bool) -> bool:
        """Return whether a record should be read."""
        allowed = PURPOSE not in row["objects_to"] and row["keep_until"] > one.at
        return allowed or not processor or not self.enforced

    def put(self, number: int, one: Operation) -> None:
        """Set a metadata of a record."""
        row = self.rows[number]
        if one.name == "visitor":
            self.by["visitor"][row["visitor"]].discard(number)
            self.by["visitor"][value(one)].add(number)
        row[one.name] = value(one)

    def drop(self, number: int) -> None:
        """Delete a record."""
        row = self.rows.pop(number)
        for name, of in self.by.items():
            of[row[name]].discard(number)


class Avow:
    """Submissions, as Avow keeps them: sealed, read for a purpose, and with an entry in the ledger for what is done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "data" / "register.sqlite"
        self.register = SqliteRegister(folder / "data", folder / "keys")
        if not self.register.versions():
            promised = compile_terms(parse_terms(TERMS, "the terms"))
            canonical = promised.canonical().decode()
            self.register.publish(Version(1, promised.identity, canonical, TERMS, BEGINS, BEGINS), [])
            self.register.readers.put(Reader("processor", [PURPOSE]), BEGINS)
        self.governs = governs(self.register.versions())
        self.access = Access(OPERATOR, MAY_SEE, self.governs)
        self.references: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        self.done = 0

    def load(self, records: int) -> None:
        """Take records in, and read of some, so that there is a log to read."""
        for number in range(records):
            self.insert(number)
        for number in range(LOG_MAX):
            self.register.handlings.told(
                Which("visitor", deterministic(number, "visitor")), self.access, BEGINS
            )

    def insert(self, number: int) -> None:
        """Take a record in, as by a form."""
        row = told(number)
        category, reference = row.pop("category"), new_reference()
        self.references[number], self.numbers[reference] = reference, number
        one = Submission(reference, row.pop("form"), "form", row.pop("visitor"), 1, BEGINS, BEGINS, **row)
        self.register.submissions.record(one, [Given("data", category, data(number))])

    def which(self, one: Operation) -> Which:
        """Return which submissions an operation is about."""
        kind = {"user": "visitor", "purpose": "form"}.get(one.kind.partition("_")[2])
        if kind:
            return Which(kind, deterministic(one.number, kind))  # type: ignore[arg-type]  # one of the words
        return Which("submission", self.references[one.number])

    def do(self, one: Operation) -> Any:
        """Do an operation; one that finds nothing is refused, and returns nothing."""
        ledger, action = self.register.ledger, one.kind.partition("_")[0]
        if one.kind == "insert":
            return self.insert(one.number)
        if one.kind == "log":
            return len(list(ledger.entries(ledger.size() - one.length)))
        doing = {"read": self.read, "update": self.update, "delete": self.delete}
        with suppress(RefusedError):
            found = doing[action](one, self.which(one))
            self.done += 1
            return found
        return None

    def read(self, one: Operation, which: Which) -> Any:
        """Read what one says, or what is known of many."""
        if which.kind == "submission":
            return self.register.submissions.read(which.value, self.access, one.at)
        return self.register.handlings.told(which, self.access, one.at)

    def update(self, one: Operation, which: Which) -> None:
        """Put right what one says, or set what holds for many."""
        if which.kind == "submission":
            self.register.submissions.correct(which.value, {"data": data(one.number, 1)}, "letter", one.at)
            return
        said: Any = {"categories": {"data": value(one)}} if one.name == "category" else {one.name: value(one)}
        self.register.handlings.set(which, Change(**said), "letter", one.at)

    def delete(self, one: Operation, which: Which) -> None:
        """Erase one, or many."""
        self.register.erasures.forget(which, one.at)

    def copy(self, folder: Path, workload: str) -> "Avow":
        """Return another of the same; a processor's reads for its purpose, and any other what is held of a person."""
        shutil.copytree(self.folder, folder)
        other = Avow(folder)
        other.references, other.numbers = dict(self.references), dict(self.numbers)
        if workload == "processor":
            other.access = Access("processor", PURPOSE, self.governs)
        return other

    def lacking(self, before: int) -> list[str]:
        """Return what does not hold of the ledger, and whether more or less was done than its entries say."""
        entries: list[Entry] = []
        found = [*self.register.ledger.broken(entries), *unlike(self.register, entries)]
        told = len(entries) - before
        return (
            found
            if told == self.done
            else [*found, f"{self.done} operations were done, and {told} are told of"]
        )

    def close(self) -> None:
        """Leave it."""
        self.register.close()

    def finish(self) -> None:
        """Sign the ledger, and leave nothing of what was deleted."""
        self.register.ledger.sign()
        self.register.submissions.sweep()
        self.register.submissions.leave_nothing()


COLUMNS = ("key", "data", *LISTS)


class SQLite:
    """One table with an index on each of its metadata; a list is a text. What was done before is a table, too."""

    READS = ", ".join(COLUMNS)
    LOG = "CREATE TABLE log (number INTEGER PRIMARY KEY, told TEXT)"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.file = folder, folder / "records"
        self.database = self.connect()
        self.execute(
            f"CREATE TABLE IF NOT EXISTS records (key VARCHAR PRIMARY KEY, {' VARCHAR, '.join(COLUMNS[1:])} VARCHAR)"
        )

    def connect(self) -> Any:
        """Open the file."""
        database = sqlite3.connect(self.file, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        return database

    def execute(self, sql: str, values: Any = ()) -> Any:
        """Execute a statement, which is a transaction."""
        return self.database.execute(sql, values)

    def load(self, records: int) -> None:
        """Take records in, and what a log of that would say."""
        rows = [self.row(number) for number in range(records)]
        insert = f"INSERT INTO records VALUES ({', '.join('?' * len(COLUMNS))})"
        self.execute("BEGIN")
        self.database.executemany(insert, rows)
        self.execute(self.LOG)
        entries = [
            (number, str({"kind": "insert", "key": f"key{number}", "at": str(BEGINS)}))
            for number in range(10_000)
        ]
        self.database.executemany("INSERT INTO log VALUES (?, ?)", entries)
        self.execute("COMMIT")
        for name in LISTS:
            self.execute(f"CREATE INDEX by_{name} ON records ({name})")

    def row(self, number: int) -> list[str]:
        """Return a record as it is stored."""
        return [f"key{number}", data(number), *(str(one) for one in told(number).values())]

    def do(self, one: Operation) -> Any:
        """Do an operation."""
        key, (action, _, by) = (f"key{one.number}",), one.kind.partition("_")
        column = {"user": "visitor", "purpose": "form"}.get(by, "key")
        chosen = key if column == "key" else (str(deterministic(one.number, column)),)
        if action == "insert":
            return self.execute(
                f"INSERT INTO records VALUES ({', '.join('?' * len(COLUMNS))})", self.row(one.number)
            )
        if action == "log":
            return len(
                self.execute("SELECT * FROM log ORDER BY number DESC LIMIT ?", (one.length,)).fetchall()
            )
        if action == "read":
            return self.execute(f"SELECT {self.READS} FROM records WHERE {column} = ?", chosen).fetchall()
        if action == "delete":
            return self.execute(f"DELETE FROM records WHERE {column} = ?", chosen)
        name, told = ("data", data(one.number, 1)) if column == "key" else (one.name, str(value(one)))
        return self.execute(f"UPDATE records SET {name} = ? WHERE {column} = ?", (told, *chosen))

    def copy(self, folder: Path, _: str) -> "SQLite":
        """Return another of the same."""
        shutil.copytree(self.folder, folder)
        return type(self)(folder)

    def close(self) -> None:
        """Leave it."""
        self.database.close()

    def finish(self) -> None:
        """Put all of it into the file."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class DuckDB(SQLite):
    """The same in DuckDB, with indexes on the key, the purpose and the user."""

    def connect(self) -> Any:
        """Open the file."""
        return duckdb.connect(str(self.file))

    def load(self, records: int) -> None:
        """Take records in, from a file: rows one by one take hours."""
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            writer = csv.writer(file)
            writer.writerows(self.row(number) for number in range(records))
            file.flush()
            self.execute(f"COPY records FROM '{file.name}' (HEADER FALSE)")
        self.execute(self.LOG)
        self.execute(
            "INSERT INTO log SELECT range, 'insert key' || range || ' at 2026-01-01' FROM range(10000)"
        )
        for name in ("form", "visitor"):
            self.execute(f"CREATE INDEX by_{name} ON records ({name})")

    def finish(self) -> None:
        """Put all of it into the file."""
        self.execute("CHECKPOINT")


def right(read: Any, expected: Any, one: Operation, peer: Any) -> bool:
    """Return whether what was read is what should have been."""
    mine = isinstance(peer, Avow)
    if one.kind == "read" and expected is None:
        return not read
    if one.kind == "read" and mine:
        submission, fields = read
        said = [(field.value, field.category) for field in fields]
        known = {name: getattr(submission, name) for name in LISTS if name != "category"}
        same = all(known[name] == expected[name] for name in known)
        return bool(same and said == [(expected["data"], expected["category"])])
    if one.kind == "read":
        return bool(
            read == [(f"key{one.number}", expected["data"], *(str(expected[name]) for name in LISTS))]
        )
    if one.kind.startswith("read"):
        found = [peer.numbers[row.reference] for row in read] if mine else [int(row[0][3:]) for row in read]
        return len(found) == len(expected) and set(found) == expected
    return True


def measured(peer: Any, workload: str, records: int, count: int, seed: int) -> tuple[float, int, int]:
    """Run a workload; returns how long its operations took, how many rows were read, and how many reads were wrong."""
    model, processor = Model(records, enforced=isinstance(peer, Avow)), workload == "processor"
    took, rows, wrong = 0.0, 0, 0
    gc.collect()
    gc.freeze()  # the model is ours: no store is to wait until it was looked through for garbage
    for one in operations(workload, records, count, seed):
        started = time.perf_counter()
        read = peer.do(one)
        took += time.perf_counter() - started
        expected = model.do(one, processor=processor)
        if one.kind == "log":
            wrong += read != one.length
        elif one.kind.startswith("read"):
            rows += len(read) if isinstance(read, list) else bool(read)
            wrong += not right(read, expected, one, peer)
    started = time.perf_counter()
    peer.finish()
    return took + time.perf_counter() - started, rows, wrong


def main() -> None:
    """Load each store once, and run each workload on a copy of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--operations", type=int, default=10_000, help="a tenth of that for the regulator")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--peers", default="Avow,SQLite,DuckDB")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    kinds: list[Any] = [one for one in (Avow, SQLite, DuckDB) if one.__name__ in chosen.peers]
    with tempfile.TemporaryDirectory() as name:
        loaded, told = [], []
        for kind in kinds:
            started, peer = time.perf_counter(), kind(Path(name) / kind.__name__)
            peer.load(chosen.records)
            peer.finish()
            told.append((time.perf_counter() - started, peer.file.stat().st_size))
            if not isinstance(peer, Avow):
                peer.close()
            loaded.append(peer)
        print("| | " + " | ".join(one.__name__ for one in kinds) + " |\n|---|" + "---:|" * len(kinds))
        print("| loaded (s) | " + " | ".join(f"{seconds:.0f}" for seconds, _ in told) + " |")
        print("| space (MB) | " + " | ".join(f"{size / 1e6:.0f}" for _, size in told) + " |", flush=True)
        for workload in chosen.workloads.split(","):
            count = chosen.operations // (10 if workload == "regulator" else 1)
            cells: list[str] = []
            first = 0.0
            for original in loaded:
                folder = Path(name) / "run"
                peer = original.copy(folder, workload)
                before = peer.register.ledger.size() if isinstance(peer, Avow) else 0
                took, rows, wrong = measured(peer, workload, chosen.records, count, chosen.seed)
                lacking = peer.lacking(before) if isinstance(peer, Avow) else []
                peer.close()
                shutil.rmtree(folder)
                if wrong or lacking:
                    sys.exit(f"{workload}, {type(peer).__name__}: {wrong} reads were wrong; {lacking}")
                first = first or took
                cells.append(
                    f"{took:.1f} s, {rows:,} rows" + (f", ratio {first / took:.2f}" if cells else "")
                )
            print(f"| {workload} ({count:,}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
