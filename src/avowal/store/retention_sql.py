"""The statements that carry out the actions of retention: which rows an action concerns, and what it does to them.

`keep/retention.py` plans the actions. `collect/admission.py` reduces records on arrival, with expressions of Polars
instead of SQL.
"""

from collections.abc import Iterator, Sequence

from avowal.store.columns import NUMBERED_RELATIONS, RELATIONS, build_age_condition, mask_column
from avowal.store.interface import RetentionAction
from avowal.store.sql_builder import SqlFragment, all_of, any_of, compose, constant, identifier, join, literal

KEY_COLUMN = "visitor_id"
"""The column by which a visitor's consents reach a record."""

ActionGroup = Sequence[RetentionAction]
"""The actions of one category in a relation. A record that several of them concern is one record."""


def group_actions(actions: Sequence[RetentionAction]) -> list[ActionGroup]:
    """Return the actions in groups."""
    groups: dict[tuple[str, str, bool], list[RetentionAction]] = {}
    for action in actions:
        key = (action.relation, action.category, bool(action.column))
        groups.setdefault(key, []).append(action)
    return list(groups.values())


def end_consents(actions: Sequence[RetentionAction]) -> Iterator[str]:
    """Yield the statements that let no consent govern a record whose visitor's key is about to be cut.

    The record leads to nobody then, so a withdrawal would not reach it.
    """
    for action in actions:
        if action.column == KEY_COLUMN:
            parts = {
                "relation": identifier(action.relation),
                "condition": all_of(
                    [
                        constant("governing > version"),
                        any_of([constant("visitor_id IS NULL"), _overdue(action)]),
                    ]
                ),
            }
            yield from _announce(action.relation, parts["condition"])
            yield compose("UPDATE {relation} SET governing = version WHERE {condition}", **parts).text


def count_records(group: ActionGroup) -> str:
    """Return the query that counts the records of each version that a group concerns."""
    return _count_records(group).text


def record_removal(group: ActionGroup) -> str:
    """Return the statement that records what a group removes; it returns a row for each version.

    Its parameters are `$run_number`, `$relation`, `$category` and `$removed_at`.
    """
    return compose(
        "INSERT INTO retention_removals "
        "SELECT $run_number, $relation, $category, version, record_count, $removed_at FROM ({counts}) "
        "RETURNING record_count",
        counts=_count_records(group),
    ).text


def apply_action(action: RetentionAction) -> Iterator[str]:
    """Yield the statements that delete the rows of an action, or coarsen their column."""
    condition = _overdue(action)
    parts = {"relation": identifier(action.relation), "condition": condition}
    if action.column:
        update = "UPDATE {relation} SET {column} = {mask} WHERE {condition}"
        yield compose(update, column=identifier(action.column), mask=_mask(action), **parts).text
        return
    if action.announced_governing:
        announced = join(literal(number) for number in action.announced_governing)
        of_processors = compose("governing IN ({announced})", announced=announced)
        yield from _announce(action.relation, all_of([of_processors, condition]))
    yield compose("DELETE FROM {relation} WHERE {condition}", **parts).text


def _announce(relation: str, condition: SqlFragment) -> Iterator[str]:
    """Yield the statement by which processors learn that records change or go; there is none for derived ones."""
    if relation in NUMBERED_RELATIONS:
        yield compose(
            "INSERT INTO record_changes BY NAME "
            "SELECT {name} AS relation, record_number FROM {relation} WHERE {condition}",
            name=literal(relation),
            relation=identifier(relation),
            condition=condition,
        ).text


def _count_records(group: ActionGroup) -> SqlFragment:
    return compose(
        "SELECT version, count(*) AS record_count FROM {relation} WHERE {condition} GROUP BY version",
        relation=identifier(group[0].relation),
        condition=any_of(_overdue(action) for action in group),
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
