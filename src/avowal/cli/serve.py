"""`avowal serve`: serve the policy and the reports, and collect from a running site."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from avowal.app.folder import find_folder
from avowal.app.new_folder import create_folder
from avowal.app.session import describe_terms_in_use, open_session
from avowal.cli.options import DataFolderOption, create_app
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.server.http_server import ListenAddress
from avowal.server.run import run_server
from avowal.workspace.client import FolderClient

app = create_app()


@app.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; the setting unless given.")] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The port to listen on; the setting unless given.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate, with its chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The private key of the certificate (PEM).")] = None,
    data: DataFolderOption = None,
) -> None:
    """Serve the policy and the reports, and collect from a running site, until SIGTERM or Ctrl-C."""
    if (tls_cert is None) is not (tls_key is None):
        raise InvalidInputError(
            "a certificate needs its key", "give both `--tls-cert` and `--tls-key`", code="missing-input"
        )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if find_folder(data).policy_folder is None and data is None:
        create_folder(Path.cwd(), utc_now().date())
        console.print(
            f"created `avowal.toml` and `policy/` in {Path.cwd()}: read and edit them", markup=False
        )
    with open_session(data, adopt_terms=True, adopt_template=False) as session:
        if isinstance(session.backend, FolderClient):
            raise RefusedError(
                f"process {session.backend.owner_pid} owns the folder",
                "stop it first, or use another folder with `--data`; an import or `avowal follow` may run beside "
                "a server that was started before it",
                code="folder-in-use",
            )
        for sentence in describe_terms_in_use(session):
            console.print(sentence, markup=False)
        settings = session.folder.settings.serve
        address = ListenAddress(
            host or settings.host, settings.port if port is None else port, tls_cert, tls_key
        )
        run_server(session, session.backend, address, partial(console.print, markup=False))
    console.print("stopped", markup=False)
