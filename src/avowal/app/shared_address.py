"""Notice that all visitors of a day come from one private address, as behind a container's bridge."""

from datetime import date
from ipaddress import ip_address, ip_network
from typing import ClassVar

from avowal.app.owner import FolderOwner, OwnerRequest
from avowal.disclose.contract_check import OWN_NETWORKS
from avowal.sql_files import read_sql

QUERY_SECONDS_MAX = 10.0

PRIVATE_NETWORKS = (*OWN_NETWORKS, ip_network("100.64.0.0/10"))
"""Networks of machines that the internet cannot reach (RFC 6890), without those for documentation."""


class FindSharedAddressDay(OwnerRequest[date | None], frozen=True):
    """Return the newest day (UTC) if all its visitors have one private address, and None otherwise.

    Days with fewer than 20 requests and script views of people do not count.
    """

    needs_consents: ClassVar[bool] = False

    def answer(self, owner: FolderOwner) -> date | None:
        """See OwnerRequest."""
        result = owner.store.query_with_timeout(read_sql("use", "_shared_address"), QUERY_SECONDS_MAX)
        for day, addresses, address in result.rows:
            if addresses == 1 and is_private(address):
                return date.fromisoformat(str(day)[:10])
        return None


def is_private(text: str) -> bool:
    """Return whether an address, or a network of addresses, cannot be reached from the internet."""
    address = ip_address(text.partition("/")[0])
    return any(address in network for network in PRIVATE_NETWORKS)


def describe_shared_address(day: date) -> str:
    """Return what it means that all visitors of a day have one private address, and what helps."""
    return (
        f"all visitors of {day} have one private address, which is probably the gateway of a container: visits cannot "
        'be told apart; see "Containers" in docs/operating.md'
    )
