"""Refuse a part of a query, with its place in the text."""

from sqlglot import exp

from avowal.errors import QueryError


def refuse(node: exp.Expr, message: str, hint: str) -> QueryError:
    """Return the error that refuses a part of a query, with the place where it stands, if that is known."""
    start = next((child.meta["start"] for child in node.walk() if "start" in child.meta), None)
    place = "" if start is None else f" (at character {start + 1})"
    return QueryError(f"{message}{place}", hint)
