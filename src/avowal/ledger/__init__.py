"""The ledger: an append-only Merkle tree of entries, with signed checkpoints and proofs about single entries."""
