"""The rights of a person who names an IP address and a period, in which others may have had the address as well."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.clock import utc_now
from avowal.register.register import open_register
from avowal.store.duckdb_store import STORE_FILE
from support.moved_clock import moved_clock
from support.running_server import SETTINGS, SITE
from support.site import CHROME, IPHONE, Site, line
from support.templates import make_once

TODAY = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0, second=0, microsecond=0)
HOME, OTHER, NEIGHBOUR = "203.0.113.77", "203.0.113.88", "198.51.100.7"
FIRST, SHARED, LAST, CUT = (TODAY - timedelta(days) for days in (4, 3, 2, 20))
"""Days on which the address had one visitor, two, and one again; and one of which full addresses are not stored."""


def period(*days: datetime) -> tuple[str, ...]:
    """Return the options of the period from the first to the last of these days."""
    return "--since", f"{min(days).date()}", "--until", f"{max(days).date()}"


@make_once
def site_with_three_days(folder: Path) -> Site:
    """Make a site that imported requests of an address on three recent days, and of an older one."""
    site = Site(folder).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    start = f"updated = {(TODAY - timedelta(60)).date()}"
    terms.write_text(terms.read_text().replace("updated = 2026-11-22", start))
    log = site.log(
        "a.log",
        *(line(n, f"/old-{n}", start=CUT, address=HOME) for n in range(4)),
        line(1, "/old-elsewhere", start=CUT, address=NEIGHBOUR),
        *(line(n, f"/first-{n}", start=FIRST, address=HOME) for n in range(5)),
        *(line(n, f"/shared-{n}", start=SHARED, address=HOME) for n in range(7)),
        *(line(n, f"/secret-{n}", start=SHARED, address=HOME, agent=CHROME) for n in range(3)),
        *(line(n, f"/last-{n}", start=LAST, address=HOME) for n in range(2)),
        line(1, "/other", start=LAST, address=OTHER),
    )
    site.import_logs(log)
    log.unlink()
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_three_days(tmp_path)


def show(site: Site, *days: datetime, address: str = HOME) -> Any:
    """Return what `avowal visitor show` prints of an address as JSON."""
    result = site.avowal("visitor", "show", address, *period(*days), "--json")
    assert result.status == 0, result.err
    return result.json()


def count_requests(site: Site) -> int:
    return len(site.rows("SELECT 1 FROM requests"))


def summarize_days(days: list[dict[str, Any]]) -> list[tuple[str, str, list[int]]]:
    return [(day["day"], day["outcome"], [one["records"] for one in day["visitors"]]) for day in days]


def test_every_key_of_an_address_is_listed_by_day(site: Site) -> None:
    """Each visitor day of the period has its keys and their records; only those that were alone are shown."""
    shown = show(site, FIRST, LAST)
    days = summarize_days(shown["address"]["days"])
    assert [(name, outcome, sorted(counts)) for name, outcome, counts in days] == [
        (f"{FIRST.date()}", "covered", [5]),
        (f"{SHARED.date()}", "several-visitors", [3, 7]),
        (f"{LAST.date()}", "covered", [2]),
    ]
    keys = [visitor["key"] for day in shown["address"]["days"] for visitor in day["visitors"]]
    assert len(set(keys)) == 4
    assert (shown["address"]["covered_records"], shown["address"]["all_records"]) == (7, 17)
    assert shown["stored"]["requests"]["records"] == 7
    assert shown["coverage"]["days"][1] == {
        "day": f"{SHARED.date()}",
        "outcome": "several-visitors",
        "visitors": 2,
        "records": 10,
        "covered_records": 0,
        "records_without_address": 0,
        "is_salt_destroyed": False,
    }
    text = site.avowal("visitor", "show", HOME, *period(FIRST, LAST)).out
    assert all(key in text for key in keys)
    assert f"--expected-records 17 --include-others {shown['address']['code']}" in text
    assert [access["rows"] for access in show(site, FIRST)["accesses"]] == [9, 9]
    assert site.avowal("verify").status == 0


def test_a_period_of_one_date_shows_its_own_day_only(site: Site) -> None:
    """A date touches two visitor days, of which only one has records in it."""
    shown = show(site, FIRST)
    assert summarize_days(shown["address"]["days"]) == [(f"{FIRST.date()}", "covered", [5])]


def test_an_export_has_the_days_that_one_visitor_alone_had(site: Site) -> None:
    """The records of a day with two visitors are counted in the first line, and are not in the file."""
    file = site.folder / "export.jsonl"
    result = site.avowal("visitor", "export", HOME, *period(FIRST, LAST), "--output", file, "--json")
    assert (result.status, len(result.json()["visitors"])) == (0, 2)
    head, *records = map(json.loads, file.read_text().splitlines())
    paths = {record["page_path"] for record in records if record["relation"] == "requests"}
    assert paths == {f"/first-{n}" for n in range(5)} | {"/last-0", "/last-1"}
    outcomes = [day["outcome"] for day in head["coverage"]["days"]]
    assert outcomes == ["covered", "several-visitors", "covered"]
    others = {one["key"] for one in show(site, SHARED)["address"]["days"][0]["visitors"]}
    assert not [key for key in others if key in file.read_text()]
    assert (
        "10 records of 2 visitors are left out"
        in site.avowal("visitor", "export", HOME, *period(FIRST, LAST), "--output", file).out
    )


def test_a_page_to_print_has_the_days_that_one_visitor_alone_had(site: Site, tmp_path: Path) -> None:
    """The page says which days it leaves out, and has nothing of them."""
    page = tmp_path / "page.html"
    assert site.avowal("visitor", "show", HOME, *period(FIRST, LAST), "--page", page).status == 0
    text = page.read_text()
    assert "/first-0" in text
    assert "/last-0" in text
    assert "/secret-0" not in text
    assert f"{SHARED.date()}" in text


def test_records_without_a_full_address_are_counted(site: Site) -> None:
    """Of a day whose addresses were cut, the records of the same network are counted and of no other."""
    shown = show(site, CUT, LAST)
    assert summarize_days(shown["address"]["days"])[0] == (f"{CUT.date()}", "address-unknown", [])
    day = shown["coverage"]["days"][0]
    assert (day["records_without_address"], day["is_salt_destroyed"]) == (4, False)
    with moved_clock(utc_now()) as clock:
        clock.advance(hours=49)
        assert show(site, CUT, LAST)["coverage"]["days"][0]["is_salt_destroyed"]
    refused = site.avowal("visitor", "show", HOME, *period(CUT))
    assert (refused.status, refused.code) == (1, "visitor-not-found")
    assert "4 records of these days have none" in refused.err


def test_an_erasure_covers_the_days_that_one_visitor_alone_had(site: Site, tmp_path: Path) -> None:
    """One entry and one receipt cover several keys, and the receipt says which days are left out, and why."""
    receipt = tmp_path / "receipt.json"
    before, entries = count_requests(site), site.avowal("verify", "--json").json()["entries"]
    options = (*period(CUT, LAST), "--expected-records", 7, "--receipt", receipt)
    result = site.avowal("visitor", "erase", HOME, *options)
    assert result.status == 0, result.err
    assert "10 records of 2 visitors are left out (several-visitors)" in result.out
    assert "4 records have no full address" in result.out
    assert before - count_requests(site) == 7
    verification = site.avowal("verify", "--json")
    assert (verification.status, verification.json()["entries"]) == (0, entries + 1)
    stated = json.loads(receipt.read_text())
    assert (len(stated["visitors"]), stated["erased"]["requests"], stated["erased"]["visits"]) == (2, 7, 2)
    assert [(day["outcome"], day["covered_records"]) for day in stated["coverage"]["days"]] == [
        ("address-unknown", 0),
        ("covered", 5),
        ("several-visitors", 0),
        ("covered", 2),
    ]
    assert_valid(site, receipt)
    changes: list[dict[str, Any]] = [{"address": OTHER}, {"until": "2036-01-01T00:00:00"}, {"days": []}]
    for change in changes:
        changed = {**stated, "coverage": {**stated["coverage"], **change}}
        receipt.write_text(json.dumps(changed))
        key = site.avowal("ledger", "key").out.strip()
        assert site.avowal("verify", receipt, "--key", key).code == "receipt-mismatch"


def assert_valid(site: Site, receipt: Path) -> None:
    key = site.avowal("ledger", "key").out.strip()
    result = site.avowal("verify", receipt, "--key", key, "--json")
    assert (result.status, result.json()["entry"]["kind"]) == (0, "erasure-done"), result.err


def test_the_data_of_others_is_erased_on_confirmation_only(site: Site, tmp_path: Path) -> None:
    """The code is that of what was shown: it is refused once anything was added since."""
    code, receipt = show(site, FIRST, LAST)["address"]["code"], tmp_path / "receipt.json"
    refused = site.avowal("visitor", "erase", HOME, *period(FIRST, LAST), "--expected-records", 17)
    assert (refused.status, refused.code) == (1, "record-count-mismatch")
    site.import_logs(site.log("b.log", line(30, "/late", start=SHARED, address=HOME, agent=IPHONE)))
    options = ("--include-others", code, "--expected-records", 18, "--receipt", receipt)
    refused = site.avowal("visitor", "erase", HOME, *period(FIRST, LAST), *options)
    assert (refused.status, refused.code) == (1, "records-changed")
    assert count_requests(site) == 24
    code = show(site, FIRST, LAST)["address"]["code"]
    result = site.avowal(
        "visitor", "erase", HOME, *period(FIRST, LAST), "--include-others", code, *options[2:]
    )
    assert result.status == 0, result.err
    assert count_requests(site) == 6
    stated = json.loads(receipt.read_text())
    assert len(stated["visitors"]) == 5
    assert [day["outcome"] for day in stated["coverage"]["days"]] == ["covered"] * 3
    assert_valid(site, receipt)
    assert site.avowal("verify").status == 0
    key = f"{stated['visitors'][0]}"
    refused = site.avowal("visitor", "erase", key, "--include-others", code, "--expected-records", 1)
    assert (refused.status, refused.code) == (2, "conflicting-options")


def test_an_address_that_nobody_had_alone_shows_nothing(site: Site, tmp_path: Path) -> None:
    """The keys are listed for the operator; an export and an erasure are refused, and nothing is written."""
    shown = show(site, SHARED)
    assert [extent["records"] for extent in shown["stored"].values()] == [0] * 5
    for arguments in (("export", "--output", tmp_path / "out"), ("erase", "--expected-records", 0)):
        result = site.avowal("visitor", arguments[0], HOME, *period(SHARED), *arguments[1:])
        assert (result.status, result.code) == (1, "visitor-ambiguous"), result.err
    assert not (tmp_path / "out").exists()
    assert count_requests(site) == 23


def test_another_hour_of_a_shared_day_opens_nothing(site: Site) -> None:
    """Whoever chooses an hour in which one visitor alone had the address gets no day that several had it on."""
    site.import_logs(site.log("b.log", line(300, "/evening", start=FIRST, address=HOME, agent=CHROME)))
    hour = ("--since", f"{FIRST:%Y-%m-%d} 12:00", "--until", f"{FIRST:%Y-%m-%d} 13:00")
    (day,) = site.avowal("visitor", "show", HOME, *hour, "--json").json()["address"]["days"]
    assert (day["outcome"], len(day["visitors"])) == ("several-visitors", 2)


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-11-02", "2026-11-01"), ("2026-11-01 10:00", "2026-11-01 10:00"), ("1990-01-01", "today")],
)
def test_an_empty_or_endless_period_is_refused(site: Site, since: str, until: str) -> None:
    """A period has to end after it begins, and is limited."""
    result = site.avowal("visitor", "show", HOME, "--since", since, "--until", until)
    assert (result.status, result.code) == (2, "invalid-time")


def test_a_crash_in_an_erasure_by_address_leaves_one_entry(site: Site) -> None:
    """If a process ended after several visitors were recorded as to be erased, the next one does it in one entry."""
    keys = [one["key"] for day in show(site, FIRST, LAST)["address"]["days"] for one in day["visitors"]]
    with closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register:
        register.erasures.begin(keys)
        entries = register.ledger.count_entries()
    assert "/secret-0" not in {row["page_path"] for row in site.report("pages")["tables"]["pages"]}
    verification = site.avowal("verify", "--json")
    assert verification.status == 0
    assert verification.json()["entries"] <= entries + 2
    assert count_requests(site) == 6


def test_a_key_with_its_agent_and_host_is_another_visitor(site: Site) -> None:
    """A second browser, and the same one at another host, are other visitors, as nobody can tell that they are one."""
    log = site.log("b.log", *(line(n, "/b", start=LAST, address=HOME, host=f"b.{SITE}") for n in range(3)))
    assert site.import_logs(log)["counts"]["requests"] == 3
    assert summarize_days(show(site, LAST)["address"]["days"])[0][1] == "several-visitors"
