"""The tree and its proofs: the vectors of transparency-dev and RFC 6962, and trees of every small size."""

import base64
import json
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.errors import ProofError
from avowal.ledger.tree import (
    EMPTY_ROOT,
    NodeLookup,
    append_leaves,
    check_consistency,
    check_inclusion,
    check_subtree,
    compute_root,
    hash_leaf,
    hash_node,
    prove_consistency,
    prove_inclusion,
)
from support.errors import raises_code

DATA = Path(__file__).parents[3] / "shared" / "data" / "ledger"
VECTORS = sorted(DATA.glob("testdata/**/*.json"))
needs_data = pytest.mark.skipif(not VECTORS, reason=f"the vectors are not at {DATA}")


def grown(leaves: Sequence[bytes], *cuts: int) -> NodeLookup:
    """Return the nodes of a tree that grew in batches, which end at the cuts."""
    nodes: dict[tuple[int, int], bytes] = {}
    for start, end in pairwise([0, *cuts, len(leaves)]):
        batch = list(append_leaves(start, leaves[start:end], lambda level, place: nodes[level, place]))
        nodes.update({(level, place): value for level, place, value in batch})
    return lambda level, place: nodes[level, place]


def plainly(leaves: Sequence[bytes]) -> bytes:
    """Return a root as RFC 6962 defines it."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hash_node(plainly(leaves[:half]), plainly(leaves[half:]))


LEAVES = [hash_leaf(bytes([number])) for number in range(40)]


def decoded(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or []]


@needs_data
@pytest.mark.parametrize("path", VECTORS, ids=[str(path.relative_to(DATA / "testdata")) for path in VECTORS])
def test_the_vectors_hold(path: Path) -> None:
    """Each good proof is accepted, and each bad one refused."""
    vector: dict[str, Any] = json.loads(path.read_text())
    proof = decoded(vector["proof"])
    kind = path.relative_to(DATA / "testdata").parts[0]

    def check() -> None:
        if "inclusion" in kind:
            start, end = vector.get("start", 0), vector["end" if "end" in vector else "treeSize"]
            told = base64.b64decode(vector["leafHash"] or ""), base64.b64decode(vector["root"] or "")
            check_inclusion(vector["leafIdx"], end, told[0], proof, told[1], start)
        else:
            roots = base64.b64decode(vector["root1"] or ""), base64.b64decode(vector["root2"] or "")
            if "start" in vector:
                check_subtree(vector["start"], vector["end"], vector["size"], *roots, proof)
            else:
                check_consistency(vector["size1"], vector["size2"], *roots, proof)

    if vector["wantErr"]:
        with pytest.raises(ProofError):
            check()
    else:
        check()


@needs_data
def test_the_reference_tree_is_made() -> None:
    """Roots, inclusion and consistency proofs are those that the reference has."""
    told = json.loads((DATA / "rfc6962_reference.json").read_text())
    leaves = [hash_leaf(bytes.fromhex(text)) for text in told["leaf_inputs_hex"]]
    node = grown(leaves)
    assert compute_root(0, node).hex() == told["empty_root"] == EMPTY_ROOT.hex()
    for size, expected in told["roots_by_size"].items():
        assert compute_root(int(size), node).hex() == expected
    for one in told["inclusion"]:
        if one["tree_size"]:
            found = prove_inclusion(one["leaf_number_1based"] - 1, one["tree_size"], node)
            assert [value.hex() for value in found] == one["path"]
    for one in told["consistency"]:
        assert [value.hex() for value in prove_consistency(one["size1"], one["size2"], node)] == one["proof"]


def test_every_proof_of_small_trees_holds_and_no_other() -> None:
    """For each size up to 40: every entry and every earlier size is proved, and no other leaf, size or root by the same."""
    node = grown(LEAVES)
    for size in range(1, len(LEAVES) + 1):
        whole = compute_root(size, node)
        assert whole == plainly(LEAVES[:size])
        for index in range(size):
            proof = prove_inclusion(index, size, node)
            check_inclusion(index, size, LEAVES[index], proof, whole)
            for wrong in ((index + 1, size), (index, size + 1), (index - 1, size)):
                if inclusion_proof_holds(wrong, LEAVES[index], proof, whole):
                    assert wrong[1] != size, (index, size, wrong)
        for first in range(1, size + 1):
            proof = prove_consistency(first, size, node)
            check_consistency(first, size, compute_root(first, node), whole, proof)
            for changed in (proof[:-1], [*proof, LEAVES[0]], [LEAVES[0], *proof[1:]]):
                if changed != proof:
                    with pytest.raises(ProofError):
                        check_consistency(first, size, compute_root(first, node), whole, changed)


def inclusion_proof_holds(place: tuple[int, int], leaf: bytes, proof: list[bytes], whole: bytes) -> bool:
    try:
        check_inclusion(*place, leaf, proof, whole)
    except ProofError:
        return False
    return True


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=70), st.data())
def test_batches_make_the_same_tree(entries: list[bytes], data: st.DataObject) -> None:
    """However a tree grew, its root is that of its entries."""
    leaves = [hash_leaf(entry) for entry in entries]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(leaves)), max_size=4)))
    assert compute_root(len(leaves), grown(leaves, *cuts)) == plainly(leaves)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_what_is_not_there_has_no_proof(index: int, size: int) -> None:
    """An entry beyond the tree is refused."""
    with raises_code("entry-not-found"):
        prove_inclusion(index, size, grown(LEAVES))
    with raises_code("invalid-sizes"):
        prove_consistency(size + 1, size, grown(LEAVES))
