"""What was erased, listed beside the keys, so that a backup from before does not bring it back.

The list has a code of each erased visitor, script view and submission, which nobody can compute without the key of the
ledger, and from which nobody can get back to them: whoever restores a backup computes the codes of what it holds, and
finds those of the list. A line is removed after LISTED_DAYS.
"""

import os
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from avowal.atomic_files import replace_text
from avowal.clock import utc_now
from avowal.errors import StoreError
from avowal.private_files import open_private
from avowal.register.database import Database
from avowal.register.seal import RegisterSealer

ERASED_LIST_FILE = "erased.list"
LISTED_DAYS = 400
"""For how many days an erasure is listed. An older backup is not restored."""


class ErasedKind(StrEnum):
    """What was erased."""

    VISITOR = "visitor"
    SCRIPT_VIEW = "script-view"
    SUBMISSION = "submission"


class ErasedList:
    """The list of a folder."""

    def __init__(self, database: Database, sealer: RegisterSealer, keys_folder: Path) -> None:
        self._database = database
        self._sealer = sealer
        self._path = keys_folder / ERASED_LIST_FILE

    def add(self, kind: ErasedKind, names: Iterable[str]) -> None:
        """List what is about to be erased; it is on the disk when this returns."""
        day, sequence = utc_now().date(), self._read_sequence()
        lines = [f"{day} {sequence} {self.code(kind, name)}\n" for name in names]
        self._remove_expired()
        descriptor = open_private(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            _write(descriptor, "".join(lines).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def code(self, kind: ErasedKind, name: str) -> str:
        """Return the code of a visitor, a script view or a submission."""
        return self._sealer.authenticate(f"erased {kind} {name}".encode()).hex()

    def codes_since(self, sequence: int) -> set[str]:
        """Return the codes of what was erased since the register had a sequence number.

        Raises StoreError if the list is damaged.
        """
        try:
            lines = [line.split() for line in self._read_lines()]
            return {code for _, number, code in lines if int(number) >= sequence}
        except ValueError:
            raise StoreError(
                f"`{self._path}` is damaged, which says what was erased since a backup was made",
                "restore it from its backup",
                code="key-damaged",
            ) from None

    def _read_sequence(self) -> int:
        with self._database.read() as connection:
            return self._sealer.read(connection).sequence

    def _read_lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []

    def _remove_expired(self) -> None:
        lines, oldest = self._read_lines(), (utc_now() - timedelta(LISTED_DAYS)).date().isoformat()
        kept = [line for line in lines if line.partition(" ")[0] >= oldest]
        if len(kept) < len(lines):
            replace_text(self._path, "".join(f"{line}\n" for line in kept), private=True)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
