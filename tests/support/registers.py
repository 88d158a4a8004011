"""Queries of a site's register, beside the process that writes it."""

import json
import sqlite3
from contextlib import closing
from typing import Any

from support.site import Site


def query_register(site: Site, sql: str) -> list[tuple[Any, ...]]:
    """Query the register's file."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        return register.execute(sql).fetchall()


def read_rows(site: Site, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """Return the rows of a table of the register; `table` may have a condition after it."""
    return query_register(site, f"SELECT {columns} FROM {table}")


def list_entry_kinds(site: Site) -> list[str]:
    """Return the kinds of all ledger entries, in order."""
    return [json.loads(body)["kind"] for (body,) in read_rows(site, "entries ORDER BY entry", "body")]
