"""An open data folder as the rest of the program uses it, whichever process owns it."""

from collections.abc import Sequence
from typing import Protocol

from avowal.collect.segment import Segment
from avowal.store.interface import LoadResult
from avowal.workspace.messages import Answer, Request


class FolderBackend(Protocol):
    """An open data folder: owned by this process, or reached through the process that owns it.

    Any number of threads may call; a client sends its requests one after the other.
    """

    is_owner: bool

    def call(self, request: Request[Answer]) -> Answer:
        """Return the answer to a request.

        Raises the AvowalError that the owner raised, and ServerGoneError if the owner ended before it answered.
        """
        ...

    def load_segments(self, segments: Sequence[Segment]) -> list[LoadResult]:
        """Load segments into the store, exactly once each; returns when they are durable."""
        ...

    def close(self) -> None:
        """Release the folder."""
        ...
