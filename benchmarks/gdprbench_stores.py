"""The stores that GDPRBench is run over: Avowal, and plain tables that enforce and prove nothing."""

import csv
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import duckdb

from avowal.errors import RefusedError
from avowal.keep.enforcement import compute_governing_bounds
from avowal.ledger.entry import decode_entry
from avowal.policy.bounds import OPERATOR
from avowal.policy.terms import compile_terms, parse_terms
from avowal.register.readers import Reader
from avowal.register.register import Register, Version
from avowal.register.restrictions import RestrictionChange, SubmissionSelector
from avowal.submissions.access import SUBJECT_ACCESS_PURPOSE, SubmissionAccess
from avowal.submissions.submission import FieldInput, Submission, new_reference
from avowal.verify.checkpoints import check_tree
from avowal.verify.register_facts import check_facts
from avowal.verify.register_state import RegisterState
from gdprbench_workloads import BEGINS, LISTS, LOG_MAX, PURPOSE, Operation, data, deterministic, told, value

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


class Avowal:
    """Avowal's submissions: encrypted, read for a purpose, each operation with an entry in the ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "data" / "register.sqlite"
        self.register = Register(folder / "data", folder / "keys")
        self.batch = ExitStack()  # the ledger is signed once, when all is done
        self.batch.enter_context(self.register.database.batch())
        if not self.register.versions():
            promised = compile_terms(parse_terms(TERMS, "the terms"))
            canonical = promised.encode_canonical().decode()
            self.register.publish(Version(1, promised.identity, canonical, TERMS, BEGINS, BEGINS), [])
            self.register.readers.save(Reader("processor", [PURPOSE]), BEGINS)
        self.governs = compute_governing_bounds(self.register.versions())
        self.access = SubmissionAccess(OPERATOR, SUBJECT_ACCESS_PURPOSE, self.governs)
        self.references: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        self.done = 0

    def load(self, records: int) -> None:
        """Take records in, and read of some, so that there is a log to read."""
        for number in range(records):
            self.insert(number)
        for number in range(LOG_MAX):
            self.register.restrictions.read_submissions(
                SubmissionSelector("visitor", deterministic(number, "visitor")), self.access, BEGINS
            )

    def insert(self, number: int) -> None:
        """Take a record in, as by a form."""
        row = told(number)
        category, reference = row.pop("category"), new_reference()
        self.references[number], self.numbers[reference] = reference, number
        one = Submission(reference, row.pop("form"), "form", row.pop("visitor"), 1, BEGINS, BEGINS, **row)
        self.register.submissions.record(one, [FieldInput("data", category, data(number))])

    def which(self, one: Operation) -> SubmissionSelector:
        """Return which submissions an operation is about."""
        kind = {"user": "visitor", "purpose": "form"}.get(one.kind.partition("_")[2])
        if kind:
            return SubmissionSelector(kind, deterministic(one.number, kind))  # type: ignore[arg-type]  # one of the words
        return SubmissionSelector("submission", self.references[one.number])

    def do(self, one: Operation) -> Any:
        """Do an operation; one that finds nothing is refused, and returns nothing."""
        action = one.kind.partition("_")[0]
        if one.kind == "insert":
            return self.insert(one.number)
        if one.kind == "log":
            _, bodies = self.register.ledger.last_entries(one.length)
            return len(bodies)
        doing = {"read": self.read, "update": self.update, "delete": self.delete}
        with suppress(RefusedError):
            found = doing[action](one, self.which(one))
            self.done += 1
            return found
        return None

    def read(self, one: Operation, which: SubmissionSelector) -> Any:
        """Read what one says, or what is known of many."""
        if which.kind == "submission":
            return self.register.submissions.read(which.value, self.access, one.at)
        return self.register.restrictions.read_submissions(which, self.access, one.at)

    def update(self, one: Operation, which: SubmissionSelector) -> None:
        """Put right what one says, or set what holds for many."""
        if which.kind == "submission":
            self.register.submissions.correct(which.value, {"data": data(one.number, 1)}, "letter", one.at)
            return
        said: Any = (
            {"field_categories": {"data": value(one)}} if one.name == "category" else {one.name: value(one)}
        )
        self.register.restrictions.set(which, RestrictionChange(**said), "letter", one.at)

    def delete(self, one: Operation, which: SubmissionSelector) -> None:
        """Erase one, or many."""
        self.register.erasures.erase_submissions(which, one.at)

    def copy(self, folder: Path, workload: str) -> "Avowal":
        """Return another of the same; a processor's reads for its purpose, and any other what is held of a person."""
        shutil.copytree(self.folder, folder)
        other = Avowal(folder)
        other.references, other.numbers = dict(self.references), dict(self.numbers)
        if workload == "processor":
            other.access = SubmissionAccess("processor", PURPOSE, self.governs)
        return other

    def lacking(self, before: int) -> list[str]:
        """Return what does not hold of the ledger, and whether more or less was done than its entries say."""
        with self.register.snapshot() as seen:
            entries = [decode_entry(body) for _, body in seen.ledger.entries()]
            state = RegisterState(seen, entries, None, ())
            found = [finding.sentence for check in (check_tree, check_facts) for finding in check(state)]
        told = len(entries) - before
        return (
            found
            if told == self.done
            else [*found, f"{self.done} operations were done, and {told} are told of"]
        )

    def close(self) -> None:
        """Close it."""
        self.batch.close()
        self.register.close()

    def finish(self) -> None:
        """Sign the ledger, and leave nothing of what was deleted."""
        self.register.submissions.delete_orphans()
        self.batch.close()


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
