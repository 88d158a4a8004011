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
    number: Annotated[int, typer.Argument(help="The number of the version.")],
    place: Annotated[str, typer.Option(help="Where the notice is posted, such as the address of a page.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that you posted the notice of a version. The ledger records it as your statement."""
    display = NoticeDisplay(number, place, attested_by_operator=True, recorded_at=utc_now())
    with closing(open_folder_register(data)) as register:
        register.notices.record_display(display)
    if as_json:
        print_json(display)
    else:
        print_line(f"recorded that you posted the notice of version {number}: {place}")
