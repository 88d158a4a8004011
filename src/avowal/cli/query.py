"""`avowal query`: answer an SQL query."""

from typing import Annotated

import typer

from avowal.app.owner_requests import RunQuery
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, ReaderOption, check_output_options, create_app
from avowal.cli.output import print_json, print_line, print_table, print_table_csv
from avowal.cli.text_table import create_console
from avowal.policy.bounds import OPERATOR
from avowal.use.own_query import SqlQuery

app = create_app()


@app.command("query")
def query(
    sql: Annotated[str, typer.Argument(help="A SELECT statement over requests, views and visits.")],
    purpose: Annotated[
        str, typer.Option(help="The purpose for which the answer is used, such as `content`.")
    ],
    reader: ReaderOption = OPERATOR,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the SQL that would run, without running it.")
    ] = False,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
    data: DataFolderOption = None,
) -> None:
    """Answer an SQL query over the data that one purpose may see."""
    check_output_options(as_json=as_json, as_csv=as_csv)
    with open_session(data) as session:
        result = session.call(RunQuery(SqlQuery(purpose, sql, reader, explain)))
    notes = [
        *result.notes,
        *(["there are more rows than `query.max_rows` permits"] if result.is_truncated else []),
    ]
    if as_json:
        rows = result.table.to_dicts() if result.table else None
        print_json(
            {
                "purpose": purpose,
                "sql": result.executed_sql,
                "rows": rows,
                "is_truncated": result.is_truncated,
                "notes": notes,
            }
        )
        return
    if result.table is None:
        print_line(result.executed_sql)
    elif as_csv:
        print_table_csv(result.table)
    else:
        print_table(result.table, create_console())
    for note in notes:
        print_line(note, is_note=True)
