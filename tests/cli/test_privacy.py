"""No command writes data to disk that the terms do not admit: every byte that a command leaves is searched."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from support.site import AVOWAL, FIREFOX, Site, wait_until

FAULTS = Path(__file__).parents[1] / "support" / "faults.py"

V4, V6 = "203.0.113.77", "2001:db8:5ec:7e7:a:b:c:d"
TEXTS = {
    "address": (V4, V6),
    "network": ("203.0.113.0/24", "2001:db8:5ec::/48"),
    "user": ("u5b0e3a17c9d24f68",),
    "path": ("p8f1c6d20a47be935",),
    "query": ("q7a92e5d30c18fb46",),
    "referrer": ("r41d8f60b7e29c5a3",),
    "referrer query": ("s9c36a1e8d05f7b24",),
    "user agent": ("a2e7d94c15b80f63",),
    "cookie": ("c60b3f8a9d71e254",),
    "further field": ("f18e5c07ad93b642",),
}
"""What stands in each line; random digits, so that they stay readable where texts are compressed."""

NEVER = {"user", "user agent", "cookie", "further field"}
"""There is no word by which terms could let these in."""

BY_DEFAULT = {"address", "path", "referrer"}
"""What the terms that come with Avowal let in of a line of today."""

ADDRESS_LINE = '[[collect]]\ncategories = ["ip-address"]\nkeep = { full = "7 days", prefix = "90 days" }\nfor = ["availability", "performance", "content", "abuse"]\n'
REFERRER_LINE = '[[collect]]\ncategories = ["referrer"]\nkeep = { page = "forever" }\nfor = ["availability", "performance", "content", "abuse"]\n'
QUERY_LINE = '[[collect]]\ncategories = ["page-query"]\nkeep = { full = "forever" }\nfor = ["content"]\n'


def marked_line(moment: datetime, address: str) -> str:
    """Write a line of the combined format, with a cookie and one more field, in which everything is marked."""
    markers = {name: texts[0] for name, texts in TEXTS.items()}
    return (
        f"{address} - {markers['user']} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"GET /{markers["path"]}?token={markers["query"]}&x={markers["user"]} HTTP/1.1" 200 512 '
        f'"https://example.net/{markers["referrer"]}?q={markers["referrer query"]}" '
        f'"{FIREFOX} {markers["user agent"]}" "session={markers["cookie"]}" "{markers["further field"]}"'
    )


def make_log(age: timedelta) -> str:
    """Write a log: good lines, and every kind of damage that carries what no message and no file may bear."""
    moment = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - age
    good = [
        marked_line(moment - timedelta(seconds=second), address)
        for second in range(30)
        for address in (V4, V6)
    ]
    line = good[0]
    bad = [
        *(line[:cut] for cut in (20, 60, 100, 150, 200, 260, 300)),
        line[:150] + line,
        line.replace('"', "'"),
        line.replace("/20", "/99"),
        line.replace("[", "").replace("]", ""),
        f"\0{line}",
        line.replace(" ", "\0"),
        line + "x" * 70_000,
        line[40:],
        json.dumps({"line": line}),
        f"#Remark: {line}",
        f"#Fields: {line}",
        line.encode("utf-16-le").decode("latin-1").replace("\n", ""),
    ]
    return "\n".join([*good, *bad, line[:130]])


@dataclass(frozen=True)
class SearchedSite:
    """A site, and every folder that a command of it could write to; the log is outside of them."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, root: Path, *changes: tuple[str, str], age: timedelta = timedelta()) -> "SearchedSite":
        """Make the folders, the terms with changes, and the log."""
        names = {"HOME": "home", "TMPDIR": "temporary", "XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "share"}
        searched = cls(root / "world", {key: str(root / "world" / name) for key, name in names.items()})
        for folder in ("site", *names.values()):
            (searched.root / folder).mkdir(parents=True)
        searched.site.init(*changes, settings='[collect]\nlog_format = "combined"\n')
        searched.log.write_text(make_log(age), encoding="utf-8")
        return searched

    @property
    def site(self) -> Site:
        """Return the site."""
        return Site(self.root / "site", self.environment)

    @property
    def log(self) -> Path:
        """Return the log, which is outside of everything that is searched."""
        return self.root.with_name("access.log")

    def avowal(self, *arguments: object) -> "subprocess.CompletedProcess[bytes]":
        """Run a command as a process of its own."""
        return subprocess.run(
            [AVOWAL, *map(str, arguments)],
            cwd=self.site.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def left_behind(self) -> Iterator[bytes]:
        """Give all that lies in the folders: the bytes of each file, and what stands in tables and segments."""
        for path in sorted(self.root.rglob("*")):
            yield str(path.relative_to(self.root)).encode()
            if path.is_file():
                yield path.read_bytes()
            if path.suffix == ".parquet":
                yield repr(pl.read_parquet(path).rows()).encode()
                yield repr(pl.read_parquet_metadata(path)).encode()
            elif path.suffix == ".duckdb":
                yield tables(path)

    def raw(self) -> bytes:
        """Return the bytes of all files, as they lie there."""
        return b"\n".join(path.read_bytes() for path in sorted(self.root.rglob("*")) if path.is_file())


def tables(store: Path) -> bytes:
    """Return the text of every row of every table, from a copy of a store that may be in use or was left by a crash."""
    copy = store.parent.with_name(f"copy of {store.parent.name}")
    shutil.copytree(store.parent, copy, ignore=shutil.ignore_patterns("*.sock"))
    try:
        with duckdb.connect(copy / store.name) as opened:
            names = opened.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()
            rows = {name: opened.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in names}
    finally:
        shutil.rmtree(copy)
    return repr(rows).encode()


def find_markers(*texts: bytes) -> set[str]:
    """Return what stands in texts: as such, in UTF-16, in hexadecimal, or as the bytes of an address."""
    names = set()
    for name, marks in TEXTS.items():
        for mark in marks:
            forms = [mark.encode(), mark.encode("utf-16-le"), mark.encode().hex().encode()]
            if mark == V4:
                forms += [socket.inet_aton(mark), mark.replace(".", "-").encode()]
            if mark == V6:
                packed = socket.inet_pton(socket.AF_INET6, mark)
                forms += [packed, packed[::-1], packed.hex().encode()]
            if any(form in text for form in forms for text in texts):
                names.add(name)
    return names


DEFAULT, OLD, ANCIENT = timedelta(), timedelta(days=30), timedelta(days=200)
CASES = {
    "default, of today": ((), DEFAULT, BY_DEFAULT),
    "default, of a month ago": ((), OLD, {"network", "path", "referrer"}),
    "default, of long ago": ((), ANCIENT, {"path", "referrer"}),
    "without addresses": (((ADDRESS_LINE, ""),), DEFAULT, {"path", "referrer"}),
    "without referrers": (((REFERRER_LINE, ""),), DEFAULT, {"address", "path"}),
    "with queries": (
        ((REFERRER_LINE, REFERRER_LINE.replace("page", "full") + QUERY_LINE),),
        DEFAULT,
        BY_DEFAULT | {"query", "referrer query", "user"},
    ),
}
"""For each: what is changed in the terms, how old the lines are, and what may be found. A user's name stands in the
query, too, so that it is let in with that."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SearchedSite, set[str]]:
    changes, age, allowed = CASES[request.param]
    return SearchedSite.create(tmp_path, *changes, age=age), allowed


def test_the_search_finds_every_marker(tmp_path: Path) -> None:
    """The search that the other tests rely on finds every marker in a file, in a table and in a segment."""
    everything = set(TEXTS) - {"network"}
    searched = SearchedSite.create(tmp_path)
    assert find_markers(*searched.left_behind()) == set()
    text = make_log(timedelta())
    (searched.root / "temporary" / "forgotten").write_text(text)
    assert find_markers(*searched.left_behind()) == everything
    (searched.root / "temporary" / "forgotten").write_bytes(socket.inet_pton(socket.AF_INET6, V6))
    assert find_markers(*searched.left_behind()) == {"address"}
    (searched.root / "temporary" / "forgotten").unlink()
    lines = pl.DataFrame({"line": text.splitlines()})
    lines.write_parquet(searched.root / "home" / "x.parquet", compression="zstd")
    assert find_markers(*searched.left_behind()) == everything
    (searched.root / "home" / "x.parquet").unlink()
    with duckdb.connect(searched.root / "home" / "x.duckdb") as store:
        store.execute(
            "CREATE TABLE forgotten AS SELECT unnest($1) AS line", [text.replace("\0", "").splitlines()]
        )
    assert find_markers(*searched.left_behind()) == everything


def test_an_import_leaves_only_admitted_data(case: tuple[SearchedSite, set[str]]) -> None:
    """Under any terms and at any age, files and messages contain the admitted data and nothing else of the log."""
    searched, allowed = case
    result = searched.avowal("import", searched.log, "--max-unparsable-percent", "100")
    assert result.returncode == 0, result.stderr
    assert find_markers(*searched.left_behind()) == allowed
    assert find_markers(result.stdout, result.stderr) == set()
    ((requests, unparsable_lines),) = searched.site.rows(
        "SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM unparsable_lines)"
    )
    assert requests >= 60
    assert unparsable_lines >= 10


def test_admitted_data_is_found_in_the_bytes(tmp_path: Path) -> None:
    """Admitted data is found in the plain bytes of the files, so that a search for other data is meaningful."""
    searched = SearchedSite.create(tmp_path)
    searched.avowal("import", searched.log, "--max-unparsable-percent", "100")
    assert {"path", "referrer"} <= find_markers(searched.raw()) <= BY_DEFAULT


def test_unparsable_lines_are_printed_only_to_standard_output(tmp_path: Path) -> None:
    """`--show-unparsable` prints markers to standard output, and none to standard error or to a file."""
    searched = SearchedSite.create(tmp_path)
    for _ in range(2):
        result = searched.avowal("import", searched.log, "--show-unparsable")
        assert find_markers(result.stdout) >= NEVER | {"query", "address"}
        assert find_markers(result.stderr) == set()
        assert find_markers(*searched.left_behind()) == BY_DEFAULT


@pytest.mark.parametrize(
    "arguments",
    [["--json"], ["--format", "caddy-json"], ["--format", "%h %t %T %U"], ["--max-unparsable-percent", "0"]],
)
def test_no_message_quotes_a_log(tmp_path: Path, arguments: list[str]) -> None:
    """No message of an import, in any format, quotes the log."""
    searched = SearchedSite.create(tmp_path)
    result = searched.avowal("import", searched.log, *arguments)
    assert result.returncode in {0, 1}, result.stderr
    assert b"Traceback" not in result.stderr
    assert find_markers(result.stdout, result.stderr) == set()
    assert find_markers(*searched.left_behind()) <= BY_DEFAULT


def test_reports_show_only_paths_and_sites(tmp_path: Path) -> None:
    """No report contains an address, a query string, a user or a user agent."""
    searched = SearchedSite.create(tmp_path)
    searched.avowal("import", searched.log, "--max-unparsable-percent", "100")
    for name in ("pages", "sources", "technology", "availability"):
        result = searched.avowal("report", name, "--json")
        assert result.returncode == 0
        assert find_markers(result.stdout, result.stderr) <= {"path"}


def test_segments_for_the_owner_contain_only_admitted_data(case: tuple[SearchedSite, set[str]]) -> None:
    """An import that passes segments to the owner of the folder leaves only admitted data on disk."""
    searched, allowed = case
    with searched.site.start("follow", "other.log") as follow:
        follow.wait_for("following")
        result = searched.avowal("import", searched.log, "--max-unparsable-percent", "100")
        assert result.returncode == 0, result.stderr
        assert find_markers(*searched.left_behind()) == allowed
        assert follow.end(signal.SIGTERM) == 0
        assert find_markers(follow.read_output().encode(), result.stdout, result.stderr) == set()
    assert find_markers(*searched.left_behind()) == allowed


def test_following_a_log_leaves_only_admitted_data(case: tuple[SearchedSite, set[str]]) -> None:
    """A follower that is stopped or killed leaves only admitted data, and prints none of it."""
    searched, allowed = case
    name = TEXTS["path"][0]
    for stop in (signal.SIGKILL, signal.SIGTERM):
        with searched.site.start("follow", searched.log) as follow:
            follow.wait_for("following")

            def is_in() -> bool:
                result = searched.avowal("report", "pages", "--json")
                return name in result.stdout.decode()

            wait_until(is_in, "views of the marked page")
            follow.end(stop)
            assert find_markers(follow.read_output().encode()) == set()
        assert find_markers(*searched.left_behind()) == allowed


KILLS = [
    ("import", "after salts rename", False, set()),
    ("import", "before records insert", False, set()),
    ("import", "before load commit", False, set()),
    ("import", "after load commit", False, {"path", "referrer"}),
    ("import", "before views insert", False, {"path", "referrer"}),
    ("import", "before derive commit", False, {"path", "referrer"}),
    ("import", "before store close", False, {"path", "referrer"}),
    ("import", "before segment rename", True, set()),
    ("import", "after segment rename", True, {"path", "referrer"}),
    ("import", "before request to load-segments", True, {"path", "referrer"}),
    ("owner", "before records insert", True, {"path", "referrer"}),
    ("owner", "after load commit", True, {"path", "referrer"}),
    ("owner", "before segment unlink", True, {"path", "referrer"}),
]
"""Who is killed, when, whether it has an owner beside it, and what must be on the disk by then."""


@pytest.mark.parametrize(
    ("role", "moment", "has_owner", "required"), KILLS, ids=[f"{kill[0]} {kill[1]}" for kill in KILLS]
)
def test_a_killed_import_leaves_only_admitted_data(
    tmp_path: Path, role: str, moment: str, has_owner: bool, required: set[str]
) -> None:
    """The segments and the write-ahead log of a killed process contain only admitted data."""
    searched = SearchedSite.create(tmp_path)
    scene = {
        "folder": str(searched.site.folder),
        "arguments": [str(searched.log), "--max-unparsable-percent", "100"],
        "environment": searched.environment,
        "imports": [(moment, 1) if role == "import" else ("", 0)],
        **({"owner": (moment, 1) if role == "owner" else ("", 0)} if has_owner else {}),
    }
    result = subprocess.run(
        [sys.executable, str(FAULTS)], input=json.dumps(scene), capture_output=True, text=True, check=True
    )
    statuses = json.loads(result.stdout)
    assert (statuses["owner"] if role == "owner" else statuses["imports"][0]) == -9
    markers = find_markers(*searched.left_behind())
    assert required <= markers <= BY_DEFAULT
    assert find_markers(result.stderr.encode()) == set()


def test_the_environment_moves_no_data_elsewhere(tmp_path: Path) -> None:
    """An import leaves no file outside its data folder and its keys folder."""
    searched = SearchedSite.create(tmp_path)
    before = {path for path in searched.root.rglob("*") if path.is_file()}
    searched.avowal("import", searched.log, "--max-unparsable-percent", "100")
    new_files = {path.relative_to(searched.root) for path in searched.root.rglob("*") if path.is_file()} - {
        path.relative_to(searched.root) for path in before
    }
    assert {path.parts[:2] for path in new_files} == {("site", "data"), ("site", "keys")}
    assert {path.name for path in new_files if "keys" in path.parts} == {
        "ledger.checkpoint",
        "ledger.key",
        "salts.json",
        "salts.lock",
        "log.key",
        "register.seal",
    }
    with contextlib.suppress(FileNotFoundError):
        assert not list((searched.site.data / "spill").iterdir())
