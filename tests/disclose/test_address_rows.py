"""A release of an address and a period, as a court names them: rows, of whoever had the address."""

import json
import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from avowal.errors import QueryError
from avowal.use.selection_list import join_selections, parse_row_selections
from support.disclosures import RECENT, add_user, approve_release, disclose, read_package, verify_elsewhere
from support.manual import read_snippet
from support.registers import read_rows
from support.running_server import SETTINGS
from support.site import CHROME, IPHONE, Site, line
from support.templates import make_once

ADDRESS = "203.0.113.7"
DAYS = (RECENT - timedelta(1), RECENT)


@make_once
def site_with_address(folder: Path) -> Site:
    """Make a site on which an address had one visitor on a day and two on the next, besides others."""
    site = Site(folder).init(settings=SETTINGS)
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(
        re.sub(r"(?m)^updated = .*", f"updated = {(RECENT - timedelta(40)).date()}", terms.read_text())
    )
    site.import_logs(
        site.log(
            "a.log",
            *(line(n, f"/first-{n}", start=DAYS[0], address=ADDRESS) for n in range(3)),
            *(line(n, f"/second-{n}", start=DAYS[1], address=ADDRESS) for n in range(2)),
            line(5, "/other-browser", start=DAYS[1], address=ADDRESS, agent=CHROME),
            line(5, "/neighbour", start=DAYS[1], address="203.0.113.8", agent=IPHONE),
            line(5, "/before", start=RECENT - timedelta(3), address=ADDRESS),
        )
    )
    add_user(site, "bea", "--disclose")
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_address(tmp_path)


def test_the_example_of_the_manual_releases_two_days(site: Site) -> None:
    """The commands of the manual release the rows of both dates, of every key, each of which sees it."""
    lines = read_snippet("### Releases", "make two of you:").replace("\\\n", " ").strip().splitlines()
    ask, approve, make = (shlex.split(text.strip())[1:] for text in lines)
    for flag, day in (("--since", DAYS[0]), ("--until", DAYS[1])):
        index = ask.index(flag) + 1
        assert re.fullmatch(r"2026-11-0[12]", ask[index])
        ask[index] = f"{day.date()}"
    assert ask[ask.index("--subject") + 1] == ADDRESS
    asked = site.avowal(*[re.sub(r"date=\S+", f"date={DAYS[0].date()}", word) for word in ask], "--json")
    assert asked.status == 0, asked.err
    reference = asked.json()["reference"]
    shown = site.avowal("release", "show", reference, "--json").json()
    assert sorted(shown["records_by_visitor"].values()) == [1, 2, 3]
    text = site.avowal("release", "show", reference).out
    assert all(f"{key}: " in text for key in shown["records_by_visitor"])
    assert approve == ["release", "approve", "REFERENCE", "--as", "bea"]
    assert approve_release(site, reference, "bea").status == 0
    assert make == ["release", "make", "REFERENCE", "--package", "order.zip"]
    made = site.avowal("release", "make", reference, "--package", "order.zip", "--json")
    assert (made.status, made.json()["records"]) == (0, {"requests": 6}), made.err
    rows = [json.loads(row) for row in read_package(site.folder / "order.zip")["requests.jsonl"].splitlines()]
    assert {row["ip_address"] for row in rows} == {ADDRESS}
    assert "/before" not in {row["page_path"] for row in rows}
    for key in shown["records_by_visitor"]:
        (release,) = site.avowal("visitor", "show", key, "--json").json()["releases"]
        assert release["recipient"] == "District Court"
    assert verify_elsewhere(site, site.folder / "order.zip").status == 0
    assert site.avowal("verify").status == 0


def test_a_single_hour_releases_its_rows_only(site: Site) -> None:
    """The rows are those of the period, and not all that is stored under the keys."""
    hour = ("--since", f"{DAYS[1]:%Y-%m-%d} 12:00", "--until", f"{DAYS[1]:%Y-%m-%d} 12:01")
    shown = disclose(
        site,
        "fraud-or-misuse",
        *("--subject", ADDRESS, *hour, "--reference", "case 1", "--categories", "page-path", "--dry-run"),
    )
    assert (shown.status, shown.json()["records"]) == (0, {"requests": 1}), shown.err
    assert shown.json()["row_filter"].startswith(f"requests WHERE (ip_address = '{ADDRESS}')")


def test_an_address_that_nobody_had_is_refused(site: Site) -> None:
    """The refusal is recorded with the reason that the subject is unknown."""
    period = ("--since", f"{DAYS[0].date()}", "--until", f"{DAYS[1].date()}")
    arguments = ("--reference", "case 1", "--categories", "page-path", "--package", site.folder / "out.zip")
    result = disclose(site, "fraud-or-misuse", "--subject", "192.0.2.200", *period, *arguments)
    assert (result.status, result.code) == (1, "visitor-not-found"), result.err
    assert read_rows(site, "release_refusals", "reason") == [("unknown-subject",)]
    never = disclose(
        site, "fraud-or-misuse", "--subject", ADDRESS, *period, *arguments[:2], "--categories", "browser"
    )
    assert (never.status, never.code) == (2, "missing-input")


def test_an_authorisation_by_an_address_needs_one_visitor(site: Site) -> None:
    """On a ground of one person's will an address stands for a visitor, and several are refused."""
    period = ("--since", f"{DAYS[0].date()}", "--until", f"{DAYS[1].date()}")
    result = disclose(
        site,
        "authorised",
        *("--subject", ADDRESS, *period, "--categories", "page-path", "--package", site.folder / "out.zip"),
        recipient="Dr. Example",
    )
    assert (result.status, result.code) == (1, "visitor-ambiguous"), result.err


@pytest.mark.parametrize(
    ("text", "relations"),
    [
        ("requests WHERE status = 404", ["requests"]),
        (
            "requests WHERE page_path = ';'; script_views WHERE page_path = 'a;''b'",
            ["requests", "script_views"],
        ),
        ("requests WHERE status = 404;", []),
        ("requests WHERE status = 404; requests WHERE status = 403", []),
        ("requests WHERE status = 404; DROP TABLE requests", []),
        (";", []),
        ("requests WHERE page_path = ';", []),
    ],
)
def test_choices_of_several_relations_are_parsed(text: str, relations: list[str]) -> None:
    """Semicolons separate choices of other relations, and what is rendered parses to the same."""
    if not relations:
        with pytest.raises(QueryError):
            parse_row_selections(text)
        return
    selections = parse_row_selections(text)
    assert [selection.relation for selection in selections] == relations
    assert parse_row_selections(join_selections(selections)) == selections
