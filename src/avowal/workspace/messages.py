"""What processes send each other about a data folder: requests, each with the type of its answer, and errors.

A request is a struct with a tag. Between processes it travels as MessagePack; within one process it is passed as it
is. A package that adds requests derives them from `Request` and answers them in a `RequestHandler`.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_args

import msgspec

from avowal import errors
from avowal.collect.segment import UnparsableLine
from avowal.errors import AvowalError, ErrorCode, StoreError
from avowal.storage_errors import explain
from avowal.store.interface import LoadResult, LogPosition, RecordCounts
from avowal.workspace.unix_socket import MESSAGE_BYTES_MAX

Answer = TypeVar("Answer")


def _tag(class_name: str) -> str:
    """Return the tag of a request: the name of its class, in lower case with hyphens."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", class_name).lower()


class Request(
    msgspec.Struct, Generic[Answer], frozen=True, tag_field="type", tag=_tag, forbid_unknown_fields=True
):
    """A request to the process that owns the data folder; `Answer` is the type of what it returns."""

    needs_arrivals: ClassVar[bool] = False
    """Whether everything that arrived before the request is loaded first, so that the answer leaves nothing out."""
    changes_data: ClassVar[bool] = False
    """Whether it changes what is stored. While the store's file is rewritten it waits; others that need arrivals do
    not, and are answered without what arrived since."""


AnyRequest = Request[Any]


class ListLogPositions(Request[list[LogPosition]], frozen=True):
    """Return the position of every log that was read."""


class ClaimLog(Request[None], frozen=True):
    """Reserve a log for this process until its connection ends. Raises LogSourceError if another process reads it."""

    head_digest: str


class ListUnparsableLines(Request[list[UnparsableLine]], frozen=True):
    """Return where the lines of a log are that could not be parsed."""

    log_id: str


class CountRecords(Request[RecordCounts], frozen=True):
    """Return how many records each table holds."""


class LoadSegments(Request[list[LoadResult]], frozen=True):
    """Load segments that were written to the segments folder, and remove their files."""

    file_names: list[str]


class HoldStore(Request[None], frozen=True):
    """Keep the store's file as it is, so that this process can copy it, until ReleaseStore or the connection's end."""


class ReleaseStore(Request[bool], frozen=True):
    """Let others write into the store again; returns whether this process still held it."""


class Success(msgspec.Struct, Generic[Answer], frozen=True, tag_field="outcome", tag="success"):
    """The answer to a request."""

    answer: Answer


class Failure(msgspec.Struct, frozen=True, tag_field="outcome", tag="failure"):
    """The error that a request raised in the owner."""

    error: str
    """The name of the error's class."""
    code: ErrorCode
    message: str
    hint: str

    @classmethod
    def from_error(cls, error: Exception) -> "Failure":
        """Describe an error; one that Avowal does not raise on purpose is named without its text, which may be data."""
        if isinstance(error, AvowalError):
            return cls(type(error).__name__, error.code, error.message, error.hint)
        if explained := explain(error, Path.cwd()):
            return cls(type(explained).__name__, explained.code, explained.message, explained.hint)
        message = f"the process that owns the folder failed ({type(error).__name__})"
        return cls(StoreError.__name__, "server-failed", message, "")

    def to_error(self) -> AvowalError:
        """Return the error to raise in the process that sent the request."""
        return ERROR_CLASSES.get(self.error, StoreError)(self.message, self.hint, code=self.code)


ERROR_CLASSES: dict[str, type[AvowalError]] = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, AvowalError)
}
"""The errors that the owner may raise, by the names of their classes."""


class RequestHandler(Protocol):
    """Answers the requests that a package above this one adds, in the process that owns the folder."""

    @property
    def request_types(self) -> tuple[type[AnyRequest], ...]:
        """The requests that it answers."""
        ...

    def handle(self, request: Request[Answer]) -> Answer:
        """Return the answer, or raise an AvowalError. Any number of threads may call."""
        ...

    def derive_views(self) -> None:
        """Derive views and visits from what was loaded."""
        ...

    def version_starts(self) -> Sequence[datetime]:
        """Return the time from which each version of the terms is in force; see VersionStarts."""
        ...


WORKSPACE_REQUESTS: tuple[type[AnyRequest], ...] = (
    ListLogPositions,
    ClaimLog,
    ListUnparsableLines,
    CountRecords,
    LoadSegments,
    HoldStore,
    ReleaseStore,
)
"""The requests that every owner answers by itself."""


def create_request_decoder(
    request_types: Sequence[type[AnyRequest]],
) -> "msgspec.msgpack.Decoder[AnyRequest]":
    """Return a decoder of these requests and of those of the workspace."""
    union: Any = None
    for request_type in (*WORKSPACE_REQUESTS, *request_types):
        union = request_type if union is None else union | request_type
    return msgspec.msgpack.Decoder(union)


def answer_type(request_type: type[Request[Answer]]) -> Any:
    """Return the type of a request's answer, as its class declares it.

    >>> answer_type(CountRecords).__name__
    'RecordCounts'
    """
    (base,) = request_type.__orig_bases__  # type: ignore[attr-defined]  # set for a class with a generic base
    (declared,) = get_args(base)
    return declared


def encode_answer(answer: object) -> bytes:
    """Encode the answer to a request. Raises StoreError if it is longer than MESSAGE_BYTES_MAX."""
    data = msgspec.msgpack.encode(Success(answer))
    if len(data) > MESSAGE_BYTES_MAX:
        raise StoreError(
            f"the answer has {len(data):,} bytes, more than {MESSAGE_BYTES_MAX:,}",
            "ask for less",
            code="too-many-records",
        )
    return data


def decode_answer(data: bytes, request_type: type[Request[Answer]]) -> Answer:
    """Return the answer to a request.

    Raises the AvowalError that the owner raised, and StoreError if the answer is not of the declared type.
    """
    reply_type: Any = Success[answer_type(request_type)] | Failure  # type: ignore[misc]  # made of the declared type
    try:
        reply: Success[Answer] | Failure = msgspec.msgpack.decode(data, type=reply_type)
    except msgspec.ValidationError:
        raise unknown_request_error(str(request_type.__struct_config__.tag)) from None
    if isinstance(reply, Failure):
        raise reply.to_error()
    return reply.answer


def unknown_request_error(name: str) -> StoreError:
    """Return the error for a request that the owner has no handler for."""
    return StoreError(
        f"the process that owns the folder does not know the request `{name}`",
        "run the same version of Avowal in all processes",
        code="server-mismatch",
    )
