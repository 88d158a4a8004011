"""The register: versions of the terms, and everything that is recorded about them and under them."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec

from avowal.atomic_files import lock_folder
from avowal.errors import StoreError
from avowal.ledger.entry import DocumentsCorrected, VersionPublished, VersionWithdrawn, hash_text
from avowal.ledger.restore_entry import BackupRestored
from avowal.policy.bounds import CompiledTerms, parse_canonical
from avowal.policy.form import Form
from avowal.policy.prose_check import ProseCheck, decode_checks
from avowal.policy.terms import Terms, parse_published_terms
from avowal.private_files import check_private_folder
from avowal.register.authorisations import Authorisations
from avowal.register.consents import Consents
from avowal.register.database import Connection, Database
from avowal.register.erased_list import ErasedList
from avowal.register.erasures import Erasures
from avowal.register.feeds import Feeds
from avowal.register.known_keys import KnownKeys
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
from avowal.register.repository import parse_time, to_parameters
from avowal.register.restrictions import Restrictions
from avowal.register.retention_runs import RetentionRuns
from avowal.register.schema import migrate, read_scripts
from avowal.register.seal import RegisterSealer
from avowal.register.statements import load_statements
from avowal.register.stores import Stores
from avowal.register.submissions import Submissions
from avowal.storage_errors import explain
from avowal.submissions.encryption import SUBMISSION_KEYS_FILE, SubmissionCipher

REGISTER_FILE = "register.sqlite"
SQL = load_statements("avowal.register", "versions")


TERMS_DOCUMENT = "terms"
"""Stands for the language of a corrected text of the terms. It is no language tag."""
PROSE_CHECK_DOCUMENT = "prose-check"
"""Stands for the language of what the comparison of the documents with the terms found. It is no language tag."""


class Version(msgspec.Struct, frozen=True, dict=True):
    """A version of the terms, in force from a time on. Times are UTC."""

    number: int
    identity: str
    canonical_terms: str
    terms_text: str
    """The text of the terms as it was published, or corrected last."""
    effective_at: datetime
    published_at: datetime

    @cached_property
    def compiled_terms(self) -> CompiledTerms:
        """The terms, compiled with the vocabulary and by the rules of their time."""
        return parse_canonical(self.canonical_terms.encode())

    @property
    def terms(self) -> Terms:
        """The terms as they were published; what they permit is in `compiled_terms`."""
        return parse_published_terms(self.terms_text)

    @property
    def forms(self) -> dict[str, Form]:
        """The forms of the terms, by name."""
        return {form.name: form for form in self.terms.forms}

    def to_ledger_entry(
        self, documents: Sequence["PublishedDocument"], notices: Sequence[Notice]
    ) -> VersionPublished:
        """Return the entry of its publication in the ledger."""
        return VersionPublished(
            self.number,
            self.identity,
            hash_text(self.terms_text),
            _hash_documents(documents),
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


class Register:
    """Versions with their documents and notices, consents, readers, submissions and disclosures, and the ledger.

    Durable: what a method that writes has returned from survives a crash and a loss of power. Atomic: each is done
    wholly or not at all. Concurrent: any number of threads and processes may call; writers take turns, and readers
    see the state before or after a write, never within. Nothing that was published or consented to can be changed or
    removed, not even by an SQL statement that tries to; only who consented can be erased.
    """

    def __init__(self, folder: Path, keys_folder: Path, database: Database | None = None) -> None:
        """Open the register of a data folder, and create it if there is none; `keys_folder` has the ledger's key.

        `database` is its file if that is open. Raises StoreError if the file cannot be opened, or was written by
        another build of Avowal.
        """
        self._path = folder / REGISTER_FILE
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keys = keys_folder
        self.database = database = database or Database(self._path)
        self._watcher: sqlite3.Connection | None = None
        self.ledger = Ledger(database, keys_folder)
        self.consents = Consents(database)
        self.notices = Notices(database)
        self.readers = Readers(database)
        self.retention_runs = RetentionRuns(database)
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
            migrate(database, read_scripts())
        except sqlite3.DatabaseError as error:
            raise explain(error, self._path) or StoreError(
                f"`{self._path}` cannot be opened ({type(error).__name__})",
                "if it is damaged, move `data/` away, and give `avowal restore` the newest backup",
                code="store-unusable",
            ) from None
        self.sealer = RegisterSealer(lambda: self.ledger.signer.secret_key, keys_folder)
        database.sealer = self.sealer
        self.erased_list = ErasedList(database, self.sealer, keys_folder)
        self.erasures = Erasures(database, self.erased_list)
        self.stores = Stores(database, self.sealer)
        self.known_keys = KnownKeys(database, self.sealer, keys_folder, self.erased_list)

    def close(self) -> None:
        """Sign what is not signed yet, and close the file."""
        if self._watcher:
            self._watcher.close()
        self.database.close()

    @contextmanager
    def snapshot(self) -> Iterator["Register"]:
        """Give the register as it is at this moment, for reading, with a tree that covers all entries.

        Raises ProofError if an entry is missing.
        """
        while True:
            with self.database.transaction() as connection:
                extend_tree(connection)
            with self.database.snapshot() as database:
                with database.read() as connection:
                    is_complete = count_entries(connection) <= count_tree_leaves(connection)
                if is_complete:  # else somebody appended an entry in between
                    yield Register(self._path.parent, self._keys, database)
                    return

    @contextmanager
    def publication_lock(self) -> Iterator[None]:
        """Keep waiting whoever is about to collect, so that a version takes effect for all at the same moment.

        The time from which a version is in force must be read within the block.
        """
        with lock_folder(self._path.parent, exclusive=True):
            yield

    def await_publication(self) -> None:
        """Wait until no version is being published. What is published later takes effect after the call."""
        with lock_folder(self._path.parent, exclusive=False):
            pass

    def check(self) -> None:
        """Compare the register with what was published beside the key.

        Raises ProofError if the ledger does not match its last checkpoint, or the register is an older copy.
        """
        self.ledger.check_last_checkpoint()
        published_sequence = self.sealer.read_published_sequence()
        with self.database.read() as connection:
            self.sealer.check_age(self.sealer.read(connection), published_sequence)

    def data_version(self) -> int:
        """Return a number that changes with every write to the register. Only one thread may call this.

        A version that is published after the call takes effect after it.
        """
        self.await_publication()
        if self._watcher is None:
            self._watcher = sqlite3.connect(self._path)  # a connection without transactions of its own
        ((number,),) = self._watcher.execute("PRAGMA data_version").fetchall()
        return int(number)

    def versions(self) -> list[Version]:
        """Return every version in the order of their numbers, from 1 without a gap; scheduled ones too."""
        with self.database.read() as connection:
            rows = connection.execute(SQL["select_versions"]).fetchall()
        return [
            Version(number, identity, canonical, text, parse_time(effective_at), parse_time(published_at))
            for number, identity, canonical, text, effective_at, published_at in rows
        ]

    def documents(self, number: int) -> list[PublishedDocument]:
        """Return the documents that are shown for a version, by language."""
        last = self._read_documents(number)
        return [last[language] for language in sorted(last.keys() - {TERMS_DOCUMENT, PROSE_CHECK_DOCUMENT})]

    def prose_checks(self, number: int) -> list[ProseCheck]:
        """Return what the comparison of the documents of a version with its terms found, as it was recorded."""
        check = self._read_documents(number).get(PROSE_CHECK_DOCUMENT)
        return decode_checks(check.text) if check else []

    def _read_documents(self, number: int) -> dict[str, PublishedDocument]:
        """Return the last document of a version in each language."""
        with self.database.read() as connection:
            rows = connection.execute(SQL["select_documents"], {"number": number}).fetchall()
        return {
            language: PublishedDocument(language, text, parse_time(recorded_at))
            for language, text, recorded_at in rows
        }

    def publish(
        self, version: Version, documents: Sequence[PublishedDocument], notices: Sequence[Notice] = ()
    ) -> None:
        """Add a version with its documents and its notice in their languages.

        Raises StoreError if its number is not the next one, or it would take effect before the version before it.
        """
        with self.database.transaction() as connection:
            last = connection.execute(SQL["select_last_version"]).fetchone()
            _, last_number, _, last_effective_at = last or (None, 0, "", "")
            if version.number != last_number + 1 or (
                last and version.effective_at <= parse_time(last_effective_at)
            ):
                raise StoreError(
                    f"version {version.number} does not follow the last one",
                    "another version was published meanwhile; read `avowal policy history`, and publish again",
                    code="version-out-of-order",
                )
            number = connection.execute(SQL["insert_version"], to_parameters(version)).lastrowid
            assert number is not None  # noqa: S101  # SQLite always returns it
            _insert_documents(connection, number, documents)
            insert_notices(connection, number, notices)
            append_entries(connection, [version.to_ledger_entry(documents, notices)])

    def correct_documents(self, number: int, documents: Sequence[PublishedDocument]) -> None:
        """Add documents that replace those of a version in their languages, or a text that replaces that of its terms.

        Raises StoreError if there is no such version.
        """
        with self.database.transaction() as connection:
            row = connection.execute(SQL["select_version"], {"number": number}).fetchone()
            if row is None:
                raise StoreError(
                    f"there is no version {number}",
                    "`avowal policy history` lists the versions",
                    code="version-not-found",
                )
            publication, identity = row
            _insert_documents(connection, publication, documents)
            recorded_at = max(document.recorded_at for document in documents)
            entry = DocumentsCorrected(number, identity, _hash_documents(documents), recorded_at)
            append_entries(connection, [entry])

    def withdraw(self, number: int, now: datetime) -> None:
        """Withdraw the last version. Raises StoreError if it is not the last, or has taken effect."""
        with self.database.transaction() as connection:
            row = connection.execute(SQL["select_last_version"]).fetchone()
            publication, last_number, identity, effective_at = row or (None, 0, "", "")
            if last_number != number or row is None or parse_time(effective_at) <= now:
                raise StoreError(
                    f"version {number} is not the last one, or has taken effect",
                    "a version in effect stays; publish another one instead",
                    code="version-in-effect",
                )
            values = to_parameters({"publication": publication, "withdrawn_at": now})
            connection.execute(SQL["insert_withdrawal"], values)
            append_entries(connection, [VersionWithdrawn(number, identity, now)])


def record_restored_backup(register: Register, entry: BackupRestored) -> int:
    """Append the entry of a restored backup; returns its number.

    No copy from before has the number of its seal, nor a greater one.
    """
    sealer = register.sealer
    published = sealer.read_published_sequence()
    if published is None:
        sealer.replace_published_sequence(entry.sequence)
    with register.database.transaction() as connection:
        connection.sequence_after = max(entry.last_sequence, published or 0)
        return append_entries(connection, [entry])


def open_register(folder: Path, keys_folder: Path, *, store_file: str, check_ledger: bool = True) -> Register:
    """Open the register of a data folder; compare its ledger with the last checkpoint if `check_ledger` is true.

    A missing register is not created if its store or key exists. Raises StoreError if it is missing or cannot be
    opened, or if a file is not safe, and ProofError if the ledger does not match the checkpoint.
    """
    check_private_folder(folder)
    check_private_folder(keys_folder, has_secrets=True)
    # These files are created after the register, so they are looked for before it.
    was_in_use = (folder / store_file).exists() or (keys_folder / LEDGER_KEY_FILE).exists()
    if was_in_use and not (folder / REGISTER_FILE).exists():
        raise StoreError(
            f"`{folder / REGISTER_FILE}` is missing, which has the terms that apply to the stored data",
            "put it back; or move `data/` away, and give `avowal restore` the newest backup",
            code="store-missing",
        )
    register = Register(folder, keys_folder)
    try:
        if check_ledger:
            register.check()
    except BaseException:
        register.close()
        raise
    return register


def _hash_documents(documents: Sequence[PublishedDocument]) -> dict[str, str]:
    return {document.language: document.sha256 for document in documents}


def _insert_documents(
    connection: Connection, publication: int, documents: Sequence[PublishedDocument]
) -> None:
    for document in documents:
        values = to_parameters(document, sha256=document.sha256, publication=publication)
        connection.execute(SQL["insert_document"], values)
