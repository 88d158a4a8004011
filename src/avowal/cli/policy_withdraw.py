"""`avowal policy withdraw`: withdraw a version before it takes effect."""

from contextlib import closing
from typing import Annotated

import typer

from avowal.app.folder import open_folder_register
from avowal.change.publish import withdraw_version as withdraw
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line, version_to_object
from avowal.clock import utc_now

app = create_app()


@app.command("withdraw")
def withdraw_version(
    number: Annotated[int, typer.Argument(help="The number of the version.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Withdraw the last version before it takes effect."""
    with closing(open_folder_register(data)) as register:
        version = next((version for version in register.versions() if version.number == number), None)
        with register.publication_lock():
            withdraw(register, number, utc_now())
    if as_json and version:
        print_json({"outcome": "withdrawn", **version_to_object(version)})
    else:
        print_line(f"version {number} was withdrawn, and will not take effect")
