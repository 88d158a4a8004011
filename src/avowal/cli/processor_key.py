"""`avowal processor key`: issue the key with which a processor reads its feed."""

from contextlib import closing
from typing import Annotated

import typer

from avowal.app.folder import find_folder, open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.disclose.delivery import format_public_key
from avowal.errors import RefusedError
from avowal.key_files import WEBHOOK_KEY_FILE, read_or_create_secret

app = create_app()

ProcessorArgument = Annotated[str, typer.Argument(help="The name of the processor.", metavar="NAME")]


@app.command("key")
def issue_key(
    name: ProcessorArgument,
    revoke_previous: Annotated[
        bool, typer.Option("--revoke-previous", help="Revoke the previous key now instead of in a day.")
    ] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Issue and print a new key with which a processor reads its feed. The key itself is not stored."""
    with closing(open_folder_register(data)) as register:
        if name not in {processor.name for processor in register.processors.all()}:
            raise RefusedError(
                f"there is no processor `{name}`",
                "`avowal processor add` adds one",
                code="processor-not-found",
            )
        key = register.feeds.issue_key(name, utc_now(), revoke_previous=revoke_previous)
    public_key = format_public_key(read_or_create_secret(find_folder(data).keys_folder / WEBHOOK_KEY_FILE))
    if as_json:
        print_json({"key": key, "public_key": public_key})
        return
    print_line(key)
    print_line(f"  deliveries are signed: verify them with {public_key}")
