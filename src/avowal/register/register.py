"""The register: what is promised, in which words, and since when."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from avowal.errors import StoreError
from avowal.ledger.entry import DocumentsCorrected, VersionPublished, VersionWithdrawn, hash_text
from avowal.policy.bounds import CompiledTerms, parse_canonical
from avowal.register.authorisations import Authorisations
from avowal.register.consents import Consents
from avowal.register.database import Database
from avowal.register.erasures import Erasures
from avowal.register.feeds import Feeds
from avowal.register.ledger_storage import (
    LEDGER_KEY_FILE,
    Ledger,
    append_entries,
    count_entries,
    count_tree_leaves,
    extend_tree,
)
from avowal.register.notices import Notice, Notices, hash_notices, insert_notices
from avowal.register.objections import Objections
from avowal.register.passwords import Passwords
from avowal.register.processors import Processors
from avowal.register.readers import Readers
from avowal.register.release_requests import ReleaseRequests
from avowal.register.releases import Releases
from avowal.register.restrictions import Restrictions
from avowal.register.retentions import RetentionRuns
from avowal.register.submissions import Submissions
from avowal.register.tables import DOCUMENTS, PUBLICATIONS, STANDING, WITHDRAWALS
from avowal.submissions.encryption import SUBMISSION_KEYS_FILE, SubmissionCipher

REGISTER_FILE = "register.sqlite"


class Version(msgspec.Struct, frozen=True, dict=True):
    """A version: what is promised from a moment on. Times are UTC."""

    number: int
    identity: str
    canonical_terms: str
    terms_text: str
    """The file of terms as it was published."""
    effective_at: datetime
    published_at: datetime

    @cached_property
    def compiled_terms(self) -> CompiledTerms:
        """What it promises, with the words that it was compiled with."""
        return parse_canonical(self.canonical_terms.encode())

    def to_ledger_entry(
        self, documents: Sequence["PublishedDocument"], notices: Sequence[Notice]
    ) -> VersionPublished:
        """Return what the ledger says of its publication."""
        return VersionPublished(
            self.number,
            self.identity,
            hash_text(self.terms_text),
            _hashes(documents),
            self.effective_at,
            self.published_at,
            hash_notices(notices),
        )


class PublishedDocument(msgspec.Struct, frozen=True):
    """The document of a version in one language, as it was recorded."""

    language: str
    text: str
    recorded_at: datetime

    @property
    def sha256(self) -> str:
        """The hash of its text, in hexadecimal."""
        return hash_text(self.text)


class Register(Protocol):
    """Keeps versions, their documents and notices, consents, and who reads; and the ledger of all that.

    Durable: what a method that writes has returned from survives a crash and a loss of power. Atomic: each is done
    wholly or not at all. Concurrent: any number of threads and processes may call; writers take turns, and readers
    see the state before or after a write, never within. Nothing that was published or consented to can be changed or
    removed, not even by a statement of SQL that tries to; only who it was that consented can be erased.
    """

    ledger: Ledger
    consents: Consents
    notices: Notices
    readers: Readers
    retention_runs: RetentionRuns
    erasures: Erasures
    submissions: Submissions
    objections: Objections
    restrictions: Restrictions
    processors: Processors
    feeds: Feeds
    authorisations: Authorisations
    release_requests: ReleaseRequests
    releases: Releases

    def versions(self) -> list[Version]:
        """Return every version in the order of their numbers, from 1 without a gap; scheduled ones too."""
        ...

    def documents(self, number: int) -> list[PublishedDocument]:
        """Return the documents that are shown for a version, by language."""
        ...

    def publish(
        self, version: Version, documents: Sequence[PublishedDocument], notices: Sequence[Notice] = ()
    ) -> None:
        """Add a version with its documents and its notice in their languages.

        Raises StoreError where its number is not the next one, or it would take effect before the one before it.
        """
        ...

    def correct_documents(self, number: int, documents: Sequence[PublishedDocument]) -> None:
        """Add documents that take the place of a version's in their languages.

        Raises StoreError where there is no such version.
        """
        ...

    def withdraw(self, number: int, now: datetime) -> None:
        """Take back the last version. Raises StoreError where it is not the last, or has taken effect."""
        ...


class SqliteRegister:
    """See Register for what it promises. One file in WAL mode, so that readers never wait for a writer."""

    def __init__(self, folder: Path, keys_folder: Path, database: Database | None = None) -> None:
        """Open the register of a data folder, and make it where there is none; `keys` has the ledger's key.

        `database` is its file, where that is open. Raises StoreError where the file cannot be opened, or was made by a
        newer Avowal.
        """
        self._path = folder / REGISTER_FILE
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys = keys_folder
        self.database = database = database or Database(self._path)
        self.engine = database.engine
        self._watching: sqlite3.Connection | None = None
        self.ledger = Ledger(database, keys_folder)
        self.consents = Consents(database)
        self.notices = Notices(database)
        self.readers = Readers(database)
        self.retention_runs = RetentionRuns(database)
        self.erasures = Erasures(database)
        self.passwords = Passwords(database)
        self.release_requests = ReleaseRequests(database)
        self.releases = Releases(database)
        self.authorisations = Authorisations(database)
        self.processors = Processors(database)
        self.feeds = Feeds(database)
        self.objections = Objections(database)
        self.restrictions = Restrictions(database)
        self.submissions = Submissions(database, SubmissionCipher(keys_folder / SUBMISSION_KEYS_FILE), folder)
        try:
            self._migrate()
        except sa.exc.DatabaseError as error:
            raise StoreError(
                f"`{self._path}` cannot be opened ({type(error.orig).__name__})",
                "if it is damaged, put it back from a backup, together with the data",
                code="store-unusable",
            ) from None

    def close(self) -> None:
        """Leave the register as it is."""
        if self._watching:
            self._watching.close()
        self.database.close()

    @contextmanager
    def snapshot(self) -> Iterator["SqliteRegister"]:
        """Give the register as it is at one moment, to be read, with the ledger's tree grown over all its entries.

        Raises ProofError where one of these is missing.
        """
        while True:
            with self.database.driver_transaction() as connection:
                extend_tree(connection)
            with self.database.snapshot() as database:
                with database.driver_connection() as connection:
                    there = count_entries(connection) <= count_tree_leaves(connection)
                if there:  # else somebody added an entry in between
                    yield SqliteRegister(self._path.parent, self._keys, database)
                    return

    def data_version(self) -> int:
        """Return a number that changes with whatever anybody writes to the register. One thread may ask."""
        if self._watching is None:
            self._watching = sqlite3.connect(self._path)  # one that never begins a transaction
        ((stamp,),) = self._watching.execute("PRAGMA data_version").fetchall()
        return int(stamp)

    def versions(self) -> list[Version]:
        """See Register."""
        columns = [PUBLICATIONS.c[name] for name in Version.__struct_fields__]
        statement = sa.select(*columns).where(STANDING).order_by(PUBLICATIONS.c.number)
        with self.engine.connect() as connection:
            return [Version(*row) for row in connection.execute(statement)]

    def documents(self, number: int) -> list[PublishedDocument]:
        """See Register."""
        statement = (
            sa.select(DOCUMENTS.c.language, DOCUMENTS.c.text, DOCUMENTS.c.recorded_at)
            .join(PUBLICATIONS, PUBLICATIONS.c.publication == DOCUMENTS.c.publication)
            .where(STANDING, PUBLICATIONS.c.number == number)
            .order_by(DOCUMENTS.c.document)
        )
        with self.engine.connect() as connection:
            shown = {
                page.language: page
                for page in (PublishedDocument(*row) for row in connection.execute(statement))
            }
        return [shown[language] for language in sorted(shown)]

    def publish(
        self, version: Version, documents: Sequence[PublishedDocument], notices: Sequence[Notice] = ()
    ) -> None:
        """See Register."""
        with self.database.write_transaction() as connection:
            last = self._last(connection)
            if version.number != (last.number if last else 0) + 1 or (
                last and version.effective_at <= last.effective_at
            ):
                raise StoreError(
                    f"version {version.number} does not follow on the last one",
                    "another was published meanwhile: look at `avowal policy history`, and publish again",
                    code="version-out-of-order",
                )
            row = msgspec.structs.asdict(version)
            connection.execute(sa.insert(PUBLICATIONS).values(row))
            publication = self._publication(connection, version.number)
            _record(connection, publication, documents)
            insert_notices(connection, publication, notices)
            append_entries(connection, [version.to_ledger_entry(documents, notices)])

    def correct_documents(self, number: int, documents: Sequence[PublishedDocument]) -> None:
        """See Register."""
        with self.database.write_transaction() as connection:
            _record(connection, self._publication(connection, number), documents)
            identity = connection.execute(
                sa.select(PUBLICATIONS.c.identity).where(STANDING, PUBLICATIONS.c.number == number)
            ).scalar_one()
            recorded = max(page.recorded_at for page in documents)
            append_entries(connection, [DocumentsCorrected(number, identity, _hashes(documents), recorded)])

    def withdraw(self, number: int, now: datetime) -> None:
        """See Register."""
        with self.database.write_transaction() as connection:
            last = self._last(connection)
            if last is None or last.number != number or last.effective_at <= now:
                raise StoreError(
                    f"version {number} is not one that is still to take effect, and the last",
                    "what has taken effect stays; publish another version instead",
                    code="version-in-effect",
                )
            row = {"publication": self._publication(connection, number), "withdrawn_at": now}
            connection.execute(sa.insert(WITHDRAWALS).values(row))
            append_entries(connection, [VersionWithdrawn(number, last.identity, now)])

    def _last(self, connection: sa.Connection) -> sa.Row[Any] | None:
        statement = sa.select(PUBLICATIONS).where(STANDING).order_by(PUBLICATIONS.c.number.desc())
        return connection.execute(statement).first()

    def _publication(self, connection: sa.Connection, number: int) -> int:
        statement = sa.select(PUBLICATIONS.c.publication).where(STANDING, PUBLICATIONS.c.number == number)
        found = connection.execute(statement).scalar()
        if found is None:
            raise StoreError(
                f"there is no version {number}",
                "`avowal policy history` tells which there are",
                code="version-not-found",
            )
        return int(found)

    def _migrate(self) -> None:
        """Bring the schema to the newest number; each migration is done wholly or not at all."""
        files = [resources.files("avowal.register") / "sql" / "schema.sql"]
        with self.engine.connect() as connection:
            done = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
        if done > len(files):
            raise StoreError(
                f"the register is of a newer Avowal (migration {done}; this one knows {len(files)})",
                "use the newer one",
                code="newer-store",
            )
        for number, file in enumerate(files[done:], done + 1):
            with self.database.write_transaction() as connection:
                if connection.exec_driver_sql("PRAGMA user_version").scalar() == number - 1:
                    for statement in _statements(file.read_text(encoding="utf-8")):
                        connection.exec_driver_sql(statement)
                    connection.exec_driver_sql(f"PRAGMA user_version = {number}")


def open_register(
    folder: Path, keys_folder: Path, *, store_file: str, check_ledger: bool = True
) -> SqliteRegister:
    """Open the register of a data folder, and look whether its ledger's last checkpoint holds, unless told not to.

    A lost register is never made anew beside the store or the key that belong to it. Raises StoreError where it is
    lost, ProofError where the ledger is not what was signed, and as SqliteRegister does.
    """
    began = (folder / store_file).exists() or (
        keys_folder / LEDGER_KEY_FILE
    ).exists()  # looked at first, as these are made last
    if began and not (folder / REGISTER_FILE).exists():
        raise StoreError(
            f"`{folder / REGISTER_FILE}` is missing: nobody can tell what was promised of what is kept",
            "put it back from the same backup as the data",
            code="store-missing",
        )
    register = SqliteRegister(folder, keys_folder)
    try:
        if check_ledger:
            register.ledger.check_last_checkpoint()
    except BaseException:
        register.close()
        raise
    return register


def _hashes(pages: Sequence[PublishedDocument]) -> dict[str, str]:
    return {page.language: page.sha256 for page in pages}


def _record(connection: sa.Connection, publication: int, pages: Sequence[PublishedDocument]) -> None:
    for page in pages:
        row = {**msgspec.structs.asdict(page), "sha256": page.sha256, "publication": publication}
        connection.execute(sa.insert(DOCUMENTS).values(row))


def _statements(script: str) -> Iterator[str]:
    """Take a script apart into its statements; a trigger's inner ones stay in it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
