"""Import, follow and receive logs, and load each line into the store exactly once."""
