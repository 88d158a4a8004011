"""`avowal retain`: delete data that is past its retention period."""

from rich.console import Console
from rich.table import Table

from avowal.app.owner_requests import EnforceRetention
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import add_cells, print_json, print_line

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
    table = Table("table", "category", "version", "records", box=None, pad_edge=False)
    for action in actions:
        add_cells(table, action.relation, action.category, str(action.version), f"{action.record_count:,}")
    Console(highlight=False).print(table)
