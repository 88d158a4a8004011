"""What was handed over: what is known of it, and what holds for it."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from avowal.register.repository import format_time
from avowal.submissions.encryption import IncomingFile

REFERENCE_BYTES = 12
REFERENCE_PATTERN = re.compile(r"[0-9a-f]{24}")


class UploadedFile(msgspec.Struct, frozen=True):
    """A file that came in whole."""

    incoming_file: IncomingFile
    content_name: str
    """The name that its content makes."""
    name: str
    media_type: str


class FieldInput(msgspec.Struct, frozen=True):
    """A field with what was given for it."""

    field: str
    category: str
    value: str | UploadedFile


class Submission(msgspec.Struct, frozen=True, gc=False):
    """What was handed over, without what it says. Times are UTC."""

    reference: str
    """24 hexadecimal digits, told to whoever handed it over."""
    form: str
    channel: str
    """How it came: by the form itself, or as the operator recorded it."""
    visitor: str | None
    """The key of the visitor who sent it, where one is known."""
    version: int
    submitted_at: datetime
    recorded_at: datetime
    source: str = ""
    """Where it came from, where that is not the person."""
    keep_until: datetime | None = None
    """When it is forgotten, where its terms do not ask for that before."""
    objected_purposes: tuple[str, ...] = ()
    """The purposes that it may not be used for."""
    allows_automated_decisions: bool = True
    """Whether a program may decide by it."""
    allowed_readers: tuple[str, ...] = ()
    """Who alone reads it; none is whoever may."""
    allowed_recipients: tuple[str, ...] = ()
    """Who alone may be given it, by the person's own will; none is whoever may."""

    def is_expired(self, now: datetime) -> bool:
        """Return whether it is forgotten by now, whatever its terms say."""
        return self.keep_until is not None and self.keep_until <= now

    def allows_recipient(self, recipient: str) -> bool:
        """Return whether a recipient may be given it, by the person's own will."""
        return not self.allowed_recipients or recipient in self.allowed_recipients


class FieldValue(msgspec.Struct, frozen=True):
    """A field with what was given for it, opened; of a file its name, type and size."""

    field: str
    category: str
    value: Any


SUBMISSION_COLUMNS = Submission.__struct_fields__
"""The columns of a submission, in the order of a row."""


def to_row(submission: Submission) -> tuple[Any, ...]:
    """Return a submission as the register keeps it."""
    return tuple(to_column_value(getattr(submission, name)) for name in SUBMISSION_COLUMNS)


def to_column_value(value: Any) -> Any:
    """Return a value of a submission as its column has it."""
    if isinstance(value, tuple):
        return msgspec.json.encode(value).decode()
    return format_time(value) if isinstance(value, datetime) else value


def from_row(row: Sequence[Any]) -> Submission:
    """Return a submission from how the register keeps it."""
    (
        one,
        form,
        channel,
        visitor,
        version,
        submitted,
        recorded,
        source,
        until,
        objects_to,
        automated,
        readers,
        to,
    ) = row
    return Submission(
        one,
        form,
        channel,
        visitor,
        version,
        _moment(submitted),
        _moment(recorded),
        source,
        _moment(until) if until else None,
        _words(objects_to),
        automated == 1,
        _words(readers),
        _words(to),
    )


_moment = datetime.fromisoformat


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def new_reference() -> str:
    """Return a reference that nobody guesses."""
    return secrets.token_hex(REFERENCE_BYTES)
