"""`avowal backup`: copy the folder while it is in use."""

from pathlib import Path
from typing import Annotated

import typer

from avowal.app.backup import make_backup
from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line

app = create_app()

KeysFolderOption = Annotated[
    Path | None, typer.Option("--keys", help="A folder of its own for the keys of the backup.")
]


@app.command("backup")
def backup(
    folder: Annotated[Path, typer.Argument(help="The folder to write, which must not exist.")],
    keys: KeysFolderOption = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Copy data, keys, terms and settings, all of one moment, while a server collects. Salts are left out."""
    with open_session(data) as session:
        manifest = make_backup(session, folder.absolute(), keys and keys.absolute())
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "made_at": manifest.made_at,
                "sequence": manifest.sequence,
                "entries": manifest.entries,
            }
        )
        return
    print_line(
        f"`{folder}` is a backup as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"{manifest.entries:,} entries of the ledger, {len(manifest.files):,} files and the keys"
    )
    if keys is None:
        print_line("it has data and keys together: keep it where nobody else can read it", is_note=True)
