"""The ledger in the register: entries come in with what they record; checkpoints are signed after."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import sqlalchemy as sa

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
from avowal.register.database import AnyConnection, Database, get_driver_connection
from avowal.register.repository import Repository

LEDGER_KEY_FILE = "ledger.key"
LAST_CHECKPOINT_FILE = "ledger.checkpoint"

_METADATA = sa.MetaData()
ENTRIES = sa.Table("entries", _METADATA, sa.Column("entry", sa.Integer), sa.Column("body", sa.LargeBinary))
NODES = sa.Table(
    "nodes",
    _METADATA,
    sa.Column("level", sa.Integer),
    sa.Column("position", sa.Integer),
    sa.Column("hash", sa.LargeBinary),
)
CHECKPOINTS = sa.Table("checkpoints", _METADATA, sa.Column("size", sa.Integer), sa.Column("note", sa.Text))


SELECT_ENTRIES_FROM = "SELECT entry, CAST(body AS BLOB) FROM entries WHERE entry >= ? ORDER BY entry"
"""As bytes, whatever whoever tampered with them may have left."""

SELECT_ENTRY_BODIES = (
    "SELECT CAST(body AS BLOB) FROM entries WHERE entry >= ? AND entry < ? ORDER BY entry DESC"
)
"""The number of each is its place, and need not be fetched: that would take a sixth longer."""

SELECT_ENTRIES_OF_KIND = (
    "SELECT entry, CAST(body AS BLOB) FROM entries WHERE instr(body, ?) ORDER BY entry DESC LIMIT ?"
)

PAGE_ENTRIES = 1_000
"""How many entries are fetched at once: one by one they take a tenth longer."""

INSERT_ENTRY = """
INSERT INTO entries (entry, body, access_reader, access_salt)
VALUES ((SELECT coalesce(max(entry), -1) + 1 FROM entries), ?, ?, ?)
"""


def append_entries(
    connection: AnyConnection,
    entries: Sequence[Entry],
    access_reader: str | None = None,
    access_salt: bytes | None = None,
) -> int:
    """Add entries, in the transaction of what they record: both are there, or neither.

    `access_reader` and `access_salt` open the commitment of a `data-accessed` entry. Returns the number of the first
    entry. The tree grows over them before it is signed or read. Raises RefusedError if one is too long (L2).
    """
    database, numbers = get_driver_connection(connection), []
    for entry in entries:
        if len(body := encode_entry(entry)) > ENTRY_BYTES_MAX:
            raise RefusedError(
                f"an entry of the ledger would be longer than {ENTRY_BYTES_MAX:,} bytes",
                "say it shorter",
                code="input-too-long",
            )
        numbers.append(database.execute(INSERT_ENTRY, (body, access_reader, access_salt)).lastrowid)
    return int(numbers[0] or 0)


def read_entries_from(connection: AnyConnection, first_entry: int) -> Iterator[Entry]:
    """Yield the entries from a number on. Raises ProofError where one cannot be read."""
    return (
        decode_entry(body)
        for _, body in get_driver_connection(connection).execute(SELECT_ENTRIES_FROM, (first_entry,))
    )


def extend_tree(connection: AnyConnection) -> None:
    """Let the tree grow over the entries that came since it last did. Raises ProofError where one is missing."""
    database = get_driver_connection(connection)
    start = count_tree_leaves(database)

    def leaves() -> Iterator[bytes]:
        for place, (number, body) in enumerate(database.execute(SELECT_ENTRIES_FROM, (start,)), start):
            if number != place:
                raise ProofError(
                    f"entry {place} of the ledger is missing",
                    "`avowal verify` tells what is",
                    code="ledger-damaged",
                )
            yield hash_leaf(body)

    nodes = append_leaves(start, leaves(), node_lookup(connection))
    database.executemany("INSERT INTO nodes (level, position, hash) VALUES (?, ?, ?)", nodes)


def count_entries(connection: AnyConnection) -> int:
    """Return how many entries there are."""
    ((last,),) = get_driver_connection(connection).execute("SELECT max(entry) FROM entries")
    return 0 if last is None else int(last) + 1


def count_tree_leaves(connection: AnyConnection) -> int:
    """Return how many entries the tree has grown over."""
    ((last,),) = get_driver_connection(connection).execute("SELECT max(position) FROM nodes WHERE level = 0")
    return 0 if last is None else int(last) + 1


def node_lookup(connection: AnyConnection) -> NodeLookup:
    """Return what gives the nodes of the tree; it raises ProofError where one is missing."""
    database = get_driver_connection(connection)

    def node(level: int, place: int) -> bytes:
        select = "SELECT hash FROM nodes WHERE level = ? AND position = ?"
        value = database.execute(select, (level, place)).fetchone()
        if value is None:
            raise ProofError(
                "a node of the ledger is missing", "`avowal verify` tells what is", code="ledger-damaged"
            )
        return _bytes(value[0])

    return node


def _bytes(value: bytes | str) -> bytes:
    """Return what a column of bytes holds; whoever tampered with it may have left a text."""
    return value.encode() if isinstance(value, str) else value


class Ledger(Repository):
    """The ledger of a folder, with the key that signs it."""

    def __init__(self, database: Database, keys_folder: Path) -> None:
        super().__init__(database)
        self._keys = keys_folder

    @cached_property
    def signer(self) -> Signer:
        """Whoever signs: made with the first entry.

        Raises StoreError where the key was lost: another one's signature would prove nothing.
        """
        path = self._keys / LEDGER_KEY_FILE
        if not path.exists() and self.last_checkpoint():
            message = f"the key that signs the ledger, `{path}`, is missing"
            raise StoreError(message, "restore it from its backup", code="key-missing")
        key = read_or_create_secret(path)
        if len(key) != KEY_BYTES:
            raise StoreError(f"`{path}` is damaged", "restore it from its backup", code="key-damaged")
        name = f"avowal/{Signer('avowal', key).verifier.key_id.hex()}"
        return Signer(name, key)

    def count_entries(self) -> int:
        """Return how many entries there are."""
        with self._driver_connection() as database:
            return count_entries(database)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and bytes of each entry, in their order."""
        with self._driver_connection() as database:
            found = database.execute(SELECT_ENTRIES_FROM, (0,))
            while page := found.fetchmany(PAGE_ENTRIES):
                yield from page

    def last_entries(self, count: int, kind: str = "") -> tuple[Sequence[int], list[bytes]]:
        """Return the numbers and the bytes of the last entries, the newest first; of one kind, where it is given.

        Raises ProofError where one of them is missing.
        """
        with self._driver_connection() as database:
            if kind:
                rows = database.execute(
                    SELECT_ENTRIES_OF_KIND, (f'"kind":"{kind}"'.encode(), count)
                ).fetchall()
                return [number for number, _ in rows], [body for _, body in rows]
            end = count_entries(database)
            numbers = range(max(end - count, 0), end)
            bodies = [body for (body,) in database.execute(SELECT_ENTRY_BODIES, (numbers.start, end))]
        if len(bodies) != len(numbers):
            raise ProofError(
                "an entry of the ledger is missing", "`avowal verify` tells which", code="ledger-damaged"
            )
        return numbers[::-1], bodies

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        """Yield each node of a level, as place and hash, in their order."""
        statement = (
            sa.select(NODES.c.position, NODES.c.hash).where(NODES.c.level == level).order_by(NODES.c.position)
        )
        with self._engine.connect().execution_options(yield_per=10_000) as connection:
            for place, value in connection.execute(statement):
                yield place, _bytes(value)

    def find_errors(self) -> Iterator[str]:
        """Yield a sentence for each entry or node that is missing, cannot be decoded, or does not have its hash.

        Every node is computed again, so the tree has to have grown over all entries.
        """
        level: list[bytes] = []
        for place, (number, body) in enumerate(self.entries()):
            if number != place:
                yield f"entry {place} of the ledger is missing"
                return
            level.append(hash_leaf(body))
            try:
                decode_entry(body)
            except ProofError as error:
                yield f"entry {place} of the ledger: {error.message}"
        height = 0
        while level:
            for place, (computed, stored) in enumerate(zip_longest(level, self.nodes(height))):
                if computed is None or stored != (place, computed):
                    what = f"entry {place}" if height == 0 else f"the node at level {height}, place {place},"
                    yield f"{what} of the ledger is not what its hash says"
                    return
            level = [hash_node(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
            height += 1

    def compute_root(self, size: int) -> bytes:
        """Return the root over the first entries. Raises ProofError where nodes are missing."""
        with self._engine.connect() as connection:
            return compute_root(size, node_lookup(connection))

    def checkpoints(self) -> list[SignedNote]:
        """Return every checkpoint that was signed, the smallest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size))
            return [SignedNote.parse(text) for (text,) in rows]

    def last_checkpoint(self) -> SignedNote | None:
        """Return the last checkpoint that was signed; None where none was."""
        select = sa.select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc()).limit(1)
        with self._engine.connect() as connection:
            text = connection.execute(select).scalar()
        return SignedNote.parse(text) if text else None

    def last_checkpoint_beside_key(self) -> SignedNote | None:
        """Return the last checkpoint as it stands beside the key, apart from the data."""
        path = self._keys / LAST_CHECKPOINT_FILE
        try:
            return SignedNote.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ProofError) as error:
            raise ProofError(
                f"`{path}` is damaged ({type(error).__name__}): nobody can tell whether the ledger is what was signed",
                "restore it from its backup; or remove it, and check the ledger against a checkpoint that a witness "
                "holds, with `avowal verify --witness-checkpoint`",
                code="checkpoint-damaged",
            ) from None

    def sign_checkpoint(self) -> SignedNote | None:
        """Return the checkpoint over all entries there are, signed now or before; None where there are none."""
        signer = self.signer
        with self._driver_transaction() as database:
            entries = count_entries(database)
            if entries == 0:
                return None
            row = database.execute("SELECT note FROM checkpoints WHERE size = ?", (entries,)).fetchone()
            if row is None:
                extend_tree(database)
                whole = compute_root(entries, node_lookup(database))
                row = (str(Checkpoint(signer.name, entries, whole).sign(signer)),)
                database.execute("INSERT INTO checkpoints (size, note) VALUES (?, ?)", (entries, *row))
        told = str(row[0])
        replace_text(self._keys / LAST_CHECKPOINT_FILE, told)
        return SignedNote.parse(told)

    def add_cosignature(self, cosigned_text: str, witness: Verifier) -> SignedNote:
        """Add a witness's signature to the checkpoint that it stands for; return that.

        `written` is the cosigned checkpoint, or the lines of signatures alone, which are of the last one. Raises
        ProofError where it is no checkpoint of this ledger, or the witness did not sign it.
        """
        last = self.sign_checkpoint()
        note = SignedNote.parse(
            cosigned_text if "\n\n" in cosigned_text else f"{last.text if last else ''}\n{cosigned_text}"
        )
        line = note.signature_lines_by(witness)
        if not line:
            raise ProofError(
                f"`{witness.name}` did not sign this checkpoint",
                "look at the witness's key, and at the file",
                code="signature-missing",
            )
        with self._write_transaction() as connection:
            of_size = CHECKPOINTS.c.size == Checkpoint.parse(note.text).size
            told = connection.execute(sa.select(CHECKPOINTS.c.note).where(of_size)).scalar()
            kept = SignedNote.parse(told) if told else None
            if kept is None or kept.text != note.text:
                raise ProofError(
                    "this is no checkpoint of this ledger",
                    "`avowal ledger checkpoint` prints the last one",
                    code="checkpoint-mismatch",
                )
            others = tuple(one for one in kept.signature_lines if one not in kept.signature_lines_by(witness))
            cosigned = SignedNote(kept.text, (*others, *line))
            connection.execute(sa.update(CHECKPOINTS).where(of_size).values(note=str(cosigned)))
        if last and cosigned.text == last.text:
            replace_text(self._keys / LAST_CHECKPOINT_FILE, str(cosigned))
        return cosigned

    def tile_files(self, level: int, number: int, width: int) -> dict[str, bytes]:
        """Return the hashes of a tile; of the lowest level its bundle of entries, too. Each by its path."""
        start, end = number * TILE_WIDTH, number * TILE_WIDTH + width
        of_level = (NODES.c.level == level * TILE_HEIGHT, NODES.c.position >= start, NODES.c.position < end)
        hashes = sa.select(NODES.c.hash).where(*of_level).order_by(NODES.c.position)
        within = (ENTRIES.c.entry >= start, ENTRIES.c.entry < end)
        bodies = sa.select(ENTRIES.c.body).where(*within).order_by(ENTRIES.c.entry)
        with self._engine.connect() as connection:
            files = {
                format_tile_path(str(level), number, width): b"".join(
                    map(_bytes, connection.execute(hashes).scalars())
                )
            }
            if level == 0:
                told = list(map(_bytes, connection.execute(bodies).scalars()))
                files[format_tile_path("entries", number, width)] = encode_entry_bundle(told)
        return files

    def export(self, folder: Path) -> int:
        """Write the ledger as tiles and its checkpoint, which comes last; returns how many files were new.

        Full tiles that are there already stay as they are.
        """
        note = self.sign_checkpoint()
        if note is None:
            return 0
        written = 0
        for level, number, width in list_tiles(Checkpoint.parse(note.text).size):
            for name, data in self.tile_files(level, number, width).items():
                place = folder / name
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
                    written += 1
        replace_text(folder / CHECKPOINT_FILE, str(note))
        return written

    def prove_entry(self, index: int) -> EntryProof:
        """Return the proof of an entry, under a checkpoint over all entries.

        Raises ProofError where there is no such entry.
        """
        note = self.sign_checkpoint()
        entries = verify_checkpoint(note, self.signer.verifier).size if note else 0
        proof = self.prove_inclusion(index, entries)
        with self._engine.connect() as connection:
            body = connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.entry == index)).scalar_one()
        assert note is not None  # noqa: S101  # an empty ledger has no proof
        return EntryProof(index, body, tuple(proof), note)

    def prove_inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that the first entries have that of an index. Raises ProofError where they have not."""
        with self._engine.connect() as connection:
            return prove_inclusion(index, size, node_lookup(connection))

    def check_last_checkpoint(self) -> None:
        """Check that the last checkpoint still holds: to be called at each start.

        Raises ProofError where entries are gone or changed since.
        """
        note = self.last_checkpoint_beside_key()
        if note is None:
            return
        last = verify_checkpoint(note, self.signer.verifier)
        if self.count_entries() < last.size or self.compute_root(last.size) != last.root:
            raise ProofError(
                f"the ledger is not the one whose {last.size} entries were signed: entries are gone, or were changed",
                "put the newest backup of the data back; `avowal verify` names what does not hold",
                code="ledger-mismatch",
            )
