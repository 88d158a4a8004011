"""Entries that tests append to the ledger."""

from datetime import datetime, timedelta

from avowal.ledger.entry import VersionWithdrawn
from avowal.register.ledger_storage import append_entries
from avowal.register.register import Register

START = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone


def append_withdrawals(register: Register, start: int, end: int) -> None:
    """Append the withdrawals of the versions from `start` up to, but not including, `end`."""
    entries = [
        VersionWithdrawn(number, "a" * 64, START + timedelta(seconds=number)) for number in range(start, end)
    ]
    with register.database.transaction() as connection:
        append_entries(connection, entries)
