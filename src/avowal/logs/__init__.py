"""Access-log files and their formats."""
