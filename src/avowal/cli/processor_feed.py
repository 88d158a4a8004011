"""`avowal processor feed` and `avowal processor key`: hand processors their data, issue their keys."""

from collections import Counter
from contextlib import closing
from typing import Annotated

import typer

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.session import open_session
from avowal.cli.policy import JsonOption, print_json, print_line
from avowal.cli.processor import DataFolderOption
from avowal.clock import utc_now
from avowal.disclose.delivery import deliver_feed, format_public_key
from avowal.errors import RefusedError
from avowal.key_files import WEBHOOK_KEY_FILE, read_or_create_secret
from avowal.policy.bounds import OWN_USE, PROCESSOR

ProcessorArgument = Annotated[str, typer.Argument(help="The processor.", metavar="NAME")]


def feed(
    name: ProcessorArgument,
    to: Annotated[str, typer.Option(help="A folder, or an address of HTTPS.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Hand a processor what came since the last time: records, and what it has to delete."""
    with open_session(data) as at_work, at_work.release_workflow.recording_refusals(OWN_USE, PROCESSOR, name):
        given = list(
            deliver_feed(
                at_work.processor_feed,
                name,
                to,
                read_or_create_secret(at_work.folder.keys_folder / WEBHOOK_KEY_FILE),
            )
        )
    records: Counter[str] = Counter()
    for one in given:
        records.update(one.page.records)
    gone = sum(one.page.deletions for one in given)
    if as_json:
        print_json({"pages": len(given), "records": dict(records), "gone": gone})
    else:
        told = ", ".join(f"{count:,} {relation}" for relation, count in records.items()) or "no records"
        print_line(f"`{name}` was given {told} in {len(given)} pages, and told to delete {gone:,}")


def key(
    name: ProcessorArgument,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="End the key before it now, not in a day.")
    ] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Issue a new key with which a processor pulls its feed, and print it: it is kept nowhere."""
    with closing(open_folder_register(data)) as register:
        if name not in {one.name for one in register.processors.all()}:
            raise RefusedError(
                f"there is no processor `{name}`",
                "`avowal processor add` makes one",
                code="processor-not-found",
            )
        issued = register.feeds.issue_key(name, utc_now(), revoke_previous=at_once)
    hook = format_public_key(read_or_create_secret(find_folder(data).keys_folder / WEBHOOK_KEY_FILE))
    if as_json:
        print_json({"key": issued, "public_key": hook})
        return
    print_line(issued)
    print_line(f"  what is sent to an address is signed: {hook} checks it")
