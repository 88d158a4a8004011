"""`avowal query`: an SQL query for one purpose."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.site import Site, line
from support.templates import make_once

DAY = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0) - timedelta(days=2)
ADDRESSES = 'for = ["availability", "performance", "content", "abuse"]'
PAGES = "SELECT page_path, count(*) AS n FROM views GROUP BY ALL ORDER BY n DESC, page_path"


@make_once
def site_with_addresses_for_abuse(folder: Path) -> Site:
    """Make a site whose addresses are for abuse alone."""
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    head, keep, rest = terms.read_text().partition('keep = { full = "7 days", prefix = "90 days" }')
    assert keep
    terms.write_text(head + keep + rest.replace(ADDRESSES, 'for = ["abuse"]', 1))
    site.import_logs(
        site.log("a.log", *(line(n, f"/{n % 2}", start=DAY, address=f"192.0.2.{n}") for n in range(5)))
    )
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_addresses_for_abuse(tmp_path)


def test_a_query_is_answered_for_its_purpose(site: Site) -> None:
    """A query is answered as a table, as JSON and as CSV; with `--explain` it does not run."""
    result = site.avowal("query", PAGES, "--purpose", "content", "--json").json()
    assert result["rows"] == [{"page_path": "/0", "n": 3}, {"page_path": "/1", "n": 2}]
    assert (result["purpose"], result["is_truncated"], result["notes"]) == ("content", False, [])
    assert "/0" in site.avowal("query", PAGES, "--purpose", "content").out
    rows = list(csv.reader(io.StringIO(site.avowal("query", PAGES, "--purpose", "content", "--csv").out)))
    assert rows == [["page_path", "n"], ["/0", "3"], ["/1", "2"]]
    explanation = site.avowal("query", PAGES, "--purpose", "content", "--explain", "--json").json()
    assert explanation["sql"].startswith('SELECT page_path, COUNT(*) AS n FROM "memory"."main"."views"')
    assert explanation["rows"] is None


def test_a_column_for_another_purpose_is_refused(site: Site) -> None:
    """A query for content that names addresses, which are for abuse, is refused with the reason; in `*` they are null."""
    sql = "SELECT count(DISTINCT ip_address) AS n FROM requests"
    assert site.avowal("query", sql, "--purpose", "abuse", "--json").json()["rows"] == [{"n": 5}]
    result = site.avowal("query", sql, "--purpose", "content")
    identity = site.avowal("policy", "history", "--json").json()[0]["identity"]
    assert result.status == 1
    assert (
        f"`ip_address` is not available for content under version {identity[:8]}…: collected for abuse only (at character 23)"
        in result.err
    )
    rows = site.avowal("query", "SELECT * FROM requests", "--purpose", "content", "--json").json()["rows"]
    assert {row["ip_address"] for row in rows} == {None}


def test_an_answer_has_at_most_max_rows(site: Site) -> None:
    """A longer answer is truncated, and a note says so."""
    with (site.folder / "avowal.toml").open("a") as file:
        file.write("\n[query]\nmax_rows = 2\n")
    result = site.avowal("query", "SELECT page_path FROM views", "--purpose", "content", "--json")
    assert (len(result.json()["rows"]), result.json()["is_truncated"]) == (2, True)
    assert "there are more rows" in result.json()["notes"][0]


def test_a_query_is_answered_by_the_owner_of_the_folder(site: Site) -> None:
    """The answers and refusals are the same while another process owns the folder."""
    with site.start("follow", site.folder / "a.log") as following:
        following.wait_for("following")
        result = site.avowal("query", PAGES, "--purpose", "content", "--json").json()
        assert [row["n"] for row in result["rows"]] == [3, 2]
        refusal = site.avowal("query", "SELECT * FROM consents", "--purpose", "content")
        assert (refusal.status, refusal.code) == (1, "query-not-allowed")


def test_an_unknown_purpose_is_noted(site: Site) -> None:
    """A purpose that the terms lack permits no data; a query that needs none is answered with a note."""
    result = site.avowal("query", "SELECT 1", "--purpose", "marketing")
    assert (result.status, "`marketing` is not a purpose of the terms" in result.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("SELECT 1", "--purpose", "content", "--json", "--csv"), 2, "conflicting-options"),
        (("DROP TABLE requests", "--purpose", "content"), 1, "query-not-allowed"),
    ],
)
def test_an_invalid_query_is_refused(site: Site, arguments: tuple[str, ...], status: int, code: str) -> None:
    """An invalid query is refused with its exit status and code."""
    result = site.avowal("query", *arguments)
    assert (result.status, result.code) == (status, code), result.err
