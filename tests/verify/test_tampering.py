"""Everything that somebody without the signing key can do to the files of a folder is found by `avowal verify`.

The tamperings are generated from the schema and from the files that are there, so a new table or file is tampered with
as well. What is not found stands in `NOT_FOUND`, with the reason; `docs/security.md` says the same.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from avowal.errors import StoreError
from avowal.register.register import REGISTER_FILE, Register
from avowal.register.schema import read_scripts
from avowal.verify.checks import verify_register
from avowal.verify.schema import check_register_schema
from support.complete_site import complete_site
from support.site import Site
from support.tamperings import apply_to_register, copy_database, read_columns, tamper_with_rows
from support.verification import assert_found

NOT_FOUND = {
    ("nodes", "delete all"): "nodes follow from the entries, and are computed again where they are missing",
}
"""Tamperings that are not found, by their place and name, and why."""


def list_tables() -> list[str]:
    """Return the tables of the register's schema."""
    with closing(sqlite3.connect(":memory:")) as file:
        for script in read_scripts():
            file.executescript(script)
        return [
            name
            for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return complete_site(tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="module")
def older_register(complete: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an older copy of the register, of before the last rows of each table."""
    path = tmp_path_factory.mktemp("older") / REGISTER_FILE
    shutil.copy(complete.data / REGISTER_FILE, path)
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA ignore_check_constraints = ON")
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        for table in list_tables():
            columns = ", ".join(f'"{column.name}"' for column in read_columns(file, table))
            file.execute(f"DELETE FROM {table} WHERE ({columns}) = (SELECT {columns} FROM {table} LIMIT 1)")
        file.commit()
    return path


def find_codes(data_folder: Path, keys_folder: Path) -> set[str]:
    """Return the codes of the findings about a register."""
    try:
        with closing(Register(data_folder, keys_folder)) as register:
            return {finding.code for finding in verify_register(register, ()).findings}
    except StoreError as error:
        return {error.code}


@pytest.mark.parametrize("table", list_tables())
def test_every_change_of_a_table_of_the_register_is_found(
    complete: Site, older_register: Path, tmp_path: Path, table: str
) -> None:
    """A row that is inserted, deleted, changed, cleared, swapped or older is found, in every table and column."""
    with closing(sqlite3.connect(complete.data / REGISTER_FILE)) as file:
        columns = read_columns(file, table)
        rows = file.execute(f'SELECT * FROM "{table}"').fetchall()
    with closing(sqlite3.connect(older_register)) as file:
        older_rows = file.execute(f'SELECT * FROM "{table}"').fetchall()
    missed = []
    for tampering in tamper_with_rows(table, columns, rows, older_rows):
        copy_database(complete.data / REGISTER_FILE, tmp_path)
        if apply_to_register(tmp_path / REGISTER_FILE, table, tampering):
            codes = find_codes(tmp_path, complete.folder / "keys")
            if not codes and (table, tampering.name) not in NOT_FOUND:
                missed.append(tampering.name)
    assert not missed


def list_schema_changes() -> Iterator[tuple[str, list[str]]]:
    """Yield what can be done to the schema of the register: a name, and statements."""
    with closing(sqlite3.connect(":memory:")) as file:
        for script in read_scripts():
            file.executescript(script)
        items = file.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    for kind, name, sql in items:
        rewrite = f"UPDATE sqlite_master SET sql = '{{}}' WHERE name = '{name}'"
        if kind != "table":
            yield f"drop {name}", [f"DROP {kind} {name}"]
        if kind == "trigger":
            weaker = (
                sql.replace("BEGIN", "WHEN false BEGIN")
                if "WHEN" not in sql
                else sql.replace("WHEN", "WHEN false AND")
            )
            yield f"weaken {name}", [f"DROP {kind} {name}", weaker]
        if kind == "table":
            yield f"add a column to {name}", [f"ALTER TABLE {name} ADD COLUMN more TEXT"]
            for check in re.findall(r" CHECK \((?:[^()]|\([^()]*\))*\)| NOT NULL| REFERENCES \w+", sql):
                text = sql.replace(check, "", 1).replace("'", "''")
                yield f"drop{check} of {name}", ["PRAGMA writable_schema = ON", rewrite.format(text)]
    yield "add a table", ["CREATE TABLE profiles (visitor TEXT)"]
    yield "add a view", ["CREATE VIEW seen AS SELECT 1"]
    yield "add an index", ["CREATE INDEX more ON readers (name)"]
    yield "add a trigger", ["CREATE TRIGGER more AFTER INSERT ON readers BEGIN SELECT 1; END"]
    for name in ("application_id", "user_version"):
        yield f"change {name}", [f"PRAGMA {name} = 7"]


def test_every_change_of_the_schema_of_the_register_is_found(complete: Site, tmp_path: Path) -> None:
    """A table, view, index, trigger, constraint or mark that was added, dropped or changed is found."""
    missed = []
    for name, statements in list_schema_changes():
        copy_database(complete.data / REGISTER_FILE, tmp_path)
        with closing(sqlite3.connect(tmp_path / REGISTER_FILE)) as file:
            for statement in statements:
                file.execute(statement)
            file.commit()
        with suppress(StoreError), closing(Register(tmp_path, complete.folder / "keys")) as register:
            if not list(check_register_schema(register)):
                missed.append(name)
    assert not missed


def test_nothing_is_written_in_the_name_of_somebody_elses_trigger(complete: Site, tmp_path: Path) -> None:
    """A trigger that changes other rows with a write of Avowal's ends all writing: the seal would bind the change."""
    site = Site(shutil.copytree(complete.folder, tmp_path / "site", ignore=shutil.ignore_patterns("*.sock")))
    with closing(sqlite3.connect(site.data / REGISTER_FILE)) as file:
        change = "UPDATE submissions SET allowed_readers = '[]'"
        file.execute(f"CREATE TRIGGER more AFTER INSERT ON entries BEGIN {change}; END")
    result = site.avowal("user", "add", "dan", "--purposes", "abuse")
    assert (result.status, result.code) == (1, "schema-mismatch")


def test_a_change_is_found_after_avowal_has_changed_the_same_row(complete: Site, tmp_path: Path) -> None:
    """Whatever Avowal writes later, a change by others is found: no write makes it Avowal's own."""
    site = Site(shutil.copytree(complete.folder, tmp_path / "site", ignore=shutil.ignore_patterns("*.sock")))
    with closing(sqlite3.connect(site.data / REGISTER_FILE)) as file:
        ((reference,),) = file.execute("SELECT reference FROM submissions LIMIT 1").fetchall()
        file.execute("UPDATE submissions SET source = 'somebody' WHERE reference = ?", [reference])
        file.commit()
    later = ("submission", "set", reference, "--keep-until", "2027-01-01", "--channel", "letter")
    assert site.avowal(*later).status == 0
    assert site.avowal("submission", "erase", reference).status == 0
    assert_found(site, "register-rows-mismatch", "`submissions`")


def test_an_entry_of_others_is_never_signed(complete: Site, tmp_path: Path) -> None:
    """Avowal signs no checkpoint over an entry that it did not append."""
    site = Site(shutil.copytree(complete.folder, tmp_path / "site", ignore=shutil.ignore_patterns("*.sock")))
    with closing(sqlite3.connect(site.data / REGISTER_FILE)) as file:
        file.execute("INSERT INTO entries (entry, body) SELECT max(entry) + 1, body FROM entries")
        file.commit()
    result = site.avowal("query", "--purpose", "abuse", "SELECT visitor_id FROM requests")
    assert (result.status, result.code) == (1, "ledger-damaged")
    assert_found(site, "register-rows-mismatch", "`entries`")


def test_a_seal_tells_nothing_of_an_erased_row(complete: Site, tmp_path: Path) -> None:
    """After an erasure the sums are those of a register that never had the row."""
    copy_database(complete.data / REGISTER_FILE, tmp_path)
    with closing(Register(tmp_path, complete.folder / "keys")) as register:

        def read_sums() -> dict[str, bytes]:
            with register.database.read() as connection:
                return register.sealer.read(connection).row_sums

        before = read_sums()
        register.erasures.begin(["0123456789abcdef"])
        assert read_sums() != before
        with register.database.transaction() as connection:
            connection.erase("DELETE FROM pending_erasures", {})
        assert read_sums() == {**before, "pending_erasures": bytes(32)}
