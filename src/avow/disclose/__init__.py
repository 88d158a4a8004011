"""Who else may see what: processors under contracts that protect as much."""
