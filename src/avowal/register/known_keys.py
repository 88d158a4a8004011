"""The keys in `keys/` that a folder has used, so that one that is lost or exchanged is never replaced silently."""

from collections.abc import Iterator
from pathlib import Path

from avowal.errors import StoreError
from avowal.register.database import Database
from avowal.register.erased_list import ERASED_LIST_FILE, ErasedList
from avowal.register.ledger_storage import LEDGER_KEY_FILE
from avowal.register.repository import Repository
from avowal.register.seal import RegisterSealer
from avowal.register.statements import load_statements
from avowal.submissions.encryption import SUBMISSION_KEYS_FILE

SQL = load_statements("avowal.register", "known_keys")

UNKNOWN_KEY_FILES = frozenset({LEDGER_KEY_FILE, SUBMISSION_KEYS_FILE})
"""The key that the fingerprints are made with, and the keys that rotate: submissions can be opened with these only."""


class KnownKeys(Repository):
    """The fingerprints of keys; nobody can compute one without the key that signs the ledger."""

    def __init__(
        self, database: Database, sealer: RegisterSealer, keys_folder: Path, erased_list: ErasedList
    ) -> None:
        super().__init__(database)
        self._sealer = sealer
        self._keys_folder = keys_folder
        self._erased_list = erased_list

    def check(self, *replaceable: str) -> None:
        """Note keys that were made since.

        Raises StoreError if a known one is missing or was exchanged, unless it is among the `replaceable`.
        """
        known, files = self._read_known(), self._read_files()
        for name, problem in _compare(known, files):
            if name not in {*replaceable, ERASED_LIST_FILE}:
                raise StoreError(
                    f"`{self._keys_folder / name}` {problem}",
                    "restore it from its backup",
                    code="key-missing" if problem == "is missing" else "key-damaged",
                )
        if unknown := {name: code for name, code in files.items() if name not in known}:
            with self._database.transaction() as connection:
                for name, fingerprint in unknown.items():
                    connection.execute(SQL["note_key"], {"name": name, "fingerprint": fingerprint})

    def forget(self, name: str) -> None:
        """Forget a key that is to be made anew."""
        with self._database.transaction() as connection:
            connection.execute(SQL["forget_key"], {"name": name})

    def find_changes(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each known key that is not there, and what is wrong with it."""
        files = self._read_files()
        return _compare(self._read_known(), files)

    def _read_known(self) -> dict[str, bytes]:
        with self._database.read() as connection:
            return dict(connection.execute(SQL["select_keys"]).fetchall())

    def _read_files(self) -> dict[str, bytes]:
        paths = [path for path in self._keys_folder.glob("*.key") if path.name not in UNKNOWN_KEY_FILES]
        files = {
            path.name: self._sealer.authenticate(path.name.encode() + path.read_bytes()) for path in paths
        }
        if self._erased_list.exists:  # which grows, so only that it is one of this folder is known
            is_valid = self._erased_list.is_valid
            files[ERASED_LIST_FILE] = (
                self._sealer.authenticate(ERASED_LIST_FILE.encode()) if is_valid else b""
            )
        return files


def _compare(known: dict[str, bytes], files: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield the name of each known fingerprint that no file has, and what is wrong with the file."""
    for name, fingerprint in sorted(known.items()):
        if name not in files:
            yield name, "is missing"
        elif files[name] != fingerprint:
            yield name, "is not the key that was used before"
