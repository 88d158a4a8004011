"""Feeds: a processor gets its records and deletions page by page, and nothing once its contract is insufficient."""

import base64
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from avowal.register.feeds import Feeds
from avowal.register.register import open_register
from avowal.store.duckdb_store import STORE_FILE
from avowal.store.store_file import StoreFile
from support.moved_clock import moved_clock
from support.processors import CONTRACT, add_processor
from support.registers import list_entry_kinds, query_register
from support.running_server import SETTINGS, RunningServer, start_server
from support.site import CHROME, CommandResult, Site, line, tamper, wait_until
from support.templates import make_once

NOW = datetime.now(UTC).replace(tzinfo=None)
RECENT = (NOW - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
OLD = NOW - timedelta(days=9)
ANN, BEN = "203.0.113.77", "203.0.113.88"
PERIOD = ("--since", f"{RECENT.date()}", "--until", f"{RECENT.date()}")


@make_once
def site_with_processor(folder: Path, settings: str = "") -> Site:
    site = Site(folder).init(settings=settings)
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(
        re.sub(r"updated = .*", f"updated = {(NOW - timedelta(40)).date()}", terms.read_text(), count=1)
    )
    site.import_logs(
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
    return site_with_processor(tmp_path)


def feed(site: Site, destination: object = "out") -> CommandResult:
    return site.avowal("processor", "feed", "guard", "--destination", destination, "--json")


def take_lines(site: Site) -> list[dict[str, Any]]:
    """Remove the files of the folder as a processor does; returns their lines in order."""
    lines = []
    for path in sorted((site.folder / "out").glob("*.jsonl")):
        lines += [json.loads(row) for row in path.read_text().splitlines()]
        path.unlink()
    return lines


def select_kind(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in lines if row["kind"] == kind]


def test_a_processor_gets_its_records(site: Site) -> None:
    """A processor gets the categories and ages of its contract, with the day on which each must be deleted."""
    assert feed(site).json() == {"pages": 1, "records": {"requests": 4}, "deletions": 0}
    lines = take_lines(site)
    records = select_kind(lines, "record")
    assert [record["values"]["page_path"] for record in records] == ["/0", "/1", "/2", "/b"]
    assert {name for record in records for name in record["values"]} == {
        "request_time",
        "page_path",
        "ip_address",
    }
    for record in records:
        request_time = datetime.fromisoformat(record["values"]["request_time"])
        days = {
            name: datetime.fromisoformat(end) - request_time for name, end in record["keep_until"].items()
        }
        assert (days["ip_address"], days["page_path"]) == (timedelta(3), timedelta(7))
    assert len({record["id"] for record in records}) == 4
    assert list_entry_kinds(site)[-1] == "feed-page-provided"
    assert (feed(site).json()["pages"], take_lines(site)) == (0, [])
    site.import_logs(site.log("b.log", line(9, "/later", start=RECENT, address=BEN)))
    assert feed(site).json()["records"] == {"requests": 1}
    assert [record["values"]["page_path"] for record in select_kind(take_lines(site), "record")] == ["/later"]
    assert site.avowal("verify").status == 0


def test_an_erasure_reaches_the_processor(site: Site) -> None:
    """After an erasure the processor is told to delete exactly the IDs of that visitor's records."""
    feed(site)
    paths = {
        record["id"]: record["values"]["page_path"] for record in select_kind(take_lines(site), "record")
    }
    key = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", key, "--expected-records", "3").status == 0
    assert feed(site).json()["deletions"] == 3
    lines = take_lines(site)
    (deletion,) = select_kind(lines, "delete")
    assert {paths[record_id] for record_id in deletion["ids"]} == {"/0", "/1", "/2"}
    assert select_kind(lines, "record") == []
    assert feed(site).json()["pages"] == 0


def test_expiry_is_announced_once_a_day(site: Site) -> None:
    """Once a day a feed tells the processor to delete what has expired."""
    feed(site)
    take_lines(site)
    yesterday = f"{(NOW - timedelta(1)).date()}"
    tamper(site, f"UPDATE feed_pages SET position = json_set(position, '$.last_expiry_day', '{yesterday}')")
    feed(site)
    (expired,) = select_kind(take_lines(site), "expired")
    assert expired["before"] == f"{datetime.now(UTC).date()}T00:00:00Z"
    feed(site)
    assert take_lines(site) == []


def test_a_new_contract_restarts_the_feed(site: Site) -> None:
    """A new contract makes the processor delete everything, and then sends what it may have now."""
    feed(site)
    take_lines(site)
    add_processor(site, CONTRACT.replace('"3 days"', '"1 day"'))
    feed(site)
    lines = take_lines(site)
    assert lines[0] == {"kind": "delete-all"}
    assert {name for record in select_kind(lines, "record") for name in record["values"]} == {
        "request_time",
        "page_path",
    }


def test_records_with_changed_rules_are_sent_again(site: Site) -> None:
    """A record whose governing version changed, as after a withdrawn consent, is sent again or deleted."""
    feed(site)
    known = {record["id"] for record in select_kind(take_lines(site), "record")}
    with (
        closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register,
        closing(StoreFile(site.data / STORE_FILE, "64MB", register.stores)) as store,
        store.write() as cursor,
    ):
        cursor.execute(
            "INSERT INTO record_changes BY NAME "
            "SELECT 'requests' AS relation, record_number FROM requests WHERE page_path = '/b'"
        )
    feed(site)
    (resent,) = select_kind(take_lines(site), "record")
    assert resent["id"] in known


def test_a_feed_stops_when_its_contract_is_insufficient(site: Site) -> None:
    """A feed with an insufficient contract provides nothing, and the refusal is recorded with its reason."""
    feed(site)
    take_lines(site)
    add_processor(site, CONTRACT.replace("begins = 2026-01-01", f"begins = 2026-01-01\nends = {NOW.date()}"))
    tamper(
        site,
        f"UPDATE processors SET contract_text = replace(contract_text, '{NOW.date()}', '{(NOW - timedelta(2)).date()}')",
    )
    result = feed(site)
    assert (result.status, result.code, take_lines(site)) == (1, "contract-insufficient", [])
    assert query_register(site, "SELECT ground, recipient_kind, reason, requester FROM release_refusals") == [
        ("own-use", "processor", "terms", "guard")
    ]


def test_an_overdue_processor_is_reported(site: Site) -> None:
    """A processor that acknowledged no page within three days is reported as overdue."""
    feed(site)
    assert "overdue" not in site.avowal("processor", "list").out
    tamper(site, f"UPDATE feed_pages SET provided_at = '{NOW - timedelta(4)}'")
    result = site.avowal("processor", "list", "--json").json()
    assert result["processors"][0]["overdue_since"].startswith(f"{(NOW - timedelta(4)).date()}")
    assert "overdue" in site.avowal("processor", "list").out
    assert "guard" in site.avowal("status").out


def test_a_page_stays_until_it_is_acknowledged(site: Site) -> None:
    """A page whose file is still in the folder is not acknowledged, and no second one is written."""
    feed(site)
    assert query_register(site, "SELECT acknowledged_at FROM feed_pages") == [(None,)]
    feed(site)
    assert len(list((site.folder / "out").glob("*.jsonl"))) == 1
    take_lines(site)
    feed(site)
    assert query_register(site, "SELECT acknowledged_at IS NULL FROM feed_pages") == [(0,)]


@contextmanager
def run_webhook(statuses: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Answer with each status in turn, the last one repeatedly; yields the address and what was received."""
    received: list[tuple[dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
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
            yield f"http://127.0.0.1:{server.server_address[1]}/hook", received
        finally:
            server.shutdown()
            thread.join()


def test_a_page_is_acknowledged_only_at_its_own_destination(site: Site) -> None:
    """A page that another destination got, or refused, is not acknowledged by its absence in a folder."""
    with run_webhook([410]) as (url, _):
        assert feed(site, url).status == 1
    assert feed(site).json()["records"]["requests"] > 0
    first = take_lines(site)
    (site.folder / "other").mkdir()
    assert feed(site).status == 0  # acknowledges the removed files
    site.import_logs(site.log("more.log", line(7, "/more", start=RECENT)))
    assert feed(site).json()["records"]["requests"] == 1
    assert feed(site, "other").json()["records"]["requests"] == 1
    assert select_kind(first, "record")
    assert feed(site, "").status == 2
    assert site.avowal("verify").status == 0


def test_a_sent_page_is_signed(site: Site) -> None:
    """A page is signed as in Standard Webhooks; after a temporary error it is sent again unchanged."""
    key = site.avowal("processor", "key", "guard", "--json").json()
    with run_webhook([503, 204]) as (url, received):
        assert feed(site, url).json()["records"] == {"requests": 4}
        assert feed(site, url).json()["pages"] == 0
    assert [body for _, body in received] == [received[0][1]] * 2
    headers, body = received[1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key["public_key"].removeprefix("whpk_")))
    public.verify(base64.b64decode(headers["webhook-signature"].removeprefix("v1a,")), signed)
    assert query_register(site, "SELECT acknowledged_at IS NULL FROM feed_pages") == [(0,)]


@pytest.mark.parametrize("status", [302, 400, 410])
def test_a_refused_page_is_sent_again_later(site: Site, status: int) -> None:
    """A page that was refused or redirected is sent again by the next run; redirects are not followed."""
    with run_webhook([status]) as (url, received):
        result = feed(site, url)
    assert (result.status, result.code, len(received)) == (1, "delivery-failed", 1)
    with run_webhook([200]) as (url, received):
        assert feed(site, url).json()["records"] == {"requests": 4}
    assert site.avowal("processor", "feed", "guard", "--destination", "http://example.org/").status == 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(site_with_processor(tmp_path_factory.mktemp("site"), SETTINGS)) as server:
        yield server


def pull(
    server: RunningServer, key: str, query: str = "", name: str = "guard"
) -> tuple[int, list[dict[str, Any]]]:
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": f"203.0.113.{len(key + query) % 200}"}
    response = server.request("GET", f"/feed/{name}{query}", headers=headers)
    return response.status, [json.loads(row) for row in response.body.splitlines()]


def issue_key(site: Site, *arguments: str) -> str:
    key: str = site.avowal("processor", "key", "guard", "--json", *arguments).json()["key"]
    return key


def test_a_processor_pulls_page_by_page(server: RunningServer) -> None:
    """A processor asks with the position it has reached, and gets the same page until it moves on."""
    key = issue_key(server.site)
    status, first = pull(server, key, "?limit=3")
    assert (status, len(select_kind(first, "record")), first[-1]["has_more"]) == (200, 3, True)
    repeated = pull(server, key, "?limit=3")[1]
    assert select_kind(repeated, "record") == select_kind(first, "record")
    status, second = pull(server, key, f"?after={first[-1]['after']}")
    assert [record["values"]["page_path"] for record in select_kind(first + second, "record")] == [
        "/0",
        "/1",
        "/2",
        "/b",
    ]
    status, last = pull(server, key, f"?after={second[-1]['after']}")
    assert (status, last) == (200, [{"kind": "page", "after": second[-1]["after"], "has_more": False}])
    assert pull(server, key, "?after=" + "0" * 24)[0] == 409
    assert pull(server, key, "?limit=0")[0] == 400


def test_a_revoked_key_is_refused(server: RunningServer) -> None:
    """The use of a revoked key is refused and recorded; that of a key that never existed is only refused."""
    old = issue_key(server.site)
    overlapping = issue_key(server.site)
    assert (pull(server, old)[0], pull(server, overlapping)[0]) == (200, 200)
    new = issue_key(server.site, "--revoke-previous")
    assert (pull(server, old)[0], pull(server, overlapping)[0], pull(server, new)[0]) == (401, 401, 200)
    assert query_register(
        server.site, "SELECT count(*) FROM release_refusals WHERE reason = 'recipient'"
    ) == [(2,)]
    assert pull(server, "guess")[0] == 401
    assert pull(server, new, name="other")[0] == 401
    assert query_register(server.site, "SELECT count(*) FROM release_refusals") == [(2,)]


def test_a_server_sends_its_feeds_by_itself(tmp_path: Path) -> None:
    """A server sends new records to a webhook by itself, until the contract is insufficient."""
    failing, local = b'avowal_feed_delivery_failed{processor="guard"} 1.0', {"X-Forwarded-For": "127.0.0.1"}
    with run_webhook([200]) as (url, received):
        site = site_with_processor(
            tmp_path,
            f'{SETTINGS}\n[[feed]]\nprocessor = "guard"\ndestination = "{url}"\ninterval_seconds = 1\n',
        )
        with start_server(site) as server:
            wait_until(lambda: len(received) == 1, "the first page")
            site.import_logs(site.log("b.log", line(9, "/later", start=RECENT, address=BEN)))
            wait_until(lambda: len(received) == 2, "the new record")  # one more page
            tamper(
                site,
                "UPDATE processors SET contract_text = replace(contract_text, '2026-01-01', '2099-01-01')",
            )
            wait_until(
                lambda: failing in server.request("GET", "/metrics", headers=local).body, "the feed to stop"
            )
            assert server.request("GET", "/readyz").status == 200
    assert b"/later" in received[1][1]


def test_a_proxy_without_a_contract_is_reported(site: Site) -> None:
    """A trusted proxy in a network that no contract names is reported, unless the network is the site's own."""
    (site.folder / "avowal.toml").write_text(
        '[serve]\ntrusted_proxies = ["127.0.0.0/8", "10.0.0.0/9", "203.0.113.0/25"]\n'
    )
    result = site.avowal("processor", "check", "--json")
    assert (result.status, result.json()["undeclared_proxies"]) == (1, ["203.0.113.0/25"])
    add_processor(site, CONTRACT.replace("begins", 'networks = ["203.0.113.0/24"]\nbegins'))
    assert site.avowal("processor", "check").status == 0
    path = site.folder / "policy" / "processors" / "guard.toml"
    path.write_text(CONTRACT.replace("begins", 'networks = ["203.0.113.0/33"]\nbegins'))
    assert "which is not a network" in site.avowal("processor", "check").err
    path.write_text(CONTRACT.replace("begins", 'deletes-within = "forever"\nbegins'))
    assert "deletes-within" in site.avowal("processor", "check").err


def test_an_interrupted_run_loses_no_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a run ends while it writes or records a page, the page is provided by the next run."""

    def interrupt(*_: object) -> int:
        raise InterruptedRun

    with monkeypatch.context() as patch:
        patch.setattr(Feeds, "record_page", interrupt)
        with pytest.raises(InterruptedRun):
            feed(site)
    assert [path.suffix for path in (site.folder / "out").iterdir()] == [".new"]
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt_rename(".new"))
        with pytest.raises(InterruptedRun):
            feed(site)
    assert query_register(site, "SELECT count(*) FROM feed_pages") == [(1,)]
    assert feed(site).json()["pages"] == 0
    assert len(select_kind(take_lines(site), "record")) == 4


class InterruptedRun(BaseException):
    """A simulated end of the process."""


def interrupt_rename(suffix: str) -> Callable[[Path, Path], Path]:
    """Return a `Path.replace` that ends the run before it renames a file with a suffix."""
    rename = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path.suffix == suffix:
            raise InterruptedRun
        return rename(path, target)

    return replace


def test_an_earlier_position_restarts_the_feed(server: RunningServer) -> None:
    """A processor that asks from an earlier position deletes everything and gets all records again."""
    key = issue_key(server.site)
    first = pull(server, key, "?limit=2")[1]
    second = pull(server, key, f"?limit=2&after={first[-1]['after']}")[1]
    pull(server, key, f"?after={second[-1]['after']}")
    restarted = pull(server, key, f"?after={first[-1]['after']}")[1]
    assert (restarted[0], len(select_kind(restarted, "record"))) == ({"kind": "delete-all"}, 4)
    assert select_kind(pull(server, key, f"?after={restarted[-1]['after']}")[1], "delete-all") == []


def test_changes_are_deleted_once_every_processor_has_them(site: Site) -> None:
    """Retention deletes recorded changes only after every processor acknowledged them."""
    feed(site)
    take_lines(site)
    visitor = site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["visitor"]
    assert site.avowal("visitor", "erase", visitor, "--expected-records", "3").status == 0
    assert site.avowal("retain").status == 0
    assert len(site.rows("SELECT * FROM record_changes")) == 3
    assert feed(site).json()["deletions"] == 3
    take_lines(site)
    feed(site)
    assert site.avowal("retain").status == 0
    assert site.rows("SELECT * FROM record_changes") == []


LONG_PATHS = """
vocabulary = 2
controller = "A"
contact = "a@example.org"
updated = 2026-01-01
languages = ["en"]
[[collect]]
categories = ["request-time", "request-kind", "bot", "host", "visitor-id"]
keep = { full = "10 days" }
for = ["content"]
[[collect]]
categories = ["page-path"]
keep = { full = "90 days" }
for = ["content"]
[[disclose]]
categories = ["request-time"]
keep = { full = "3 days" }
to = "processor"
for = ["third-party-service"]
[[disclose]]
categories = ["page-path"]
keep = { full = "90 days" }
to = "processor"
for = ["third-party-service"]
[duties]
may-erase = true
"""
LONG_PATHS_CONTRACT = """
vocabulary = 2
processor = "Example Flood Protection Ltd"
contact = "privacy@protection.example"
service = ["third-party-service"]
begins = 2026-01-01
receive = [
    { categories = ["request-time"], keep = { full = "3 days" }, for = ["third-party-service"] },
    { categories = ["page-path"], keep = { full = "90 days" }, for = ["third-party-service"] },
]
duties = { may-erase = true }
"""


@pytest.mark.parametrize(("days", "by"), [(5, "visitor"), (11, "operator")])
def test_a_deletion_is_told_while_a_processor_may_keep_a_value(tmp_path: Path, days: int, by: str) -> None:
    """A path may be kept for 90 days, the time for 3: the processor is told of an erasure, and of the operator's deletion."""
    site, noon = Site(tmp_path), datetime(2026, 2, 1, 12)  # noqa: DTZ001  # UTC without a zone
    (tmp_path / "out").mkdir()
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "terms.toml").write_text(LONG_PATHS)
    (tmp_path / "policy" / "en.md").write_text("---\ntitle: Privacy\nlang: en\n---\n# Privacy\n")
    (tmp_path / "avowal.toml").write_text("")
    with moved_clock(noon) as clock:
        site.import_logs(site.log("a.log", line(-5, "/a", start=noon, address=ANN)))
        visitor = f"{site.rows('SELECT visitor_id FROM requests')[0][0]:016x}"
        add_processor(site, LONG_PATHS_CONTRACT)
        assert feed(site).json()["records"] == {"requests": 1}
        (record,) = select_kind(take_lines(site), "record")
        assert record["keep_until"]["page_path"] > "2026-05"
        clock.advance(days=days)
        if by == "visitor":
            assert site.avowal("visitor", "erase", visitor, "--expected-records", 1).status == 0
        else:
            assert site.avowal("retain").status == 0
            assert site.rows("SELECT count(*) FROM requests") == [(0,)]
        feed(site)
        assert [row["ids"] for row in select_kind(take_lines(site), "delete")] == [[record["id"]]]
        assert site.avowal("verify").status == 0
