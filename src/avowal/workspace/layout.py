"""The names of the files and folders in a data folder that processes share."""

LOCK_FILE = "lock"
"""Locked by the process that owns the folder; holds the number of that process."""

SOCKET_FILE = "avowal.sock"
"""The Unix socket on which the owner receives requests."""

SEGMENTS_FOLDER = "segments"
"""Segments of logs, written by processes that do not own the folder."""

JOURNALS_FOLDER = "journals"
"""Journals of the server, and segments of applications that collect through the middleware."""
