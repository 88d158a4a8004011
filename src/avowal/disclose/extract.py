"""What may leave the house: cut to what was asked for, to its evidence, and to what governs each record.

The rules stand in `docs/spec/releases.md`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from avowal.clock import utc_now
from avowal.errors import QueryError
from avowal.ledger.entry import AgeReach
from avowal.policy.bounds import GROUND_ONLY_PURPOSE, Age, Bounds, Cell
from avowal.policy.form import FILE_CATEGORY, SUBMISSION_TIME_CATEGORY
from avowal.register.release_requests import ReleaseRequest
from avowal.register.submissions import Submissions
from avowal.store.columns import FULL, RELATIONS, ColumnForm
from avowal.store.interface import ResultTable, Store
from avowal.submissions.submission import Submission
from avowal.use.purpose_view import ColumnForms, PurposeView

RELATION_ROWS_MAX = 200_000
"""The most rows of one relation that a release may have."""

QUERY_SECONDS_MAX = 120
"""How long it may take to find the rows of one relation."""

SUBMISSIONS_TABLE = "submissions"
SUBMISSION_COLUMNS = ["reference", "form", "submitted_at", "field", "category", "value"]


class Extract(msgspec.Struct, frozen=True):
    """What would leave the house, and what would not."""

    tables: dict[str, ResultTable]
    refused_categories: dict[str, str]
    """By category, why nothing of it is released."""
    visitor_keys: list[str]
    """The keys of the visitors that it is of."""
    is_selective: bool = True
    """Whether what chooses rows sets them apart from all others."""
    files: dict[str, bytes] = {}
    """What was handed over as files."""
    age_reach: list[AgeReach] = []
    """How far it goes: for the ledger, so that it can be held against what governed it."""

    @property
    def record_counts(self) -> dict[str, int]:
        """How many records leave, of each relation."""
        return {name: len(table.rows) for name, table in self.tables.items()}


def extract_records(
    store: Store, governing_bounds: Sequence[Bounds], request: ReleaseRequest, now: datetime
) -> Extract:
    """Cut what is asked for to what governs each record lets the recipient have (X2).

    Raises QueryError where rows may not be chosen so, and where there are too many of them.
    """
    reading = PurposeView(
        store, governing_bounds, GROUND_ONLY_PURPOSE, now, "", request.recipient_kind, request.ground
    )
    only, condition = _parse_row_filter(reading, request.row_filter)
    tables, whose, shown, far = (
        dict[str, ResultTable](),
        set[int](),
        set[str](),
        OldestByCell(governing_bounds, now),
    )
    for name, relation in RELATIONS.items():
        columns = {
            column: asked_for
            for column, forms in relation.columns.items()
            if (asked_for := [form for form in forms if form.category in request.categories])
        }
        if not columns or (only and name != only):
            continue
        visitor = int(request.visitor, 16) if request.visitor else None
        sql = f"{reading.select_rows_sql(name, visitor, condition, columns)} LIMIT {RELATION_ROWS_MAX + 1}"
        found = store.query_with_timeout({}, sql, QUERY_SECONDS_MAX)
        if len(found.rows) > RELATION_ROWS_MAX:
            raise QueryError(
                f"that would be more than {RELATION_ROWS_MAX:,} {name}",
                "choose fewer, or a part",
                code="too-many-records",
            )
        table, theirs = _drop_empty_columns(reading, found, columns, far)
        if table.rows:
            tables[name] = table
            whose |= theirs
            shown |= {form.category for column in table.columns for form in columns[column]}
    apart = not only or bool(request.visitor) or reading.is_selective(only, condition)
    refused = _explain_refusals(governing_bounds, request, shown)
    return Extract(
        tables, refused, sorted(f"{visitor:016x}" for visitor in whose), apart, age_reach=far.to_age_reach()
    )


def extract_submissions(
    submissions: Submissions,
    selected_submissions: Sequence[Submission],
    governing_bounds: Sequence[Bounds],
    request: ReleaseRequest,
) -> Extract:
    """Cut what people handed over to what its terms let the recipient have, as `extent` does; with its files."""
    rows, files, far = list[list[Any]](), dict[str, bytes](), OldestByCell(governing_bounds, utc_now())
    for one in selected_submissions:
        bounds = governing_bounds[one.version - 1]

        def allowed(category: str, bounds: Bounds = bounds) -> Age:
            cell = Cell(category, GROUND_ONLY_PURPOSE, request.recipient_kind, request.ground)
            return bounds.max_age_coarsest(cell) if category in request.categories else 0

        at = one.submitted_at if allowed(SUBMISSION_TIME_CATEGORY) != 0 else None
        if at:
            far.add(ColumnForm(SUBMISSION_TIME_CATEGORY, FULL, ""), one.version, at)
        for field in submissions.decrypt_values(one, allowed):
            value = field.value
            far.add(ColumnForm(field.category, FULL, ""), one.version, one.submitted_at)
            if field.category == FILE_CATEGORY:
                name = f"files/{one.reference}-{field.field}"
                files[name] = b"".join(submissions.decrypt_file(one, field.field, allowed))
                value = f"{name} ({value['type']}): {value['name']}"
            rows.append([one.reference, one.form, at, field.field, field.category, value])
    tables = {SUBMISSIONS_TABLE: ResultTable(SUBMISSION_COLUMNS, rows)} if rows else {}
    shown = {row[4] for row in rows} | ({SUBMISSION_TIME_CATEGORY} if any(row[2] for row in rows) else set())
    refused = _explain_refusals(governing_bounds, request, shown)
    return Extract(
        tables,
        refused,
        sorted({one.visitor for one in selected_submissions if one.visitor}),
        files=files,
        age_reach=far.to_age_reach(),
    )


def merge_extracts(first: Extract, second: Extract) -> Extract:
    """Return two extents of the same as one: refused is what is refused in both."""
    refused = {
        category: why
        for category, why in first.refused_categories.items()
        if category in second.refused_categories
    }
    whose = sorted({*first.visitor_keys, *second.visitor_keys})
    tables = {**first.tables, **second.tables}
    return Extract(
        tables, refused, whose, first.is_selective, second.files, [*first.age_reach, *second.age_reach]
    )


def _explain_refusals(
    governed: Sequence[Bounds], asked: ReleaseRequest, shown: Collection[str]
) -> dict[str, str]:
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


def _parse_row_filter(reading: PurposeView, rows: str) -> tuple[str, str]:
    """Return of which relation rows are chosen, and the condition; both empty where nothing chooses them."""
    if not rows:
        return "", ""
    from avowal.use.sql_allow_list import (
        parse_row_selection,  # a parser, which takes a tenth of every other command's start
    )

    return parse_row_selection(rows, reading.refused_columns())


class OldestByCell(dict[tuple[str, str, int], datetime]):
    """How far something goes: the oldest moment of each category at a precision, by what governs it.

    What is told of it is no moment of anybody's, as the ledger is for everybody (X7). `governed` are the bounds that it
    is cut by: what is older than any of their ages is told as of the first of all days.
    """

    def __init__(self, governed: Sequence[Bounds], now: datetime) -> None:
        super().__init__()
        self._governed, self._now = governed, now

    def add(self, form: ColumnForm, governing: int, moment: datetime) -> None:
        """Add a value in a form."""
        key = form.category, form.precision, governing
        self[key] = min(self.get(key, moment), moment)

    def to_age_reach(self) -> list[AgeReach]:
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


def _drop_empty_columns(
    reading: PurposeView, found: ResultTable, columns: ColumnForms, far: OldestByCell
) -> tuple[ResultTable, set[int]]:
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
                form = forms[0] if len(forms) == 1 else reading.find_finest_form(forms, governing, moment)[0]
                far.add(form, governing, moment)
    return ResultTable([found.columns[place] for place in places], rows), whose
