"""How many forms may be under way at the same time."""

from contextlib import ExitStack

import pytest

from avowal.endpoints.upload_slots import UploadSlots
from avowal.submissions.form_upload import RejectionCode, SubmissionRejected


def test_forms_are_limited_by_network_and_in_all() -> None:
    """A network has so many forms under way, all networks together have more, and an end makes room."""
    slots = UploadSlots(uploads_max=3, per_network_max=2)
    with ExitStack() as stack:
        for network in (b"a", b"a", b"b"):
            stack.enter_context(slots.take(network))
        for network in (b"a", b"c"):
            with pytest.raises(SubmissionRejected) as rejected, slots.take(network):
                pass
            assert rejected.value.code == RejectionCode.TOO_MANY_UPLOADS
    for network in (b"a", b"c"):
        with slots.take(network):
            pass
    assert not slots._networks


def test_the_bytes_of_all_forms_are_limited() -> None:
    """What is under way has a greatest size; the bytes of a form that ended, or failed, count no more."""
    slots = UploadSlots(bytes_max=100)
    for _ in range(3):
        with slots.take(b"a") as first, slots.take(b"b") as second:
            first.add_bytes(60)
            with pytest.raises(SubmissionRejected):
                second.add_bytes(60)
    assert slots._bytes == 0
