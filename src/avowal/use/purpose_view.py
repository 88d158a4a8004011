"""Purpose views: what is stored, as far as one purpose may see it at one moment (`docs/spec/readings.md`).

All stored data is used through a purpose view. In it the relations are secure views over the tables of the same names,
limited row by row and column by column to what the version that governs each row permits.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial, reduce

import polars as pl

from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell, min_age
from avowal.sql_files import read_sql
from avowal.store.columns import RELATIONS, ColumnForm
from avowal.store.interface import QueryFunction, ResultTable, Store
from avowal.store.sql_builder import SqlFragment
from avowal.use.purpose_sql import ColumnForms, HiddenColumns, PurposeSql, TimeRange

__all__ = ["RELATIONS", "ColumnForms", "HiddenColumns", "PurposeView", "QueryFunction", "ResultTable"]


LEAST_SHARE_LEFT_OUT = 0.1
"""The least share of all records, or of all visitors, that a condition leaves out if it sets records apart."""


@dataclass(frozen=True)
class PurposeView:
    """What is stored, as one purpose may see it at one moment.

    `governing_bounds` has the bounds of each governing number, from 1 on. A purpose that nothing is permitted for sees
    no row and no column.
    """

    store: Store
    governing_bounds: Sequence[Bounds]
    purpose: str
    now: datetime
    version_identity: str = ""
    """The identity of the version in force, which is named in reasons."""
    recipient: str = OPERATOR
    """Who receives the data; another than the operator needs a ground."""
    ground: str = OWN_USE

    @contextmanager
    def open(self, *required_categories: str) -> Iterator[QueryFunction]:
        """Open the relations as secure views for SQL of our own.

        If categories are required, only rows that have all of them are visible.
        """
        views = {name: self._sql.select_relation(name, *required_categories) for name in RELATIONS}
        with self.store.open_secure_views(views) as run_query:
            yield run_query

    def read_batches(
        self,
        columns: Mapping[str, Sequence[str]],
        times: Mapping[str, TimeRange],
        hidden: HiddenColumns | None,
    ) -> Generator[tuple[str, pl.DataFrame], None, None]:
        """Yield the permitted rows of relations in batches, each with its relation's name: some of their columns.

        Rows whose time is out of a relation's range may be left out. The hidden columns follow if they are given.
        """
        selects = {
            name: partial(
                self._sql.select_batch, name, list(needed), times.get(name, TimeRange()), hidden=hidden
            )
            for name, needed in columns.items()
        }
        return self.store.read_batches(selects)

    def refused_columns(self) -> dict[str, str]:
        """Return the columns that this purpose may not see in any row, each with the reason."""
        if not self.governing_bounds:
            return {}
        newest, refused = self.governing_bounds[-1], {}
        for relation in RELATIONS.values():
            for name, forms in relation.columns.items():
                categories = dict.fromkeys(form.category for form in forms)
                if not any(self.may_use(category) for category in categories) and self.recipient != OPERATOR:
                    refused[name] = (
                        f"may not be disclosed to a `{self.recipient}` on the ground `{self.ground}`"
                    )
                elif not any(self.may_use(category) for category in categories):
                    served = sorted(
                        {
                            purpose
                            for category in categories
                            for purpose in newest.collection_purposes(category)
                        }
                    )
                    why = f"collected for {', '.join(served)} only" if served else "not collected"
                    refused[name] = (
                        f"is not available for {self.purpose} under version {self.version_identity[:8]}…: {why}"
                    )
        return refused

    def stored_counts(self, since: datetime, until: datetime) -> ResultTable:
        """Count the rows of a period that are stored, whether or not this purpose may see them."""
        return self.store.query(read_sql("use", "_stored"), {"since": since, "until": until})

    def explain_missing_visitors(self, since: datetime, until: datetime) -> list[str]:
        """Return a note if there are requests in a period, and none has a visitor, although the terms permit it."""
        values = {"since": since, "until": until}
        is_missing = (
            self.may_use("visitor-id")
            and self.store.query(read_sql("use", "_requests_without_visitor"), values).rows
        )
        note = (
            "no request of this period has a visitor, so visits cannot be told apart: its log had no address, or the "
            "terms no longer keep whose request it was"
        )
        return [note] if is_missing else []

    def dropped_lines(self) -> ResultTable:
        """Count dropped lines by reason."""
        return self.store.query(read_sql("use", "_dropped_lines"), {})

    def permitted_ages(self, *categories: str) -> list[Age]:
        """Return the greatest age at which all categories may be used, for each governing number; 0 means never."""
        return [
            reduce(min_age, (bounds.max_age_coarsest(self._cell(category)) for category in categories), None)
            for bounds in self.governing_bounds
        ]

    @property
    def last_version(self) -> int:
        """The number of the last version in effect; 0 if there is none."""
        return len(self.governing_bounds)

    @property
    def smallest_group(self) -> int:
        """The least number of visitors of a group in a shared report: the most that any version in effect requires."""
        return max((bounds.smallest_group for bounds in self.governing_bounds), default=1)

    def may_use(self, category: str) -> bool:
        """Return whether the version in force lets this purpose use a category; if none is in force yet, it may."""
        return (
            not self.governing_bounds or self.governing_bounds[-1].max_age_coarsest(self._cell(category)) != 0
        )

    def read_rows(
        self,
        relation: str,
        visitor_id: int | None,
        condition: SqlFragment | None,
        columns: ColumnForms,
        rows_max: int,
        timeout_seconds: float,
    ) -> ResultTable:
        """Return permitted rows of a relation, with some of its columns in some of their forms, in the order of time.

        The rows are those of a visitor, if one is given, that meet a validated condition, if one is given. Their last
        three columns are `governing`, `moment` (the row's time) and the visitor's number. One row more than `rows_max`
        is returned if there are more. Raises QueryError if the condition fails or the query takes too long.
        """
        sql = self._sql.select_rows(relation, visitor_id, condition, columns, rows_max + 1)
        return self.store.query_with_timeout(sql, timeout_seconds)

    def read_records_between(self, relation: str, after: int, until: int, limit: int) -> ResultTable:
        """Return permitted records with numbers greater than `after` and at most `until`, in their order.

        Their last three columns are `record_number`, `governing` and `moment` (the record's time).
        """
        return self.store.query(self._sql.select_records_between(relation, after, until, limit), {})

    def read_records_numbered(self, relation: str, numbers: Sequence[int]) -> ResultTable:
        """Return the permitted ones of the records with these numbers, as `read_records_between` does."""
        return self.store.query(self._sql.select_records_numbered(relation, numbers), {})

    def find_finest_form(
        self, forms: Sequence[ColumnForm], governing: int, moment: datetime
    ) -> tuple[ColumnForm, datetime | None]:
        """Return the finest form in which a value of a moment may be seen, and until when; None means forever."""
        for form in forms:
            age = self._form_ages[form][governing - 1]
            if age is None:
                return form, None
            until = moment + timedelta(seconds=age)
            if age and until >= self.now:
                return form, until
        raise ValueError("no form of the value may be seen")

    @cached_property
    def _form_ages(self) -> dict[ColumnForm, list[Age]]:
        """The greatest ages of each form, for each governing number."""
        every = (
            form for relation in RELATIONS.values() for forms in relation.columns.values() for form in forms
        )
        return {form: self._allowed(form.category, form.precision) for form in every}

    def is_selective(self, relation: str, condition: SqlFragment, timeless_condition: SqlFragment) -> bool:
        """Return whether a validated condition sets records apart, or concerns one visitor at most (X5).

        It does if it leaves out any row of its period. In a short period there may be no other rows, so it also does if
        it leaves out enough of all rows, or of all visitors, without what it says of times.
        """
        ((rows, visitors, all_rows),) = self.store.query(
            self._sql.count_selected(relation, condition), {}
        ).rows
        if visitors <= 1 or rows < all_rows:
            return True
        counts = self.store.query(self._sql.count_left_out(relation, timeless_condition), {})
        ((chosen_rows, rows, chosen_visitors, visitors),) = counts.rows
        return bool(
            rows - chosen_rows >= rows * LEAST_SHARE_LEFT_OUT
            or visitors - chosen_visitors >= visitors * LEAST_SHARE_LEFT_OUT
        )

    @cached_property
    def _sql(self) -> PurposeSql:
        return PurposeSql(self.permitted_ages, self._allowed, self.now)

    def _allowed(self, category: str, precision: str) -> list[Age]:
        return [bounds.max_age(self._cell(category), precision) for bounds in self.governing_bounds]

    def _cell(self, category: str) -> Cell:
        return Cell(category, self.purpose, self.recipient, self.ground)
