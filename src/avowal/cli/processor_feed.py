"""`avowal processor feed`: deliver the new records and deletions to a processor."""

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

ProcessorArgument = Annotated[str, typer.Argument(help="The name of the processor.", metavar="NAME")]


@app.command("feed")
def deliver_new_pages(
    name: ProcessorArgument,
    destination: Annotated[str, typer.Option(help="The folder or the HTTPS address to deliver to.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Deliver to a processor the records since the last delivery, and what it must delete."""
    with open_session(data) as session, session.release_workflow.recording_refusals(OWN_USE, PROCESSOR, name):
        deliveries = list(
            deliver_feed(
                session.processor_feed,
                name,
                destination,
                read_or_create_secret(session.folder.keys_folder / WEBHOOK_KEY_FILE),
            )
        )
    records: Counter[str] = Counter()
    for delivery in deliveries:
        records.update(delivery.page.records)
    deletions = sum(delivery.page.deletions for delivery in deliveries)
    if as_json:
        print_json({"pages": len(deliveries), "records": dict(records), "deletions": deletions})
    else:
        records_text = (
            ", ".join(f"{count:,} {relation}" for relation, count in records.items()) or "no records"
        )
        print_line(
            f"`{name}` received {records_text} in {len(deliveries)} pages, and must delete {deletions:,}"
        )
