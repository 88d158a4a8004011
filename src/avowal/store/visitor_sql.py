"""The statements about one visitor's records, for every table that has them: those of RELATIONS.

Views and visits may be stored for longer than what they were derived from. So each statement works on every table by
itself. Of the tables, only `script_views` leads to records under another key: the requests of a visitor with the cookie
are under the daily key (`visitor_requests` in the schema).

`$other_visitors` are keys whose records are left out of a visitor's: they are counted or shown with another visitor.
"""

from collections.abc import Iterable
from typing import LiteralString

from avowal.store.columns import (
    NUMBERED_RELATIONS,
    RELATIONS,
    SOURCE_RELATIONS,
    UNEXPORTED_COLUMNS,
    VISITOR_STATE_TABLES,
)
from avowal.store.sql_builder import (
    SqlFragment,
    any_of,
    compose,
    constant,
    identifier,
    join,
    literal,
    union_all,
)

_HOLDERS = (*RELATIONS, "visitor_governing")
"""The tables that hold something of a visitor."""

_IS_VISITORS = constant("visitor_id = $visitor_id")
_CONDITIONS: dict[str, SqlFragment] = {
    "requests": constant(
        "(visitor_id = $visitor_id OR record_number IN (SELECT record_number FROM visitor_requests($visitor_id)))"
    ),
    "views": constant(
        "(visitor_id = $visitor_id OR request_number IN (SELECT record_number FROM visitor_requests($visitor_id)))"
    ),
}
"""The condition of a table's rows that are a visitor's, where it is more than the key."""
_IS_NOT_ANOTHERS = constant(
    "(visitor_id IS NULL OR NOT list_contains($other_visitors::UBIGINT[], visitor_id))"
)


def hold_visitor() -> str:
    """Return the query that tells whether anything is stored of `$visitor_id`, also as a cookie's daily key."""
    of_visitor = _for_each(_HOLDERS, "EXISTS (FROM {relation} WHERE visitor_id = $visitor_id)")
    daily_key = constant("EXISTS (FROM script_views WHERE daily_key = $visitor_id)")
    return compose("SELECT {exists}", exists=any_of([*of_visitor, daily_key])).text


def list_visitors() -> str:
    """Return the query of every visitor of whom anything is stored, also as a cookie's daily key."""
    keys = _for_each(_HOLDERS, "SELECT visitor_id FROM {relation} WHERE visitor_id IS NOT NULL")
    daily_keys = constant("SELECT daily_key FROM script_views WHERE daily_key IS NOT NULL")
    return compose("SELECT DISTINCT visitor_id FROM ({keys})", keys=union_all([*keys, daily_keys])).text


def reach_outside() -> str:
    """Return the query that tells whether `$visitor_id` has a record outside of days, or from another `$address`.

    `$starts` and `$ends` are the limits of the days.
    """
    times = _for_each(
        RELATIONS, "SELECT {time} AS record_time FROM {relation} WHERE visitor_id = $visitor_id"
    )
    addresses = _for_each(
        SOURCE_RELATIONS, "EXISTS (FROM {relation} WHERE visitor_id = $visitor_id AND ip_address <> $address)"
    )
    outside = compose(
        "EXISTS (FROM ({times}) WHERE NOT EXISTS ("
        "FROM (SELECT unnest($starts) AS starts, unnest($ends) AS ends) AS days "
        "WHERE record_time >= starts AND record_time < ends))",
        times=union_all(times),
    )
    return compose("SELECT {exists}", exists=any_of([outside, *addresses])).text


def summarize_visitor() -> str:
    """Return the query of how many records of `$visitor_id` each relation has, their period and their versions."""
    return union_all(
        _for_each(
            RELATIONS,
            "SELECT {name} AS relation, count(*) AS records, min({time}) AS first, max({time}) AS last, "
            "coalesce(list_sort(list(DISTINCT version)), []) AS versions "
            "FROM {relation} WHERE {is_visitors} AND {is_not_anothers}",
            is_not_anothers=_IS_NOT_ANOTHERS,
        )
    ).text


def count_by_version() -> str:
    """Return the query that counts the records of `$visitor_id` by relation, version and governing version."""
    return union_all(
        _for_each(
            RELATIONS,
            "SELECT {name} AS relation, version, governing, count(*) AS records FROM {relation} "
            "WHERE {is_visitors} GROUP BY version, governing",
        )
    ).text


def summarize_versions(relations: Iterable[str]) -> str:
    """Return the query of the period, number and governing numbers of the records of each version in relations."""
    rows = _for_each(relations, "SELECT version, {time} AS record_time, governing FROM {relation}")
    return compose(
        "SELECT version, min(record_time) AS first, max(record_time) AS last, count(*) AS records, "
        "min(governing) AS least, max(governing) AS greatest FROM ({rows}) GROUP BY version ORDER BY version",
        rows=union_all(rows),
    ).text


def find_raised_visitors() -> str:
    """Return the query of the visitors whose records are governed by a later version than the one of collecting.

    It has the greatest governing number of each; `visitor_id` is NULL of records that lead to no visitor.
    """
    rows = _for_each(RELATIONS, "SELECT visitor_id, governing FROM {relation} WHERE governing > version")
    consents = constant("SELECT visitor_id, governing FROM visitor_governing")
    return compose(
        "SELECT visitor_id, max(governing) AS governing FROM ({rows}) GROUP BY visitor_id",
        rows=union_all([*rows, consents]),
    ).text


def select_page(relation: str) -> str:
    """Return the query of a visitor's rows of a relation: at most `$limit` after the row `$after`."""
    return compose(
        "SELECT rowid AS row, COLUMNS(lambda name: name NOT IN ({unexported})) FROM {relation} "
        "WHERE {is_visitors} AND {is_not_anothers} AND rowid > $after ORDER BY rowid LIMIT $limit",
        unexported=join(literal(column) for column in UNEXPORTED_COLUMNS),
        relation=identifier(relation),
        is_visitors=_CONDITIONS.get(relation, _IS_VISITORS),
        is_not_anothers=_IS_NOT_ANOTHERS,
    ).text


def find_erased_rows() -> dict[str, str]:
    """Return the statement that creates the table `erased_TABLE` with the row ids of `$visitor_id`, by table.

    All are found before any row is deleted: script views lead to requests, and these to views.
    """
    return {
        name: compose(
            "CREATE OR REPLACE TEMP TABLE {erased} AS SELECT rowid AS row_id FROM {relation} WHERE {is_visitors}",
            erased=identifier(f"erased_{name}"),
            relation=identifier(name),
            is_visitors=_CONDITIONS.get(name, _IS_VISITORS),
        ).text
        for name in (*RELATIONS, *VISITOR_STATE_TABLES)
    }


def delete_erased_rows() -> dict[str, str]:
    """Return the statement that deletes the rows that `find_erased_rows` found, by table."""
    return {
        name: compose(
            "DELETE FROM {relation} WHERE rowid IN (FROM {erased})",
            relation=identifier(name),
            erased=identifier(f"erased_{name}"),
        ).text
        for name in (*RELATIONS, *VISITOR_STATE_TABLES)
    }


def record_deletions() -> str:
    """Return the statement that records that the records of `$visitor_id` are about to be deleted."""
    numbers = _for_each(
        NUMBERED_RELATIONS,
        "SELECT {name} AS relation, record_number FROM {relation} WHERE {is_visitors}",
    )
    return compose("INSERT INTO record_changes BY NAME {numbers}", numbers=union_all(numbers)).text


def set_governing() -> list[str]:
    """Return the statements that give the records of the visitors in `consenting_visitors` their governing numbers.

    Processors learn of records whose number changes, and what is derived from these becomes stale.
    """
    changed = constant(
        "stored.visitor_id = consenting.visitor_id AND stored.governing <> greatest(version, consented_version)"
    )
    stale = _for_each(
        SOURCE_RELATIONS,
        "SELECT stored.visitor_id, {time} FROM {relation} AS stored, consenting_visitors AS consenting WHERE {changed}",
        changed=changed,
    )
    numbers = _for_each(
        NUMBERED_RELATIONS,
        "SELECT {name} AS relation, record_number "
        "FROM {relation} AS stored, consenting_visitors AS consenting WHERE {changed}",
        changed=changed,
    )
    updates = _for_each(
        RELATIONS,
        "UPDATE {relation} AS stored SET governing = greatest(version, consented_version) "
        "FROM consenting_visitors AS consenting WHERE {changed}",
        changed=changed,
    )
    return [
        compose("INSERT INTO stale_visitors {stale}", stale=union_all(stale)).text,
        compose("INSERT INTO record_changes BY NAME {numbers}", numbers=union_all(numbers)).text,
        *(update.text for update in updates),
    ]


def _for_each(relations: Iterable[str], template: LiteralString, **parts: SqlFragment) -> list[SqlFragment]:
    """Compose a template for each relation.

    `name` is its name as a literal, `time` the column of its time, and `is_visitors` whether a row is of `$visitor_id`.
    """
    return [
        compose(
            template,
            name=literal(relation),
            relation=identifier(relation),
            time=identifier(RELATIONS[relation].time_column) if relation in RELATIONS else constant("NULL"),
            is_visitors=_CONDITIONS.get(relation, _IS_VISITORS),
            **parts,
        )
        for relation in relations
    ]
