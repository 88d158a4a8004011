"""Whatever somebody without the signing key does to the store's tables and schema is found, or stands in a list."""

import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from avowal.errors import StoreError
from avowal.register.register import Register, open_register
from avowal.register.stores import Stores
from avowal.store.duckdb_store import STORE_FILE, DuckDBStore
from avowal.store.migrations import read_schema
from avowal.store.store_seal import COUNTED_TABLES
from avowal.verify.schema import check_schema_of_closed_store
from support.complete_site import complete_site
from support.disclosures import PERIOD, RECENT
from support.site import CHROME, Site, line
from support.tamperings import changed, copy_database
from support.verification import assert_found

NOT_FOUND = "what records say is not sealed, only how many there are: see `docs/security.md`"
"""Why a changed value is not found in the tables of `COUNTED_TABLES`; in all others it is."""


def list_tables() -> list[str]:
    """Return the tables of the store's schema."""
    with duckdb.connect(":memory:") as fresh:
        fresh.execute(read_schema())
        return sorted(name for (name,) in fresh.execute("SELECT table_name FROM duckdb_tables()").fetchall())


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return complete_site(tmp_path_factory.mktemp("complete"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return complete_site(tmp_path / "site")


@pytest.fixture(scope="module")
def register(complete: Site) -> Iterator[Register]:
    with closing(open_register(complete.data, complete.folder / "keys", store_file=STORE_FILE)) as opened:
        yield opened


def changed_value(value: Any) -> Any:
    """Return another value of a type."""
    return datetime(2026, 1, 1) if isinstance(value, datetime) else changed(value)  # noqa: DTZ001  # UTC


def tamper_with_table(store: duckdb.DuckDBPyConnection, table: str) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield what can be done to the rows of a table: a name, a statement and its values."""
    rows = store.execute(f'SELECT * FROM "{table}" LIMIT 1').fetchall()
    columns = [description[0] for description in store.description or []]
    if not rows:
        types = [
            kind
            for (kind,) in store.execute(
                f"SELECT data_type FROM duckdb_columns() WHERE table_name = '{table}' ORDER BY column_index"
            ).fetchall()
        ]
        values = ", ".join(
            f"TRY_CAST('1' AS {kind})" if "TIME" not in kind else "now()::TIMESTAMP" for kind in types
        )
        yield "insert", f'INSERT INTO "{table}" SELECT {values}', []
        return
    yield "delete", f'DELETE FROM "{table}" WHERE rowid = (SELECT min(rowid) FROM "{table}")', []
    marks = ", ".join("?" * len(columns))
    yield "insert", f'INSERT INTO "{table}" VALUES ({marks})', [changed_value(value) for value in rows[0]]
    for column, value in zip(columns, rows[0], strict=True):
        if table not in COUNTED_TABLES:
            yield f"change {column}", f'UPDATE "{table}" SET "{column}" = ?', [changed_value(value)]


@pytest.mark.parametrize("table", list_tables())
def test_every_change_of_a_table_of_the_store_is_found(
    complete: Site, register: Register, tmp_path: Path, table: str
) -> None:
    """A row that is inserted or deleted is found in every table, and a changed value in those without records."""
    with duckdb.connect(complete.data / STORE_FILE, read_only=True) as store:
        tamperings = list(tamper_with_table(store, table))
    missed = []
    for name, statement, values in tamperings:
        copy_database(complete.data / STORE_FILE, tmp_path)
        with duckdb.connect(tmp_path / STORE_FILE) as store:
            try:
                if store.execute(statement, values).fetchall() == [(0,)]:
                    continue
            except (duckdb.ConstraintException, duckdb.ConversionException):  # the file does not take it
                continue
        with suppress(StoreError), closing(DuckDBStore(tmp_path, "64MB", registry=register.stores)):
            missed.append(name)
    assert not missed


def test_a_change_of_the_store_is_not_sealed_by_a_later_command(site: Site) -> None:
    """A store with a record more than Avowal wrote is refused by every command, so none seals it as its own."""
    with duckdb.connect(site.data / STORE_FILE) as store:
        store.execute(
            "INSERT INTO requests BY NAME SELECT * REPLACE (999999 AS record_number) FROM requests LIMIT 1"
        )
    log = site.log("d.log", line(0, start=RECENT, address="192.0.2.10", agent=CHROME))
    for command in (("import", log), ("retain",), ("report",)):
        result = site.avowal(*command)
        assert (result.status, result.code) == (1, "store-rows-mismatch")
    assert_found(site, "store-rows-mismatch", "`requests`")


SCHEMA_CHANGES = [
    "DROP TABLE loaded_journals",
    "CREATE TABLE profiles (visitor VARCHAR)",
    "CREATE SCHEMA s; CREATE TABLE s.profiles (visitor VARCHAR)",
    "ALTER TABLE requests ADD COLUMN user_agent VARCHAR",
    "ALTER TABLE requests ALTER load_number DROP NOT NULL",
    "ALTER TABLE requests ALTER country SET DEFAULT 'XX'",
    "CREATE INDEX more ON requests (ip_address)",
    "CREATE OR REPLACE MACRO ip_network(address) AS address",
    "CREATE OR REPLACE MACRO daily_visitor_id(visitor_id, record_time) AS visitor_id",
    "DROP MACRO url_site",
    "CREATE MACRO more() AS 1",
    "CREATE MACRO more() AS TABLE SELECT 1",
    "CREATE VIEW more AS SELECT 1",
    "DROP VIEW collected_records",
    "CREATE SEQUENCE more",
    "CREATE TYPE more AS ENUM ('a')",
    "DROP TABLE store_seal",
    "DROP TABLE probes; CREATE TABLE probes AS SELECT 1 AS page",
]


@pytest.mark.parametrize("statement", SCHEMA_CHANGES)
def test_every_change_of_the_schema_of_the_store_is_found(
    complete: Site, tmp_path: Path, statement: str
) -> None:
    """A table, column, constraint, view, macro, type, sequence or index that was added, dropped or changed is found."""
    copy_database(complete.data / STORE_FILE, tmp_path)
    with duckdb.connect(tmp_path / STORE_FILE) as store:
        store.execute(statement)
    assert list(check_schema_of_closed_store(tmp_path / STORE_FILE))


def test_a_dropped_table_is_named(site: Site) -> None:
    """`avowal verify` names a table that is missing, even if nothing else works without it."""
    with duckdb.connect(site.data / STORE_FILE) as store:
        store.execute("DROP TABLE consent_cursor")
    assert_found(site, "store-schema-mismatch", "`consent_cursor`")


def test_an_older_store_is_refused(site: Site) -> None:
    """A store from before an erasure is refused by every command, and found: the erased visitor does not return."""
    site.import_logs(site.log("d.log", line(0, start=RECENT, address="192.0.2.10", agent=CHROME)))
    key = site.avowal("visitor", "show", "192.0.2.10", *PERIOD, "--json").json()["visitor"]
    older = site.folder / "older.duckdb"
    shutil.copy(site.data / STORE_FILE, older)
    assert site.avowal("visitor", "erase", key, "--expected-records", "1").status == 0
    shutil.copy(older, site.data / STORE_FILE)
    (site.data / f"{STORE_FILE}.wal").unlink(missing_ok=True)
    result = site.avowal("report")
    assert (result.status, result.code) == (1, "store-outdated")
    assert_found(site, "store-outdated")


def test_a_removed_store_is_not_made_anew(site: Site) -> None:
    """Without its store a folder is refused, and no empty one takes its place."""
    (site.data / STORE_FILE).unlink()
    result = site.avowal("report")
    assert (result.status, result.code) == (1, "store-missing")
    assert not (site.data / STORE_FILE).exists()
    assert_found(site, "store-missing")


def test_a_store_may_be_ahead_of_the_register(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed between the commit of the store and that of the register leaves a folder that works."""
    with closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as opened:
        known = opened.stores.known_version()
        with (
            closing(DuckDBStore(site.data, "64MB", registry=opened.stores)) as store,
            monkeypatch.context() as killed,
        ):
            killed.setattr(Stores, "note_version", lambda *_: None)
            store.next_retention_run()
        assert opened.stores.known_version() == known
    assert site.avowal("verify").status == 0
