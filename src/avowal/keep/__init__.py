"""Where it stays: segments, the store, visits."""
