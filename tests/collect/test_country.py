"""The country of an address, from a database that the tests create."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # it has no types

from avowal.collect.country import CountryDatabase
from support.errors import raises_code
from support.site import Site, line

PLACES: dict[str, dict[str, Any]] = {
    "192.0.2.0/25": {"country": {"iso_code": "BR"}},
    "198.51.100.0/24": {"country": {"iso_code": "TW", "names": {"en": "Taiwan"}}},
    "203.0.113.0/24": {"continent": {"code": "EU"}},
    "2001:db8::/32": {"country": {"iso_code": "DE"}},
}
ADDRESSES = ["192.0.2.1", "198.51.100.7", "203.0.113.1", "2001:db8::1", "192.0.2.200"]


RECENT = datetime.now(UTC).replace(tzinfo=None, hour=0) - timedelta(days=2)


def write_database(path: Path, version: int = 6) -> Path:
    writer = MMDBWriter(version, "Test", ipv4_compatible=version == 6)
    for network, country in PLACES.items():
        if version == 6 or ":" not in network:
            writer.insert_network(IPSet([network]), country)
    writer.to_db_file(str(path))
    return path


def test_an_address_has_the_country_of_its_network(tmp_path: Path) -> None:
    """The country is a code of two letters, and null if the database has none for the address."""
    database = CountryDatabase.open(write_database(tmp_path / "all.mmdb"))
    assert database.find_countries(pl.Series([*ADDRESSES, None])).to_list() == [
        "BR",
        "TW",
        None,
        "DE",
        None,
        None,
    ]
    old = CountryDatabase.open(write_database(tmp_path / "old.mmdb", 4))
    assert old.find_countries(pl.Series(ADDRESSES)).to_list() == ["BR", "TW", None, None, None]


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    """A file of another format and a missing file are refused."""
    (tmp_path / "text.mmdb").write_text("no database")
    for name in ("text.mmdb", "none.mmdb"):
        with raises_code("country-database-unreadable"):
            CountryDatabase.open(tmp_path / name)


COUNTRY = '\n[[collect]]\ncategories = ["country"]\nkeep = { full = "forever" }\nfor = ["content"]\n'


@pytest.mark.parametrize(
    ("terms", "countries"),
    [
        (COUNTRY, {"BR", "TW", None}),
        ("", {"BR", "TW", None}),
        ('keep = { prefix = "90 days" }', {"BR", "TW", None}),
        ("none", {None}),
    ],
)
def test_the_country_is_stored_if_the_terms_permit_it(
    tmp_path: Path, terms: str, countries: set[str | None]
) -> None:
    """It is permitted as a category, or as the coarsest precision of an address, and null otherwise."""
    write_database(tmp_path / "country.mmdb")
    site = Site(tmp_path).init(settings='[collect]\ncountry_database = "country.mmdb"\n')
    path = tmp_path / "policy" / "terms.toml"
    text = path.read_text()
    addresses = 'keep = { full = "7 days", prefix = "90 days" }'
    assert addresses in text
    if terms == "none":
        text = text.replace('categories = ["ip-address"]', 'categories = ["status"]', 1).replace(
            addresses, 'keep = { full = "7 days" }', 1
        )
    elif terms.startswith("keep"):
        text = text.replace(addresses, terms, 1)
    else:
        text += terms
    path.write_text(text)
    site.import_logs(
        site.log(
            "a.log", *(line(n, start=RECENT, address=address) for n, address in enumerate(ADDRESSES[:3]))
        )
    )
    assert {country for (country,) in site.rows("SELECT country FROM requests")} == countries


def test_countries_are_reported_if_content_may_use_them(tmp_path: Path) -> None:
    """The report counts visits by country; without the category it is empty and says why."""
    write_database(tmp_path / "country.mmdb")
    site = Site(tmp_path).init(settings='[collect]\ncountry_database = "country.mmdb"\n')
    log = site.log(
        "a.log",
        *(line(n, start=RECENT, address=address) for n, address in enumerate([*ADDRESSES, ADDRESSES[0]])),
    )
    site.import_logs(log)
    report = site.report("countries")
    assert report["tables"]["countries"] == []
    assert any("`country`" in note for note in report["notes"])
    other = Site(tmp_path / "other")
    other.folder.mkdir()
    write_database(other.folder / "country.mmdb")
    other.init(settings='[collect]\ncountry_database = "country.mmdb"\n')
    with (other.folder / "policy" / "terms.toml").open("a") as file:
        file.write(COUNTRY)
    other.import_logs(log)
    assert [tuple(row.values()) for row in other.report("countries")["tables"]["countries"]] == [
        (None, 2, 0.4, 2, 2),
        ("BR", 1, 0.2, 2, 1),
        ("DE", 1, 0.2, 1, 1),
        ("TW", 1, 0.2, 1, 1),
    ]


def test_a_setting_without_a_database_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """Nothing is imported if the configured database does not exist."""
    site = Site(tmp_path).init(settings='[collect]\ncountry_database = "none.mmdb"\n')
    result = site.avowal("import", site.log("a.log", line()))
    assert (result.status, result.code) == (2, "country-database-unreadable"), result.err
