"""The statements that carry out the actions of retention: which rows an action concerns, and what it does to them.

`keep/retention.py` plans the actions. `collect/admission.py` reduces records on arrival, with expressions of Polars
instead of SQL.
"""

from avowal.store.columns import RELATIONS, build_age_condition, mask_column
from avowal.store.interface import RetentionAction
from avowal.store.sql_builder import SqlFragment, all_of, compose, identifier


def count_records(action: RetentionAction) -> str:
    """Return the query that counts the records of each version that an action concerns."""
    return _count_records(action).text


def record_removal(action: RetentionAction) -> str:
    """Return the statement that records what an action removes; it returns a row for each version.

    Its parameters are `$run_number`, `$relation`, `$category` and `$removed_at`.
    """
    return compose(
        "INSERT INTO retention_removals "
        "SELECT $run_number, $relation, $category, version, record_count, $removed_at FROM ({counts}) "
        "RETURNING record_count",
        counts=_count_records(action),
    ).text


def apply_action(action: RetentionAction) -> str:
    """Return the statement that deletes the rows of an action, or coarsens their column."""
    parts = {"relation": identifier(action.relation), "condition": _overdue(action)}
    if not action.column:
        return compose("DELETE FROM {relation} WHERE {condition}", **parts).text
    return compose(
        "UPDATE {relation} SET {column} = {mask} WHERE {condition}",
        column=identifier(action.column),
        mask=_mask(action),
        **parts,
    ).text


def _count_records(action: RetentionAction) -> SqlFragment:
    return compose(
        "SELECT version, count(*) AS record_count FROM {relation} WHERE {condition} GROUP BY version",
        relation=identifier(action.relation),
        condition=_overdue(action),
    )


def _overdue(action: RetentionAction) -> SqlFragment:
    """Return the condition of the rows that an action concerns."""
    time_column = RELATIONS[action.relation].time_column
    if not action.column:
        return compose("NOT ({young})", young=build_age_condition(action.row_ages, time_column, action.now))
    parts = {
        "column": identifier(action.column),
        "young": build_age_condition(action.form_ages[0], time_column, action.now),
        "mask": _mask(action),
    }
    return all_of(
        [
            compose("{column} IS NOT NULL", **parts),
            compose("NOT ({young})", **parts),
            compose("{column} IS DISTINCT FROM ({mask})", **parts),
        ]
    )


def _mask(action: RetentionAction) -> SqlFragment:
    relation = RELATIONS[action.relation]
    forms = relation.columns[action.column]
    return mask_column(forms, action.form_ages, action.row_ages, relation.time_column, action.now)
