"""Ask Python once for each distinct value of a column, and give every row its answer."""

from collections.abc import Callable, Iterable, Sequence

import polars as pl


def each(
    values: pl.Series, answer: Callable[[str], Iterable[str | None]], columns: Sequence[str]
) -> pl.DataFrame:
    """Answer each distinct value: one row of `columns` (String) for each of `values`, null for null."""
    keys = values.drop_nulls().unique().alias("key")
    answers = list(zip(*map(answer, keys), strict=True)) or [()] * len(columns)
    table = keys.to_frame().with_columns(
        pl.Series(column, found, dtype=pl.String) for column, found in zip(columns, answers, strict=True)
    )
    rows = values.alias("key").to_frame()
    return rows.join(table, on="key", how="left", maintain_order="left").drop("key")


def places(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the distinct values, and for each row the place of its value among them, null for null.

    Each row is hashed once, however long its text; what follows works with small numbers.
    """
    codes = values.cast(pl.Categorical(pl.Categories.random())).to_physical().alias("code")
    first = codes.arg_unique()
    first = first.filter(codes.gather(first).is_not_null())
    table = codes.gather(first).to_frame().with_row_index("place")
    found = codes.to_frame().join(table, on="code", how="left", maintain_order="left")
    return values.gather(first), found["place"]
