"""Readings: what is stored, as far as one purpose may see it at this moment (`docs/spec/readings.md`).

Whatever in this room looks at stored information does so through a reading: `requests`, `views` and `visits` are then
secure views over the tables, cut row by row and column by column to what governs each row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property, reduce
from importlib import resources

from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell, shorter
from avowal.store.columns import KEYS, RELATIONS, Form, Relation, column, condition
from avowal.store.interface import Ask, Store, Table

__all__ = ["RELATIONS", "Ask", "Reading", "Table", "statements"]

Columns = Mapping[str, Sequence[Form]]
"""Columns by name, each with the forms that it may have."""


@cache
def statements(name: str) -> str:
    """Return the SQL of one of the files in `sql/`."""
    return (resources.files("avowal.use") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Reading:
    """What is stored, for one purpose at one moment. `governs` has what governs each governing number, from 1 on.

    A purpose that nothing is permitted for sees nothing: no row, and no column.
    """

    store: Store
    governs: Sequence[Bounds]
    purpose: str
    now: datetime
    version: str = ""
    """The identity of the version in force, to be named in reasons."""
    recipient: str = OPERATOR
    """Who sees it: another one where it is to leave the house, on a ground."""
    ground: str = OWN_USE

    @contextmanager
    def open(self, *needs: str) -> Iterator[Ask]:
        """Give what answers SQL over `requests`, `views` and `visits`; where categories are needed, rows that have all.

        The statements are our own, or were bound to these three before (`bind.py`).
        """
        views = {name: self.select(name, *needs) for name in RELATIONS}
        with self.store.reading(views) as ask:
            yield ask

    def ask_once(self, sql: str, seconds: float) -> Table:
        """Ask a question that was bound to this reading. Raises QueryError where it cannot be answered in time."""
        views = {}
        for name, relation in RELATIONS.items():
            views[name] = f"SELECT {_readable(relation)} FROM ({self.select(name)})"  # noqa: S608  # our own names
        return self.store.ask_once(views, sql, seconds)

    def refused(self) -> dict[str, str]:
        """Return the columns that this purpose may not see of any row, each with the reason."""
        if not self.governs:
            return {}
        newest, found = self.governs[-1], {}
        for relation in RELATIONS.values():
            for name, forms in relation.columns.items():
                categories = dict.fromkeys(form.category for form in forms)
                if not any(self.sees(category) for category in categories) and self.recipient != OPERATOR:
                    found[name] = f"is nothing that `{self.recipient}` may have on the ground `{self.ground}`"
                elif not any(self.sees(category) for category in categories):
                    served = sorted(
                        {purpose for category in categories for purpose in newest.purposes(category)}
                    )
                    why = f"collected for {', '.join(served)} only" if served else "not collected"
                    found[name] = (
                        f"is not available for {self.purpose} under version {self.version[:8]}…: {why}"
                    )
        return found

    def kept(self, since: datetime, until: datetime) -> Table:
        """Return how much of a period is kept, whether this purpose may see it or not, and between which times."""
        return self.store.query(statements("_kept"), {"since": since, "until": until})

    def dropped(self) -> Table:
        """Return how many lines were left out as they came in, by reason."""
        return self.store.query(statements("_dropped"), {})

    def ages(self, *categories: str) -> list[Age]:
        """Return, for each governing number, the greatest age at which all categories may be used; 0 is never."""
        return [
            reduce(shorter, (bounds.age(self._cell(category)) for category in categories), None)
            for bounds in self.governs
        ]

    @property
    def smallest_group(self) -> int:
        """The fewest visitors that a group may have in what is shared: the most that any version still owes."""
        return max((bounds.duties.get("smallest-group", 1) for bounds in self.governs), default=1)

    def sees(self, category: str) -> bool:
        """Return whether this purpose may use a category by what holds now; where nothing holds yet, it may."""
        return not self.governs or self.governs[-1].age(self._cell(category)) != 0

    def select(self, name: str, *needs: str, place: bool = False) -> str:
        """Return the SELECT that a relation is in this reading, with each row's place in the table where asked for.

        Its thresholds are constants (G4).
        """
        relation = RELATIONS[name]
        rows = self.ages(relation.category, *needs)
        columns = self._shown(relation, rows, relation.columns)
        young = condition(rows, relation.time, self.now)
        also = ", rowid AS place" if place else ""
        return f"SELECT {columns}, version{also} FROM avowal.main.{name} WHERE {young}"  # noqa: S608  # our own names

    def of_some(self, name: str, visitor: int | None, where: str, columns: Columns) -> str:
        """Return a SELECT of some rows of a relation, with columns of it in some of their forms.

        Beside these each row has what governs it, its `moment`, and last `whose` it is.
        They are those of a visitor, and those that a condition chooses, which was bound to this reading before; both
        where there are both.
        """
        relation = RELATIONS[name]
        shown = self._shown(relation, self.ages(relation.category), columns)
        which = self._which(name, visitor, where)
        also = f"governing, {relation.time} AS moment, visitor_id AS whose"
        return f"SELECT {shown}, {also} FROM avowal.main.{name} {which} ORDER BY {relation.time}"  # noqa: S608  # our own names

    def of_records(self, name: str, which: str, limit: int) -> str:
        """Return a SELECT of the rows of a relation whose numbers some SQL chooses, in the order of these.

        Beside what may be seen of them, each has its `record`, what governs it, and its `moment`.
        """
        relation = RELATIONS[name]
        rows = self.ages(relation.category)
        shown = self._shown(relation, rows, relation.columns)
        young = condition(rows, relation.time, self.now)
        also = f"record, governing, {relation.time} AS moment"
        return f"SELECT {shown}, {also} FROM avowal.main.{name} WHERE {young} AND {which} ORDER BY record LIMIT {limit}"  # noqa: S608  # our own names

    def form_of(
        self, forms: Sequence[Form], governing: int, moment: datetime
    ) -> tuple[Form, datetime | None]:
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
    def _known(self) -> dict[Form, list[Age]]:
        """The greatest ages of each form, for each governing number."""
        every = (
            form for relation in RELATIONS.values() for forms in relation.columns.values() for form in forms
        )
        return {form: self._allowed(form.category, form.precision) for form in every}

    def sets_apart(self, name: str, where: str) -> bool:
        """Return whether a condition sets anything apart: of several visitors, it does not choose all that there is."""
        time, which = RELATIONS[name].time, self._which(name, None, where)
        sql = f"""
            WITH chosen AS (SELECT {time} AS moment, visitor_id FROM avowal.main.{name} {which}),
                ends AS (SELECT min(moment) AS earliest, max(moment) AS latest FROM chosen)
            SELECT count(*), count(DISTINCT visitor_id),
                (SELECT count(*) FROM avowal.main.{name}, ends WHERE {time} BETWEEN earliest AND latest) FROM chosen
        """  # noqa: S608  # our own names, and a condition that was bound
        ((rows, visitors, there),) = self.store.query(sql, {}).rows
        return bool(visitors <= 1 or rows < there)

    def _which(self, name: str, visitor: int | None, where: str) -> str:
        """Return the WHERE of some rows of a relation."""
        relation = RELATIONS[name]
        chosen = [condition(self.ages(relation.category), relation.time, self.now)]
        if visitor is not None:
            chosen.append(f"visitor_id = {visitor}")
        if where:
            seen = f"SELECT {_readable(relation)} FROM ({self.select(name, place=True)})"  # noqa: S608  # our own names
            chosen.append(f"rowid IN (SELECT place FROM ({seen}) WHERE {where})")  # noqa: S608  # bound
        return f"WHERE {' AND '.join(chosen)}"

    def _shown(self, relation: Relation, rows: Sequence[Age], columns: Columns) -> str:
        return ", ".join(
            f"{column(forms, rows, relation.time, self._allowed, self.now)} AS {name}"
            for name, forms in columns.items()
        )

    def _allowed(self, category: str, precision: str) -> list[Age]:
        return [bounds.greatest(self._cell(category), precision) for bounds in self.governs]

    def _cell(self, category: str) -> Cell:
        return Cell(category, self.purpose, self.recipient, self.ground)


def _readable(relation: Relation) -> str:
    """Return the columns of a relation as people write them: visitors' keys are in hexadecimal."""
    keys = (key for key in KEYS if key in relation.columns)
    return "* REPLACE (" + ", ".join(f"format('{{:016x}}', {key}) AS {key}" for key in keys) + ")"
