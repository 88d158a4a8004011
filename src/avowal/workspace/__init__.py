"""The data folder: one process owns it, and other processes send that one their requests."""
