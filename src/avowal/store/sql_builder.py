"""Build SQL whose shape depends on the terms: the one place where parts are put together.

A statement is composed of a constant template and of fragments. A fragment is a constant, an identifier, a literal, or
composed of others; identifiers and literals are quoted by their type. Everything else that a statement needs is a
parameter of a named SQL file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import LiteralString


@dataclass(frozen=True)
class SqlFragment:
    """A piece of SQL that may become part of a statement.

    Only this module makes fragments, and `use/group_query`, of SQL that was validated.
    """

    text: str


TRUE = SqlFragment("true")
FALSE = SqlFragment("false")


def constant(text: LiteralString) -> SqlFragment:
    """Return SQL that is a constant in our source, such as an expression of a column."""
    return SqlFragment(text)


def identifier(*names: str) -> SqlFragment:
    """Quote a name, or a qualified name such as `avowal.main.requests`. Raises ValueError if a part has a NUL."""
    if any("\0" in name for name in names):
        raise ValueError("a name in SQL cannot hold NUL")
    quoted = (name.replace('"', '""') for name in names)
    return SqlFragment(".".join(f'"{name}"' for name in quoted))


def bare_identifier(name: str) -> SqlFragment:
    """Return a name of ours without quotes, for SQL that people read. Raises ValueError if it would need quotes."""
    if not re.fullmatch(r"[a-z][a-z_]*", name):
        raise ValueError(f"`{name}` needs quotes in SQL")
    return SqlFragment(name)


def literal(value: str | int | Decimal | datetime | None) -> SqlFragment:
    """Write a value as a literal of its type; a time is UTC without a zone. Raises ValueError if a text has a NUL."""
    match value:
        case None:
            return SqlFragment("NULL")
        case bool():
            return TRUE if value else FALSE
        case int():
            return SqlFragment(str(value))
        case Decimal():
            return SqlFragment(f"{value:f}")
        case datetime():
            return SqlFragment(f"TIMESTAMP '{value.isoformat(sep=' ')}'")
        case str():
            if "\0" in value:
                raise ValueError("a text in SQL cannot hold NUL")
            quoted = value.replace("'", "''")
            return SqlFragment(f"'{quoted}'")


def compose(template: LiteralString, **parts: SqlFragment) -> SqlFragment:
    """Put fragments into a constant template, which names each in braces. Raises KeyError if one is missing."""
    return SqlFragment(template.format_map({name: part.text for name, part in parts.items()}))


def join(fragments: Iterable[SqlFragment]) -> SqlFragment:
    """Separate fragments by commas."""
    return SqlFragment(", ".join(part.text for part in fragments))


def union_all(selects: Iterable[SqlFragment]) -> SqlFragment:
    """Return the rows of all SELECTs; there has to be one."""
    return SqlFragment(" UNION ALL ".join(part.text for part in selects))


def all_of(conditions: Iterable[SqlFragment]) -> SqlFragment:
    """Return a condition that holds if every one does; true if there is none."""
    texts = [f"({condition.text})" for condition in conditions if condition != TRUE]
    return SqlFragment(" AND ".join(texts)) if texts else TRUE


def any_of(conditions: Iterable[SqlFragment]) -> SqlFragment:
    """Return a condition that holds if at least one does; false if there is none."""
    texts = [f"({condition.text})" for condition in conditions if condition != FALSE]
    return SqlFragment(" OR ".join(texts)) if texts else FALSE


def select_case(
    cases: Iterable[tuple[SqlFragment, SqlFragment]], default_type_of: SqlFragment
) -> SqlFragment:
    """Return the value of the first condition that holds, else NULL of the type of `default_type_of`."""
    texts = [f"WHEN {condition.text} THEN {value.text}" for condition, value in cases]
    return SqlFragment(f"CASE {' '.join(texts or [f'WHEN false THEN {default_type_of.text}'])} END")
