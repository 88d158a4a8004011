"""What may leave the house: cut to what was asked for, to its evidence, and to what governs each record.

The rules stand in `docs/spec/releases.md`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from avowal.clock import utc_now
from avowal.errors import QueryError
from avowal.ledger.entry import Reached
from avowal.policy.bounds import GROUND_ALONE, Age, Bounds, Cell
from avowal.policy.form import FILE, TIME
from avowal.register.submissions import Submissions
from avowal.store.columns import FULL, RELATIONS, Form
from avowal.store.interface import Store, Table
from avowal.submissions.submission import Submission
from avowal.use.purpose_view import Columns, Reading

ROWS_MAX = 200_000
"""The most rows of one relation that a release may have."""

SECONDS_MAX = 120
"""How long it may take to find the rows of one relation."""

SUBMISSIONS = "submissions"
ANSWERS = ["reference", "form", "submitted_at", "field", "category", "value"]


class Asked(msgspec.Struct, frozen=True):
    """What is asked to be released: of a visitor, of rows that are chosen, or of a visitor's rows that are chosen."""

    ground: str
    recipient_kind: str
    visitor: str
    categories: list[str]
    rows: str = ""


class Extent(NamedTuple):
    """What would leave the house, and what would not."""

    tables: dict[str, Table]
    refused: dict[str, str]
    """By category, why nothing of it is released."""
    whose: list[str]
    """The keys of the visitors that it is of."""
    apart: bool = True
    """Whether what chooses rows sets them apart from all others."""
    files: dict[str, bytes] = {}  # noqa: RUF012  # never changed
    """What was handed over as files."""
    reached: list[Reached] = []  # noqa: RUF012  # never changed
    """How far it goes: for the ledger, so that it can be held against what governed it."""

    @property
    def records(self) -> dict[str, int]:
        """How many records leave, of each relation."""
        return {name: len(table.rows) for name, table in self.tables.items()}


def extent(store: Store, governed: Sequence[Bounds], asked: Asked, now: datetime) -> Extent:
    """Cut what is asked for to what governs each record lets the recipient have (X2).

    Raises QueryError where rows may not be chosen so, and where there are too many of them.
    """
    reading = Reading(store, governed, GROUND_ALONE, now, "", asked.recipient_kind, asked.ground)
    only, condition = _chosen(reading, asked.rows)
    tables, whose, shown, far = dict[str, Table](), set[int](), set[str](), Far(governed, now)
    for name, relation in RELATIONS.items():
        columns = {
            column: asked_for
            for column, forms in relation.columns.items()
            if (asked_for := [form for form in forms if form.category in asked.categories])
        }
        if not columns or (only and name != only):
            continue
        visitor = int(asked.visitor, 16) if asked.visitor else None
        sql = f"{reading.of_some(name, visitor, condition, columns)} LIMIT {ROWS_MAX + 1}"
        found = store.ask_once({}, sql, SECONDS_MAX)
        if len(found.rows) > ROWS_MAX:
            raise QueryError(f"that would be more than {ROWS_MAX:,} {name}", "choose fewer, or a part")
        table, theirs = _filled(reading, found, columns, far)
        if table.rows:
            tables[name] = table
            whose |= theirs
            shown |= {form.category for column in table.columns for form in columns[column]}
    apart = not only or bool(asked.visitor) or reading.sets_apart(only, condition)
    refused = _refused(governed, asked, shown)
    return Extent(tables, refused, sorted(f"{visitor:016x}" for visitor in whose), apart, reached=far.told())


def handed_over(
    submissions: Submissions, which: Sequence[Submission], governed: Sequence[Bounds], asked: Asked
) -> Extent:
    """Cut what people handed over to what its terms let the recipient have, as `extent` does; with its files."""
    rows, files, far = list[list[Any]](), dict[str, bytes](), Far(governed, utc_now())
    for one in which:
        bounds = governed[one.version - 1]

        def allowed(category: str, bounds: Bounds = bounds) -> Age:
            cell = Cell(category, GROUND_ALONE, asked.recipient_kind, asked.ground)
            return bounds.age(cell) if category in asked.categories else 0

        at = one.submitted_at if allowed(TIME) != 0 else None
        if at:
            far.add(Form(TIME, FULL, ""), one.version, at)
        for field in submissions.opened(one, allowed):
            value = field.value
            far.add(Form(field.category, FULL, ""), one.version, one.submitted_at)
            if field.category == FILE:
                name = f"files/{one.reference}-{field.field}"
                files[name] = b"".join(submissions.file(one, field.field, allowed))
                value = f"{name} ({value['type']}): {value['name']}"
            rows.append([one.reference, one.form, at, field.field, field.category, value])
    tables = {SUBMISSIONS: Table(ANSWERS, rows)} if rows else {}
    shown = {row[4] for row in rows} | ({TIME} if any(row[2] for row in rows) else set())
    refused = _refused(governed, asked, shown)
    return Extent(
        tables,
        refused,
        sorted({one.visitor for one in which if one.visitor}),
        files=files,
        reached=far.told(),
    )


def together(one: Extent, other: Extent) -> Extent:
    """Return two extents of the same as one: refused is what is refused in both."""
    refused = {category: why for category, why in one.refused.items() if category in other.refused}
    whose = sorted({*one.whose, *other.whose})
    tables = {**one.tables, **other.tables}
    return Extent(tables, refused, whose, one.apart, other.files, [*one.reached, *other.reached])


def _refused(governed: Sequence[Bounds], asked: Asked, shown: Collection[str]) -> dict[str, str]:
    """Return why nothing is released of categories of which nothing is shown."""
    to = asked.recipient_kind, asked.ground
    newest = {cell.category for cell in governed[-1].cells if (cell.recipient, cell.ground) == to}
    return {
        category: "nothing of it is held that is young enough, or governed by terms that let it be released"
        if category in newest
        else f"the terms let no {asked.recipient_kind} have it on the ground {asked.ground}"
        for category in asked.categories
        if category not in shown
    }


def _chosen(reading: Reading, rows: str) -> tuple[str, str]:
    """Return of which relation rows are chosen, and the condition; both empty where nothing chooses them."""
    if not rows:
        return "", ""
    from avowal.use.sql_allow_list import (
        choice,  # a parser, which takes a tenth of every other command's start
    )

    return choice(rows, reading.refused())


class Far(dict[tuple[str, str, int], datetime]):
    """How far something goes: the oldest moment of each category at a precision, by what governs it.

    What is told of it is no moment of anybody's, as the ledger is for everybody (X7). `governed` are the bounds that it
    is cut by: what is older than any of their ages is told as of the first of all days.
    """

    def __init__(self, governed: Sequence[Bounds], now: datetime) -> None:
        super().__init__()
        self._governed, self._now = governed, now

    def add(self, form: Form, governing: int, moment: datetime) -> None:
        """Add a value in a form."""
        key = form.category, form.precision, governing
        self[key] = min(self.get(key, moment), moment)

    def told(self) -> list[Reached]:
        """Return it as an entry of the ledger has it."""
        return [
            (category, precision, governing, self._limit(category, governing, moment))
            for (category, precision, governing), moment in sorted(self.items())
        ]

    def _limit(self, category: str, governing: int, moment: datetime) -> datetime:
        """Return since when something came: by the least of the ages that a category may have, which it has not yet."""
        cells = self._governed[governing - 1].cells.items()
        ages = {age for cell, ages in cells if cell.category == category for age in ages.values() if age}
        since = [self._now - timedelta(seconds=age) for age in ages]
        return max((one for one in since if one <= moment), default=datetime.min)


def _filled(reading: Reading, found: Table, columns: Columns, far: Far) -> tuple[Table, set[int]]:
    """Return the columns and rows of a table that hold something, and whose they are; `far` gets how far that goes."""
    filled = range(len(found.columns) - 3)
    places = [place for place in filled if any(row[place] is not None for row in found.rows)]
    rows, whose = [], set[int]()
    for row in found.rows:
        *_, governing, moment, visitor = row
        kept = [row[place] for place in places]
        if any(value is not None for value in kept):
            rows.append(kept)
            whose |= {visitor} - {None}
        for place in places:
            if row[place] is not None:
                forms = columns[found.columns[place]]
                form = forms[0] if len(forms) == 1 else reading.form_of(forms, governing, moment)[0]
                far.add(form, governing, moment)
    return Table([found.columns[place] for place in places], rows), whose
