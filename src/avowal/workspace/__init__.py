"""The data folder: one process owns it, others ask that process."""
