"""The Merkle tree of RFC 6962: hashes, and the proofs of RFC 9162, made and checked.

A *node* is the hash of a complete subtree: at level `l` and place `p` it covers `1 << l` entries from `p << l` on.
Nodes never change once they are there, so a tree is kept as its nodes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from avowal.errors import ProofError

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()

NodeLookup = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree, by level and place."""


def hash_leaf(entry: bytes) -> bytes:
    """Return the hash of an entry (RFC 6962, section 2.1)."""
    return sha256(b"\0" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees beside each other."""
    return sha256(b"\1" + left + right).digest()


def append_leaves(
    size: int, leaf_hashes: Iterable[bytes], node: NodeLookup
) -> Iterator[tuple[int, int, bytes]]:
    """Yield each node, as level, place and hash, that a tree of some size gets by more leaf hashes, level by level."""
    level, place, values = 0, size, list(leaf_hashes)
    while values:
        yield from ((level, place + offset, value) for offset, value in enumerate(values))
        if place % 2:
            place -= 1
            values = [node(level, place), *values]
        values = [hash_node(left, right) for left, right in zip(values[::2], values[1::2], strict=False)]
        level, place = level + 1, place // 2


def compute_root(size: int, node: NodeLookup) -> bytes:
    """Return the root of the tree of the first `size` entries."""
    return _covering(0, size, node) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, node: NodeLookup) -> list[bytes]:
    """Return the proof that the tree of some size has its entry of an index (RFC 9162, section 2.1.3.1).

    Raises ProofError where it has no such entry.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no entry {index} among {size}", "count from 0", code="entry-not-found")
    proof, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_covering(middle, end, node))
            end = middle
        else:
            proof.append(_covering(start, middle, node))
            start = middle
    return proof[::-1]


def prove_consistency(first: int, second: int, node: NodeLookup) -> list[bytes]:
    """Return the proof that the tree of `second` entries begins with that of `first` (RFC 9162, section 2.1.4.1).

    Raises ProofError unless the first has an entry, and the second as many or more.
    """
    if not 0 < first <= second:
        raise ProofError(
            f"{second} entries do not begin with {first}",
            "name two sizes, the smaller first",
            code="invalid-sizes",
        )
    proof, start, end = [], 0, second
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            proof.append(_covering(middle, end, node))
            end = middle
        else:
            proof.append(_covering(start, middle, node))
            start = middle
    if start:
        proof.append(_covering(start, end, node))
    return proof[::-1]


def check_inclusion(
    index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root_hash: bytes, start: int = 0
) -> None:
    """Check that a tree, or its subtree of the entries from `start` to before `size`, has a leaf at an index.

    By RFC 9162, section 2.1.3.2; raises ProofError where the proof does not show it.
    """
    if not start <= index < size or not _is_subtree(start, size):
        raise ProofError("the proof is of no entry of this tree", code="proof-mismatch")
    _check_lengths(leaf_hash, *proof, root_hash)
    place, last, found = index - start, size - start - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if place & 1 or place == last:
            found = hash_node(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hash_node(found, sibling)
        place, last = place >> 1, last >> 1
    if last or found != root_hash:
        raise ProofError("the proof does not lead to the root", code="proof-mismatch")


def check_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `second` entries begins with that of `first`, which has at least one.

    By RFC 9162, section 2.1.4.2; raises ProofError where the proof does not show it.
    """
    if first == 0:
        raise ProofError("no entries at all are no beginning that could be shown")
    check_subtree(0, first, second, first_root, second_root, proof)


def check_subtree(
    start: int, end: int, size: int, subtree_root: bytes, root_hash: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree has a subtree of its entries from `start` to before `end`; with `start` 0, that it begins so.

    No entries at all are a part of any tree, and need no proof. Raises ProofError where the proof does not show it.
    """
    if start == end <= size and subtree_root == EMPTY_ROOT and not proof:
        return
    if not start < end <= size or not _is_subtree(start, end):
        raise ProofError("the proof is of no part of this tree", code="proof-mismatch")
    low, high, last = start, end - 1, size - 1
    while low != high and (high == last or high & 1):
        low, high, last = low >> 1, high >> 1, last >> 1
    if low != high and not proof:
        raise ProofError("the proof is too short")
    rest = list(proof)
    part = whole = subtree_root if low == high else rest.pop(0)
    for sibling in rest:
        if last == 0:
            raise ProofError("the proof is too long")
        if high & 1 or high == last:
            part = hash_node(sibling, part) if low < high else part
            whole = hash_node(sibling, whole)
            low, high, last = _climbed(low, high, last)
        else:
            whole = hash_node(whole, sibling)
        low, high, last = low >> 1, high >> 1, last >> 1
    if last or part != subtree_root or whole != root_hash:
        raise ProofError("the proof does not lead from the one root to the other", code="proof-mismatch")


def _climbed(low: int, high: int, last: int) -> tuple[int, int, int]:
    """Go up to where the node before is a sibling, or to the top."""
    while not high & 1 and high:
        low, high, last = low >> 1, high >> 1, last >> 1
    return low, high, last


def _split(size: int) -> int:
    """Return the greatest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def _covering(start: int, end: int, node: NodeLookup) -> bytes:
    """Return the hash over the entries from `start` to before `end`, which begin at a place for that many."""
    size = end - start
    if not size & (size - 1):
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return hash_node(_covering(start, middle, node), _covering(middle, end, node))


def _check_lengths(*hashes: bytes) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofError("a hash of the proof is no SHA-256")


def _is_subtree(start: int, end: int) -> bool:
    """Return whether these are a subtree's entries: `start` is a multiple of the power of two that holds them."""
    return start % (1 << (end - start - 1).bit_length()) == 0
