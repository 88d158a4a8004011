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
