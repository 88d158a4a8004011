"""The register: what is promised, in which words, and since when."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from avow.errors import StoreError
from avow.policy.bounds import Compiled, read_canonical

FILE = "register.sqlite"
BUSY_SECONDS = 10
"""How long to wait for another process that writes."""


class Version(msgspec.Struct, frozen=True, dict=True):
    """A version: what is promised from a moment on. Times are UTC."""

    number: int
    identity: str
    canonical: str
    terms: str
    """The file of terms as it was published."""
    effective_at: datetime
    published_at: datetime

    @cached_property
    def promised(self) -> Compiled:
        """What it promises, with the words that it was compiled with."""
        return read_canonical(self.canonical.encode())


class Page(msgspec.Struct, frozen=True):
    """The document of a version in one language, as it was recorded."""

    language: str
    text: str
    recorded_at: datetime

    @property
    def sha256(self) -> str:
        """The hash of its text, in hexadecimal."""
        return sha256(self.text.encode()).hexdigest()


class Register(Protocol):
    """Keeps versions and their documents.

    Durable: what a method that writes has returned from survives a crash and a loss of power. Atomic: each is done
    wholly or not at all. Concurrent: any number of threads and processes may call; writers take turns, and readers
    see the state before or after a write, never within. Nothing that was published can be changed or removed, not
    even by a statement of SQL that tries to.
    """

    def versions(self) -> list[Version]:
        """Return every version in the order of their numbers, from 1 without a gap; scheduled ones too."""
        ...

    def pages(self, number: int) -> list[Page]:
        """Return the documents that are shown for a version, by language."""
        ...

    def publish(self, version: Version, pages: Sequence[Page]) -> None:
        """Add a version with its documents.

        Raises StoreError where its number is not the next one, or it would take effect before the one before it.
        """
        ...

    def correct(self, number: int, pages: Sequence[Page]) -> None:
        """Add documents that take the place of a version's in their languages.

        Raises StoreError where there is no such version.
        """
        ...

    def withdraw(self, number: int, now: datetime) -> None:
        """Take back the last version. Raises StoreError where it is not the last, or has taken effect."""
        ...


_METADATA = sa.MetaData()
_PUBLICATIONS = sa.Table(
    "publications",
    _METADATA,
    sa.Column("publication", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer),
    sa.Column("identity", sa.Text),
    sa.Column("canonical", sa.Text),
    sa.Column("terms", sa.Text),
    sa.Column("effective_at", sa.DateTime),
    sa.Column("published_at", sa.DateTime),
)
_WITHDRAWALS = sa.Table(
    "withdrawals",
    _METADATA,
    sa.Column("publication", sa.Integer, primary_key=True),
    sa.Column("withdrawn_at", sa.DateTime),
)
_DOCUMENTS = sa.Table(
    "documents",
    _METADATA,
    sa.Column("document", sa.Integer, primary_key=True),
    sa.Column("publication", sa.Integer),
    sa.Column("language", sa.Text),
    sa.Column("text", sa.Text),
    sa.Column("sha256", sa.Text),
    sa.Column("recorded_at", sa.DateTime),
)
_STANDING = _PUBLICATIONS.c.publication.not_in(sa.select(_WITHDRAWALS.c.publication))


class SqliteRegister:
    """See Register for what it promises. One file in WAL mode, so that readers never wait for a writer."""

    def __init__(self, folder: Path) -> None:
        """Open the register of a data folder, and make it where there is none.

        Raises StoreError where the file cannot be opened or was made by a newer Avow.
        """
        self._path = folder / FILE
        self._engine = sa.create_engine(f"sqlite:///{self._path}", connect_args={"timeout": BUSY_SECONDS})
        sa.event.listen(self._engine, "connect", _prepare)
        sa.event.listen(self._engine, "begin", _begin)
        try:
            self._migrate()
        except sa.exc.DatabaseError as error:
            raise StoreError(
                f"`{self._path}` cannot be opened ({type(error.orig).__name__})",
                "if it is damaged, put it back from a backup, together with the data",
            ) from None

    def close(self) -> None:
        """Leave the register as it is."""
        self._engine.dispose()

    def versions(self) -> list[Version]:
        """See Register."""
        columns = [_PUBLICATIONS.c[name] for name in Version.__struct_fields__]
        statement = sa.select(*columns).where(_STANDING).order_by(_PUBLICATIONS.c.number)
        with self._engine.connect() as connection:
            return [Version(*row) for row in connection.execute(statement)]

    def pages(self, number: int) -> list[Page]:
        """See Register."""
        statement = (
            sa.select(_DOCUMENTS.c.language, _DOCUMENTS.c.text, _DOCUMENTS.c.recorded_at)
            .join(_PUBLICATIONS, _PUBLICATIONS.c.publication == _DOCUMENTS.c.publication)
            .where(_STANDING, _PUBLICATIONS.c.number == number)
            .order_by(_DOCUMENTS.c.document)
        )
        with self._engine.connect() as connection:
            shown = {page.language: page for page in (Page(*row) for row in connection.execute(statement))}
        return [shown[language] for language in sorted(shown)]

    def publish(self, version: Version, pages: Sequence[Page]) -> None:
        """See Register."""
        with self._write() as connection:
            last = self._last(connection)
            if version.number != (last.number if last else 0) + 1 or (
                last and version.effective_at <= last.effective_at
            ):
                raise StoreError(
                    f"version {version.number} does not follow on the last one",
                    "another was published meanwhile: look at `avow policy history`, and publish again",
                )
            row = msgspec.structs.asdict(version)
            connection.execute(sa.insert(_PUBLICATIONS).values(row))
            _record(connection, self._publication(connection, version.number), pages)

    def correct(self, number: int, pages: Sequence[Page]) -> None:
        """See Register."""
        with self._write() as connection:
            _record(connection, self._publication(connection, number), pages)

    def withdraw(self, number: int, now: datetime) -> None:
        """See Register."""
        with self._write() as connection:
            last = self._last(connection)
            if last is None or last.number != number or last.effective_at <= now:
                raise StoreError(
                    f"version {number} is not one that is still to take effect, and the last",
                    "what has taken effect stays; publish another version instead",
                )
            row = {"publication": self._publication(connection, number), "withdrawn_at": now}
            connection.execute(sa.insert(_WITHDRAWALS).values(row))

    def _last(self, connection: sa.Connection) -> sa.Row[Any] | None:
        statement = sa.select(_PUBLICATIONS).where(_STANDING).order_by(_PUBLICATIONS.c.number.desc())
        return connection.execute(statement).first()

    def _publication(self, connection: sa.Connection, number: int) -> int:
        statement = sa.select(_PUBLICATIONS.c.publication).where(_STANDING, _PUBLICATIONS.c.number == number)
        found = connection.execute(statement).scalar()
        if found is None:
            raise StoreError(f"there is no version {number}", "`avow policy history` tells which there are")
        return int(found)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that keeps other writers waiting from its beginning."""
        with self._engine.connect().execution_options(avow_writes=True) as connection, connection.begin():
            yield connection

    def _migrate(self) -> None:
        """Bring the schema to the newest number; each migration is done wholly or not at all."""
        folder = resources.files("avow.keep") / "sql" / "register"
        files = sorted(
            (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name
        )
        with self._engine.connect() as connection:
            done = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
        if done > len(files):
            raise StoreError(
                f"the register is of a newer Avow (migration {done}; this one knows {len(files)})",
                "use the newer one",
            )
        for number, file in enumerate(files[done:], done + 1):
            with self._write() as connection:
                if connection.exec_driver_sql("PRAGMA user_version").scalar() == number - 1:
                    for statement in _statements(file.read_text(encoding="utf-8")):
                        connection.exec_driver_sql(statement)
                    connection.exec_driver_sql(f"PRAGMA user_version = {number}")


def open_register(folder: Path, *, store: str) -> SqliteRegister:
    """Open the register of a data folder. A lost one is never made anew beside the store that it belongs to.

    Raises StoreError where it is lost, and as SqliteRegister does.
    """
    if (folder / store).exists() and not (folder / FILE).exists():
        raise StoreError(
            f"`{folder / FILE}` is missing: nobody can tell what was promised of what is kept",
            "put it back from the same backup as the data",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return SqliteRegister(folder)


def _record(connection: sa.Connection, publication: int, pages: Sequence[Page]) -> None:
    for page in pages:
        row = {**msgspec.structs.asdict(page), "sha256": page.sha256, "publication": publication}
        connection.execute(sa.insert(_DOCUMENTS).values(row))


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    """Set up a connection: durable at each commit, nothing left of what was deleted, transactions begun by us."""
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("avow_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _statements(script: str) -> Iterator[str]:
    """Take a script apart into its statements; a trigger's inner ones stay in it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
