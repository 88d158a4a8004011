"""A fact that the register keeps and the ledger tells of: `avowal verify` holds the one beside the other."""

from typing import Any, NamedTuple


class Fact(NamedTuple):
    """Something that was recorded: all that is told of it, and what it is called."""

    values: tuple[Any, ...]
    description: str = ""
