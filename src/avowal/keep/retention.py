"""Plan retention: find the rows and columns of the store that no purpose may keep any longer.

The rules are in `docs/spec/retention.md`. `store/retention_sql.py` has the statements that carry out the actions.
`collect/admission.py` applies the same ages on arrival, so that a full IP address, for example, is truncated there if
it may not be stored at all, and by retention once it may not be stored any longer.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from avowal.policy.bounds import PROCESSOR, Age, Bounds, min_age
from avowal.store.columns import FULL, RELATIONS, ColumnForm, RelationSchema, outlast_rows
from avowal.store.interface import RetentionAction

RETENTION_GRACE = timedelta(days=1)
"""How long after its time a record may still be stored: retention runs once a day."""


def plan_retention(governing_bounds: Sequence[Bounds], now: datetime) -> list[RetentionAction]:
    """Return the actions that remove and coarsen what may no longer be kept.

    `governing_bounds` has what governs each governing number, from 1 on.
    """
    ages_by_category = [
        {category: bounds.retention_ages(category) for category in bounds.collected_categories}
        for bounds in governing_bounds
    ]

    def find_ages(category: str, precision: str) -> list[Age]:
        return [ages.get(category, {}).get(precision, 0) for ages in ages_by_category]

    actions = []
    for name, relation in RELATIONS.items():
        row_ages = find_ages(relation.row_category, FULL)
        if any(age is not None for age in row_ages):
            announced = [
                number
                for number, (bounds, age) in enumerate(zip(governing_bounds, row_ages, strict=True), 1)
                if _may_outlast_rows(bounds, relation, age)
            ]
            actions.append(
                RetentionAction(name, relation.row_category, now, row_ages, announced_governing=announced)
            )
        for column, forms in relation.columns.items():
            form_ages = [find_ages(form.category, form.precision) for form in forms]
            if not _is_kept_whole(forms, form_ages, row_ages):
                action = RetentionAction(name, forms[0].category, now, row_ages, column, form_ages)
                actions.append(action)
    return actions


def _may_outlast_rows(bounds: Bounds, relation: RelationSchema, row_age: Age) -> bool:
    """Return whether a processor may keep a value of a row for longer than the operator keeps the row."""
    categories = {form.category for forms in relation.columns.values() for form in forms}
    return any(
        min_age(age, row_age) != age
        for cell, ages in bounds.cells.items()
        if cell.recipient == PROCESSOR and cell.category in categories
        for age in ages.values()
    )


def _is_kept_whole(
    forms: Sequence[ColumnForm], form_ages: Sequence[Sequence[Age]], row_ages: Sequence[Age]
) -> bool:
    """Return whether a column may stay as it is for as long as its rows."""
    for form, ages in zip(forms, form_ages, strict=True):
        if outlast_rows(ages, row_ages):
            return form.sql == forms[0].sql
        if any(age != 0 for age in ages):
            return False
    return False
