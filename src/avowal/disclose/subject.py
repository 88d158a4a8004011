"""The subject of a release: a visitor, or the rows of an address and a period, as a court or an authority names them.

An address is not a person: the keys of its visitors are those of one day, and several people may have it. So such a
release is one of rows, of all visitors who had the address (X5 in `docs/spec/releases.md`).
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from avowal.disclose.request import ReleaseInput
from avowal.errors import DisclosureError, RefusedError
from avowal.keep.address_lookup import AddressPeriod
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector
from avowal.policy.bounds import Bounds
from avowal.policy.ground import EvidenceKind, GroundRequirements
from avowal.register.register import Register
from avowal.register.release_requests import RefusalReason, ReleaseRequest
from avowal.store.columns import RELATIONS
from avowal.use.selection_list import join_selections, parse_row_selections

ADDRESS_CATEGORY, ADDRESS_COLUMN = "ip-address", "ip_address"
TIME_COLUMNS = {"requests": "request_time", "script_views": "view_time"}
"""The relations whose rows have an address, each with the column of its time."""


def find_address_period(
    release_input: ReleaseInput, selector: VisitorSelector | None, requirements: GroundRequirements
) -> AddressPeriod | None:
    """Return the address and the period whose rows are requested; None if a visitor or other rows are.

    Where the evidence is one person's will, and where rows of a visitor are chosen, an address stands for a visitor.
    """
    is_personal = {EvidenceKind.AUTHORISATION, EvidenceKind.FUNCTION} & {*requirements.evidence}
    if selector is None or is_personal or release_input.row_filter:
        return None
    return AddressPeriod.of(selector)


def select_address_rows(period: AddressPeriod, permitted: Collection[str]) -> str:
    """Return the choice of the rows that came from an address in a period, as far as it may be made.

    `permitted` are the categories that the recipient may have, as nothing else may be chosen by. Raises
    DisclosureError if they lack the address or every time.
    """
    since, until = (moment.isoformat(" ") for moment in (period.since, period.until))
    selections = [
        f"{relation} WHERE ip_address = '{period.address}' AND {time} >= '{since}' AND {time} < '{until}'"
        for relation, time in TIME_COLUMNS.items()
        if {ADDRESS_CATEGORY, RELATIONS[relation].columns[time][0].category} <= {*permitted}
    ]
    if not selections:
        raise DisclosureError(
            "the recipient may not have the address and the time of records, so none can be chosen by them",
            "name a visitor by a key, or choose rows by what the recipient may have (`--rows`)",
            RefusalReason.TERMS,
            code="not-permitted",
        )
    return join_selections(parse_row_selections("; ".join(selections)))


def find_visitor_key(
    register: Register,
    find_visitor_records: Callable[[VisitorSelector], VisitorRecords],
    selector: VisitorSelector,
) -> str:
    """Return the key of the visitor that a selector names. Raises DisclosureError if nothing is stored of one."""
    try:
        records = find_visitor_records(selector)
    except RefusedError as error:
        raise DisclosureError(
            error.message, error.hint, RefusalReason.UNKNOWN_SUBJECT, code=error.code
        ) from None
    if not records.counts_by_governing and not register.submissions.in_period(
        datetime.min, datetime.max, records.key
    ):
        raise DisclosureError(
            "nothing is stored of that visitor",
            "look at the visitor's key",
            RefusalReason.UNKNOWN_SUBJECT,
            code="records-not-found",
        )
    return records.key


def nothing_to_release_error(
    bounds: Bounds, request: ReleaseRequest, refused_categories: Mapping[str, str]
) -> DisclosureError:
    """Return the error that nothing may be released. `bounds` are those in force."""
    summary = request.summary
    may_have = bounds.disclosed_categories(summary.recipient_kind, summary.ground)
    if request.details.address and may_have.intersection(summary.categories):
        return DisclosureError(
            "nothing that may be released is stored of that address in that period",
            "check the period; full addresses are known only for as long as the terms keep them",
            RefusalReason.UNKNOWN_SUBJECT,
            code="visitor-not-found",
        )
    reasons = "; ".join(f"{category}: {reason}" for category, reason in refused_categories.items())
    return DisclosureError(
        f"nothing may be released: {reasons}", "", RefusalReason.TERMS, code="not-permitted"
    )
