"""`avowal processor feed` and `avowal processor key`: hand processors their data, issue their keys."""

from collections import Counter
from contextlib import closing
from typing import Annotated

import typer

from avowal.app.session import find_folder, open_versions, session
from avowal.cli.policy import AsJson, print_json, say
from avowal.cli.processor import Data
from avowal.clock import utc_now
from avowal.disclose.delivery import public_key, push
from avowal.errors import RefusedError
from avowal.key_files import HOOK_KEY, secret
from avowal.policy.bounds import OWN_USE, PROCESSOR

Processor = Annotated[str, typer.Argument(help="The processor.", metavar="NAME")]


def feed(
    name: Processor,
    to: Annotated[str, typer.Option(help="A folder, or an address of HTTPS.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Hand a processor what came since the last time: records, and what it has to delete."""
    with session(data) as at_work, at_work.desk.on_record(OWN_USE, PROCESSOR, name):
        given = list(push(at_work.feeding, name, to, secret(at_work.folder.keys / HOOK_KEY)))
    records: Counter[str] = Counter()
    for one in given:
        records.update(one.page.records)
    gone = sum(one.page.gone for one in given)
    if as_json:
        print_json({"pages": len(given), "records": dict(records), "gone": gone})
    else:
        told = ", ".join(f"{count:,} {relation}" for relation, count in records.items()) or "no records"
        say(f"`{name}` was given {told} in {len(given)} pages, and told to delete {gone:,}")


def key(
    name: Processor,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="End the key before it now, not in a day.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Issue a new key with which a processor pulls its feed, and print it: it is kept nowhere."""
    with closing(open_versions(data)) as register:
        if name not in {one.name for one in register.processors.all()}:
            raise RefusedError(f"there is no processor `{name}`", "`avowal processor add` makes one")
        issued = register.feeds.issue(name, utc_now(), at_once=at_once)
    hook = public_key(secret(find_folder(data).keys / HOOK_KEY))
    if as_json:
        print_json({"key": issued, "public_key": hook})
        return
    say(issued)
    say(f"  what is sent to an address is signed: {hook} checks it")
