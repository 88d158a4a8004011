"""Segments and journals that wait in a data folder until its owner loads them."""

import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from avowal.collect import segment
from avowal.collect.journal import Journal, list_journals
from avowal.collect.segment import SegmentFile, list_segments
from avowal.errors import StoreError
from avowal.private_files import check_private_files
from avowal.store.interface import LoadResult, Store, StoreRegistry
from avowal.store.load_state import version_mismatch_error
from avowal.workspace.layout import JOURNALS_FOLDER, SEGMENTS_FOLDER

SEGMENTS_PER_LOAD_MAX = 100
"""How many small segments are loaded at once."""


class PendingFiles:
    """The files of one data folder that are not loaded yet. A file is removed once what it holds is durable."""

    def __init__(self, data_folder: Path, store: Store, registry: StoreRegistry | None = None) -> None:
        self._segments_folder = data_folder / SEGMENTS_FOLDER
        self._journals_folder = data_folder / JOURNALS_FOLDER
        self._store = store
        self._registry = registry
        self._loading = threading.Lock()

    def recover(self) -> tuple[int, bool]:
        """Load everything that an earlier owner left.

        Returns how many lines of logs that recovered, and whether anything else was loaded.
        """
        if self._registry:
            # An owner that was killed may have removed files, and not have forgotten them.
            self._registry.forget_journals(self._registry.noted_journals() & self._store.loaded_journals())
        lines = sum(
            self._load_left_segment(segment_file) for segment_file in list_segments(self._segments_folder)
        )
        return lines, self.load_arrivals(list_journals(self._journals_folder))

    def load_arrivals(self, journals: Sequence[Journal]) -> bool:
        """Load journals, and the segments of applications; returns whether there were any."""
        if journals:
            self._load_journals(journals)
        segments = list_segments(self._journals_folder)
        for start in range(0, len(segments), SEGMENTS_PER_LOAD_MAX):
            self._load_application_segments(segments[start : start + SEGMENTS_PER_LOAD_MAX])
        return bool(journals or segments)

    def _load_journals(self, journals: Sequence[Journal]) -> None:
        """Load journals. One that is refused stays where it is, and StoreError is raised once the others are loaded.

        So does one that is damaged, or that nobody noted: `avowal verify` finds it.
        """
        if self._registry:
            noted = self._registry.noted_journals() | self._store.loaded_journals()
            journals = [journal for journal in journals if journal.name in noted]
        journals = [journal for journal in journals if not journal.is_damaged]
        refused = self._store.load_journals(journals)
        loaded = [journal for journal in journals if journal not in refused]
        for journal in loaded:
            journal.path.unlink(missing_ok=True)
        if self._registry:
            self._registry.forget_journals([journal.name for journal in loaded])
        if refused:
            raise version_mismatch_error(f"`{refused[0].path}`")

    def load_named_segments(self, file_names: Sequence[str]) -> list[LoadResult]:
        """Load segments that another process wrote and named. Raises StoreError if one does not continue its log."""
        segments = [SegmentFile(self._segments_folder / Path(name).name) for name in file_names]
        check_private_files(segment.path for segment in segments)
        with self._loading:
            results = self._store.load_segments(segments)
            for segment_file in segments:
                segment_file.path.unlink()
            return results

    def load_left_by(self, head_digests: Collection[str]) -> None:
        """Load the segments that a process left behind of the logs that it read."""
        with self._loading:
            for segment_file in list_segments(self._segments_folder):
                if segment_file.metadata.origin.head_digest in head_digests:
                    self._load_left_segment(segment_file)

    def _load_application_segments(self, segments: Sequence[SegmentFile]) -> None:
        """Load segments of applications; one that does not continue what is loaded stays until what precedes it is."""
        try:
            self._store.load_segments(segments)
        except StoreError as error:
            if error.code != "log-mismatch":
                raise
            if len(segments) > 1:
                for alone in segments:
                    self._load_application_segments([alone])
                return
            if segments[0].age_seconds < segment.ABANDONED_FILE_SECONDS:
                return
        for segment_file in segments:
            segment_file.path.unlink()

    def _load_left_segment(self, segment_file: SegmentFile) -> int:
        """Load a segment and return how many new lines it had.

        One that does not continue its log is removed unread: its lines can be read from the log again.
        """
        lines = 0
        with suppress(StoreError):
            (result,) = self._store.load_segments([segment_file])
            lines = segment_file.metadata.counts.lines if result.load_number else 0
        segment_file.path.unlink()
        return lines
