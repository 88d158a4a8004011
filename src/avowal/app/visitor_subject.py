"""The subject of a request for access or export: a visitor, or those who alone had an address on days of a period."""

from typing import NamedTuple

from avowal.app.owner_requests import FindAddressRecords, FindVisitorRecords
from avowal.app.session import Session
from avowal.app.visitor_summary import VisitorSummary, summarize_address, summarize_visitor
from avowal.keep.address_lookup import AddressPeriod, AddressRecords
from avowal.keep.visitor_lookup import VisitorSelector


class VisitorSubject(NamedTuple):
    """Whose data is shown, and what is known of it."""

    keys: list[str]
    """The visitor keys whose records are shown; none if nobody had the address alone."""
    summary: VisitorSummary
    record_count: int
    """How many requests and script views they have."""
    address: AddressRecords | None
    """Who had the address, day by day; None if the subject was named by a key."""


def find_subject(session: Session, selector: VisitorSelector) -> VisitorSubject:
    """Find whose data a person may see. Raises RefusedError if no visitor is known by the address."""
    if period := AddressPeriod.of(selector):
        address = session.call(FindAddressRecords(period))
        summary = summarize_address(session, address)
        return VisitorSubject(address.covered_keys, summary, address.covered_records, address)
    records = session.call(FindVisitorRecords(selector))
    return VisitorSubject([records.key], summarize_visitor(session, records.key), records.record_count, None)
