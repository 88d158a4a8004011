"""What erasures cost a server: nothing if nothing is held, and one rewrite of the store for many."""

import re
import threading
from collections.abc import Iterator
from importlib import resources

import pytest

from avowal.server import background
from avowal.server.background import BackgroundWorker
from avowal.verify.last_result import RESULT_FILE
from support.running_server import SAME_ORIGIN, SETTINGS, RunningServer, cookie_headers, start_server
from support.site import Site, wait_until

HELD = "held" + "h" * 18


def count_entries(server: RunningServer) -> int:
    """Return the size of the ledger."""
    checkpoint = server.request("GET", "/privacy/ledger/checkpoint").body.decode()
    return int(checkpoint.splitlines()[1])


def register_log_bytes(server: RunningServer) -> int:
    """Return the size of the register's write-ahead log, to which each transaction adds."""
    return (server.site.data / "register.sqlite-wal").stat().st_size


def is_idle(server: RunningServer) -> bool:
    """Return whether the server has verified the folder, which is the last of its tasks at the start."""
    return (server.site.data / RESULT_FILE).exists()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(Site(tmp_path_factory.mktemp("site")).init(settings=SETTINGS)) as server:
        yield server


def test_an_invented_cookie_costs_no_entry_and_no_rewrite(server: RunningServer) -> None:
    """Requests with a cookie under which nothing is stored record nothing, write nothing, and remove the cookie."""
    entries = count_entries(server)
    store = server.site.data / "avowal.duckdb"
    inode = store.stat().st_ino
    wait_until(lambda: is_idle(server), "the tasks of the start to end")
    register = register_log_bytes(server)
    for number in range(20):
        sender = {**SAME_ORIGIN, "X-Forwarded-For": f"2001:db8:1:{number:x}::1"}
        headers = cookie_headers(f"invented{number:014}", **sender)
        erasure = server.request("POST", "/privacy/me/erasure", headers=headers)
        assert (erasure.status, erasure.json()["code"]) == (404, "nothing-stored")
        assert "Max-Age=0" in erasure.headers["set-cookie"]
        export = server.request("GET", "/privacy/me/export", headers=headers)
        assert (export.status, export.json()["code"]) == (404, "nothing-stored")
        assert server.request("GET", "/privacy/me", headers=headers).status == 200
        for decision in ("consent", "withdrawal"):
            path = f"/privacy/me/{decision}/{'0' * 64}"
            assert server.request("POST", path, headers=headers).status == 409
        tab = server.request(
            "POST", "/privacy/me/tab/erasure", f"script_views=x{number:011}".encode(), headers
        )
        assert tab.status == 404
    assert count_entries(server) == entries
    assert store.stat().st_ino == inode
    assert register_log_bytes(server) == register


def test_a_person_reads_that_nothing_is_held(server: RunningServer) -> None:
    """A browser gets a page with status 404."""
    headers = cookie_headers("i" * 22, **SAME_ORIGIN, Accept="text/html")
    answer = server.request("POST", "/privacy/me/erasure", headers=headers)
    assert (answer.status, b"We hold no data" in answer.body) == (404, True)


def test_decisions_are_limited_by_network(server: RunningServer) -> None:
    """Erasures of one network beyond the limit are answered with status 429; those of another network are not."""
    headers = cookie_headers("i" * 22, **SAME_ORIGIN, **{"X-Forwarded-For": "2001:db8::1"})
    statuses = [server.request("POST", "/privacy/me/erasure", headers=headers).status for _ in range(61)]
    assert set(statuses) == {404, 429}
    same = server.request(
        "POST", "/privacy/me/erasure", headers={**headers, "X-Forwarded-For": "2001:db8::2"}
    )
    assert 1 <= int(same.headers["retry-after"]) <= 60
    other = {**headers, "X-Forwarded-For": "2001:db8:0:1::1"}
    assert server.request("POST", "/privacy/me/erasure", headers=other).status == 404
    assert server.request("GET", "/privacy/", headers=headers).status == 200


def test_an_erasure_of_what_is_held_is_recorded_once(server: RunningServer) -> None:
    """A visitor's erasure has an entry; the same again has none."""
    headers = cookie_headers(HELD, **SAME_ORIGIN)
    assert server.send_event(headers).status == 202
    wait_until(lambda: server.request("GET", "/privacy/me/export", headers=headers).status == 200, "the view")
    entries = count_entries(server)
    assert (
        server.request("POST", "/privacy/me/erasure", headers=headers).json()["erased"]["script_views"] == 1
    )
    assert server.request("POST", "/privacy/me/erasure", headers=headers).status == 404
    assert count_entries(server) == entries + 1


def test_rewrites_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many erasures there are, the file is rewritten once in an interval, and when the server stops."""
    rounds, rewrites = threading.Semaphore(0), list[bool]()
    monkeypatch.setattr(background, "LOAD_INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr(background, "lower_thread_priority", lambda: None)

    def load() -> bool:
        rounds.release()
        return False

    def compact() -> bool:
        rewrites.append(True)
        return True

    def do_nothing() -> None:
        pass

    worker = BackgroundWorker(load, do_nothing, do_nothing, do_nothing, compact)
    worker.thread.start()
    for _ in range(20):
        assert rounds.acquire(timeout=60)
    assert len(rewrites) == 1
    worker.stop()
    assert len(rewrites) == 2


def test_everything_about_a_visitor_counts_as_held() -> None:
    """The statement that says whether the register holds anything asks each table that has visitors."""
    folder = resources.files("avowal.register") / "sql"
    tables = re.findall(
        r"CREATE TABLE (\w+) \((.*?)\)(?: WITHOUT ROWID)?;", (folder / "schema.sql").read_text(), re.DOTALL
    )
    with_visitors = {name for name, columns in tables if re.search(r"visitor\s+TEXT|selector_kind", columns)}
    text = (folder / "erasures.sql").read_text().rpartition("-- name: select_is_held")[2]
    assert set(re.findall(r"EXISTS \(SELECT 1 FROM (\w+)", text)) == with_visitors - {"pending_erasures"}
