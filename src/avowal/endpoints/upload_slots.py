"""How many forms may be under way at the same time, in number and bytes, from one network and from all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from avowal.submissions.form_upload import RejectionCode, SubmissionRejected

UPLOAD_SECONDS_MAX = 600
"""How long a form may take to arrive."""


@dataclass
class UploadSlots:
    """The forms that are under way. For one event loop."""

    uploads_max: int = 256
    per_network_max: int = 8
    bytes_max: int = 1 << 30
    """The most bytes of all forms that are under way: their files are on disk meanwhile, encrypted."""
    _bytes: int = 0
    _networks: Counter[bytes] = field(default_factory=Counter)

    @contextmanager
    def take(self, network: bytes) -> Iterator["UploadSlot"]:
        """Let a network send a form inside the block. Raises SubmissionRejected if too many are under way."""
        if self._networks[network] >= self.per_network_max or self._networks.total() >= self.uploads_max:
            raise _too_many()
        self._networks[network] += 1
        slot = UploadSlot(self)
        try:
            yield slot
        finally:
            self._bytes -= slot.size_bytes
            self._networks[network] -= 1
            self._networks += Counter()  # which removes networks without forms

    def add_bytes(self, byte_count: int) -> None:
        """Count bytes that arrived. Raises SubmissionRejected if that is too much for all forms together."""
        self._bytes += byte_count
        if self._bytes > self.bytes_max:
            raise _too_many()


@dataclass
class UploadSlot:
    """A form that is under way."""

    slots: UploadSlots
    size_bytes: int = 0

    def add_bytes(self, byte_count: int) -> None:
        """Count bytes that arrived. Raises SubmissionRejected if too much is under way."""
        self.size_bytes += byte_count
        self.slots.add_bytes(byte_count)


def _too_many() -> SubmissionRejected:
    return SubmissionRejected(
        RejectionCode.TOO_MANY_UPLOADS, "too many forms are being sent at the moment", "send it again later"
    )
