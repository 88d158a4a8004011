"""`avowal retain`: forget what may not be kept any more."""

from rich.console import Console
from rich.table import Table

from avowal.app.owner_requests import EnforceRetention
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line

app = create_app()


@app.command("retain")
def enforce_retention(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Delete, or cut down, what no purpose may keep any more; then write the file anew, so that its bytes are gone."""
    with open_session(data) as at_work:
        removed = at_work.call(EnforceRetention())
    if as_json:
        rows = [
            {
                "relation": one.relation,
                "category": one.category,
                "version": one.version,
                "records": one.record_count,
            }
            for one in removed
        ]
        print_json({"removed": rows})
        return
    if not removed:
        print_line("nothing is held beyond its time")
        return
    table = Table("what", "category", "version", "records", box=None, pad_edge=False)
    for one in removed:
        table.add_row(one.relation, one.category, str(one.version), f"{one.record_count:,}")
    Console(highlight=False).print(table)
