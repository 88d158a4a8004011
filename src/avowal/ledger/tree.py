"""The Merkle tree of RFC 6962 with the proofs of RFC 9162: functions that compute hashes and make and check proofs.

A *node* is the hash of a complete subtree: the node at level `l` and index `i` covers `1 << l` entries from `i << l`
on. Nodes never change, so a tree is stored as its nodes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from avowal.errors import ProofError

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()

NodeLookup = Callable[[int, int], bytes]
"""Returns the node at a level and index."""


def hash_leaf(entry: bytes) -> bytes:
    """Return the hash of an entry (RFC 6962, section 2.1)."""
    return sha256(b"\0" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return the hash of a subtree from the hashes of its two halves (RFC 6962, section 2.1)."""
    return sha256(b"\1" + left + right).digest()


def append_leaves(
    size: int, leaf_hashes: Iterable[bytes], node: NodeLookup
) -> Iterator[tuple[int, int, bytes]]:
    """Yield the nodes that more leaves add to a tree of a size, level by level: level, index and hash of each."""
    level, index, values = 0, size, list(leaf_hashes)
    while values:
        yield from ((level, index + offset, value) for offset, value in enumerate(values))
        if index % 2:
            index -= 1
            values = [node(level, index), *values]
        values = [hash_node(left, right) for left, right in zip(values[::2], values[1::2], strict=False)]
        level, index = level + 1, index // 2


def compute_root(size: int, node: NodeLookup) -> bytes:
    """Return the root of the tree of the first `size` entries."""
    return _hash_range(0, size, node) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, node: NodeLookup) -> list[bytes]:
    """Return the proof that a tree of a size includes the entry at an index (RFC 9162, section 2.1.3.1).

    Raises ProofError if it has no such entry.
    """
    if not 0 <= index < size:
        raise ProofError(
            f"the ledger has {size} entries, but no entry {index}",
            "the first entry has the number 0",
            code="entry-not-found",
        )
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_hash_range(middle, end, node))
            end = middle
        else:
            proof.append(_hash_range(start, middle, node))
            start = middle
    return proof[::-1]


def prove_consistency(first: int, second: int, node: NodeLookup) -> list[bytes]:
    """Return the proof that the tree of `second` entries begins with that of `first` (RFC 9162, section 2.1.4.1).

    Raises ProofError unless the first tree has an entry, and the second at least as many.
    """
    if not 0 < first <= second:
        raise ProofError(
            f"a tree of {second} entries does not begin with one of {first}",
            "give two sizes above 0, the smaller first",
            code="invalid-sizes",
        )
    proof, start, end = [], 0, second
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(_hash_range(middle, end, node))
            end = middle
        else:
            proof.append(_hash_range(start, middle, node))
            start = middle
    if start:
        proof.append(_hash_range(start, end, node))
    return proof[::-1]


def check_inclusion(
    index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root_hash: bytes, start: int = 0
) -> None:
    """Check that a tree, or its subtree of the entries from `start` to before `size`, has a leaf at an index.

    See RFC 9162, section 2.1.3.2. Raises ProofError if the proof does not show it.
    """
    if not start <= index < size or not _is_subtree(start, size):
        raise ProofError("the proof is not of an entry of this tree", code="proof-mismatch")
    _check_lengths(leaf_hash, *proof, root_hash)
    position, last, node_hash = index - start, size - start - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            node_hash = hash_node(sibling, node_hash)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node_hash = hash_node(node_hash, sibling)
        position, last = position >> 1, last >> 1
    if last or node_hash != root_hash:
        raise ProofError("the proof does not lead to the root", code="proof-mismatch")


def check_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `second` entries begins with that of `first`, which has at least one.

    See RFC 9162, section 2.1.4.2. Raises ProofError if the proof does not show it.
    """
    if first == 0:
        raise ProofError("a proof needs a first tree of at least one entry")
    check_subtree(0, first, second, first_root, second_root, proof)


def check_subtree(
    start: int, end: int, size: int, subtree_root: bytes, root_hash: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree has a subtree of its entries from `start` to before `end`.

    An empty range is a part of every tree and needs no proof. Raises ProofError if the proof does not show it.
    """
    if start == end <= size and subtree_root == EMPTY_ROOT and not proof:
        return
    if not start < end <= size or not _is_subtree(start, end):
        raise ProofError("the proof is not of a part of this tree", code="proof-mismatch")
    low, high, last = start, end - 1, size - 1
    while low != high and (high == last or high & 1):
        low, high, last = low >> 1, high >> 1, last >> 1
    if low != high and not proof:
        raise ProofError("the proof is too short")
    siblings = list(proof)
    part = whole = subtree_root if low == high else siblings.pop(0)
    for sibling in siblings:
        if last == 0:
            raise ProofError("the proof is too long")
        if high & 1 or high == last:
            part = hash_node(sibling, part) if low < high else part
            whole = hash_node(sibling, whole)
            low, high, last = _climb(low, high, last)
        else:
            whole = hash_node(whole, sibling)
        low, high, last = low >> 1, high >> 1, last >> 1
    if last or part != subtree_root or whole != root_hash:
        raise ProofError(
            "the proof does not lead from the subtree to the root of the tree", code="proof-mismatch"
        )


def _climb(low: int, high: int, last: int) -> tuple[int, int, int]:
    """Go up to the first level at which the node has a left sibling, or to the root."""
    while not high & 1 and high:
        low, high, last = low >> 1, high >> 1, last >> 1
    return low, high, last


def _split(size: int) -> int:
    """Return the greatest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def _hash_range(start: int, end: int, node: NodeLookup) -> bytes:
    """Return the hash of the subtree of the entries from `start` to before `end`."""
    size = end - start
    if not size & (size - 1):
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return hash_node(_hash_range(start, middle, node), _hash_range(middle, end, node))


def _check_lengths(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofError(f"a hash of the proof is not {HASH_BYTES} bytes long")


def _is_subtree(start: int, end: int) -> bool:
    """Return whether entries form a subtree: `start` is a multiple of the next power of two of their number."""
    return start % (1 << (end - start - 1).bit_length()) == 0
