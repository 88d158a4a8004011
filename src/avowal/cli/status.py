"""`avowal status`: show the state of the folder."""

from collections.abc import Sequence

import msgspec

from avowal.app.session import open_session
from avowal.app.shared_address import describe_shared_address
from avowal.app.status import STATUS_DAYS, FolderStatus, read_status
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import TextTable, create_console
from avowal.clock import utc_now
from avowal.collect.cookie import COOKIE_NAME
from avowal.use.view_sources import FEW_PAIRS_NOTE, has_few_pairs

app = create_app()


@app.command("status")
def status(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Show the version in force, the stored records, the ledger, and who accessed data in the last 30 days."""
    with open_session(data) as session:
        folder_status = read_status(session, utc_now())
    if as_json:
        print_json(folder_status)
    else:
        _print_status(folder_status)


def _print_status(status: FolderStatus) -> None:
    print_line(f"version {status.version} is in force" if status.version else "no version is in force yet")
    for number in status.scheduled:
        print_line(f"version {number} has not taken effect yet")
    if status.cookie_basis:
        print_line(
            f"the cookie `{COOKIE_NAME}` is set {status.cookie_basis}, over HTTPS, for pages on the server's own host"
        )
    counts = msgspec.structs.asdict(status.record_counts).items()
    print_line("stored: " + ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts))
    if status.record_counts.requests and not status.record_counts.views:
        print_line(
            "no stored request is a view: all are by bots, or none is of a page; see `avowal report bots`"
        )
    if status.shared_address_day:
        print_line(describe_shared_address(status.shared_address_day))
    _print_view_sources(status)
    for name in status.deficient_processors:
        print_line(f"the contract of processor `{name}` is not sufficient: see `avowal processor list`")
    for name in status.overdue_processors:
        print_line(f"processor `{name}` has not confirmed its deletions in time: see `avowal processor list`")
    print_line(f"the ledger has {status.ledger_entries:,} entries")
    if status.owned_by_other_process:
        print_line("another process owns the folder: an import, `avowal follow` or a server")
    _print_accesses("accesses to data of single visitors", status.visitor_accesses)
    _print_accesses("accesses to data of many visitors together", status.daily_access_counts)


def _print_view_sources(status: FolderStatus) -> None:
    for sources in status.view_sources:
        if sources.both + sources.script_only and sources.both + sources.log_only:
            print_line(
                f"views of `{sources.host}` in {STATUS_DAYS} days: {sources.both:,} in both a log and the script, "
                f"{sources.script_only:,} in the script only, {sources.log_only:,} in a log only"
            )
            if has_few_pairs(sources.both, sources.script_only, sources.log_only):
                print_line(FEW_PAIRS_NOTE)


def _print_accesses(title: str, accesses: Sequence[msgspec.Struct]) -> None:
    print_line(f"\n{title}, in {STATUS_DAYS} days: {'none' if not accesses else ''}")
    if accesses:
        rows = [msgspec.structs.asdict(access) for access in accesses]
        table = TextTable(*(name.replace("_", " ") for name in rows[0]))
        for row in rows:
            table.add_row(*row.values())
        table.print(create_console())
