"""`avowal policy page`: write the policy as files that any web server can serve."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from avowal.app.folder import open_folder_register
from avowal.app.session import find_version
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.web.policy_files import render_policy_files

app = create_app()


@app.command("page")
def write_pages(
    output_folder: Annotated[
        Path, typer.Option(help="The folder to write to; it is created if needed.")
    ] = Path("page"),
    number: Annotated[
        int,
        typer.Option("--version", min=0, help="The number of the version; the one in force unless given."),
    ] = 0,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Write the pages of a version in each language, as HTML and Jekyll, and its terms as JSON and JSON-LD."""
    with closing(open_folder_register(data)) as register:
        versions = register.versions()
        last = find_version(versions, number)
        files = render_policy_files(register, versions[: last.number], utc_now())
    output_folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (output_folder / name).write_bytes(text.encode())
    if as_json:
        print_json({"version": last.number, "files": [str(output_folder / name) for name in files]})
    else:
        print_line(f"version {last.number}: wrote {', '.join(files)} to {output_folder}")
