"""Choices of rows of several relations, separated by semicolons, as a release has them."""

import re
from collections.abc import Sequence

from avowal.errors import QueryError
from avowal.use.row_selection import SELECTION_CHARACTERS_MAX, RowSelection, parse_row_selection


def parse_row_selections(text: str) -> list[RowSelection]:
    """Parse choices of rows of different relations. Raises QueryError if one is none."""
    selections = [parse_row_selection(part) for part in _split(text[: SELECTION_CHARACTERS_MAX + 1])]
    if len({selection.relation for selection in selections}) < len(selections):
        raise QueryError("the choice of rows names a relation twice", "combine its conditions with OR")
    if max(len(text), len(join_selections(selections))) > SELECTION_CHARACTERS_MAX:
        excess = f"the choice of rows has more than {SELECTION_CHARACTERS_MAX:,} characters"
        raise QueryError(excess, "simplify it", code="query-too-long")
    return selections


def join_selections(selections: Sequence[RowSelection]) -> str:
    """Return choices of rows as text, which parses to the same."""
    return "; ".join(map(str, selections))


def _split(text: str) -> list[str]:
    """Split a text at the semicolons that are not in a text in quotes."""
    parts, is_quoted = [""], False
    for piece in re.split(r"([';])", text):
        is_quoted ^= piece == "'"
        if piece == ";" and not is_quoted:
            parts.append("")
        else:
            parts[-1] += piece
    return parts
