"""`avowal status`: the state of the folder."""

from datetime import timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from avowal.app.session import open_session
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.collect.cookie import COOKIE_NAME as COOKIE
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.disclose.feed import find_overdue_processors
from avowal.keep.enforcement import effective_versions
from avowal.workspace.messages import CountRecords

app = create_app()

STATUS_DAYS = 30
"""How far back `avowal status` tells of readings."""


@app.command("status")
def status(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Show how the folder stands: version, what is kept, the ledger, and who read what in the last 30 days."""
    with open_session(data) as at_work:
        register, moment = at_work.register, utc_now()
        versions = register.versions()
        holds = effective_versions(versions, moment)
        since = moment - timedelta(days=STATUS_DAYS)
        told = {
            "version": holds[-1].number if holds else None,
            "identity": holds[-1].identity if holds else None,
            "scheduled": [version.number for version in versions[len(holds) :]],
            "cookie": bases[-1]
            if holds and (bases := [*holds[-1].compiled_terms.cookie_ages(COOKIE)])
            else "",
            "kept": at_work.call(CountRecords()),
            "owned_by_another": not at_work.backend.is_owner,
            "processors_short": [
                one.name
                for one, _ in find_insufficient_contracts(register, holds[-1].compiled_terms, moment.date())
            ]
            if holds
            else [],
            "processors_overdue": sorted(find_overdue_processors(register, moment)),
            "ledger_entries": register.ledger.count_entries(),
            "readings_of_single_visitors": register.readers.accesses_since(since),
            "readings_by_day": register.readers.aggregate_access_counts(since),
        }
    if as_json:
        print_json(told)
    else:
        _show(told)


def _show(told: dict[str, Any]) -> None:
    kept = told["kept"]
    print_line(f"version {told['version']} holds" if told["version"] else "no version is in force yet")
    for number in told["scheduled"]:
        print_line(f"version {number} is still to take effect")
    if told["cookie"]:
        print_line(
            f"the cookie `{COOKIE}` is set {told['cookie']}: over HTTPS, for pages of the server's own host only"
        )
    print_line(
        "kept: " + ", ".join(f"{count:,} {name}" for name, count in msgspec.structs.asdict(kept).items())
    )
    for name in told["processors_short"]:
        print_line(
            f"the contract of processor `{name}` falls short of it: `avowal processor list` tells in what"
        )
    for name in told["processors_overdue"]:
        print_line(
            f"processor `{name}` is overdue with what it has to delete: `avowal processor list` tells since when"
        )
    print_line(f"the ledger has {told['ledger_entries']:,} entries")
    if told["owned_by_another"]:
        print_line("another process has the folder: an import, `avowal follow` or a server")
    for title, readings in (
        ("readings of single visitors", told["readings_of_single_visitors"]),
        ("readings of many visitors together", told["readings_by_day"]),
    ):
        print_line(f"\n{title}, in {STATUS_DAYS} days: {'none' if not readings else ''}")
        if readings:
            rows = [msgspec.to_builtins(reading) for reading in readings]
            table = Table(*(name.replace("_", " ") for name in rows[0]), box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(Text(str(value)) for value in row.values()))
            Console(highlight=False).print(table)
