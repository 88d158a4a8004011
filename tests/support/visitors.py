"""A site with two visitors."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.site import Site, line
from support.templates import make_once

NOON = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0) - timedelta(days=2)
"""When the requests begin, two days ago."""
ANN, BEN = "203.0.113.77", "203.0.113.88"
PERIOD = ("--since", f"{NOON.date()}", "--until", f"{NOON.date()}")
"""The options for the day of the requests."""


@make_once
def site_with_two_visitors(folder: Path) -> Site:
    """Make a site that imported a log of two visitors and deleted the log."""
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(
        terms.read_text().replace("updated = 2026-11-22", f"updated = {(NOON - timedelta(9)).date()}")
    )
    log = site.log(
        "a.log",
        *(line(n, f"/{n}", start=NOON, address=ANN) for n in range(3)),
        line(1, "/b", start=NOON, address=BEN),
    )
    site.import_logs(log)
    log.unlink()
    return site
