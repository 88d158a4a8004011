"""Requests for what is stored of a visitor: how much, and the records page by page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from avowal.app.owner import FolderOwner, OwnerRequest
from avowal.store.columns import RELATIONS
from avowal.store.interface import ResultTable
from avowal.store.visitor_sql import select_page, summarize_visitor

VISITOR_PAGE_ROWS = 5_000
"""How many records of a visitor one answer has: bounds the memory that an export takes."""


def _visitor_values(visitor_key: str, other_keys: Sequence[str]) -> dict[str, Any]:
    return {"visitor_id": int(visitor_key, 16), "other_visitors": [int(key, 16) for key in other_keys]}


class RelationSummary(msgspec.Struct, frozen=True):
    """How many records of a visitor a relation has, the times of the first and the last (UTC), and their versions."""

    records: int
    first: datetime | None
    last: datetime | None
    versions: list[int]


class SummarizeVisitor(OwnerRequest[dict[str, RelationSummary]], frozen=True):
    """Return how much is stored of a visitor, by relation, without what is stored under `other_keys`."""

    needs_arrivals: ClassVar[bool] = True
    visitor_key: str
    other_keys: tuple[str, ...] = ()

    def answer(self, owner: FolderOwner) -> dict[str, RelationSummary]:
        """See OwnerRequest."""
        table = owner.store.query(summarize_visitor(), _visitor_values(self.visitor_key, self.other_keys))
        summaries = {row["relation"]: msgspec.convert(row, RelationSummary) for row in table.to_dicts()}
        return {relation: summaries[relation] for relation in RELATIONS}


class VisitorRecordPage(msgspec.Struct, frozen=True):
    """Some records of a visitor in a relation, and the number of the last row, after which the next page begins."""

    table: ResultTable
    last_row: int | None
    """None if there are no more records."""


class ReadVisitorPage(OwnerRequest[VisitorRecordPage], frozen=True):
    """Return the next records of a visitor in a relation: those after a row, at most VISITOR_PAGE_ROWS.

    What is stored under `other_keys` is left out.
    """

    needs_arrivals: ClassVar[bool] = True
    visitor_key: str
    relation: str
    after: int = -1
    other_keys: tuple[str, ...] = ()

    def answer(self, owner: FolderOwner) -> VisitorRecordPage:
        """See OwnerRequest."""
        values = _visitor_values(self.visitor_key, self.other_keys)
        values |= {"after": self.after, "limit": VISITOR_PAGE_ROWS}
        result = owner.store.query(select_page(self.relation), values).to_plain()
        table = ResultTable(result.columns[1:], [row[1:] for row in result.rows])  # without the row number
        return VisitorRecordPage(table, result.rows[-1][0] if result.rows else None)
