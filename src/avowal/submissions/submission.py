"""Submissions: the record of each, with its settings but without its values."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from avowal.register.repository import parse_time, parse_word_tuple
from avowal.submissions.encryption import IncomingFile

REFERENCE_BYTES = 12
REFERENCE_PATTERN = re.compile(r"[0-9a-f]{24}")


class UploadedFile(msgspec.Struct, frozen=True):
    """A file that was received completely."""

    incoming_file: IncomingFile
    content_name: str
    """The file's name in the folder of files, made of its content."""
    name: str
    media_type: str


class FieldInput(msgspec.Struct, frozen=True):
    """A field of a form with its value."""

    field: str
    category: str
    value: str | UploadedFile


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A submission without its values. Times are UTC."""

    reference: str
    """24 hexadecimal digits, which the person who submitted it is shown."""
    form: str
    channel: str
    """How it came: by the form itself, or as the operator recorded it."""
    visitor: str | None
    """The key of the visitor who sent it, if it is known."""
    version: int
    submitted_at: datetime
    recorded_at: datetime
    source: str = ""
    """Where it came from, if not from the person; else empty."""
    keep_until: datetime | None = None
    """When it is erased, if its terms do not require that earlier."""
    objected_purposes: tuple[str, ...] = ()
    """The purposes that it may not be used for."""
    allows_automated_decisions: bool = True
    """Whether a program may decide by it."""
    allowed_readers: tuple[str, ...] = ()
    """The only readers who may read it; empty allows every reader."""
    allowed_recipients: tuple[str, ...] = ()
    """The only recipients who may receive it, as the person decided; empty allows every recipient."""

    def is_expired(self, now: datetime) -> bool:
        """Return whether its time is over, whatever its terms say."""
        return self.keep_until is not None and self.keep_until <= now

    def allows_recipient(self, recipient: str) -> bool:
        """Return whether the person allows that a recipient receives it."""
        return not self.allowed_recipients or recipient in self.allowed_recipients


class FieldValue(msgspec.Struct, frozen=True):
    """A field with its decrypted value; of a file its name, type and size."""

    field: str
    category: str
    value: Any


VISITOR_KEY_LAST_BITS = {"day": 0, "full": 1}
"""The last bit of a visitor's key, by its precision: daily keys are even, and keys of cookies odd."""


def find_key_precision(visitor_key: str) -> str:
    """Return the precision of a visitor's key, in hexadecimal: `day` or `full`."""
    last_bit = int(visitor_key, 16) & 1
    return next(precision for precision, bit in VISITOR_KEY_LAST_BITS.items() if bit == last_bit)


SUBMISSION_COLUMNS = Submission.__struct_fields__
"""The columns of a submission, in the order of a row."""


def from_row(row: Sequence[Any]) -> Submission:
    """Return a submission from a row of the register."""
    (
        reference,
        form,
        channel,
        visitor,
        version,
        submitted_at,
        recorded_at,
        source,
        keep_until,
        objected_purposes,
        allows_automated_decisions,
        allowed_readers,
        allowed_recipients,
    ) = row
    return Submission(
        reference,
        form,
        channel,
        visitor,
        version,
        parse_time(submitted_at),
        parse_time(recorded_at),
        source,
        parse_time(keep_until) if keep_until else None,
        parse_word_tuple(objected_purposes),
        allows_automated_decisions == 1,
        parse_word_tuple(allowed_readers),
        parse_word_tuple(allowed_recipients),
    )


def new_reference() -> str:
    """Return a new reference that cannot be guessed."""
    return secrets.token_hex(REFERENCE_BYTES)
