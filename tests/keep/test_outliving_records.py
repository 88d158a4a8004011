"""Views and visits that are stored for longer than the requests they were derived from: everything still reaches them."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
import pytest

from avowal.ledger.entry import ErasureDone
from avowal.store.columns import RELATIONS, VISITOR_STATE_TABLES
from avowal.store.duckdb_store import STORE_FILE
from avowal.store.interface import RecordCounts
from support.moved_clock import MovedClock, moved_clock
from support.site import Site, line

START = datetime(2026, 1, 5, 13)  # noqa: DTZ001  # UTC without a zone
TERMS = """
vocabulary = 2
controller = "A"
contact = "a@example.org"
updated = {day}
languages = ["en"]
[[collect]]
categories = ["request-time", "request-kind", "bot", "host", "ip-address"]
keep = {{ full = "10 days" }}
for = ["content", "abuse"]
[[collect]]
categories = ["visitor-id"]
keep = {{ full = "{key}" }}
for = ["content", "abuse"]
[[collect]]
categories = ["view-time", "visit-time"]
keep = {{ full = "1 year" }}
for = ["content", "abuse"]
[[collect]]
categories = ["page-path"]
keep = {{ full = "{paths}" }}
for = {purposes}
[duties]
may-see = true
may-erase = true
"""


class Scene(NamedTuple):
    """A site whose visitor consented to a second version, under which `content` may use paths."""

    site: Site
    clock: MovedClock
    visitor: str

    def run(self, *arguments: object) -> str:
        """Run a command that has to succeed."""
        result = self.site.avowal(*arguments)
        assert result.status == 0, result.err + result.out
        return result.out

    def consent(self, *options: str) -> None:
        """Record a consent of the visitor, or its withdrawal."""
        self.run("visitor", "consent", self.visitor, "--channel", "letter", *options)

    def read_paths(self) -> list[str | None]:
        """Return the paths of views and visits that `content` sees."""
        sql = "SELECT page_path FROM views UNION ALL SELECT entry_path FROM visits ORDER BY ALL"
        return [
            row["page_path"]
            for row in json.loads(self.run("query", "--purpose", "content", "--json", sql))["rows"]
        ]

    def count_stored(self) -> dict[str, int]:
        """Return how many records of the visitor there are of each relation."""
        shown = json.loads(self.run("visitor", "show", self.visitor, "--json"))
        return {name: relation["records"] for name, relation in shown["stored"].items()}


def write_terms(
    site: Site, day: str, purposes: list[str], key: str = "1 year", paths: str = "1 year"
) -> None:
    text = TERMS.format(day=day, purposes=json.dumps(purposes), key=key, paths=paths)
    (site.folder / "policy" / "terms.toml").write_text(text)


@pytest.fixture
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Return a site with three views of one visitor; a parameter is how long the visitor's key is kept."""
    site, key_age = Site(tmp_path), getattr(request, "param", "1 year")
    (site.folder / "policy").mkdir()
    (site.folder / "policy" / "en.md").write_text("---\ntitle: Privacy\nlang: en\n---\n# Privacy\n")
    (site.folder / "avowal.toml").write_text('[site]\nhost = "site.example"\n')
    write_terms(site, "2026-01-01", ["abuse"], key_age)
    with moved_clock(START) as clock:
        lines = (line(minutes, f"/{minutes}", start=datetime(2026, 1, 5, 12)) for minutes in range(3))  # noqa: DTZ001
        site.import_logs(site.log("a.log", *lines))
        visitor = f"{site.rows('SELECT visitor_id FROM requests')[0][0]:016x}"
        clock.advance(days=1)
        write_terms(site, "2026-01-06", ["abuse", "content"], key_age)
        scene = Scene(site, clock, visitor)
        scene.run("policy", "publish", "--accept-weaker")
        yield scene


def expire_requests(scene: Scene) -> None:
    """Let retention remove the requests; the views and visits stay."""
    scene.clock.advance(days=13)
    scene.run("retain")
    assert scene.count_stored() == {"requests": 0, "script_views": 0, "events": 0, "views": 3, "visits": 1}


def test_a_withdrawal_binds_views_whose_requests_are_gone(scene: Scene) -> None:
    """What was raised by a consent is restored by its withdrawal, in every relation (G5, G8)."""
    assert scene.read_paths() == [None] * 4
    scene.consent()
    assert scene.read_paths() == ["/0", "/0", "/1", "/2"]
    expire_requests(scene)
    assert scene.read_paths() == ["/0", "/0", "/1", "/2"]
    scene.consent("--withdraw")
    assert scene.read_paths() == [None] * 4
    scene.run("verify")


def test_a_consent_reaches_views_whose_requests_are_gone(scene: Scene) -> None:
    """The visitor may consent, as something of an earlier version is stored, and its effect is counted."""
    expire_requests(scene)
    dry_run = json.loads(
        scene.run("visitor", "consent", scene.visitor, "--channel", "letter", "--dry-run", "--json")
    )
    assert [(effect["governing"], effect["records"]) for effect in dry_run["permits"]] == [(1, 4)]
    scene.consent()
    assert scene.read_paths() == ["/0", "/0", "/1", "/2"]
    scene.run("verify")


def test_views_whose_requests_are_gone_are_exported_and_erased(scene: Scene) -> None:
    """The visitor is found, exports what is left, and has it erased; the number that is expected is that of what is left."""
    expire_requests(scene)
    file = scene.site.folder / "export.jsonl"
    scene.run("visitor", "export", scene.visitor, "--output", file)
    records = [json.loads(text) for text in file.read_text().splitlines()[1:]]
    assert sorted(record["relation"] for record in records) == ["views"] * 3 + ["visits"]
    refused = scene.site.avowal("visitor", "erase", scene.visitor, "--expected-records", "0")
    assert (refused.status, refused.code) == (1, "record-count-mismatch")
    receipt = json.loads(scene.run("visitor", "erase", scene.visitor, "--expected-records", "4", "--json"))
    assert (receipt["erased"]["views"], receipt["erased"]["visits"]) == (3, 1)
    assert scene.site.rows("SELECT count(*) FROM views UNION ALL SELECT count(*) FROM visits") == [(0,), (0,)]
    scene.run("verify")


def test_a_report_of_views_whose_requests_are_gone_says_that_something_was_collected(scene: Scene) -> None:
    """A report does not say that nothing was collected, as the views are still there."""
    expire_requests(scene)
    report = scene.site.report("pages")
    assert not any("nothing was collected" in note for note in report["notes"])


@pytest.mark.parametrize("scene", ["5 days"], indirect=True)
def test_a_record_without_its_visitors_key_is_governed_as_without_consent(scene: Scene) -> None:
    """Nobody could withdraw the consent from a record whose key retention has cut, so the consent ends there (G5)."""
    scene.consent()
    assert scene.read_paths() == ["/0", "/0", "/1", "/2"]
    scene.clock.advance(days=6)
    scene.run("retain")
    scene.run("verify")
    assert scene.site.rows("SELECT DISTINCT visitor_id, governing FROM views") == [(None, 1)]
    assert scene.read_paths() == [None] * 4
    scene.consent("--withdraw")
    scene.run("verify")


def test_a_removal_counts_records(scene: Scene) -> None:
    """A record of which two columns of one category are cut counts once (K5)."""
    write_terms(scene.site, "2026-01-07", ["abuse"], paths="2 days")
    scene.run("policy", "publish", "--accept-weaker")
    scene.clock.advance(days=3)
    removed = json.loads(scene.run("retain", "--json"))["removed"]
    assert {(row["relation"], row["category"]): row["records"] for row in removed} == {
        ("requests", "page-path"): 3,
        ("views", "page-path"): 3,
        ("visits", "page-path"): 1,
    }


def test_every_table_with_visitors_is_among_the_relations(tmp_path: Path) -> None:
    """A table of records that names visitors, or what governs it, is reached by consents, erasures, exports and searches."""
    site = Site(tmp_path).init()
    site.import_logs(site.log("a.log", line()))
    with duckdb.connect(site.data / STORE_FILE) as store:
        rows = store.sql("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        views = {
            name
            for (name,) in store.sql("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        }
    columns: dict[str, set[str]] = {}
    for table, column in rows:
        if table not in views:
            columns.setdefault(table, set()).add(column)
    governed = {table for table, names in columns.items() if names & {"version", "governing"}}
    with_visitors = {table for table, names in columns.items() if names & {"visitor_id", "daily_key"}}
    assert governed - {"visitor_governing", "retention_removals"} == set(RELATIONS)
    assert with_visitors - {"erased_counts"} == {*RELATIONS, *VISITOR_STATE_TABLES}
    for table in RELATIONS:
        assert {"visitor_id", "version", "governing", RELATIONS[table].time_column} <= columns[table]
    assert set(RecordCounts.__struct_fields__) == set(RELATIONS)
    assert set(RELATIONS) <= {field.name for field in msgspec.structs.fields(ErasureDone)}
