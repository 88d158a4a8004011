"""Extracts what a release may hold: what is requested, as far as the evidence and each record's governing terms permit.

The rules are in `docs/spec/releases.md`.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from avowal.clock import utc_now
from avowal.errors import QueryError
from avowal.ledger.release_entry import AgeReach
from avowal.policy.bounds import GROUND_ONLY_PURPOSE, Age, Bounds, Cell
from avowal.policy.form import FILE_CATEGORY, SUBMISSION_TIME_CATEGORY
from avowal.register.release_requests import ReleaseRequest
from avowal.register.submissions import Submissions
from avowal.store.columns import FULL, RELATIONS, ColumnForm
from avowal.store.interface import ResultTable, Store
from avowal.submissions.access import is_within_age
from avowal.submissions.submission import Submission
from avowal.use.purpose_view import ColumnForms, PurposeView
from avowal.use.row_selection import RowSelection, check_columns
from avowal.use.selection_list import parse_row_selections

RELATION_ROWS_MAX = 200_000
"""The most rows of one relation in a release."""

QUERY_SECONDS_MAX = 120
"""The time limit of the query for one relation."""

SUBMISSIONS_TABLE = "submissions"
SUBMISSION_COLUMNS = ["reference", "form", "submitted_at", "field", "category", "value"]


class Extract(msgspec.Struct, frozen=True):
    """What would be released, and what would not."""

    tables: dict[str, ResultTable]
    """The records, by relation."""
    refused_categories: dict[str, str]
    """Why nothing of a category is released, by category."""
    visitor_keys: list[str]
    """The keys of the visitors whose records they are."""
    records_by_visitor: dict[str, int] = {}
    """How many stored records of each visitor there are, by key."""
    is_selective: bool = True
    """Whether the row filter leaves out any records of its period."""
    files: dict[str, bytes] = {}
    """The uploaded files, by their names in the package."""
    age_reach: list[AgeReach] = []
    """How old the oldest values are, for the ledger, so that an audit can compare them with the governing bounds."""

    @property
    def record_counts(self) -> dict[str, int]:
        """The number of records of each relation."""
        return {name: len(table.rows) for name, table in self.tables.items()}


@dataclass
class OldestValues:
    """How old the values of a release or of a feed page are.

    The ledger is public, so `to_age_reach` returns no time of a record (X7): it rounds to the limits of the bounds.
    """

    governing_bounds: Sequence[Bounds]
    now: datetime
    moments: dict[tuple[str, str, int], datetime] = field(default_factory=dict)
    """The time of the oldest value, by category, precision and governing number."""

    def add(self, form: ColumnForm, governing: int, moment: datetime) -> None:
        """Add a value in a form, with its record's governing number and time."""
        key = form.category, form.precision, governing
        self.moments[key] = min(self.moments.get(key, moment), moment)

    def merge(self, other: "OldestValues") -> None:
        """Add all values of another."""
        for key, moment in other.moments.items():
            self.moments[key] = min(self.moments.get(key, moment), moment)

    def to_age_reach(self) -> list[AgeReach]:
        """Return category, precision, governing number and rounded time of each, as in a ledger entry."""
        return [
            (category, precision, governing, self._round(category, governing, moment))
            for (category, precision, governing), moment in sorted(self.moments.items())
        ]

    def _round(self, category: str, governing: int, moment: datetime) -> datetime:
        """Round a time down to the nearest limit of the category's ages; to the first of all days if it is older."""
        cells = self.governing_bounds[governing - 1].cells.items()
        ages = {age for cell, ages in cells if cell.category == category for age in ages.values() if age}
        limits = [self.now - timedelta(seconds=age) for age in ages]
        return max((limit for limit in limits if limit <= moment), default=datetime.min)


def extract_records(
    store: Store, governing_bounds: Sequence[Bounds], request: ReleaseRequest, now: datetime
) -> Extract:
    """Extract the stored records that a request selects, as far as each one's governing bounds permit (X2).

    Raises QueryError if the row filter is not allowed, or selects too many rows.
    """
    view = PurposeView(
        store,
        governing_bounds,
        GROUND_ONLY_PURPOSE,
        now,
        "",
        request.summary.recipient_kind,
        request.summary.ground,
    )
    selections = _select_rows(view, request.details.row_filter)
    visitor = int(request.details.visitor, 16) if request.details.visitor else None
    tables, oldest = dict[str, ResultTable](), OldestValues(governing_bounds, now)
    visitors, released_categories = Counter[int](), set[str]()
    for name, relation in RELATIONS.items():
        columns = {
            column: permitted
            for column, forms in relation.columns.items()
            if (permitted := [form for form in forms if form.category in request.summary.categories])
        }
        if not columns or (selections and name not in selections):
            continue
        condition = selections[name].sql if selections else None
        selected = view.read_rows(name, visitor, condition, columns, RELATION_ROWS_MAX, QUERY_SECONDS_MAX)
        if len(selected.rows) > RELATION_ROWS_MAX:
            raise QueryError(
                f"the release would have more than {RELATION_ROWS_MAX:,} {name}",
                "choose fewer rows, or a shorter period",
                code="too-many-records",
            )
        table, table_visitors, table_oldest = _drop_empty_columns(view, selected, columns)
        if table.rows:
            tables[name] = table
            visitors += table_visitors
            oldest.merge(table_oldest)
            released_categories |= {form.category for column in table.columns for form in columns[column]}
    return Extract(
        tables,
        _explain_refusals(governing_bounds, request, released_categories),
        sorted(f"{number:016x}" for number in visitors),
        {f"{number:016x}": visitors[number] for number in sorted(visitors)},
        visitor is not None
        or bool(request.details.address)
        or all(_is_selective(view, selection) for selection in selections.values()),
        age_reach=oldest.to_age_reach(),
    )


def extract_submissions(
    submissions: Submissions,
    selected_submissions: Sequence[Submission],
    governing_bounds: Sequence[Bounds],
    request: ReleaseRequest,
) -> Extract:
    """Extract the fields and files of submissions, as far as each one's governing bounds permit (X2)."""
    rows, files = list[list[Any]](), dict[str, bytes]()
    oldest = OldestValues(governing_bounds, utc_now())
    for submission in selected_submissions:
        bounds = governing_bounds[submission.version - 1]

        def max_age(category: str, bounds: Bounds = bounds) -> Age:
            cell = Cell(category, GROUND_ONLY_PURPOSE, request.summary.recipient_kind, request.summary.ground)
            return bounds.max_age_coarsest(cell) if category in request.summary.categories else 0

        may_have_time = is_within_age(submission, max_age(SUBMISSION_TIME_CATEGORY), oldest.now)
        submitted_at = submission.submitted_at if may_have_time else None
        if submitted_at:
            form = ColumnForm(SUBMISSION_TIME_CATEGORY, FULL, "")
            oldest.add(form, submission.version, submitted_at)
        for field_value in submissions.decrypt_values(submission, max_age):
            name, category, value = field_value.field, field_value.category, field_value.value
            oldest.add(ColumnForm(category, FULL, ""), submission.version, submission.submitted_at)
            if category == FILE_CATEGORY:
                path = f"files/{submission.reference}-{name}"
                files[path] = b"".join(submissions.decrypt_file(submission, name, max_age))
                value = f"{path} ({value['type']}): {value['name']}"
            rows.append([submission.reference, submission.form, submitted_at, name, category, value])
    released_categories = {row[4] for row in rows}
    released_categories |= {SUBMISSION_TIME_CATEGORY} if any(row[2] for row in rows) else set()
    return Extract(
        {SUBMISSIONS_TABLE: ResultTable(SUBMISSION_COLUMNS, rows)} if rows else {},
        _explain_refusals(governing_bounds, request, released_categories),
        sorted({submission.visitor for submission in selected_submissions if submission.visitor}),
        files=files,
        age_reach=oldest.to_age_reach(),
    )


def merge_extracts(records: Extract, submissions: Extract) -> Extract:
    """Merge the extracts of records and of submissions for one request. A category is refused if both refuse it."""
    return Extract(
        {**records.tables, **submissions.tables},
        {
            category: reason
            for category, reason in records.refused_categories.items()
            if category in submissions.refused_categories
        },
        sorted({*records.visitor_keys, *submissions.visitor_keys}),
        records.records_by_visitor,
        records.is_selective,
        submissions.files,
        [*records.age_reach, *submissions.age_reach],
    )


def _explain_refusals(
    governing_bounds: Sequence[Bounds], request: ReleaseRequest, released: Collection[str]
) -> dict[str, str]:
    """Return the reason for each requested category of which nothing is released."""
    permitted = governing_bounds[-1].disclosed_categories(
        request.summary.recipient_kind, request.summary.ground
    )
    return {
        category: "nothing of it is stored that is young enough, and under terms that let it be released"
        if category in permitted
        else f"the terms let no {request.summary.recipient_kind} have it on the ground {request.summary.ground}"
        for category in request.summary.categories
        if category not in released
    }


def _select_rows(view: PurposeView, row_filter: str) -> dict[str, RowSelection]:
    """Return the rows that a filter selects, by relation; none if there is no filter.

    Raises QueryError if it uses columns that the recipient may not have (X5).
    """
    if not row_filter:
        return {}
    selections = parse_row_selections(row_filter)
    for selection in selections:
        check_columns(selection, view.refused_columns())
    return {selection.relation: selection for selection in selections}


def _is_selective(view: PurposeView, selection: RowSelection) -> bool:
    return view.is_selective(selection.relation, selection.sql, selection.timeless_sql)


def _drop_empty_columns(
    view: PurposeView, selected: ResultTable, columns: ColumnForms
) -> tuple[ResultTable, Counter[int], OldestValues]:
    """Drop columns and rows without a value; returns the rest, whose records they are, and how old their values are.

    The last three columns of `selected` are the governing number, the time and the visitor of each record.
    """
    value_columns = range(len(selected.columns) - 3)
    kept = [index for index in value_columns if any(row[index] is not None for row in selected.rows)]
    rows, visitors = list[list[Any]](), Counter[int]()
    oldest = OldestValues(view.governing_bounds, view.now)
    for row in selected.rows:
        *_, governing, moment, visitor = row
        values = [row[index] for index in kept]
        if any(value is not None for value in values):
            rows.append(values)
            visitors.update({visitor} - {None})
        for index in kept:
            if row[index] is not None:
                forms = columns[selected.columns[index]]
                form = forms[0] if len(forms) == 1 else view.find_finest_form(forms, governing, moment)[0]
                oldest.add(form, governing, moment)
    return ResultTable([selected.columns[index] for index in kept], rows), visitors, oldest
