"""What the parts of the register share: their database, and how Python values are stored in columns."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from avowal.register.database import Database


class Repository:
    """A part of the register, which reads and writes its own tables."""

    def __init__(self, database: Database) -> None:
        self._database = database


def to_column_value(value: Any) -> Any:
    """Return a value as its column has it: times as text, and lists, mappings and structs as JSON."""
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, list | tuple | dict | msgspec.Struct):
        return msgspec.json.encode(value).decode()
    return value


def to_parameters(record: msgspec.Struct | Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """Return the fields of a record, and other values, as named parameters of a statement."""
    fields = (
        {name: getattr(record, name) for name in record.__struct_fields__}
        if isinstance(record, msgspec.Struct)
        else record
    )
    return {name: to_column_value(value) for name, value in {**fields, **others}.items()}


def format_time(time: datetime) -> str:
    """Return a time as the register's columns have it."""
    return time.isoformat(" ", "microseconds")


parse_time = datetime.fromisoformat
"""Returns the time of a column."""


def parse_optional_time(text: str | None) -> datetime | None:
    """Return the time of a column, or None."""
    return None if text is None else parse_time(text)


_WORDS_DECODER = msgspec.json.Decoder(list[str])


def parse_words(text: str) -> list[str]:
    """Return the words of a column that holds a JSON list."""
    return _WORDS_DECODER.decode(text)


@lru_cache(maxsize=4096)
def parse_word_tuple(text: str) -> tuple[str, ...]:
    """Return the words of a column that holds a JSON list; cached, as many rows have the same list."""
    return tuple(parse_words(text))
