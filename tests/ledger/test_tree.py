"""The Merkle tree and its proofs, compared with published test vectors and with all small trees."""

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


def grow_tree(leaves: Sequence[bytes], *cuts: int) -> NodeLookup:
    """Return the nodes of a tree that grew in batches, which end at the given sizes."""
    nodes: dict[tuple[int, int], bytes] = {}
    for start, end in pairwise([0, *cuts, len(leaves)]):
        batch = list(append_leaves(start, leaves[start:end], lambda level, index: nodes[level, index]))
        nodes.update({(level, index): value for level, index, value in batch})
    return lambda level, index: nodes[level, index]


def compute_rfc6962_root(leaves: Sequence[bytes]) -> bytes:
    """Return a root as RFC 6962 defines it."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hash_node(compute_rfc6962_root(leaves[:half]), compute_rfc6962_root(leaves[half:]))


LEAVES = [hash_leaf(bytes([number])) for number in range(40)]


def decode_hashes(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or []]


@needs_data
@pytest.mark.parametrize("path", VECTORS, ids=[str(path.relative_to(DATA / "testdata")) for path in VECTORS])
def test_published_vectors_are_verified(path: Path) -> None:
    """Each valid proof of the published vectors is accepted, and each invalid one is refused."""
    vector: dict[str, Any] = json.loads(path.read_text())
    proof = decode_hashes(vector["proof"])
    kind = path.relative_to(DATA / "testdata").parts[0]

    def check() -> None:
        if "inclusion" in kind:
            start, end = vector.get("start", 0), vector["end" if "end" in vector else "treeSize"]
            leaf, root = base64.b64decode(vector["leafHash"] or ""), base64.b64decode(vector["root"] or "")
            check_inclusion(vector["leafIdx"], end, leaf, proof, root, start)
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
def test_the_reference_tree_has_the_same_roots_and_proofs() -> None:
    """Roots, inclusion proofs and consistency proofs equal those of the reference implementation."""
    reference = json.loads((DATA / "rfc6962_reference.json").read_text())
    leaves = [hash_leaf(bytes.fromhex(text)) for text in reference["leaf_inputs_hex"]]
    node = grow_tree(leaves)
    assert compute_root(0, node).hex() == reference["empty_root"] == EMPTY_ROOT.hex()
    for size, expected in reference["roots_by_size"].items():
        assert compute_root(int(size), node).hex() == expected
    for case in reference["inclusion"]:
        if case["tree_size"]:
            proof = prove_inclusion(case["leaf_number_1based"] - 1, case["tree_size"], node)
            assert [value.hex() for value in proof] == case["path"]
    for case in reference["consistency"]:
        assert [value.hex() for value in prove_consistency(case["size1"], case["size2"], node)] == case[
            "proof"
        ]


def test_every_proof_of_a_small_tree_is_verified() -> None:
    """Up to size 40, each entry and each earlier size is proved, and changed proofs are refused."""
    node = grow_tree(LEAVES)
    for size in range(1, len(LEAVES) + 1):
        root = compute_root(size, node)
        assert root == compute_rfc6962_root(LEAVES[:size])
        for index in range(size):
            proof = prove_inclusion(index, size, node)
            check_inclusion(index, size, LEAVES[index], proof, root)
            for wrong_place in ((index + 1, size), (index, size + 1), (index - 1, size)):
                if is_inclusion_proof_valid(wrong_place, LEAVES[index], proof, root):
                    assert wrong_place[1] != size, (index, size, wrong_place)
        for first in range(1, size + 1):
            proof = prove_consistency(first, size, node)
            check_consistency(first, size, compute_root(first, node), root, proof)
            for changed_proof in (proof[:-1], [*proof, LEAVES[0]], [LEAVES[0], *proof[1:]]):
                if changed_proof != proof:
                    with pytest.raises(ProofError):
                        check_consistency(first, size, compute_root(first, node), root, changed_proof)


def is_inclusion_proof_valid(place: tuple[int, int], leaf: bytes, proof: list[bytes], root: bytes) -> bool:
    try:
        check_inclusion(*place, leaf, proof, root)
    except ProofError:
        return False
    return True


@settings(deadline=None)
@given(st.lists(st.binary(max_size=8), max_size=70), st.data())
def test_batches_build_the_same_tree(entries: list[bytes], data: st.DataObject) -> None:
    """A tree has the same root, whichever batches it grew in."""
    leaves = [hash_leaf(entry) for entry in entries]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(leaves)), max_size=4)))
    assert compute_root(len(leaves), grow_tree(leaves, *cuts)) == compute_rfc6962_root(leaves)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_an_entry_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    """A proof of an entry or a size beyond the tree is refused."""
    with raises_code("entry-not-found"):
        prove_inclusion(index, size, grow_tree(LEAVES))
    with raises_code("invalid-sizes"):
        prove_consistency(size + 1, size, grow_tree(LEAVES))
