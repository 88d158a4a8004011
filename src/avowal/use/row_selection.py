"""Parse the choice of rows of a release: a condition on the columns of one relation."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlglot import exp

from avowal.errors import QueryError
from avowal.store.sql_builder import SqlFragment
from avowal.use.sql_allow_list import check_query, parse_query

SELECT_ROWS = "SELECT * FROM "
"""Makes a query of a row selection, which is validated and never run."""


class RowSelection(NamedTuple):
    """Rows of a relation, selected by a validated condition on its columns."""

    relation: str
    condition: SqlFragment


def parse_row_selection(text: str, refused_columns: Mapping[str, str]) -> RowSelection:
    """Validate `RELATION WHERE CONDITION`; `refused_columns` as for `validate_query`.

    Raises QueryError if rows may not be selected that way.
    """
    tree = parse_query(SELECT_ROWS + text)
    check_query(tree, refused_columns)
    parts = {name for name, value in tree.args.items() if value}
    source, where = tree.find(exp.Table), tree.args.get("where")
    plain = parts == {"expressions", "from_", "where"} and not tree.find(exp.AggFunc, exp.Window)
    if not plain or source is None or source.alias or where is None:
        raise QueryError(
            "rows are selected from one relation by a condition alone",
            "write it as in `requests WHERE status = 404 AND page_path LIKE '/login%'`",
        )
    return RowSelection(source.name.lower(), SqlFragment(where.this.sql(dialect="duckdb", comments=False)))
