"""The rows of an address and a period, as a court or an authority names them.

An address is not a person: the keys of its visitors are those of one day, and several people may have it. So such a
release is one of rows, of all visitors who had the address (X5 in `docs/spec/releases.md`).
"""

from collections.abc import Collection

from avowal.disclose.request import ReleaseInput
from avowal.errors import DisclosureError
from avowal.keep.address_lookup import AddressPeriod
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.policy.ground import EvidenceKind, GroundRequirements
from avowal.register.release_requests import RefusalReason
from avowal.store.columns import RELATIONS
from avowal.use.row_selection import join_selections, parse_row_selections

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
