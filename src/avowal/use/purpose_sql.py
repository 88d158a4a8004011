"""The SELECTs of a purpose view: rows and columns of a relation, as far as their ages permit."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from typing import LiteralString, NamedTuple

from avowal.policy.bounds import Age
from avowal.store.columns import (
    RELATIONS,
    VISITOR_KEY_COLUMNS,
    ColumnForm,
    RelationSchema,
    build_age_condition,
    mask_column,
)
from avowal.store.sql_builder import TRUE, SqlFragment, all_of, compose, constant, identifier, join, literal

CATALOGUE = "avowal"
"""The catalogue of the store's tables, which secure views of the same names hide."""


@dataclass(frozen=True)
class HiddenColumns:
    """Two columns by which the visitors of a group are counted, and which a query cannot name.

    `visitor` is a pseudonym of this query alone. `visitor_day` is the day of a visitor without the cookie, whose next
    day has another key, and null for one with the cookie.
    """

    visitor: str
    visitor_day: str
    masks: tuple[int, int]
    """Random numbers, which make the pseudonym."""
    time_zone: str
    day_start: time
    """When a visitor's day begins in that zone."""

    @classmethod
    def create(cls, time_zone: str, day_start: time) -> "HiddenColumns":
        """Return columns with random names and masks."""
        visitor, visitor_day = (f"{name}_{secrets.token_hex(16)}" for name in ("visitor", "day"))
        masks = secrets.randbits(64), secrets.randbits(64)
        return cls(visitor, visitor_day, masks, time_zone, day_start)

    def select(self, relation: RelationSchema, table: SqlFragment) -> SqlFragment:
        """Return the two columns of a relation's table, with a comma before them."""
        return compose(
            ", hash(xor(hash(xor({table}.visitor_id, {first}::UBIGINT)), {second}::UBIGINT)) AS {visitor}, "
            "CASE WHEN {table}.visitor_id & 1 = 0 THEN ({table}.{time} AT TIME ZONE 'UTC' AT TIME ZONE {zone} "
            "- to_minutes({minutes}))::DATE END AS {visitor_day}",
            table=table,
            first=literal(self.masks[0]),
            second=literal(self.masks[1]),
            visitor=identifier(self.visitor),
            time=identifier(relation.time_column),
            zone=literal(self.time_zone),
            minutes=literal(self.day_start.hour * 60 + self.day_start.minute),
            visitor_day=identifier(self.visitor_day),
        )


class TimeRange(NamedTuple):
    """The times that a query reads, with both ends; None is no limit. Times are UTC without a zone."""

    since: datetime | None = None
    until: datetime | None = None

    def meet(self, other: "TimeRange") -> "TimeRange":
        """Return the times that are in both ranges."""
        begins = [time for time in (self.since, other.since) if time]
        ends = [time for time in (self.until, other.until) if time]
        return TimeRange(max(begins, default=None), min(ends, default=None))


ColumnForms = Mapping[str, Sequence[ColumnForm]]
"""Columns by name, each with the forms that it may have."""


@dataclass(frozen=True)
class PurposeSql:
    """Builds the SELECTs of a purpose at one moment. All thresholds are constants (G4)."""

    permitted_ages: Callable[..., Sequence[Age]]
    """Returns, for each governing number, the greatest age at which all of the given categories may be used."""
    find_ages: Callable[[str, str], Sequence[Age]]
    """Returns, for each governing number, the greatest age of a category at a precision."""
    now: datetime

    def select_relation(self, name: str, *required_categories: str) -> str:
        """Return the SELECT of a relation's permitted rows and columns."""
        return self._select_relation(name, required_categories).text

    def select_batch(
        self,
        name: str,
        columns: Sequence[str],
        times: TimeRange,
        rows: range,
        hidden: HiddenColumns | None = None,
    ) -> str:
        """Return a SELECT of some of its permitted columns, of the rows of the table with these times and numbers.

        Visitors' keys are in hexadecimal, as people write them.
        """
        relation = RELATIONS[name]
        table = identifier(CATALOGUE, "main", name)
        shown = {column: relation.columns[column] for column in columns if column in relation.columns}
        selected = [
            _readable_key(column) if column in VISITOR_KEY_COLUMNS else identifier(column)
            for column in columns
        ]
        permitted = compose(
            "SELECT {columns}, version{hidden} FROM {table} "
            "WHERE {young} AND {in_range} AND rowid BETWEEN {first} AND {last}",
            columns=self._masked(relation, shown, ()) if shown else constant("NULL"),
            hidden=hidden.select(relation, table) if hidden else constant(""),
            table=table,
            young=self._age_condition(name, ()),
            in_range=_in_range(relation, times),
            first=literal(rows.start),
            last=literal(rows.stop - 1),
        )
        if hidden:
            selected += [identifier(hidden.visitor), identifier(hidden.visitor_day)]
        return compose(
            "SELECT {columns} FROM ({permitted})", columns=join(selected), permitted=permitted
        ).text

    def select_rows(
        self,
        name: str,
        visitor_id: int | None,
        condition: SqlFragment | None,
        columns: ColumnForms,
        limit: int,
    ) -> str:
        """Return a SELECT of columns of a relation in some of their forms, in the order of time.

        The rows are those of a visitor, if one is given, that meet a validated condition, if one is given. Three more
        columns follow: `governing`, `moment` (the row's time) and `owner_id` (the visitor's key).
        """
        return compose(
            "SELECT {columns}, governing, {time} AS moment, visitor_id AS owner_id FROM {table} WHERE {condition} "
            "ORDER BY {time} LIMIT {limit}",
            columns=self._masked(RELATIONS[name], columns, ()),
            time=identifier(RELATIONS[name].time_column),
            table=_table(name),
            condition=self._chosen(name, visitor_id, condition),
            limit=literal(limit),
        ).text

    def select_records_between(self, name: str, after: int, until: int, limit: int) -> str:
        """Return a SELECT of permitted records by number, those greater than `after` and at most `until`.

        Three more columns follow: `record_number`, `governing` and `moment`.
        """
        number = identifier("record_number")
        condition = compose(
            "{number} > {after} AND {number} <= {until}",
            number=number,
            after=literal(after),
            until=literal(until),
        )
        return self._select_records(name, condition, limit)

    def select_records_numbered(self, name: str, numbers: Sequence[int]) -> str:
        """Return the same SELECT of the records with these numbers."""
        number_list = join(literal(number) for number in numbers)
        return self._select_records(
            name, compose("record_number IN ({listed})", listed=number_list), len(numbers)
        )

    def count_selected(self, name: str, condition: SqlFragment) -> str:
        """Return a SELECT that counts the rows that meet a condition, their visitors, and all rows of their period."""
        return compose(
            "WITH chosen AS (SELECT {time} AS moment, visitor_id FROM {table} WHERE {condition}), "
            "ends AS (SELECT min(moment) AS earliest, max(moment) AS latest FROM chosen) "
            "SELECT count(*), count(DISTINCT visitor_id), "
            "(SELECT count(*) FROM {table}, ends WHERE {time} BETWEEN earliest AND latest) FROM chosen",
            time=identifier(RELATIONS[name].time_column),
            table=_table(name),
            condition=self._chosen(name, None, condition),
        ).text

    def count_left_out(self, name: str, condition: SqlFragment) -> str:
        """Return a SELECT of how many permitted rows meet a condition, how many there are, and the same of visitors."""
        return compose(
            "SELECT (SELECT count(*) FROM {table} WHERE {chosen}), (SELECT count(*) FROM {table} WHERE {all_rows}), "
            "(SELECT count(DISTINCT visitor_id) FROM {table} WHERE {chosen}), "
            "(SELECT count(DISTINCT visitor_id) FROM {table} WHERE {all_rows})",
            table=_table(name),
            chosen=self._chosen(name, None, condition),
            all_rows=self._chosen(name, None, None),
        ).text

    def _select_records(self, name: str, condition: SqlFragment, limit: int) -> str:
        relation = RELATIONS[name]
        return compose(
            "SELECT {columns}, record_number, governing, {time} AS moment FROM {table} WHERE {condition} "
            "ORDER BY record_number LIMIT {limit}",
            columns=self._masked(relation, relation.columns, ()),
            time=identifier(relation.time_column),
            table=_table(name),
            condition=all_of([self._age_condition(name, ()), condition]),
            limit=literal(limit),
        ).text

    def _select_relation(
        self, name: str, required_categories: Sequence[str], *, with_row_id: bool = False
    ) -> SqlFragment:
        relation = RELATIONS[name]
        template = (
            "SELECT {columns}, version, rowid AS row_id FROM {table} WHERE {young}"
            if with_row_id
            else "SELECT {columns}, version FROM {table} WHERE {young}"
        )
        return compose(
            template,
            columns=self._masked(relation, relation.columns, required_categories),
            table=_table(name),
            young=self._age_condition(name, required_categories),
        )

    def _chosen(self, name: str, visitor_id: int | None, condition: SqlFragment | None) -> SqlFragment:
        """Return the condition of permitted rows, of a visitor and of a validated condition if they are given.

        The condition sees what a reader's own SQL sees of the relation.
        """
        conditions = [self._age_condition(name, ())]
        if visitor_id is not None:
            conditions.append(compose("visitor_id = {visitor}", visitor=literal(visitor_id)))
        if condition is not None:
            selection = compose(
                "rowid IN (SELECT row_id FROM (SELECT {columns} FROM ({relation})) WHERE {condition})",
                columns=_readable(RELATIONS[name]),
                relation=self._select_relation(name, (), with_row_id=True),
                condition=condition,
            )
            conditions.append(selection)
        return all_of(conditions)

    def _age_condition(self, name: str, required_categories: Sequence[str]) -> SqlFragment:
        relation = RELATIONS[name]
        ages = self.permitted_ages(relation.row_category, *required_categories)
        return build_age_condition(ages, relation.time_column, self.now)

    def _masked(
        self, relation: RelationSchema, columns: ColumnForms, required_categories: Sequence[str]
    ) -> SqlFragment:
        row_ages = self.permitted_ages(relation.row_category, *required_categories)
        mask = partial(mask_column, row_ages=row_ages, time_column=relation.time_column, now=self.now)
        return join(
            compose(
                "{mask} AS {name}",
                mask=mask(forms, [self.find_ages(form.category, form.precision) for form in forms]),
                name=identifier(name),
            )
            for name, forms in columns.items()
        )


def _in_range(relation: RelationSchema, times: TimeRange) -> SqlFragment:
    """Return the condition that a row's time is in a range, if its time is shown as it is stored, or not at all."""
    column = identifier(relation.time_column)
    if [form.sql for form in relation.columns[relation.time_column]] != [relation.time_column]:
        return TRUE
    return all_of(
        compose(template, column=column, limit=literal(limit))
        for template, limit in (("{column} >= {limit}", times.since), ("{column} <= {limit}", times.until))
        if limit
    )


def _table(name: str) -> SqlFragment:
    return identifier(CATALOGUE, "main", name)


def _readable(relation: RelationSchema) -> SqlFragment:
    keys = join(_readable_key(key) for key in VISITOR_KEY_COLUMNS if key in relation.columns)
    return compose("* REPLACE ({keys})", keys=keys)


def _readable_key(key: str) -> SqlFragment:
    """Return a visitor's key in hexadecimal."""
    return compose("format('{{:016x}}', {key}) AS {key}", key=identifier(key))


def count_rows(scope: LiteralString, query: LiteralString) -> str:
    """Return a query that counts the rows of a report's table, which is the text of two named SQL files."""
    return compose(
        "SELECT count(*) FROM ({scope} {query})", scope=constant(scope), query=constant(query)
    ).text
