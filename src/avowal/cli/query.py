"""`avowal query`: somebody's own question, in SQL."""

from typing import Annotated

import typer
from rich.console import Console

from avowal.app.owner_requests import RunQuery
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, ReaderOption, create_app
from avowal.cli.output import print_json, print_table, print_table_csv
from avowal.errors import InvalidInputError
from avowal.policy.bounds import OPERATOR
from avowal.use.own_query import SqlQuery

app = create_app()


@app.command("query")
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over requests, views and visits.")],
    purpose: Annotated[str, typer.Option(help="What the answer is for: content, abuse …")],
    reader: ReaderOption = OPERATOR,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the SQL as it is bound; ask nothing.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    data: DataFolderOption = None,
) -> None:
    """Ask a question of what is stored, as far as one purpose may see it."""
    if as_json and as_csv:
        raise InvalidInputError(
            "`--json` and `--csv` are two forms of one answer",
            "give one of the two",
            code="conflicting-options",
        )
    with open_session(data) as at_work:
        asked = at_work.call(RunQuery(SqlQuery(purpose, sql, reader, explain)))
    notes = [
        *asked.notes,
        *(["there are more rows than an answer may have (`query.max_rows`)"] if asked.is_truncated else []),
    ]
    if as_json:
        rows = asked.table.to_dicts() if asked.table else None
        print_json(
            {
                "purpose": purpose,
                "sql": asked.executed_sql,
                "rows": rows,
                "cut": asked.is_truncated,
                "notes": notes,
            }
        )
        return
    if asked.table is None:
        print(asked.executed_sql)  # noqa: T201  # the SQL itself
    elif as_csv:
        print_table_csv(asked.table)
    else:
        print_table(asked.table, Console(highlight=False))
    for note in notes:
        Console(stderr=True, highlight=False).print(note, markup=False, soft_wrap=True)
