"""The ledger in the register: entries are appended in the transaction of what they record, which also signs them."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

from avowal.atomic_files import replace_text
from avowal.errors import ProofError, RefusedError, StoreError
from avowal.key_files import read_or_create_secret
from avowal.ledger.checkpoint import Checkpoint, EntryProof, verify_checkpoint
from avowal.ledger.entry import Entry, decode_entry, encode_entry
from avowal.ledger.note import KEY_BYTES, SignedNote, Signer, Verifier
from avowal.ledger.tiles import (
    CHECKPOINT_FILE,
    ENTRY_BYTES_MAX,
    TILE_HEIGHT,
    TILE_WIDTH,
    encode_entry_bundle,
    format_tile_path,
    list_tiles,
)
from avowal.ledger.tree import NodeLookup, append_leaves, compute_root, hash_leaf, hash_node, prove_inclusion
from avowal.register.database import Connection, Database, Publish
from avowal.register.repository import Repository
from avowal.register.statements import load_statements

LEDGER_KEY_FILE = "ledger.key"
LAST_CHECKPOINT_FILE = "ledger.checkpoint"

SQL = load_statements("avowal.register", "ledger")

PAGE_ENTRIES = 1_000
"""How many entries are fetched at once; fetching each alone takes a tenth longer."""


def append_entries(
    connection: Connection,
    entries: Sequence[Entry],
    access_reader: str | None = None,
    access_salt: bytes | None = None,
) -> int:
    """Append entries in the transaction of what they record, which signs the ledger when it ends.

    `access_reader` and `access_salt` open the commitment of a `data-accessed` entry. Returns the number of the first
    entry. Raises RefusedError if one is too long (L2).
    """
    numbers = []
    for entry in entries:
        if len(body := encode_entry(entry)) > ENTRY_BYTES_MAX:
            raise RefusedError(
                f"an entry of the ledger would be longer than {ENTRY_BYTES_MAX:,} bytes",
                "shorten the texts that it records",
                code="input-too-long",
            )
        values = {"body": body, "access_reader": access_reader, "access_salt": access_salt}
        numbers.append(int(connection.execute(SQL["insert_entry"], values).lastrowid or 0))
    connection.needs_signature, connection.last_entry = True, numbers[-1]
    connection.new_entries += len(numbers)
    return numbers[0]


def read_entries_from(connection: Connection, first_entry: int) -> Iterator[Entry]:
    """Yield the entries from a number on. Raises ProofError if one cannot be read."""
    rows = connection.execute(SQL["select_entries_from"], {"first": first_entry})
    return (decode_entry(body) for _, body in rows)


def extend_tree(connection: Connection) -> None:
    """Extend the tree over the entries that were appended since. Raises ProofError if one is missing."""
    start = count_tree_leaves(connection)

    def leaves() -> Iterator[bytes]:
        rows = connection.execute(SQL["select_entries_from"], {"first": start})
        for position, (number, body) in enumerate(rows, start):
            if number != position:
                raise ProofError(
                    f"entry {position} of the ledger is missing",
                    "`avowal verify` lists what is missing",
                    code="ledger-damaged",
                )
            yield hash_leaf(body)

    connection.executemany(SQL["insert_node"], append_leaves(start, leaves(), node_lookup(connection)))


def count_entries(connection: Connection) -> int:
    """Return how many entries there are."""
    (last,) = connection.execute(SQL["select_last_entry_number"]).fetchone()
    return 0 if last is None else int(last) + 1


def count_tree_leaves(connection: Connection) -> int:
    """Return how many entries the tree covers."""
    (last,) = connection.execute(SQL["select_last_leaf_position"]).fetchone()
    return 0 if last is None else int(last) + 1


def node_lookup(connection: Connection) -> NodeLookup:
    """Return a function that reads a node of the tree; it raises ProofError if the node is missing."""

    def read_node(level: int, position: int) -> bytes:
        row = connection.execute(SQL["select_node"], {"level": level, "position": position}).fetchone()
        if row is None:
            raise ProofError(
                "a node of the ledger is missing",
                "`avowal verify` lists what is missing",
                code="ledger-damaged",
            )
        return bytes(row[0])

    return read_node


class Ledger(Repository):
    """The ledger of a folder, with the key that signs it."""

    def __init__(self, database: Database, keys_folder: Path) -> None:
        super().__init__(database)
        self._keys = keys_folder
        database.sign_entries = self._sign_and_publish

    @cached_property
    def signer(self) -> Signer:
        """The signer of checkpoints; its key is created with the first entry.

        Raises StoreError if the key is lost: a signature with another key would prove nothing.
        """
        path = self._keys / LEDGER_KEY_FILE
        with self._database.read() as connection:
            is_used = connection.execute(SQL["select_is_used"]).fetchone() == (1,)
        if is_used and not path.exists():
            message = f"`{path}` is missing, which signs the ledger"
            raise StoreError(message, "restore it from its backup", code="key-missing")
        key = read_or_create_secret(path)
        if len(key) != KEY_BYTES:
            raise StoreError(f"`{path}` is damaged", "restore it from its backup", code="key-damaged")
        name = f"avowal/{Signer('avowal', key).verifier.key_id.hex()}"
        return Signer(name, key)

    def count_entries(self) -> int:
        """Return how many entries there are."""
        with self._database.read() as connection:
            return count_entries(connection)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and bytes of each entry, in their order."""
        with self._database.read() as connection:
            cursor = connection.execute(SQL["select_entries_from"], {"first": 0})
            while page := cursor.fetchmany(PAGE_ENTRIES):
                yield from page

    def last_entries(self, count: int, kind: str = "") -> tuple[Sequence[int], list[bytes]]:
        """Return the numbers and the bytes of the last entries, the newest first; of one kind, if it is given.

        Raises ProofError if one of them is missing.
        """
        with self._database.read() as connection:
            if kind:
                values = {"kind": f'"kind":"{kind}"'.encode(), "count": count}
                rows = connection.execute(SQL["select_last_entries_of_kind"], values).fetchall()
                return [number for number, _ in rows], [body for _, body in rows]
            end = count_entries(connection)
            numbers = range(max(end - count, 0), end)
            bodies = _read_bodies(connection, numbers)
        if len(bodies) != len(numbers):
            raise ProofError(
                "an entry of the ledger is missing",
                "`avowal verify` lists what is missing",
                code="ledger-damaged",
            )
        return numbers[::-1], bodies[::-1]

    def find_errors(self) -> Iterator[str]:
        """Yield a sentence for each entry or node that is missing, cannot be decoded, or does not have its hash.

        Every node is computed again, so the tree has to cover all entries.
        """
        hashes = list[bytes]()
        for position, (number, body) in enumerate(self.entries()):
            if number != position:
                yield f"entry {position} of the ledger is missing"
                return
            hashes.append(hash_leaf(body))
            try:
                decode_entry(body)
            except ProofError as error:
                yield f"entry {position} of the ledger: {error.message}"
        level = 0
        while hashes:
            for position, (computed, stored) in enumerate(zip_longest(hashes, self._nodes(level))):
                if computed is None or stored != (position, computed):
                    name = (
                        f"entry {position}" if level == 0 else f"the node at level {level}, place {position},"
                    )
                    yield f"{name} of the ledger does not match its hash"
                    return
            hashes = [hash_node(*hashes[first : first + 2]) for first in range(0, len(hashes) - 1, 2)]
            level += 1
        with self._database.read() as connection:
            if connection.execute(SQL["select_has_nodes_from"], {"level": level}).fetchone() == (1,):
                yield "the ledger has nodes above its root"

    def _nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        with self._database.read() as connection:
            cursor = connection.execute(SQL["select_nodes_of_level"], {"level": level})
            while page := cursor.fetchmany(PAGE_ENTRIES):
                yield from page

    def compute_root(self, size: int) -> bytes:
        """Return the root over the first entries. Raises ProofError if nodes are missing."""
        with self._database.read() as connection:
            return compute_root(size, node_lookup(connection))

    def checkpoints(self) -> list[SignedNote]:
        """Return every checkpoint that was signed, the smallest first."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_checkpoints"]).fetchall()
        return [SignedNote.parse(note) for (note,) in rows]

    def last_checkpoint(self) -> SignedNote | None:
        """Return the last checkpoint that was signed; None if none was."""
        with self._database.read() as connection:
            row = connection.execute(SQL["select_last_checkpoint"]).fetchone()
        return SignedNote.parse(row[0]) if row else None

    def last_checkpoint_beside_key(self) -> SignedNote | None:
        """Return the last checkpoint that was published beside the key, apart from the data."""
        path = self._keys / LAST_CHECKPOINT_FILE
        try:
            return SignedNote.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ProofError) as error:
            raise ProofError(
                f"`{path}` is damaged ({type(error).__name__}), which proves what was signed",
                "restore it from its backup; or remove it, and check the ledger against a checkpoint that a witness "
                "holds, with `avowal verify --witness-checkpoint`",
                code="checkpoint-damaged",
            ) from None

    def sign_checkpoint(self) -> SignedNote | None:
        """Return the checkpoint over all entries, signed now or before; None if there are no entries."""
        with self._database.transaction() as connection:
            note = self._sign(connection)
        if note:
            self._publish(note)
        return note

    def _sign_and_publish(self, connection: Connection) -> Publish:
        note = self._sign(connection)
        return lambda: self._publish(note) if note else None

    def _sign(self, connection: Connection) -> SignedNote | None:
        """Return the checkpoint over all entries, and store it within the transaction unless it is stored."""
        size = count_entries(connection)
        if size == 0:
            return None
        row = connection.execute(SQL["select_checkpoint"], {"size": size}).fetchone()
        if row:
            return SignedNote.parse(row[0])
        extend_tree(connection)
        root = compute_root(size, node_lookup(connection))
        note = Checkpoint(self.signer.name, size, root).sign(self.signer)
        connection.execute(SQL["insert_checkpoint"], {"size": size, "note": str(note)})
        return note

    def _publish(self, note: SignedNote) -> None:
        """Write a checkpoint beside the key, after it was committed."""
        replace_text(self._keys / LAST_CHECKPOINT_FILE, str(note))

    def add_cosignature(self, cosigned_text: str, witness: Verifier) -> SignedNote:
        """Add the signature of a witness to the checkpoint that it signed; returns that checkpoint.

        `cosigned_text` is the cosigned checkpoint, or only its signature lines, which are then of the last one.
        Raises ProofError if it is not a checkpoint of this ledger, or the witness did not sign it.
        """
        last = self.sign_checkpoint()
        note = SignedNote.parse(
            cosigned_text if "\n\n" in cosigned_text else f"{last.text if last else ''}\n{cosigned_text}"
        )
        lines = note.signature_lines_by(witness)
        if not lines:
            raise ProofError(
                f"`{witness.name}` did not sign this checkpoint",
                "check the key of the witness, and the file",
                code="signature-missing",
            )
        with self._database.transaction() as connection:
            size = Checkpoint.parse(note.text).size
            row = connection.execute(SQL["select_checkpoint"], {"size": size}).fetchone()
            stored = SignedNote.parse(row[0]) if row else None
            if stored is None or stored.text != note.text:
                raise ProofError(
                    "this is not a checkpoint of this ledger",
                    "`avowal ledger checkpoint` prints the last checkpoint",
                    code="checkpoint-mismatch",
                )
            replaced_lines = stored.signature_lines_by(witness)
            other_lines = tuple(line for line in stored.signature_lines if line not in replaced_lines)
            cosigned = SignedNote(stored.text, (*other_lines, *lines))
            connection.execute(SQL["update_checkpoint"], {"size": size, "note": str(cosigned)})
        if last and cosigned.text == last.text:
            self._publish(cosigned)
        return cosigned

    def tile_files(self, level: int, number: int, width: int) -> dict[str, bytes]:
        """Return the files of a tile by their paths: the hashes, and at level 0 the entry bundle as well."""
        positions = range(number * TILE_WIDTH, number * TILE_WIDTH + width)
        values = {"level": level * TILE_HEIGHT, "first": positions.start, "end": positions.stop}
        with self._database.read() as connection:
            hashes = connection.execute(SQL["select_hashes_between"], values).fetchall()
            files = {format_tile_path(str(level), number, width): b"".join(value for (value,) in hashes)}
            if level == 0:
                bundle = encode_entry_bundle(_read_bodies(connection, positions))
                files[format_tile_path("entries", number, width)] = bundle
        return files

    def export(self, folder: Path) -> int:
        """Write the ledger as tiles, and its checkpoint last; returns the number of new files.

        Files that exist already are not written again.
        """
        note = self.sign_checkpoint()
        if note is None:
            return 0
        file_count = 0
        for level, number, width in list_tiles(Checkpoint.parse(note.text).size):
            for name, data in self.tile_files(level, number, width).items():
                path = folder / name
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                    file_count += 1
        replace_text(folder / CHECKPOINT_FILE, str(note))
        return file_count

    def prove_entry(self, index: int) -> EntryProof:
        """Return the proof of an entry, under a checkpoint over all entries.

        Raises ProofError if there is no such entry.
        """
        note = self.sign_checkpoint()
        size = verify_checkpoint(note, self.signer.verifier).size if note else 0
        path_hashes = self.prove_inclusion(index, size)
        with self._database.read() as connection:
            (body,) = _read_bodies(connection, range(index, index + 1))
        assert note is not None  # noqa: S101  # an empty ledger has no proof
        return EntryProof(index, body, tuple(path_hashes), note)

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that an entry is among the first `size`. Raises ProofError if it is not."""
        with self._database.read() as connection:
            return prove_inclusion(index, size, node_lookup(connection))

    def check_last_checkpoint(self) -> None:
        """Check at each start that the ledger still matches the checkpoint beside the key.

        Raises ProofError if entries are missing or changed since.
        """
        note = self.last_checkpoint_beside_key()
        if note is None:
            return
        last = verify_checkpoint(note, self.signer.verifier)
        if self.count_entries() < last.size or self.compute_root(last.size) != last.root:
            raise ProofError(
                f"the ledger does not match its last checkpoint: some of {last.size} entries are missing or changed",
                "put back the newest `data/`; or move it away, and give `avowal restore` the newest backup",
                code="ledger-mismatch",
            )


def _read_bodies(connection: Connection, numbers: range) -> list[bytes]:
    values = {"first": numbers.start, "end": numbers.stop}
    return [body for (body,) in connection.execute(SQL["select_bodies_between"], values)]
