"""Named SQL statements: `sql/NAME.sql` beside the package that uses it, each after a line `-- name: STATEMENT`."""

import re
from functools import cache
from importlib import resources

_NAME_LINE = re.compile(r"^-- name: ([a-z_]+)\n", re.MULTILINE)


@cache
def load_statements(package: str, name: str) -> dict[str, str]:
    """Return the statements of a file, by their names; what comes before the first name is a comment."""
    text = (resources.files(package) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME_LINE.split(text)
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
