"""Ledgers that tests make, and entries that they append."""

from datetime import datetime, timedelta

from avowal.ledger.checkpoint import Checkpoint, EntryProof
from avowal.ledger.entry import Entry, VersionWithdrawn, encode_entry
from avowal.ledger.note import Signer
from avowal.ledger.tree import append_leaves, compute_root, hash_leaf, prove_inclusion
from avowal.register.ledger_storage import append_entries
from avowal.register.register import Register

START = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone


def append_withdrawals(register: Register, start: int, end: int) -> None:
    """Append the withdrawals of the versions from `start` up to, but not including, `end`."""
    entries = [
        VersionWithdrawn(number, "a" * 64, START + timedelta(seconds=number)) for number in range(start, end)
    ]
    with register.database.transaction() as connection:
        append_entries(connection, entries)


SIGNER = Signer("avowal/00000000", bytes(range(32)))
"""Signs the ledgers of `prove_entry`."""


def prove_entry(entry: Entry) -> EntryProof:
    """Return the proof of an entry in a small ledger of its own, which `SIGNER` signed."""
    body, index = encode_entry(entry), 2
    leaves = [hash_leaf(leaf) for leaf in (b"{}", b"{}", body, b"{}", b"{}")]
    nodes: dict[tuple[int, int], bytes] = {}
    for level, position, value in append_leaves(0, leaves, lambda *place: nodes[place]):
        nodes[level, position] = value
    root = compute_root(len(leaves), lambda *place: nodes[place])
    path = tuple(prove_inclusion(index, len(leaves), lambda *place: nodes[place]))
    checkpoint = Checkpoint(SIGNER.name, len(leaves), root).sign(SIGNER)
    return EntryProof(index, body, path, checkpoint)
