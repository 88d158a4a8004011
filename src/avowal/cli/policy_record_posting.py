"""`avowal policy record-posting`: record that a notice was posted."""

from contextlib import closing
from typing import Annotated

import typer

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.register.notices import NoticeDisplay

app = create_app()


@app.command("record-posting")
def record_posting(
    number: Annotated[int, typer.Argument(help="The version's number.")],
    place: Annotated[str, typer.Option(help="Where everybody sees it: a page's address, say.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that you posted a version's notice where everybody sees it. The ledger has it as your word."""
    showing = NoticeDisplay(number, place, attested_by_operator=True, recorded_at=utc_now())
    with closing(open_folder_register(data)) as register:
        register.notices.record_display(showing)
        register.ledger.sign_checkpoint()
    if as_json:
        print_json(showing)
    else:
        print_line(f"it is recorded that you posted the notice of version {number}: {place}")
