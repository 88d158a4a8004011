"""Ask once for each distinct value of a column, and give every row its answer."""

from collections.abc import Callable, Iterable, Sequence

import polars as pl


def map_distinct_texts(
    values: pl.Series, convert: Callable[[str], Iterable[str | None]], columns: Sequence[str]
) -> pl.DataFrame:
    """Answer each distinct value: one row of `columns` (String) for each of `values`, null for null."""
    texts, place = index_distinct_values(values)
    answers = list(zip(*map(convert, texts), strict=True)) or [()] * len(columns)
    told = pl.DataFrame(
        pl.Series(column, found, dtype=pl.String) for column, found in zip(columns, answers, strict=True)
    )
    return told.select(pl.all().gather(place))


def map_distinct_series(values: pl.Series, convert: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Read the distinct values only, and give every row what came of its own."""
    texts, place = index_distinct_values(values)
    return convert(texts).gather(place)


def index_distinct_values(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the distinct values, and for each row the place of its value among them, null for null.

    Each row is hashed once, however long its text; what follows works with small numbers.
    """
    first, place = index_first_occurrences(values.cast(pl.Categorical(pl.Categories.random())).to_physical())
    return values.gather(first), place


def index_first_occurrences(codes: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return where each distinct number is first, and for each row which of these has its number; null for null."""
    code = pl.col(codes.name)
    ordered = code.arg_unique().gather(code.gather(code.arg_unique()).arg_sort(nulls_last=True))
    first = codes.to_frame().select(ordered).to_series()
    first = first.head(len(first) - codes.has_nulls())
    if len(first) and codes.max() != len(first) - 1:
        codes = codes.rank("dense").cast(pl.UInt32) - 1
    return first, codes
