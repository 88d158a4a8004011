"""`avowal retain`: delete data that is past its retention period."""

from avowal.app.owner_requests import EnforceRetention
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import TextTable, create_console

app = create_app()


@app.command("retain")
def enforce_retention(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Delete or coarsen the data that is past its retention period, and rewrite the file of the store without it."""
    with open_session(data) as session:
        actions = session.call(EnforceRetention())
    if as_json:
        rows = [
            {
                "relation": action.relation,
                "category": action.category,
                "version": action.version,
                "records": action.record_count,
            }
            for action in actions
        ]
        print_json({"removed": rows})
        return
    if not actions:
        print_line("nothing is past its retention period")
        return
    table = TextTable("table", "category", "version", "records", numbers=["version", "records"])
    for action in actions:
        table.add_row(action.relation, action.category, str(action.version), f"{action.record_count:,}")
    table.print(create_console())
