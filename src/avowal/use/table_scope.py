"""Resolve the tables that a query names: each is a WITH that is visible there, or a relation.

A relation is written as the full name of the table that is read, so that no other table of its name can take its place.
"""

from collections.abc import Iterator

from sqlglot import exp

from avowal.store.columns import RELATIONS
from avowal.use.query_refusal import refuse

CATALOG, SCHEMA = "memory", "main"
"""Where a query's process has its tables."""

NAMED_PARTS = frozenset({"this", "alias", "joins"})
"""What a table in a query may have: its name, an alias, and joins in the same parentheses."""


def resolve_tables(tree: exp.Query) -> None:
    """Write each relation in a query as its full name. Raises QueryError if a name is of no relation and no WITH.

    Every WITH has a name of its own, so that no name means different things in different places.
    """
    names = set(RELATIONS)
    for cte in tree.find_all(exp.CTE):
        if (name := cte.alias.lower()) in names:
            raise refuse(
                cte, "a WITH may not be named like a relation or another WITH", "give it another name"
            )
        names.add(name)
    _resolve(tree, frozenset())


def _resolve(node: exp.Expr, visible: frozenset[str]) -> None:
    """Resolve the tables below a node. A WITH is visible after it in its list, and in the query that has the list."""
    definitions = node.args.get("with_")
    for cte in definitions.expressions if definitions else []:
        _resolve(cte.this, visible)
        visible |= {cte.alias.lower()}
    if isinstance(node, exp.Table):
        _resolve_table(node, visible)
    for child in node.iter_expressions():
        if child is not definitions:
            _resolve(child, visible)


def _resolve_table(table: exp.Table, visible: frozenset[str]) -> None:
    name = table.name.lower()
    parts = {part for part, value in table.args.items() if value}
    if (
        not isinstance(table.this, exp.Identifier)
        or parts - NAMED_PARTS
        or name not in visible | RELATIONS.keys()
    ):
        raise refuse(
            table,
            f"there is no relation `{table.sql(dialect='duckdb')}`",
            f"there are: {', '.join(RELATIONS)}",
        )
    if name in visible:
        return
    alias = table.args.get("alias")
    if alias and alias.args.get("columns"):
        raise refuse(
            table, "the columns of a relation cannot be renamed", "rename them with AS in the SELECT"
        )
    if not alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(name)))
    table.set("this", exp.to_identifier(name, quoted=True))
    table.set("db", exp.to_identifier(SCHEMA, quoted=True))
    table.set("catalog", exp.to_identifier(CATALOG, quoted=True))


def find_relations(tree: exp.Query) -> Iterator[exp.Table]:
    """Yield the relations of a query whose tables are resolved."""
    return (table for table in tree.find_all(exp.Table) if table.args.get("catalog"))


def find_needed_columns(tree: exp.Query) -> dict[str, list[str]]:
    """Return the columns that a query may read of each relation, after its tables are resolved.

    These are all columns of which the text has the name anywhere, or all if a `*` stands for them; at least one.
    """
    named = {identifier.name.lower() for identifier in tree.find_all(exp.Identifier)}
    with_star = {
        id(star.find_ancestor(exp.Select))
        for star in tree.find_all(exp.Star)
        if not isinstance(star.parent, exp.Count)
    }
    needed: dict[str, dict[str, None]] = {}
    for table in find_relations(tree):
        columns = [*RELATIONS[table.name].columns, "version"]
        if id(table.find_ancestor(exp.Select)) not in with_star:
            columns = [name for name in columns if name in named] or ["version"]
        needed.setdefault(table.name, {}).update(dict.fromkeys(columns))
    return {name: list(columns) for name, columns in needed.items()}
