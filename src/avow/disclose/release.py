"""What may leave the house: on a ground, with its evidence, and only as far as that goes.

The rules stand in `docs/spec/releases.md`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from avow.errors import RefusedError
from avow.keep.cut import RELATIONS
from avow.keep.register import Register, Version
from avow.keep.store import Store, Table
from avow.policy.bounds import GROUND_ALONE, Bounds
from avow.policy.ground import needs
from avow.use.reading import Reading

AUTHORISED = "authorised"
EVIDENCE = "authorisation"


class Asked(msgspec.Struct, frozen=True):
    """What is asked to be released of a visitor."""

    ground: str
    recipient_kind: str
    visitor: str
    categories: list[str]


class Extent(NamedTuple):
    """What would leave the house, and what would not."""

    tables: dict[str, Table]
    refused: dict[str, str]
    """By category, why nothing of it is released."""

    @property
    def records(self) -> dict[str, int]:
        """How many records leave, of each relation."""
        return {name: len(table.rows) for name, table in self.tables.items()}


def extent(store: Store, governed: Sequence[Bounds], asked: Asked, now: datetime) -> Extent:
    """Cut what is asked for to what governs each record lets the recipient have (X2)."""
    reading = Reading(store, governed, GROUND_ALONE, now, "", asked.recipient_kind, asked.ground)
    tables, shown = dict[str, Table](), set[str]()
    for name, relation in RELATIONS.items():
        columns = {
            column: asked_for
            for column, forms in relation.columns.items()
            if (asked_for := [form for form in forms if form.category in asked.categories])
        }
        if not columns:
            continue
        found = store.query(reading.of_visitor(name, int(asked.visitor, 16), columns), {})
        kept = [
            column
            for place, column in enumerate(found.columns)
            if any(row[place] is not None for row in found.rows)
        ]
        shown |= {form.category for column in kept for form in columns[column]}
        places = [found.columns.index(column) for column in kept]
        rows = [[row[place] for place in places] for row in found.rows]
        if rows := [row for row in rows if any(value is not None for value in row)]:
            tables[name] = Table(kept, rows)
    missing = [category for category in asked.categories if category not in shown]
    newest = {
        cell.category
        for cell in governed[-1].cells
        if (cell.recipient, cell.ground) == (asked.recipient_kind, asked.ground)
    }
    refused = {
        category: "nothing of it is held that is young enough, or governed by terms that let it be released"
        if category in newest
        else f"the terms let no {asked.recipient_kind} have it on the ground {asked.ground}"
        for category in missing
    }
    return Extent(tables, refused)


def authorised(
    register: Register, version: Version, visitor: str, recipient: str, asked: Collection[str]
) -> Mapping[str, str]:
    """Return why categories are not authorised (X3), by category.

    Raises RefusedError where the terms name no evidence for the ground, or more than an authorisation, and where the
    visitor authorised nothing of it.
    """
    need = needs(version.promised.duties).get(AUTHORISED)
    if need is None or need.evidence != (EVIDENCE,) or need.approvals:
        raise RefusedError(
            f"version {version.number} does not let an authorisation alone be the evidence for a release",
            'say so under [[ground]]: `name = "authorised"`, `evidence = ["authorisation"]`',
        )
    standing = register.authorisations.standing(visitor, recipient)
    if not standing.keys() & set(asked):
        raise RefusedError(
            f"that visitor authorised nothing of it for `{recipient}`, or took it back",
            "`avow visitor authorise` records what a visitor authorises",
        )
    return {category: "the visitor did not authorise it" for category in asked if category not in standing}
