"""Compare folder, register, store and releases with the ledger."""
