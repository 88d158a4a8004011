"""A fact that the register holds and the ledger records, so that the two can be compared."""

from typing import Any, NamedTuple

from avowal.register.register import Register
from avowal.register.statements import load_statements

SQL = load_statements("avowal.verify", "facts")


class Fact(NamedTuple):
    """What was recorded: its values in a fixed order, and a description for messages."""

    values: tuple[Any, ...]
    description: str = ""


def read_rows(register: Register, statement: str) -> list[Any]:
    """Return the rows of a statement of `sql/facts.sql`."""
    with register.database.read() as connection:
        return connection.execute(SQL[statement]).fetchall()
