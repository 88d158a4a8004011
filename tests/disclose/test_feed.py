"""Feeds: a processor is given its reading and what it has to delete, page by page; nothing once it falls short."""

import base64
import http.server
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from avowal.register.feeds import Feeds
from support.processors import CONTRACT, add_processor
from support.served import SETTINGS, Served, served
from support.site import CHROME, Ran, Site, line, tamper, wait_until
from support.templates import made_once

NOW = datetime.now(UTC).replace(tzinfo=None)
RECENT = (NOW - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
OLD = NOW - timedelta(days=9)
ANN, BEN = "203.0.113.77", "203.0.113.88"
PERIOD = ("--since", f"{RECENT.date()}", "--until", f"{RECENT.date()}")


@made_once
def made(folder: Path, settings: str = "") -> Site:
    site = Site(folder).init(settings=settings)
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(
        re.sub(r"updated = .*", f"updated = {(NOW - timedelta(40)).date()}", terms.read_text(), count=1)
    )
    site.take_in(
        site.log(
            "a.log",
            *(line(n, f"/old-{n}", start=OLD, address=ANN, agent=CHROME) for n in range(2)),
            *(line(n, f"/{n}", start=RECENT, address=ANN, agent=CHROME) for n in range(3)),
            line(1, "/b", start=RECENT, address=BEN),
        )
    )
    add_processor(site, CONTRACT)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "out").mkdir()
    return made(tmp_path)


def feed(site: Site, to: object = "out") -> Ran:
    return site.avowal("processor", "feed", "guard", "--destination", to, "--json")


def taken(site: Site) -> list[dict[str, Any]]:
    """Take the files away as a processor does; returns their lines in order."""
    lines = []
    for path in sorted((site.folder / "out").glob("*.jsonl")):
        lines += [json.loads(row) for row in path.read_text().splitlines()]
        path.unlink()
    return lines


def of(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in lines if one["kind"] == kind]


def ask(site: Site, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        return register.execute(sql).fetchall()


def kinds(site: Site) -> list[str]:
    return [json.loads(body)["kind"] for (body,) in ask(site, "SELECT body FROM entries ORDER BY entry")]


def test_a_processor_is_given_its_reading(site: Site) -> None:
    """Its categories, as young as its contract lets it have them, with the day on which each has to go."""
    assert feed(site).json() == {"pages": 1, "records": {"requests": 4}, "deletions": 0}
    lines = taken(site)
    records = of(lines, "record")
    assert [one["values"]["page_path"] for one in records] == ["/0", "/1", "/2", "/b"]
    assert {name for one in records for name in one["values"]} == {"request_time", "page_path", "ip_address"}
    for one in records:
        told = datetime.fromisoformat(one["values"]["request_time"])
        days = {name: datetime.fromisoformat(end) - told for name, end in one["keep_until"].items()}
        assert (days["ip_address"], days["page_path"]) == (timedelta(3), timedelta(7))
    assert len({one["id"] for one in records}) == 4
    assert kinds(site)[-1] == "feed-page-provided"
    assert (feed(site).json()["pages"], taken(site)) == (0, [])
    site.take_in(site.log("b.log", line(9, "/later", start=RECENT, address=BEN)))
    assert feed(site).json()["records"] == {"requests": 1}
    assert [one["values"]["page_path"] for one in of(taken(site), "record")] == ["/later"]
    assert site.avowal("verify").status == 0


def test_who_is_erased_has_to_be_deleted(site: Site) -> None:
    """By the identifiers that the processor has, and by no others."""
    feed(site)
    known = {one["id"]: one["values"]["page_path"] for one in of(taken(site), "record")}
    key = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "3").status == 0
    assert feed(site).json()["deletions"] == 3
    lines = taken(site)
    (gone,) = of(lines, "delete")
    assert {known[one] for one in gone["ids"]} == {"/0", "/1", "/2"}
    assert of(lines, "record") == []
    assert feed(site).json()["pages"] == 0


def test_what_expires_is_told_each_day(site: Site) -> None:
    """Once; a processor then deletes what it may keep no longer."""
    feed(site)
    taken(site)
    yesterday = f"{(NOW - timedelta(1)).date()}"
    tamper(site, f"UPDATE feed_pages SET position = json_set(position, '$.last_expiry_day', '{yesterday}')")
    feed(site)
    (expired,) = of(taken(site), "expired")
    assert expired["before"] == f"{datetime.now(UTC).date()}T00:00:00Z"
    feed(site)
    assert taken(site) == []


def test_another_contract_begins_anew(site: Site) -> None:
    """What the processor has goes all, and what it may have now comes."""
    feed(site)
    taken(site)
    add_processor(site, CONTRACT.replace('"3 days"', '"1 day"'))
    feed(site)
    lines = taken(site)
    assert lines[0] == {"kind": "delete-all"}
    assert {name for one in of(lines, "record") for name in one["values"]} == {"request_time", "page_path"}


def test_a_consent_that_is_taken_back_reaches_it(site: Site) -> None:
    """Records that are governed otherwise by now are told again, or gone."""
    feed(site)
    known = {one["id"] for one in of(taken(site), "record")}
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute(
            "INSERT INTO record_changes BY NAME "
            "SELECT 'requests' AS relation, record_number FROM requests WHERE page_path = '/b'"
        )
    feed(site)
    (again,) = of(taken(site), "record")
    assert again["id"] in known


def test_a_feed_stops_once_its_contract_falls_short(site: Site) -> None:
    """With the reason, on record; and `avowal processor list` tells it."""
    feed(site)
    taken(site)
    add_processor(site, CONTRACT.replace("begins = 2026-01-01", f"begins = 2026-01-01\nends = {NOW.date()}"))
    tamper(
        site,
        f"UPDATE processors SET contract_text = replace(contract_text, '{NOW.date()}', '{(NOW - timedelta(2)).date()}')",
    )
    ran = feed(site)
    assert (ran.status, ran.code, taken(site)) == (1, "contract-insufficient", [])
    assert ask(site, "SELECT ground, recipient_kind, reason, requester FROM release_refusals") == [
        ("own-use", "processor", "terms", "guard")
    ]


def test_who_does_not_delete_is_reported(site: Site) -> None:
    """Three days after the last page that it acknowledged, unless its contract says otherwise."""
    feed(site)
    assert "overdue" not in site.avowal("processor", "list").out
    tamper(site, f"UPDATE feed_pages SET provided_at = '{NOW - timedelta(4)}'")
    ran = site.avowal("processor", "list", "--json").json()
    assert ran["processors"][0]["overdue_since"].startswith(f"{(NOW - timedelta(4)).date()}")
    assert "overdue" in site.avowal("processor", "list").out
    assert "guard" in site.avowal("status").out


def test_a_page_is_given_again_until_it_is_acknowledged(site: Site) -> None:
    """A file that is still there is not; the processor loses nothing by being slow."""
    feed(site)
    assert ask(site, "SELECT acknowledged_at FROM feed_pages") == [(None,)]
    feed(site)
    assert len(list((site.folder / "out").glob("*.jsonl"))) == 1
    taken(site)
    feed(site)
    assert ask(site, "SELECT acknowledged_at IS NULL FROM feed_pages") == [(0,)]


@contextmanager
def hook(statuses: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Answer with one status after the other, the last for good; gives the address and what came."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.send_header("location", "https://elsewhere.example/")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hook", came
        finally:
            server.shutdown()
            thread.join()


def test_what_was_never_in_a_folder_is_not_taken_from_it(site: Site) -> None:
    """After an address took nothing, or from another folder: the processor is given it, and then has it."""
    with hook([410]) as (url, _):
        assert feed(site, url).status == 1
    assert feed(site).json()["records"]["requests"] > 0
    first = taken(site)
    (site.folder / "other").mkdir()
    assert feed(site).status == 0  # which acknowledges what was taken
    site.take_in(site.log("more.log", line(7, "/more", start=RECENT)))
    assert feed(site).json()["records"]["requests"] == 1
    assert feed(site, "other").json()["records"]["requests"] == 1
    assert of(first, "record")
    assert feed(site, "").status == 2
    assert site.avowal("verify").status == 0


def test_what_is_sent_is_signed(site: Site) -> None:
    """As Standard Webhooks are, by a key whose public part the processor has; one that is busy is asked again."""
    issued = site.avowal("processor", "key", "guard", "--json").json()
    with hook([503, 204]) as (url, came):
        assert feed(site, url).json()["records"] == {"requests": 4}
        assert feed(site, url).json()["pages"] == 0
    assert [body for _, body in came] == [came[0][1]] * 2
    headers, body = came[1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(issued["public_key"].removeprefix("whpk_")))
    public.verify(base64.b64decode(headers["webhook-signature"].removeprefix("v1a,")), signed)
    assert ask(site, "SELECT acknowledged_at IS NULL FROM feed_pages") == [(0,)]


@pytest.mark.parametrize("status", [302, 400, 410])
def test_what_is_not_taken_is_sent_again_later(site: Site, status: int) -> None:
    """And never to where an answer points."""
    with hook([status]) as (url, came):
        ran = feed(site, url)
    assert (ran.status, ran.code, len(came)) == (1, "delivery-failed", 1)
    with hook([200]) as (url, came):
        assert feed(site, url).json()["records"] == {"requests": 4}
    assert site.avowal("processor", "feed", "guard", "--destination", "http://example.org/").status == 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(made(tmp_path_factory.mktemp("site"), SETTINGS)) as it:
        yield it


def pull(server: Served, key: str, query: str = "", name: str = "guard") -> tuple[int, list[dict[str, Any]]]:
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": f"203.0.113.{len(key + query) % 200}"}
    answer = server.ask("GET", f"/feed/{name}{query}", headers=headers)
    return answer.status, [json.loads(row) for row in answer.body.splitlines()]


def key(site: Site, *arguments: str) -> str:
    issued: str = site.avowal("processor", "key", "guard", "--json", *arguments).json()["key"]
    return issued


def test_a_processor_pulls_page_by_page(server: Served) -> None:
    """What it asks after it has: the page is the same as long as it has not."""
    mine = key(server.site)
    status, first = pull(server, mine, "?limit=3")
    assert (status, len(of(first, "record")), first[-1]["has_more"]) == (200, 3, True)
    again = pull(server, mine, "?limit=3")[1]
    assert of(again, "record") == of(first, "record")
    status, second = pull(server, mine, f"?after={first[-1]['after']}")
    assert [one["values"]["page_path"] for one in of(first + second, "record")] == ["/0", "/1", "/2", "/b"]
    status, last = pull(server, mine, f"?after={second[-1]['after']}")
    assert (status, last) == (200, [{"kind": "page", "after": second[-1]["after"], "has_more": False}])
    assert pull(server, mine, "?after=" + "0" * 24)[0] == 409
    assert pull(server, mine, "?limit=0")[0] == 400


def test_a_key_that_ended_opens_nothing(server: Served) -> None:
    """That it was used again is on record; one that never was is not."""
    old = key(server.site)
    overlapping = key(server.site)
    assert (pull(server, old)[0], pull(server, overlapping)[0]) == (200, 200)
    new = key(server.site, "--revoke-previous")
    assert (pull(server, old)[0], pull(server, overlapping)[0], pull(server, new)[0]) == (401, 401, 200)
    assert ask(server.site, "SELECT count(*) FROM release_refusals WHERE reason = 'recipient'") == [(2,)]
    assert pull(server, "guess")[0] == 401
    assert pull(server, new, name="other")[0] == 401
    assert ask(server.site, "SELECT count(*) FROM release_refusals") == [(2,)]


def test_a_server_hands_over_by_itself(tmp_path: Path) -> None:
    """What came since, without anybody's doing; a page is the processor's once the server there took it."""
    failing, near = b'avowal_feed_delivery_failed{processor="guard"} 1.0', {"X-Forwarded-For": "127.0.0.1"}
    with hook([200]) as (url, came):
        site = made(
            tmp_path,
            f'{SETTINGS}\n[[feed]]\nprocessor = "guard"\ndestination = "{url}"\ninterval_seconds = 1\n',
        )
        with served(site) as it:
            wait_until(lambda: len(came) == 1, "the first page")
            site.take_in(site.log("b.log", line(9, "/later", start=RECENT, address=BEN)))
            wait_until(lambda: len(came) == 2, "what came since")  # one page more
            tamper(
                site,
                "UPDATE processors SET contract_text = replace(contract_text, '2026-01-01', '2099-01-01')",
            )
            wait_until(lambda: failing in it.ask("GET", "/metrics", headers=near).body, "that it stopped")
            assert it.ask("GET", "/readyz").status == 200
    assert b"/later" in came[1][1]


def test_proxies_that_no_contract_names_are_told(site: Site) -> None:
    """Whoever stands between visitors and the site sees them, too.

    Documentation addresses count as the site's own (RFC 6890), so the others' network is one that nobody has (RFC 7526).
    """
    (site.folder / "avowal.toml").write_text(
        '[serve]\ntrusted_proxies = ["127.0.0.0/8", "198.51.100.0/24", "192.88.99.0/25"]\n'
    )
    ran = site.avowal("processor", "check", "--json")
    assert (ran.status, ran.json()["undeclared_proxies"]) == (1, ["192.88.99.0/25"])
    add_processor(site, CONTRACT.replace("begins", 'networks = ["192.88.99.0/24"]\nbegins'))
    assert site.avowal("processor", "check").status == 0
    path = site.folder / "policy" / "processors" / "guard.toml"
    path.write_text(CONTRACT.replace("begins", 'networks = ["192.88.99.0/33"]\nbegins'))
    assert "which is not a network" in site.avowal("processor", "check").err
    path.write_text(CONTRACT.replace("begins", 'deletes-within = "forever"\nbegins'))
    assert "deletes-within" in site.avowal("processor", "check").err


def test_a_page_that_was_never_put_down_is_given_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a run ends between writing a page and recording it, or after: nothing is taken for delivered."""

    def cut_short(*_: object) -> int:
        raise CutShort

    with monkeypatch.context() as patched:
        patched.setattr(Feeds, "record_page", cut_short)
        with pytest.raises(CutShort):
            feed(site)
    assert [path.suffix for path in (site.folder / "out").iterdir()] == [".new"]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", moved_unless(".new"))
        with pytest.raises(CutShort):
            feed(site)
    assert ask(site, "SELECT count(*) FROM feed_pages") == [(1,)]
    assert feed(site).json()["pages"] == 0
    assert len(of(taken(site), "record")) == 4


class CutShort(BaseException):
    """A process that ends where it stands."""


def moved_unless(ending: str) -> Callable[[Path, Path], Path]:
    """Return what renames, but is cut short before it renames a file of an ending."""
    rename = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path.suffix == ending:
            raise CutShort
        return rename(path, target)

    return replace


def test_whoever_goes_back_begins_anew(server: Served) -> None:
    """A processor that lost what it had gets all of it, and forgets what it may have left: nothing is missed."""
    mine = key(server.site)
    first = pull(server, mine, "?limit=2")[1]
    second = pull(server, mine, f"?limit=2&after={first[-1]['after']}")[1]
    pull(server, mine, f"?after={second[-1]['after']}")
    again = pull(server, mine, f"?after={first[-1]['after']}")[1]
    assert (again[0], len(of(again, "record"))) == ({"kind": "delete-all"}, 4)
    assert of(pull(server, mine, f"?after={again[-1]['after']}")[1], "delete-all") == []


def test_changes_are_forgotten_once_every_processor_knows(site: Site) -> None:
    """And not before: what is erased reaches each that had it."""
    feed(site)
    taken(site)
    visitor = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", visitor, "--expected-records", "3").status == 0
    assert site.avowal("retain").status == 0
    assert len(site.rows("SELECT * FROM record_changes")) == 3
    assert feed(site).json()["deletions"] == 3
    taken(site)
    feed(site)
    assert site.avowal("retain").status == 0
    assert site.rows("SELECT * FROM record_changes") == []
