"""Print a table whose values are always whole: they are wrapped, or their column is left out and named."""

import sys
from collections.abc import Collection, Sequence
from typing import Any, Self

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from avowal.cli.printable import escape_unprintable

PIPE_CHARACTERS = 1_000_000
"""The width of output that is no terminal: more than any line of it needs."""

UNWRAPPED_CHARACTERS = 18
"""A column that needs no more characters than this is never wrapped."""

WRAPPED_CHARACTERS_MIN = 12
"""A column that is wrapped keeps at least this many characters."""

LAST_CHARACTERS_MIN = 4
"""The same where only two columns are left."""

GAP = 1
"""How many blanks are between two columns."""


def create_console(*, is_error: bool = False) -> Console:
    """Return a console for standard output, or standard error, as wide as the terminal. A pipe has no width."""
    stream = sys.stderr if is_error else sys.stdout
    return Console(stderr=is_error, highlight=False, width=None if stream.isatty() else PIPE_CHARACTERS)


class TextTable:
    """Rows of texts below headings, which are printed without markup and without unprintable characters.

    The columns named in `numbers` are set to the right, and their values are never wrapped.
    """

    def __init__(self, *headings: str, numbers: Collection[str] = (), has_headings: bool = True) -> None:
        """Create a table without rows. Its headings are printed unless `has_headings` is false."""
        self._has_headings = has_headings
        self._numbers = [heading in numbers for heading in headings]
        self._headings = [escape_unprintable(heading) for heading in headings]
        self._rows: list[list[str]] = []

    def add_row(self, *values: object) -> Self:
        """Add a row, with a value for each heading."""
        row = [escape_unprintable(str(value)).expandtabs() for value in values]
        if len(row) != len(self._headings):
            raise ValueError(f"{len(row)} values for {len(self._headings)} columns")
        self._rows.append(row)
        return self

    def print(self, console: Console, style: str = "bold") -> None:
        """Print the table as wide as the console permits. Columns from the right are left out where they do not fit."""
        widths = self._fit_columns(console.width)
        if self._has_headings:
            self._print_row(console, self._headings, widths, style)
        for row in self._rows:
            self._print_row(console, row, widths)
        if left_out := self._headings[len(widths) :]:
            note = (
                f"not shown in {console.width} characters: {', '.join(left_out)}; "
                "a wider terminal or a pipe, as in `| less -S`, shows all columns"
            )
            console.print(note, style="yellow", markup=False)

    def _fit_columns(self, available: int) -> list[int]:
        """Return the widths of the columns that are printed, in characters."""
        values = [
            max((cell_len(line) for row in self._rows for line in row[index].split("\n")), default=0)
            for index in range(len(self._headings))
        ]
        wide = [max(value, cell_len(heading)) for value, heading in zip(values, self._headings, strict=True)]
        if _sum_widths(wide) <= available:
            return wide
        words = [max(map(cell_len, heading.split()), default=0) for heading in self._headings]
        widths = [max(value, word) for value, word in zip(values, words, strict=True)]
        while len(widths) > 1:
            fewest = WRAPPED_CHARACTERS_MIN if len(widths) > 2 else LAST_CHARACTERS_MIN  # noqa: PLR2004  # two columns
            can_wrap = [
                not is_number and (width > UNWRAPPED_CHARACTERS or len(widths) == 2)  # noqa: PLR2004  # the same
                for width, is_number in zip(widths, self._numbers[: len(widths)], strict=True)
            ]
            if (fitting := _shrink(widths, can_wrap, fewest, available)) is not None:
                return fitting
            widths.pop()
        return [min(widths[0], available)]

    def _print_row(
        self, console: Console, row: Sequence[str], widths: Sequence[int], style: str = ""
    ) -> None:
        cells = [
            [line.plain.rstrip() for line in Text(text).wrap(console, width, overflow="fold")]
            for text, width in zip(row, widths, strict=False)
        ]
        for index in range(max(map(len, cells), default=0)):
            pieces = [lines[index] if index < len(lines) else "" for lines in cells]
            padded = [
                " " * (width - cell_len(piece)) + piece
                if is_number
                else piece + " " * (width - cell_len(piece))
                for piece, width, is_number in zip(pieces, widths, self._numbers, strict=False)
            ]
            console.print(Text((" " * GAP).join(padded).rstrip(), style=style), soft_wrap=True)


def _sum_widths(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _shrink(widths: Sequence[int], can_wrap: Sequence[bool], fewest: int, available: int) -> list[int] | None:
    """Return widths that fit, with the widest columns of text made narrower; None if that is not possible."""
    fitting = list(widths)
    excess = _sum_widths(fitting) - available
    while excess > 0:
        widest: Any = max(
            (index for index, is_text in enumerate(can_wrap) if is_text and fitting[index] > fewest),
            key=fitting.__getitem__,
            default=None,
        )
        if widest is None:
            return None
        fitting[widest] -= 1
        excess -= 1
    return fitting
