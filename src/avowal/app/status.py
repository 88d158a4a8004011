"""The state of a folder: its versions, its records, its ledger, and who accessed data."""

from datetime import date, datetime, timedelta

import msgspec

from avowal.app.session import Session
from avowal.app.shared_address import FindSharedAddressDay
from avowal.app.view_requests import CountViewSources, ViewSourceCounts
from avowal.collect.cookie import COOKIE_NAME
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.disclose.feed import find_overdue_processors
from avowal.keep.enforcement import effective_versions
from avowal.register.readers import AccessCount, RecordedAccess
from avowal.store.interface import RecordCounts
from avowal.workspace.messages import CountRecords

STATUS_DAYS = 30
"""How far back a status reports accesses, in days."""


class FolderStatus(msgspec.Struct, frozen=True):
    """The state of a folder; `avowal status --json` prints it."""

    version: int | None
    """The version in force; None if there is none yet."""
    identity: str | None
    scheduled: list[int]
    """The versions that are still to take effect."""
    cookie_basis: str
    """The basis on which the site's own cookie is set; empty if it is not."""
    record_counts: RecordCounts
    view_sources: list[ViewSourceCounts]
    """How many views of each host are in both a log and the script, and how many in one of them alone."""
    owned_by_other_process: bool
    deficient_processors: list[str]
    """Processors whose contract protects less than the version in force."""
    overdue_processors: list[str]
    """Processors that have not confirmed in time that they deleted what they must."""
    shared_address_day: date | None
    """The newest day, if all its visitors have one private address: that of a gateway."""
    ledger_entries: int
    visitor_accesses: list[RecordedAccess]
    """Accesses to data of single visitors."""
    daily_access_counts: list[AccessCount]
    """Accesses to data of many visitors together, counted by day."""


def read_status(session: Session, now: datetime) -> FolderStatus:
    """Return the state of a folder."""
    register = session.register
    versions = register.versions()
    effective = effective_versions(versions, now)
    in_force = effective[-1] if effective else None
    terms = in_force.compiled_terms if in_force else None
    since = now - timedelta(days=STATUS_DAYS)
    deficient = find_insufficient_contracts(register, terms, now.date()) if terms else []
    return FolderStatus(
        version=in_force.number if in_force else None,
        identity=in_force.identity if in_force else None,
        scheduled=[version.number for version in versions[len(effective) :]],
        cookie_basis=next(reversed([*terms.cookie_ages(COOKIE_NAME)]), "") if terms else "",
        record_counts=session.call(CountRecords()),
        view_sources=session.call(CountViewSources(since)),
        owned_by_other_process=not session.backend.is_owner,
        deficient_processors=[processor.name for processor, _ in deficient],
        overdue_processors=sorted(find_overdue_processors(register, now)),
        shared_address_day=session.call(FindSharedAddressDay()),
        ledger_entries=register.ledger.count_entries(),
        visitor_accesses=register.readers.accesses_since(since),
        daily_access_counts=register.readers.aggregate_access_counts(since),
    )
