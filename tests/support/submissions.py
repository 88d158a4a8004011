"""A site with a form, and queries of its register."""

import json
import sqlite3
from contextlib import closing
from typing import Any

from support.site import CommandResult, Site

ORDER_FORM = """
[[collect]]
categories = ["submission"]
keep = { full = "30 days" }
for = ["requested-service", "content"]

[[form]]
name = "order"
fields = { name = "person-name", email = "email-address", cv = "uploaded-file" }
types = ["application/pdf"]
for = ["requested-service"]
needs = ["person-name"]

[[disclose]]
categories = ["submission"]
keep = { full = "30 days" }
to = "named-person"
ground = "requested-function"
"""
"""Terms with a form `order`."""


def object_to(site: Site, reference: str, purposes: str, *options: str) -> CommandResult:
    """Object to purposes of a submission, or withdraw the objection."""
    arguments = ("--purposes", purposes, "--channel", "letter", "--json")
    return site.avowal("submission", "object", reference, *arguments, *options)


def query_register(site: Site, sql: str) -> list[tuple[Any, ...]]:
    """Query the register's file."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        return register.execute(sql).fetchall()


def entry_kinds(site: Site) -> list[str]:
    """Return the kinds of all ledger entries, in order."""
    return [
        json.loads(body)["kind"]
        for (body,) in query_register(site, "SELECT body FROM entries ORDER BY entry")
    ]
