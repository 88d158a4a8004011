"""The seal of the register: binds every row of it, so that `avowal verify` finds what was changed without Avowal.

For each table the seal has the sum of the keyed hashes of its rows. A transaction adds the hashes of the rows that it
inserts and subtracts those of the rows that it deletes, so its cost depends on what it changes, not on what is stored.
Whoever changes a row cannot compute its hash without the key, and the sums never agree again: when Avowal changes that
row later, it subtracts a hash that was never added.

The sums are encrypted and authenticated, because differences of known sums would tell the hashes of rows. They are a
function of the rows that are there: of an erased row nothing is left that could confirm a guess.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from avowal.atomic_files import replace_text
from avowal.errors import ProofError, StoreError
from avowal.register.database import Connection, Publish
from avowal.register.schema import create_declared_schema, read_declared_items, read_schema_items
from avowal.register.statements import load_statements
from avowal.store.sql_builder import SqlFragment, compose, constant, identifier, join, literal

SEAL_FILE = "register.seal"
UNSEALED_TABLES = frozenset({"seals", "nodes"})
"""The seal itself, and the nodes of the ledger's tree, which `avowal verify` computes again from the entries."""

SUM_BYTES, NONCE_BYTES = 32, 12
SUM_MODULUS = 1 << 8 * SUM_BYTES

SQL = load_statements("avowal.register", "seals")
_encode = msgspec.msgpack.Encoder().encode


class Seal(msgspec.Struct, frozen=True):
    """What the rows of the register have to agree with."""

    sequence: int = 0
    """How many transactions have changed rows."""
    entries: int = 0
    """How many entries the ledger has."""
    row_sums: dict[str, bytes] = {}
    """The sum of the hashes of the rows of each table."""

    def changed_by(self, sum_changes: dict[str, int], new_entries: int, sequence_after: int = 0) -> "Seal":
        """Return the seal after a transaction; its number is greater than that of this one, and `sequence_after`."""
        sums = dict(self.row_sums)
        for table, change in sum_changes.items():
            total = int.from_bytes(sums.get(table, b"")) + change
            sums[table] = (total % SUM_MODULUS).to_bytes(SUM_BYTES)
        return Seal(max(self.sequence, sequence_after) + 1, self.entries + new_entries, sums)


@dataclass
class RegisterSealer:
    """Seals each transaction of the register that changes rows. `read_secret` returns the key that signs the ledger."""

    read_secret: Callable[[], bytes]
    keys_folder: Path
    _last: tuple[bytes, Seal] = (b"", Seal())
    """The seal that was read or written last, as it is stored and as it is."""

    def watch(self, connection: Connection) -> None:
        """Let a connection sum up the hashes of the rows that its transactions insert and delete.

        Raises StoreError if the schema is not the declared one: a trigger of others would change rows in our name.
        """
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        if connection.watched_schema == version:
            return
        if read_schema_items(connection) != read_declared_items():
            raise StoreError(
                "the register has tables or triggers that Avowal did not make, or lacks some",
                "`avowal verify` lists them; put back the newest register",
                code="schema-mismatch",
            )
        if connection.watched_schema is None:
            for note in (self._note_row, self._note_update):
                connection.create_function(note.__name__, -1, partial(note, connection.sum_changes))
            connection.executescript(_compose_trigger_script())
        connection.watched_schema = version

    def seal(self, connection: Connection) -> Publish | None:
        """Seal what a transaction changed, before it is committed; returns what publishes that.

        Raises ProofError if the seal before it is not valid, or the ledger has entries that Avowal did not append.
        """
        if not any(connection.sum_changes.values()):
            return None
        seal = self.read(connection).changed_by(
            connection.sum_changes, connection.new_entries, connection.sequence_after
        )
        if connection.new_entries and connection.last_entry + 1 != seal.entries:
            raise ProofError(
                "the ledger has entries that Avowal did not append",
                "`avowal verify` lists what does not match",
                code="ledger-damaged",
            )
        if seal.sequence == 1:  # from now on a missing file was removed
            self.replace_published_sequence(0)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(seal), None)
        connection.execute(SQL["replace_seal"], {"sealed": sealed})
        self._last = sealed, seal
        return partial(self._publish, seal.sequence)

    def read(self, connection: Connection) -> Seal:
        """Return the seal; an empty one before the first. Raises ProofError if it is not valid."""
        row = connection.execute(SQL["select_seal"]).fetchone()
        if row is None:
            return Seal()
        (sealed,), (last_sealed, last_seal) = row, self._last
        if sealed == last_sealed:
            return last_seal
        with suppress(InvalidTag, ValueError, msgspec.MsgspecError):
            opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
            seal = msgspec.msgpack.decode(opened, type=Seal)
            self._last = sealed, seal
            return seal
        raise ProofError(
            "the seal of the register is damaged or was not made with the key of this ledger",
            "restore `data/` and `keys/` from backups of the same moment",
            code="seal-invalid",
        )

    def read_published_sequence(self) -> int | None:
        """Return the sequence number that was published beside the key; None if there is no file.

        Raises ProofError if the file is damaged.
        """
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        with suppress(ValueError, IndexError):
            sequence = int(text.split()[0])
            if compare_digest(text, self.encode_published(sequence).encode()):
                return sequence
        raise ProofError(
            f"`{self._path}` is damaged, which says how new the register is",
            "restore `data/` and `keys/` from backups of the same moment",
            code="seal-invalid",
        )

    def replace_published_sequence(self, sequence: int) -> None:
        """Write the file beside the key anew. Until then, a file that somebody removed stays missing."""
        replace_text(self._path, self.encode_published(sequence), private=True)

    def check_age(self, seal: Seal, published_sequence: int | None) -> None:
        """Compare a seal with the number beside the key. Raises ProofError if it is older, or the number is missing."""
        if published_sequence is None and seal.sequence:
            raise ProofError(
                f"`{self._path}` is missing, which says how new the register is",
                "restore `data/` and `keys/` from backups of the same moment",
                code="seal-missing",
            )
        if seal.sequence < (published_sequence or 0):
            raise ProofError(
                "the register is an older copy: changes are missing that were made since",
                "put back the newest `data/`; or move it away, and give the copy to `avowal restore`, which records it",
                code="register-outdated",
            )

    def find_changed_tables(self, connection: Connection, seal: Seal) -> Iterator[str]:
        """Yield each table whose rows are not those that a seal binds."""
        sums = dict(seal.row_sums)
        for table, columns in _read_tables(connection).items():
            query = compose("SELECT {columns} FROM {table}", columns=join(columns), table=identifier(table))
            rows = connection.execute(query.text)
            total = sum(self._hash_row(_encode((table, row))) for row in rows)
            if total % SUM_MODULUS != int.from_bytes(sums.pop(table, b"")):
                yield table
        yield from (table for table, total in sums.items() if any(total))

    def authenticate(self, data: bytes) -> bytes:
        """Return a code of data that nobody can compute without the key that signs the ledger."""
        return blake2b(data, key=self._derive_key(b"codes"), digest_size=32).digest()

    @property
    def _path(self) -> Path:
        return self.keys_folder / SEAL_FILE

    @cached_property
    def _hash_key(self) -> bytes:
        return self._derive_key(b"row hashes")

    @cached_property
    def _keyed_hash(self) -> blake2b:
        return blake2b(key=self._hash_key, digest_size=SUM_BYTES)

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._derive_key(b"row sums"))

    def _derive_key(self, use: bytes) -> bytes:
        return blake2b(key=self.read_secret(), digest_size=32, person=use).digest()

    def _hash_row(self, encoded: bytes) -> int:
        row_hash = self._keyed_hash.copy()  # takes less time than keying a new one
        row_hash.update(encoded)
        return int.from_bytes(row_hash.digest())

    def _note_row(self, sum_changes: dict[str, int], sign: int, table: str, *values: object) -> None:
        """Add the hash of a row to the change of its table's sum, or subtract it; called by triggers."""
        change = sign * self._hash_row(_encode((table, values)))
        sum_changes[table] = sum_changes.get(table, 0) + change

    def _note_update(self, sum_changes: dict[str, int], table: str, *values: object) -> None:
        """Replace the hash of a row in the change of its table's sum: `values` are the old ones, then the new ones."""
        columns = len(values) // 2
        old, new = _encode((table, values[:columns])), _encode((table, values[columns:]))
        if old != new:
            change = self._hash_row(new) - self._hash_row(old)
            sum_changes[table] = sum_changes.get(table, 0) + change

    def encode_published(self, sequence: int) -> str:
        """Return the content of the file beside the key, whose length is always the same."""
        number = f"{sequence:020d}"
        return f"{number} {blake2b(number.encode(), key=self._hash_key, digest_size=32).hexdigest()}\n"

    def _publish(self, sequence: int) -> None:
        """Write a sequence number beside the key, in place; a file that somebody removed stays missing.

        It need not be on the disk at once: an older number only finds fewer copies that are too old.
        """
        with suppress(FileNotFoundError):
            descriptor = os.open(self._path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, self.encode_published(sequence).encode(), 0)
            finally:
                os.close(descriptor)


def _read_tables(connection: sqlite3.Connection) -> dict[str, list[SqlFragment]]:
    """Return the columns of each table that is sealed."""
    tables: dict[str, list[SqlFragment]] = {}
    for table, column in connection.execute(SQL["select_columns"]).fetchall():
        if table not in UNSEALED_TABLES:
            tables.setdefault(table, []).append(identifier(column))
    return tables


@cache
def _compose_trigger_script() -> str:
    """Return triggers, of a connection alone, that pass each deleted, inserted and updated row to the functions above.

    Triggers also see what a foreign key deletes.
    """
    with closing(create_declared_schema()) as fresh:
        tables = _read_tables(fresh)
    statements = []
    for table, columns in tables.items():
        old, new = (
            join(compose("{row}.{column}", row=constant(row), column=column) for column in columns)
            for row in ("OLD", "NEW")
        )
        notes = {
            "INSERT": compose("_note_row(1, {name}, {new})", name=literal(table), new=new),
            "DELETE": compose("_note_row(-1, {name}, {old})", name=literal(table), old=old),
            "UPDATE": compose("_note_update({name}, {old}, {new})", name=literal(table), old=old, new=new),
        }
        for event, note in notes.items():
            statement = compose(
                "CREATE TEMP TRIGGER {trigger} AFTER {event} ON main.{table} BEGIN SELECT {note}; END;",
                trigger=identifier(f"{table} {event}"),
                event=constant(event),
                table=identifier(table),
                note=note,
            )
            statements.append(statement.text)
    return "\n".join(statements)
