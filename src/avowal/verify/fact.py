"""A fact that the register holds and the ledger records, so that the two can be compared."""

from typing import Any, NamedTuple


class Fact(NamedTuple):
    """What was recorded: its values in a fixed order, and a description for messages."""

    values: tuple[Any, ...]
    description: str = ""
