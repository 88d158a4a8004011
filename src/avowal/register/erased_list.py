"""What was erased, listed beside the keys, so that a backup from before does not bring it back.

The list has a code of each erased visitor, script view and submission, which nobody can compute without the key of the
ledger, and from which nobody can get back to them: whoever restores a backup computes the codes of what it holds, and
finds those of the list. A line is removed after LISTED_DAYS.
"""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from hmac import compare_digest
from pathlib import Path

from avowal.atomic_files import lock_folder, replace_text
from avowal.clock import utc_now
from avowal.errors import StoreError
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
        with lock_folder(self._path.parent, exclusive=True):  # other processes erase submissions
            day, oldest = utc_now().date(), (utc_now() - timedelta(LISTED_DAYS)).date().isoformat()
            sequence = self._read_sequence()
            kept = [line for line in self._read_lines() if line.partition(" ")[0] >= oldest]
            lines = [*kept, *(f"{day} {sequence} {self.code(kind, name)}" for name in names)]
            content = "".join(f"{line}\n" for line in lines)
            replace_text(self._path, f"{content}{self._authenticate(content)}\n", private=True)

    def code(self, kind: ErasedKind, name: str) -> str:
        """Return the code of a visitor, a script view or a submission."""
        return self._sealer.authenticate(f"erased {kind} {name}".encode()).hex()

    def codes_since(self, sequence: int) -> set[str]:
        """Return the codes of what was erased since the register had a sequence number.

        Raises StoreError if the list is damaged.
        """
        lines = [line.split() for line in self._read_lines()]
        return {code for _, number, code in lines if int(number) >= sequence}

    @property
    def exists(self) -> bool:
        """Whether there is a list; there is none before the first erasure."""
        return self._path.exists()

    @property
    def is_valid(self) -> bool:
        """Whether the list is as Avowal wrote it."""
        return self._is_authentic(*self._read())

    def _read_sequence(self) -> int:
        with self._database.read() as connection:
            return self._sealer.read(connection).sequence

    def _read_lines(self) -> list[str]:
        """Return the lines. Raises StoreError if the list was changed without Avowal, or is of another folder."""
        try:
            content, code = self._read()
        except FileNotFoundError:
            return []
        if self._is_authentic(content, code):
            return content.splitlines()
        raise StoreError(
            f"`{self._path}` is damaged, which says what was erased since a backup was made",
            "restore it from its backup; or move it away, and a restore cannot repeat these erasures",
            code="key-damaged",
        )

    def _read(self) -> tuple[str, str]:
        """Return the lines, and the code that authenticates them, which is the last line of the file."""
        text = self._path.read_bytes().decode("ascii", "replace").removesuffix("\n")
        head, separator, code = text.rpartition("\n")
        return head + separator, code

    def _is_authentic(self, content: str, code: str) -> bool:
        return compare_digest(code.encode(), self._authenticate(content).encode())

    def _authenticate(self, content: str) -> str:
        return self._sealer.authenticate(f"erased list {content}".encode()).hex()
