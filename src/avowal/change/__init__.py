"""A new version: how it is published, and what it may not do to what was collected before."""
