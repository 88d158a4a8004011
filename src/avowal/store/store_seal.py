"""The seal of the store: which store a file has, how new it is, and what its tables have to hold.

Of the tables that hold records the numbers of rows are sealed, and of smaller tables everything that they hold. What
the records themselves say is not sealed: `docs/security.md` says why.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hmac import compare_digest
from pathlib import Path

import duckdb
import msgspec

from avowal.errors import StoreError
from avowal.store.interface import StoreRegistry, StoreVersion
from avowal.store.sql_builder import compose, constant, identifier, literal

COUNTED_TABLES = frozenset(
    {
        *("requests", "script_views", "events", "views", "visits", "visitor_governing", "record_changes"),
        *("dropped_lines", "unparsable_lines", "stale_visitors", "probes"),
    }
)
"""Tables of which the seal has the number of rows; of all others it has a hash of the rows."""

STORE_ID_BYTES = 16
RESTORE_HINT = (
    "put back the newest `avowal.duckdb` of this folder, with its `.wal`; or move `data/` away, and give "
    "`avowal restore` the newest backup"
)


class StoreSeal(msgspec.Struct, frozen=True):
    """What was sealed at the end of the last change of a store."""

    version: StoreVersion
    contents: dict[str, str]
    """By table: the number of its rows, or a hash of them."""


def write_seal(
    cursor: duckdb.DuckDBPyConnection, registry: StoreRegistry, *, new_identity: bool = False
) -> StoreVersion:
    """Seal a store at the end of a transaction that changed it; returns its new version."""
    seal = read_seal(cursor, registry)
    store_id = seal.version.store_id if seal and not new_identity else secrets.token_hex(STORE_ID_BYTES)
    version = StoreVersion(store_id, seal.version.generation + 1 if seal else 1)
    sealed = msgspec.json.encode(StoreSeal(version, _read_contents(cursor)), order="sorted")
    cursor.execute("DELETE FROM store_seal")
    cursor.execute("INSERT INTO store_seal VALUES (?, ?)", [sealed.decode(), registry.authenticate(sealed)])
    return version


def read_seal(cursor: duckdb.DuckDBPyConnection, registry: StoreRegistry) -> StoreSeal | None:
    """Return the seal of a store, or None if it has none. Raises StoreError if it is not valid."""
    with suppress(duckdb.CatalogException, msgspec.MsgspecError, ValueError):
        rows = cursor.execute("SELECT sealed, code FROM store_seal").fetchall()
        if not rows:
            return None
        ((sealed, code),) = rows
        if compare_digest(code, registry.authenticate(sealed.encode())):
            return msgspec.json.decode(sealed, type=StoreSeal)
    raise StoreError(
        "the store belongs to another folder, or was changed without Avowal",
        RESTORE_HINT,
        code="store-mismatch",
    )


def find_known_version(path: Path, registry: StoreRegistry | None) -> StoreVersion | None:
    """Return the version of the store that the register knows. Raises StoreError if its file is missing."""
    known = registry.known_version() if registry else None
    if known and not path.exists():
        raise StoreError(
            f"`{path}` is missing, which has the stored data", RESTORE_HINT, code="store-missing"
        )
    return known


def check_seal(
    cursor: duckdb.DuckDBPyConnection, registry: StoreRegistry | None, known: StoreVersion | None
) -> None:
    """Check the seal of a store, and that its tables hold what was sealed.

    The next change seals whatever the tables hold then, so nothing may be written into a store that was changed without
    Avowal. Raises StoreError if it was, or if it is not the store that the register knows, or an older copy.
    """
    seal = read_seal(cursor, registry) if registry else None
    if known is None:
        return
    if seal is None or seal.version.store_id != known.store_id:
        raise StoreError(
            "the store is not the one that the register knows", RESTORE_HINT, code="store-mismatch"
        )
    if seal.version.generation < known.generation:
        raise StoreError(
            f"the store is an older copy: {known.generation - seal.version.generation} changes are missing, such as "
            "erasures",
            RESTORE_HINT,
            code="store-outdated",
        )
    with _damage_as_store_error():
        changed_tables = _compare_contents(seal, _read_contents(cursor))
    if changed_tables:
        raise StoreError(
            f"the store was changed without Avowal: {', '.join(f'`{table}`' for table in changed_tables)}",
            RESTORE_HINT,
            code="store-rows-mismatch",
        )


def find_changed_tables(cursor: duckdb.DuckDBPyConnection, registry: StoreRegistry) -> list[str]:
    """Return the tables that do not hold what was sealed, after reading every block of the file.

    Raises StoreError if the seal is not valid, or a block is damaged.
    """
    with _damage_as_store_error():
        cursor.execute("BEGIN")
        seal, contents = read_seal(cursor, registry), _read_contents(cursor)
        for table in contents:
            cursor.execute(
                compose("SELECT sum(hash(stored)) FROM {table} AS stored", table=identifier(table)).text
            )
            cursor.fetchall()
        cursor.execute("COMMIT")
    return _compare_contents(seal, contents)


@contextmanager
def _damage_as_store_error() -> Iterator[None]:
    """Raise StoreError if the tables cannot be read."""
    try:
        yield
    except duckdb.Error as error:
        raise StoreError(
            f"the store is damaged ({type(error).__name__})", RESTORE_HINT, code="store-damaged"
        ) from None


def _compare_contents(seal: StoreSeal | None, contents: dict[str, str]) -> list[str]:
    """Return the tables that do not hold what was sealed."""
    sealed = seal.contents if seal else {}
    return sorted(name for name in sealed.keys() | contents.keys() if sealed.get(name) != contents.get(name))


def _read_contents(cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return what a store's tables hold, as the seal has it."""
    tables = cursor.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
    ).fetchall()
    parts = [
        compose(
            "SELECT {name}, {content} FROM {table} AS stored",
            name=literal(name),
            content=_COUNT if name in COUNTED_TABLES else _HASH,
            table=identifier(name),
        ).text
        for (name,) in tables
        if name != "store_seal"
    ]
    return dict(cursor.execute(" UNION ALL ".join(parts)).fetchall())


_COUNT = constant("CAST(count(*) AS VARCHAR)")
_HASH = constant(
    "sha256(coalesce(string_agg(CAST(stored AS VARCHAR), chr(10) ORDER BY CAST(stored AS VARCHAR)), ''))"
)
