"""`avowal init`: create a folder with settings and a default policy."""

from pathlib import Path
from typing import Annotated

import typer

from avowal.app.new_folder import create_folder
from avowal.cli.options import create_app
from avowal.cli.text_table import create_console
from avowal.clock import utc_now

app = create_app()


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(help="The folder; it is created if needed.")],
    example: Annotated[
        str, typer.Option(help="Begin with the policy of an example: `unless-refused` has a cookie.")
    ] = "",
    languages: Annotated[
        str, typer.Option(help="The languages of the document, such as `en,pt-BR,zh-TW`.")
    ] = "en",
) -> None:
    """Create a folder with settings and a policy that is in force from today, as terms and as a document."""
    created = create_folder(folder, utc_now().date(), example, languages.split(","))
    console = create_console()
    for path in created:
        console.print(f"created {path}", markup=False)
    console.print(
        f"\nRead and edit them, then run: cd {folder} && avowal policy check && avowal policy adopt\n"
        "and after that: avowal import /var/log/nginx/access.log*, or avowal serve",
        markup=False,
    )
