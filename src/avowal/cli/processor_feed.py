"""`avowal processor feed`: deliver to a processor what is new in its feed."""

from collections import Counter
from typing import Annotated

import typer

from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.disclose.delivery import deliver_feed
from avowal.key_files import WEBHOOK_KEY_FILE, read_or_create_secret
from avowal.policy.bounds import OWN_USE, PROCESSOR

app = create_app()

ProcessorArgument = Annotated[str, typer.Argument(help="The processor.", metavar="NAME")]


@app.command("feed")
def deliver_new_pages(
    name: ProcessorArgument,
    destination: Annotated[str, typer.Option(help="A folder, or an HTTPS address.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Hand a processor what came since the last time: records, and what it has to delete."""
    with open_session(data) as at_work, at_work.release_workflow.recording_refusals(OWN_USE, PROCESSOR, name):
        given = list(
            deliver_feed(
                at_work.processor_feed,
                name,
                destination,
                read_or_create_secret(at_work.folder.keys_folder / WEBHOOK_KEY_FILE),
            )
        )
    records: Counter[str] = Counter()
    for one in given:
        records.update(one.page.records)
    deletions = sum(one.page.deletions for one in given)
    if as_json:
        print_json({"pages": len(given), "records": dict(records), "deletions": deletions})
    else:
        told = ", ".join(f"{count:,} {relation}" for relation, count in records.items()) or "no records"
        print_line(f"`{name}` was given {told} in {len(given)} pages, and told to delete {deletions:,}")
