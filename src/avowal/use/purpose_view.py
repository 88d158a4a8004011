"""Readings: what is stored, as far as one purpose may see it at this moment (`docs/spec/readings.md`).

Whatever in this room looks at stored information does so through a reading: `requests`, `views` and `visits` are then
secure views over the tables, cut row by row and column by column to what governs each row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, reduce

from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell, min_age
from avowal.sql_files import read_sql
from avowal.store.columns import (
    RELATIONS,
    VISITOR_KEY_COLUMNS,
    ColumnForm,
    RelationSchema,
    age_condition_sql,
    column_sql,
)
from avowal.store.interface import QueryFunction, ResultTable, Store

__all__ = ["RELATIONS", "PurposeView", "QueryFunction", "ResultTable"]

ColumnForms = Mapping[str, Sequence[ColumnForm]]
"""Columns by name, each with the forms that it may have."""


@dataclass(frozen=True)
class PurposeView:
    """What is stored, for one purpose at one moment. `governs` has what governs each governing number, from 1 on.

    A purpose that nothing is permitted for sees nothing: no row, and no column.
    """

    store: Store
    governing_bounds: Sequence[Bounds]
    purpose: str
    now: datetime
    version_identity: str = ""
    """The identity of the version in force, to be named in reasons."""
    recipient: str = OPERATOR
    """Who sees it: another one where it is to leave the house, on a ground."""
    ground: str = OWN_USE

    @contextmanager
    def open(self, *required_categories: str) -> Iterator[QueryFunction]:
        """Give what answers SQL over `requests`, `views` and `visits`; where categories are needed, rows that have all.

        The statements are our own, or were bound to these three before (`bind.py`).
        """
        views = {name: self.select_sql(name, *required_categories) for name in RELATIONS}
        with self.store.open_secure_views(views) as ask:
            yield ask

    def query_with_timeout(self, sql: str, timeout_seconds: float) -> ResultTable:
        """Ask a question that was bound to this reading. Raises QueryError where it cannot be answered in time."""
        views = {}
        for name, relation in RELATIONS.items():
            views[name] = f"SELECT {_readable(relation)} FROM ({self.select_sql(name)})"  # noqa: S608  # our own names
        return self.store.query_with_timeout(views, sql, timeout_seconds)

    def refused_columns(self) -> dict[str, str]:
        """Return the columns that this purpose may not see of any row, each with the reason."""
        if not self.governing_bounds:
            return {}
        newest, found = self.governing_bounds[-1], {}
        for relation in RELATIONS.values():
            for name, forms in relation.columns.items():
                categories = dict.fromkeys(form.category for form in forms)
                if not any(self.may_use(category) for category in categories) and self.recipient != OPERATOR:
                    found[name] = f"is nothing that `{self.recipient}` may have on the ground `{self.ground}`"
                elif not any(self.may_use(category) for category in categories):
                    served = sorted(
                        {
                            purpose
                            for category in categories
                            for purpose in newest.collection_purposes(category)
                        }
                    )
                    why = f"collected for {', '.join(served)} only" if served else "not collected"
                    found[name] = (
                        f"is not available for {self.purpose} under version {self.version_identity[:8]}…: {why}"
                    )
        return found

    def stored_counts(self, since: datetime, until: datetime) -> ResultTable:
        """Return how much of a period is kept, whether this purpose may see it or not, and between which times."""
        return self.store.query(read_sql("use", "_stored"), {"since": since, "until": until})

    def dropped_lines(self) -> ResultTable:
        """Return how many lines were left out as they came in, by reason."""
        return self.store.query(read_sql("use", "_dropped_lines"), {})

    def permitted_ages(self, *categories: str) -> list[Age]:
        """Return, for each governing number, the greatest age at which all categories may be used; 0 is never."""
        return [
            reduce(min_age, (bounds.max_age_coarsest(self._cell(category)) for category in categories), None)
            for bounds in self.governing_bounds
        ]

    @property
    def smallest_group(self) -> int:
        """The fewest visitors that a group may have in what is shared: the most that any version still owes."""
        return max((bounds.duties.get("smallest-group", 1) for bounds in self.governing_bounds), default=1)

    def may_use(self, category: str) -> bool:
        """Return whether this purpose may use a category by what holds now; where nothing holds yet, it may."""
        return (
            not self.governing_bounds or self.governing_bounds[-1].max_age_coarsest(self._cell(category)) != 0
        )

    def select_sql(self, relation_name: str, *required_categories: str, with_rowid: bool = False) -> str:
        """Return the SELECT that a relation is in this reading, with each row's place in the table where asked for.

        Its thresholds are constants (G4).
        """
        relation = RELATIONS[relation_name]
        rows = self.permitted_ages(relation.row_category, *required_categories)
        columns = self._shown(relation, rows, relation.columns)
        young = age_condition_sql(rows, relation.time_column, self.now)
        also = ", rowid AS place" if with_rowid else ""
        return f"SELECT {columns}, version{also} FROM avowal.main.{relation_name} WHERE {young}"  # noqa: S608  # our own names

    def select_rows_sql(
        self, relation_name: str, visitor_id: int | None, where: str, columns: ColumnForms
    ) -> str:
        """Return a SELECT of some rows of a relation, with columns of it in some of their forms.

        Beside these each row has what governs it, its `moment`, and last `whose` it is.
        They are those of a visitor, and those that a condition chooses, which was bound to this reading before; both
        where there are both.
        """
        relation = RELATIONS[relation_name]
        shown = self._shown(relation, self.permitted_ages(relation.row_category), columns)
        which = self._which(relation_name, visitor_id, where)
        also = f"governing, {relation.time_column} AS moment, visitor_id AS whose"
        return (
            f"SELECT {shown}, {also} FROM avowal.main.{relation_name} {which} ORDER BY {relation.time_column}"  # noqa: S608  # our own names
        )

    def select_records_sql(self, relation_name: str, condition: str, limit: int) -> str:
        """Return a SELECT of the rows of a relation whose numbers some SQL chooses, in the order of these.

        Beside what may be seen of them, each has its `record_number`, what governs it, and its `moment`.
        """
        relation = RELATIONS[relation_name]
        rows = self.permitted_ages(relation.row_category)
        shown = self._shown(relation, rows, relation.columns)
        young = age_condition_sql(rows, relation.time_column, self.now)
        also = f"record_number, governing, {relation.time_column} AS moment"
        where = f"{young} AND {condition} ORDER BY record_number LIMIT {limit}"
        return f"SELECT {shown}, {also} FROM avowal.main.{relation_name} WHERE {where}"  # noqa: S608  # our own names

    def find_finest_form(
        self, forms: Sequence[ColumnForm], governing: int, moment: datetime
    ) -> tuple[ColumnForm, datetime | None]:
        """Return the form that a value of a moment is seen in, the finest that may be, and until when."""
        for form in forms:
            age = self._known[form][governing - 1]
            if age is None:
                return form, None
            until = moment + timedelta(seconds=age)
            if age and until >= self.now:
                return form, until
        raise ValueError("nothing of it may be seen")

    @cached_property
    def _known(self) -> dict[ColumnForm, list[Age]]:
        """The greatest ages of each form, for each governing number."""
        every = (
            form for relation in RELATIONS.values() for forms in relation.columns.values() for form in forms
        )
        return {form: self._allowed(form.category, form.precision) for form in every}

    def is_selective(self, relation_name: str, where: str) -> bool:
        """Return whether a condition sets anything apart: of several visitors, it does not choose all that there is."""
        time, which = RELATIONS[relation_name].time_column, self._which(relation_name, None, where)
        sql = f"""
            WITH chosen AS (SELECT {time} AS moment, visitor_id FROM avowal.main.{relation_name} {which}),
                ends AS (SELECT min(moment) AS earliest, max(moment) AS latest FROM chosen)
            SELECT count(*), count(DISTINCT visitor_id),
                (SELECT count(*) FROM avowal.main.{relation_name}, ends WHERE {time} BETWEEN earliest AND latest)
            FROM chosen
        """  # noqa: S608  # our own names, and a condition that was bound
        ((rows, visitors, there),) = self.store.query(sql, {}).rows
        return bool(visitors <= 1 or rows < there)

    def _which(self, name: str, visitor: int | None, where: str) -> str:
        """Return the WHERE of some rows of a relation."""
        relation = RELATIONS[name]
        chosen = [
            age_condition_sql(self.permitted_ages(relation.row_category), relation.time_column, self.now)
        ]
        if visitor is not None:
            chosen.append(f"visitor_id = {visitor}")
        if where:
            seen = f"SELECT {_readable(relation)} FROM ({self.select_sql(name, with_rowid=True)})"  # noqa: S608  # our own names
            chosen.append(f"rowid IN (SELECT place FROM ({seen}) WHERE {where})")  # noqa: S608  # bound
        return f"WHERE {' AND '.join(chosen)}"

    def _shown(self, relation: RelationSchema, rows: Sequence[Age], columns: ColumnForms) -> str:
        return ", ".join(
            f"{column_sql(forms, rows, relation.time_column, self._allowed, self.now)} AS {name}"
            for name, forms in columns.items()
        )

    def _allowed(self, category: str, precision: str) -> list[Age]:
        return [bounds.max_age(self._cell(category), precision) for bounds in self.governing_bounds]

    def _cell(self, category: str) -> Cell:
        return Cell(category, self.purpose, self.recipient, self.ground)


def _readable(relation: RelationSchema) -> str:
    """Return the columns of a relation as people write them: visitors' keys are in hexadecimal."""
    keys = (key for key in VISITOR_KEY_COLUMNS if key in relation.columns)
    return "* REPLACE (" + ", ".join(f"format('{{:016x}}', {key}) AS {key}" for key in keys) + ")"
