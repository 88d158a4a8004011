"""Named SQL files: a package keeps its statements in `sql/NAME.sql` beside its modules."""

from functools import cache
from importlib import resources


@cache
def read_sql(package: str, name: str) -> str:
    """Return the text of `sql/NAME.sql` of a package below `avowal`, such as `store`."""
    return (resources.files(f"avowal.{package}") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
