"""Entries that tests of the ledger append."""

from datetime import datetime, timedelta

from avowal.ledger.entry import VersionWithdrawn
from avowal.register.ledger_storage import append_entries
from avowal.register.register import Register

START = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone


def append_withdrawals(register: Register, start: int, end: int) -> None:
    """Append the withdrawals of versions `start` to `end`, which is not among them."""
    entries = [
        VersionWithdrawn(number, "a" * 64, START + timedelta(seconds=number)) for number in range(start, end)
    ]
    with register.database.transaction() as connection:
        append_entries(connection, entries)
