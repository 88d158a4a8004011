"""The ledger in the register: entries come in with what they record; checkpoints are signed after."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import sqlalchemy as sa

from avowal.atomic_files import replace_text
from avowal.errors import ProofError, RefusedError, StoreError
from avowal.key_files import secret
from avowal.ledger.checkpoint import Checkpoint, Receipt, opened
from avowal.ledger.entry import Entry, read, written
from avowal.ledger.note import KEY_BYTES, Note, Signer, Verifier
from avowal.ledger.tiles import CHECKPOINT, ENTRY_BYTES_MAX, HEIGHT, WIDTH, bundle, path, spans
from avowal.ledger.tree import Node, appended, inclusion_proof, leaf_hash, node_hash, root
from avowal.register.database import Connection, Database, driver
from avowal.register.repository import Part

KEY = "ledger.key"
LAST_CHECKPOINT = "ledger.checkpoint"

_METADATA = sa.MetaData()
ENTRIES = sa.Table("entries", _METADATA, sa.Column("entry", sa.Integer), sa.Column("body", sa.LargeBinary))
NODES = sa.Table(
    "nodes",
    _METADATA,
    sa.Column("level", sa.Integer),
    sa.Column("place", sa.Integer),
    sa.Column("hash", sa.LargeBinary),
)
CHECKPOINTS = sa.Table("checkpoints", _METADATA, sa.Column("size", sa.Integer), sa.Column("note", sa.Text))


SINCE = "SELECT entry, CAST(body AS BLOB) FROM entries WHERE entry >= ? ORDER BY entry"
"""As bytes, whatever whoever tampered with them may have left."""

BODIES = "SELECT CAST(body AS BLOB) FROM entries WHERE entry >= ? AND entry < ? ORDER BY entry DESC"
"""The number of each is its place, and need not be fetched: that would take a sixth longer."""

OF_KIND = "SELECT entry, CAST(body AS BLOB) FROM entries WHERE instr(body, ?) ORDER BY entry DESC LIMIT ?"

PAGE_ENTRIES = 1_000
"""How many entries are fetched at once: one by one they take a tenth longer."""

NEXT = """
INSERT INTO entries (entry, body, reader, salt) VALUES ((SELECT coalesce(max(entry), -1) + 1 FROM entries), ?, ?, ?)
"""


def append(
    connection: Connection, entries: Sequence[Entry], reader: str | None = None, salt: bytes | None = None
) -> int:
    """Add entries, in the transaction of what they record: both are there, or neither.

    `reader` and `salt` open the commitment of a reading, and stand beside its entry. Returns the number of the first
    entry. The tree grows over them before it is signed or looked at. Raises RefusedError where one is too long (L2).
    """
    database, numbers = driver(connection), []
    for entry in entries:
        if len(body := written(entry)) > ENTRY_BYTES_MAX:
            raise RefusedError(
                f"an entry of the ledger would be longer than {ENTRY_BYTES_MAX:,} bytes", "say it shorter"
            )
        numbers.append(database.execute(NEXT, (body, reader, salt)).lastrowid)
    return int(numbers[0] or 0)


def since(connection: Connection, number: int) -> Iterator[Entry]:
    """Yield the entries from a number on. Raises ProofError where one cannot be read."""
    return (read(body) for _, body in driver(connection).execute(SINCE, (number,)))


def grow(connection: Connection) -> None:
    """Let the tree grow over the entries that came since it last did. Raises ProofError where one is missing."""
    database = driver(connection)
    start = grown_over(database)

    def leaves() -> Iterator[bytes]:
        for place, (number, body) in enumerate(database.execute(SINCE, (start,)), start):
            if number != place:
                raise ProofError(f"entry {place} of the ledger is missing", "`avowal verify` tells what is")
            yield leaf_hash(body)

    nodes = appended(start, leaves(), reader(connection))
    database.executemany("INSERT INTO nodes (level, place, hash) VALUES (?, ?, ?)", nodes)


def size(connection: Connection) -> int:
    """Return how many entries there are."""
    ((last,),) = driver(connection).execute("SELECT max(entry) FROM entries")
    return 0 if last is None else int(last) + 1


def grown_over(connection: Connection) -> int:
    """Return how many entries the tree has grown over."""
    ((last,),) = driver(connection).execute("SELECT max(place) FROM nodes WHERE level = 0")
    return 0 if last is None else int(last) + 1


def reader(connection: Connection) -> Node:
    """Return what gives the nodes of the tree; it raises ProofError where one is missing."""
    database = driver(connection)

    def node(level: int, place: int) -> bytes:
        select = "SELECT hash FROM nodes WHERE level = ? AND place = ?"
        value = database.execute(select, (level, place)).fetchone()
        if value is None:
            raise ProofError("a node of the ledger is missing", "`avowal verify` tells what is")
        return _bytes(value[0])

    return node


def _bytes(value: bytes | str) -> bytes:
    """Return what a column of bytes holds; whoever tampered with it may have left a text."""
    return value.encode() if isinstance(value, str) else value


class Ledger(Part):
    """The ledger of a folder, with the key that signs it."""

    def __init__(self, database: Database, keys: Path) -> None:
        super().__init__(database)
        self._keys = keys

    @cached_property
    def signer(self) -> Signer:
        """Whoever signs: made with the first entry.

        Raises StoreError where the key was lost: another one's signature would prove nothing.
        """
        path = self._keys / KEY
        if not path.exists() and self.checkpoint():
            raise StoreError(
                f"`{path}` is missing, with which the ledger is signed",
                "put it back from where keys are kept",
            )
        key = secret(path)
        if len(key) != KEY_BYTES:
            raise StoreError(f"`{path}` is damaged", "put it back from where keys are kept")
        name = f"avowal/{Signer('avowal', key).verifier.id.hex()}"
        return Signer(name, key)

    def size(self) -> int:
        """Return how many entries there are."""
        with self._driven() as database:
            return size(database)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and bytes of each entry, in their order."""
        with self._driven() as database:
            found = database.execute(SINCE, (0,))
            while page := found.fetchmany(PAGE_ENTRIES):
                yield from page

    def last(self, count: int, kind: str = "") -> tuple[Sequence[int], list[bytes]]:
        """Return the numbers and the bytes of the last entries, the newest first; of one kind, where it is given.

        Raises ProofError where one of them is missing.
        """
        with self._driven() as database:
            if kind:
                rows = database.execute(OF_KIND, (f'"kind":"{kind}"'.encode(), count)).fetchall()
                return [number for number, _ in rows], [body for _, body in rows]
            end = size(database)
            numbers = range(max(end - count, 0), end)
            bodies = [body for (body,) in database.execute(BODIES, (numbers.start, end))]
        if len(bodies) != len(numbers):
            raise ProofError("an entry of the ledger is missing", "`avowal verify` tells which")
        return numbers[::-1], bodies

    def nodes(self, level: int) -> Iterator[tuple[int, bytes]]:
        """Yield each node of a level, as place and hash, in their order."""
        statement = (
            sa.select(NODES.c.place, NODES.c.hash).where(NODES.c.level == level).order_by(NODES.c.place)
        )
        with self._engine.connect().execution_options(yield_per=10_000) as connection:
            for place, value in connection.execute(statement):
                yield place, _bytes(value)

    def broken(self, entries: list[Entry] | None = None) -> Iterator[str]:
        """Compute every node again, and yield what is not as it is stored; `entries` gets what is read.

        The tree has to have grown over all entries.
        """
        level: list[bytes] = []
        for place, (number, body) in enumerate(self.entries()):
            if number != place:
                yield f"entry {place} of the ledger is missing"
                return
            level.append(leaf_hash(body))
            try:
                if entries is not None:
                    entries.append(read(body))
            except ProofError as error:
                yield f"entry {place} of the ledger: {error.message}"
        height = 0
        while level:
            for place, (computed, stored) in enumerate(zip_longest(level, self.nodes(height))):
                if computed is None or stored != (place, computed):
                    what = f"entry {place}" if height == 0 else f"the node at level {height}, place {place},"
                    yield f"{what} of the ledger is not what its hash says"
                    return
            level = [node_hash(*level[at : at + 2]) for at in range(0, len(level) - 1, 2)]
            height += 1

    def root(self, size: int) -> bytes:
        """Return the root over the first entries. Raises ProofError where nodes are missing."""
        with self._engine.connect() as connection:
            return root(size, reader(connection))

    def checkpoints(self) -> list[Note]:
        """Return every checkpoint that was signed, the smallest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size))
            return [Note.parse(text) for (text,) in rows]

    def checkpoint(self) -> Note | None:
        """Return the last checkpoint that was signed; None where none was."""
        select = sa.select(CHECKPOINTS.c.note).order_by(CHECKPOINTS.c.size.desc()).limit(1)
        with self._engine.connect() as connection:
            text = connection.execute(select).scalar()
        return Note.parse(text) if text else None

    def last_seen(self) -> Note | None:
        """Return the last checkpoint as it stands beside the key, apart from the data."""
        path = self._keys / LAST_CHECKPOINT
        try:
            return Note.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, ProofError) as error:
            raise ProofError(
                f"`{path}` is damaged ({type(error).__name__}): nobody can tell whether the ledger is what was signed",
                "put it back; or move it away, and have `avowal verify --witness` look at a checkpoint held elsewhere",
            ) from None

    def sign(self) -> Note | None:
        """Return the checkpoint over all entries there are, signed now or before; None where there are none."""
        signer = self.signer
        with self._transact() as database:
            entries = size(database)
            if entries == 0:
                return None
            row = database.execute("SELECT note FROM checkpoints WHERE size = ?", (entries,)).fetchone()
            if row is None:
                grow(database)
                whole = root(entries, reader(database))
                row = (str(Checkpoint(signer.name, entries, whole).signed(signer)),)
                database.execute("INSERT INTO checkpoints (size, note) VALUES (?, ?)", (entries, *row))
        told = str(row[0])
        replace_text(self._keys / LAST_CHECKPOINT, told)
        return Note.parse(told)

    def cosign(self, written: str, witness: Verifier) -> Note:
        """Add a witness's signature to the checkpoint that it stands for; return that.

        `written` is the cosigned checkpoint, or the lines of signatures alone, which are of the last one. Raises
        ProofError where it is no checkpoint of this ledger, or the witness did not sign it.
        """
        last = self.sign()
        note = Note.parse(written if "\n\n" in written else f"{last.text if last else ''}\n{written}")
        line = note.lines_of(witness)
        if not line:
            raise ProofError(
                f"`{witness.name}` did not sign this checkpoint", "look at the witness's key, and at the file"
            )
        with self._write() as connection:
            of_size = CHECKPOINTS.c.size == Checkpoint.parse(note.text).size
            told = connection.execute(sa.select(CHECKPOINTS.c.note).where(of_size)).scalar()
            kept = Note.parse(told) if told else None
            if kept is None or kept.text != note.text:
                raise ProofError(
                    "this is no checkpoint of this ledger", "`avowal ledger checkpoint` prints the last one"
                )
            others = tuple(one for one in kept.signatures if one not in kept.lines_of(witness))
            cosigned = Note(kept.text, (*others, *line))
            connection.execute(sa.update(CHECKPOINTS).where(of_size).values(note=str(cosigned)))
        if last and cosigned.text == last.text:
            replace_text(self._keys / LAST_CHECKPOINT, str(cosigned))
        return cosigned

    def tile(self, level: int, number: int, width: int) -> dict[str, bytes]:
        """Return the hashes of a tile; of the lowest level its bundle of entries, too. Each by its path."""
        start, end = number * WIDTH, number * WIDTH + width
        of_level = (NODES.c.level == level * HEIGHT, NODES.c.place >= start, NODES.c.place < end)
        hashes = sa.select(NODES.c.hash).where(*of_level).order_by(NODES.c.place)
        within = (ENTRIES.c.entry >= start, ENTRIES.c.entry < end)
        bodies = sa.select(ENTRIES.c.body).where(*within).order_by(ENTRIES.c.entry)
        with self._engine.connect() as connection:
            files = {
                path(str(level), number, width): b"".join(map(_bytes, connection.execute(hashes).scalars()))
            }
            if level == 0:
                told = list(map(_bytes, connection.execute(bodies).scalars()))
                files[path("entries", number, width)] = bundle(told)
        return files

    def export(self, folder: Path) -> int:
        """Write the ledger as tiles and its checkpoint, which comes last; returns how many files were new.

        Full tiles that are there already stay as they are.
        """
        note = self.sign()
        if note is None:
            return 0
        written = 0
        for level, number, width in spans(Checkpoint.parse(note.text).size):
            for name, data in self.tile(level, number, width).items():
                place = folder / name
                if not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(data)
                    written += 1
        replace_text(folder / CHECKPOINT, str(note))
        return written

    def receipt(self, index: int) -> Receipt:
        """Return the proof of an entry, under a checkpoint over all entries.

        Raises ProofError where there is no such entry.
        """
        note = self.sign()
        entries = opened(note, self.signer.verifier).size if note else 0
        proof = self.proof(index, entries)
        with self._engine.connect() as connection:
            body = connection.execute(sa.select(ENTRIES.c.body).where(ENTRIES.c.entry == index)).scalar_one()
        assert note is not None  # noqa: S101  # an empty ledger has no proof
        return Receipt(index, body, tuple(proof), note)

    def proof(self, index: int, size: int) -> list[bytes]:
        """Return the proof that the first entries have that of an index. Raises ProofError where they have not."""
        with self._engine.connect() as connection:
            return inclusion_proof(index, size, reader(connection))

    def check_last(self) -> None:
        """Check that the last checkpoint still holds: to be called at each start.

        Raises ProofError where entries are gone or changed since.
        """
        note = self.last_seen()
        if note is None:
            return
        last = opened(note, self.signer.verifier)
        if self.size() < last.size or self.root(last.size) != last.root:
            raise ProofError(
                f"the ledger is not the one whose {last.size} entries were signed: entries are gone, or were changed",
                "put the newest backup of the data back; `avowal verify` names what does not hold",
            )
