"""Requests about where views come from: the hosts that the script reports, and the sources of views."""

from datetime import datetime

import msgspec

from avowal.app.owner import FolderOwner, OwnerRequest
from avowal.sql_files import read_sql


class ListScriptHosts(OwnerRequest[list[str]], frozen=True):
    """Return the hosts of the pages that the script reported."""

    def answer(self, owner: FolderOwner) -> list[str]:
        """See OwnerRequest."""
        sql = "SELECT DISTINCT host FROM script_views WHERE host IS NOT NULL ORDER BY host"
        return [host for (host,) in owner.store.query(sql, {}).rows]


class ViewSourceCounts(msgspec.Struct, frozen=True):
    """How many views of a host a log and the script both have, and how many one of them has alone."""

    host: str | None
    both: int
    script_only: int
    log_only: int


class CountViewSources(OwnerRequest[list[ViewSourceCounts]], frozen=True):
    """Return the sources of the views of each host since a time (UTC)."""

    since: datetime

    def answer(self, owner: FolderOwner) -> list[ViewSourceCounts]:
        """See OwnerRequest."""
        table = owner.store.query(read_sql("store", "view_sources"), {"since": self.since})
        return [ViewSourceCounts(**row) for row in table.to_dicts()]
