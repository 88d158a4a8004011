"""Convert each distinct value of a column once, and give every row the result of its value."""

from collections.abc import Callable, Iterable, Sequence

import polars as pl


def map_distinct_texts(
    values: pl.Series, convert: Callable[[str], Iterable[str | None]], columns: Sequence[str]
) -> pl.DataFrame:
    """Convert texts to several columns.

    Returns a frame of `columns` (String) with one row for each of `values`. A null value gives nulls.
    """
    texts, indexes = index_distinct_values(values)
    converted = list(zip(*map(convert, texts), strict=True)) or [()] * len(columns)
    distinct = pl.DataFrame(
        pl.Series(column, results, dtype=pl.String)
        for column, results in zip(columns, converted, strict=True)
    )
    return distinct.select(pl.all().gather(indexes))


def map_distinct_series(values: pl.Series, convert: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Convert the series of distinct values, and return the result of each row's value."""
    texts, indexes = index_distinct_values(values)
    return convert(texts).gather(indexes)


def index_distinct_values(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the distinct values, and for each row the index of its value among them. Null has the index null.

    Each text is hashed once; everything after that works with small numbers.
    """
    first, indexes = index_first_occurrences(
        values.cast(pl.Categorical(pl.Categories.random())).to_physical()
    )
    return values.gather(first), indexes


def index_first_occurrences(codes: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the row where each distinct code occurs first, and for each row the index of its code among these.

    Null has the index null.
    """
    code = pl.col(codes.name)
    ordered = code.arg_unique().gather(code.gather(code.arg_unique()).arg_sort(nulls_last=True))
    first = codes.to_frame().select(ordered).to_series()
    first = first.head(len(first) - codes.has_nulls())
    if len(first) and codes.max() != len(first) - 1:
        codes = codes.rank("dense").cast(pl.UInt32) - 1
    return first, codes
