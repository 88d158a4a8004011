"""`avowal restore`: take a backup back, and record that in the ledger."""

from pathlib import Path
from typing import Annotated

import typer

from avowal.app.restore import RestoreResult, restore_backup
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line

app = create_app()


@app.command("restore")
def restore(
    backup: Annotated[
        Path, typer.Argument(help="What `avowal backup` wrote, or a copy of a data folder of this ledger.")
    ],
    keys: Annotated[
        Path | None, typer.Option("--keys", help="The keys of the backup, if they are elsewhere.")
    ] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Restore a backup into a folder without data: erase again what was erased since, and record the restore."""
    result = restore_backup(backup.absolute(), keys and keys.absolute(), data)
    if as_json:
        print_json(result)
    else:
        _print_result(result)
    if result.findings:
        raise typer.Exit(1)


def _print_result(result: RestoreResult) -> None:
    entry, number = result.entry, result.entry_number
    made = f"of {entry.made_at:%Y-%m-%d %H:%M:%S} UTC " if entry.made_at else ""
    print_line(f"the backup {made}is restored: entry {number} of the ledger says so")
    if entry.last_entries > number:
        print_line(
            f"the ledger had {entry.last_entries:,} entries, and has the first {number:,} of them again; whoever holds "
            "a checkpoint of the others can prove that, and finds the reason in that entry"
        )
    if entry.last_sequence > entry.sequence:
        print_line(
            f"{entry.last_sequence - entry.sequence:,} changes of the register after the backup are gone, such as "
            "consents, withdrawals, restrictions and readers: repeat those that you know of"
        )
    if not result.knows_erasures:
        print_line(
            "`keys/erased.list` is missing or not newer than the backup: repeat each erasure after it that you know of"
        )
    if entry.listed_erasures:
        print_line(
            f"erased since the backup: {entry.listed_erasures:,}; what the backup had of them is erased again "
            f"({result.erased_again:,})"
        )
    if result.expired_records:
        print_line(f"past their retention period: {result.expired_records:,} records, deleted or coarsened")
    for finding in result.findings:
        print_line(f"`avowal verify`: {finding.sentence}")
    if not result.findings:
        print_line("verified: the restored folder holds what its ledger says")
