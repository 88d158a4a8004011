"""Kill -9 at any moment: nothing that was acknowledged is lost, nothing is counted twice, and the store opens.

There are more than a hundred kills; each test says how many of them are its own.
"""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import duckdb
import pytest

from support.site import CHROME, FIREFOX, GOOGLEBOT, KEPT, Site, kept, line

KILLED = -9
RUNNERS = 2
NOT_KILLED = ("", 0)

Moment = tuple[str, int]
"""The name of a moment, and which time it comes."""

SCATTERED = [
    *(
        line(
            n * 17 % 97 * 2.6,
            f"/page/{n}" if n % 7 else f"/paper/{n}.pdf",
            address=f"192.0.2.{n % 9}",
            agent=(FIREFOX, CHROME, GOOGLEBOT)[n * 5 % 11 % 3],
        )
        for n in range(110)
    ),
    "no line of a log\n",
    "\n",
]
random.Random(7).shuffle(SCATTERED)


@dataclass
class Stage:
    """Logs, what an undisturbed import makes of them, and runners that play scenes."""

    folder: Path
    runners: "Queue[subprocess.Popen[str]]" = field(default_factory=Queue)
    expected: dict[str, Any] = field(default_factory=dict)

    def play(self, name: str, **scene: Any) -> tuple[Site, dict[str, Any]]:
        """Play a scene in the folder of this name."""
        site = Site(self.folder / name)
        site.folder.mkdir(exist_ok=True)
        logs = [str(self.folder / "first.log"), str(self.folder / "second.log")]
        arguments = [*logs, "--format", "combined", "--max-bad", "100"]
        runner = self.runners.get()
        try:
            assert runner.stdin
            assert runner.stdout
            told = {"folder": str(site.folder), "arguments": arguments, **scene}
            runner.stdin.write(json.dumps(told) + "\n")
            runner.stdin.flush()
            return site, json.loads(runner.stdout.readline())
        finally:
            self.runners.put(runner)

    def moments(self, role: str, **scene: Any) -> dict[str, int]:
        """Return how often each moment comes for a role, where nobody is killed."""
        site, _ = self.play(f"moments of {role} {len(scene)}", imports=[NOT_KILLED], **scene)
        found = json.loads((site.folder / f"{role}.moments").read_text())
        assert isinstance(found, dict)
        return found

    def finish(self, site: Site) -> list[str]:
        """Import to the end, and return what is wrong then."""
        before = accounted(site)
        _, ended = self.play(site.folder.name, imports=[NOT_KILLED])
        said = (site.folder / "import.said").read_text()
        if ended["imports"] != [0]:
            return [f"the import after it ended with {ended['imports']}: {said}"]
        found = kept(site)
        wrong = [f"other {name}" for name in KEPT if found[name] != self.expected[name]]
        ((lines, _),) = self.expected["lines"]
        if before is not None and json.loads(said)["lines"] != lines - before:
            wrong.append(f"{json.loads(said)['lines']} lines told after {before} of {lines}")
        if left := list((site.data / "segments").glob("*.parquet")):
            wrong.append(f"{len(left)} segments left")
        return wrong


def accounted(site: Site) -> int | None:
    """Open a copy of a store as it was left, and return how many lines were counted; none where segments wait."""
    if not (site.data / "avowal.duckdb").exists():
        return 0
    copy = site.folder / "copy"
    shutil.copytree(site.data, copy, ignore=shutil.ignore_patterns("*.sock"))
    with duckdb.connect(copy / "avowal.duckdb") as store:
        tables = {name for (name,) in store.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        lines = 0
        if "logs" in tables:
            sql = "SELECT coalesce(sum(lines), 0), coalesce(sum(requests), 0) FROM logs"
            ((lines, requests),) = store.execute(sql).fetchall()
            assert store.execute("SELECT count(*) FROM requests").fetchall() == [(requests,)]
    waiting = list((copy / "segments").glob("*.parquet"))
    shutil.rmtree(copy)
    return None if waiting else int(lines)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("stage"))
    (stage.folder / "first.log").write_text("".join(SCATTERED[:80]))
    (stage.folder / "second.log").write_text("".join(SCATTERED[80:])[:-30])
    command = [sys.executable, str(Path(__file__).parents[1] / "support" / "faults.py")]
    for _ in range(RUNNERS):
        stage.runners.put(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    site, ended = stage.play("undisturbed", imports=[NOT_KILLED])
    assert ended["imports"] == [0]
    stage.expected = kept(site)
    yield stage
    for _ in range(RUNNERS):
        runner = stage.runners.get()
        runner.communicate()


def otherwise(site: Site, ended: dict[str, Any]) -> str:
    """Tell how a scene ended that should have ended in another way."""
    return f"ended with {ended}: {(site.folder / 'import.said').read_text()}"


def some(moments: dict[str, int], most: int) -> list[Moment]:
    """Choose of each moment its first time, its last, and as many between as there may be."""
    return [
        (name, number)
        for name, times in sorted(moments.items())
        if name != "byte"
        for number in sorted({1 + step * (times - 1) // max(most - 1, 1) for step in range(most)})
    ]


def all_of(moments: list[Any], attempt: Callable[[int, Any], tuple[int, list[str]]]) -> int:
    """Make an attempt for each moment, two at a time; returns the number of kills, and fails with all that is wrong."""
    with ThreadPoolExecutor(RUNNERS) as pool:
        attempts = list(pool.map(attempt, range(len(moments)), moments))
    wrong = {str(moment): told for moment, (_, told) in zip(moments, attempts, strict=True) if told}
    assert not wrong, json.dumps(wrong, indent=1)
    return sum(kills for kills, _ in attempts)


def test_an_import_may_be_killed_at_any_moment(stage: Stage) -> None:
    """An import killed before or after anything that it does, and given again, ends as if nothing had been."""

    def attempt(number: int, moment: Moment) -> tuple[int, list[str]]:
        site, ended = stage.play(f"import {number}", imports=[moment])
        return 1, stage.finish(site) if ended["imports"] == [KILLED] else [otherwise(site, ended)]

    moments = some(stage.moments("import"), 2)
    assert {f"{when} {what}" for when in ("before", "after") for what in DONE_BY_OWNER} <= {
        name for name, _ in moments
    }
    assert all_of(moments, attempt) >= 40


DONE_BY_OWNER = (
    "store open",
    "migrate commit",
    "register commit",
    "listen",
    "key link",
    "salts rename",
    "sync",
    "records insert",
    "account insert",
    "load commit",
    "views delete",
    "views insert",
    "visits insert",
    "derive commit",
    "socket unlink",
    "store close",
)
DONE_BY_GUEST = (
    "sync",
    "segment rename",
    "request to claim-log",
    "request to load-segments",
    "request to derive-views",
)
DONE_FOR_GUEST = ("load commit", "segment unlink", "answer", "derive commit")


def test_an_import_may_be_killed_anywhere_in_its_logs(stage: Stage) -> None:
    """An import killed when it has read any number of bytes, and given again, ends as if nothing had been."""
    read = stage.moments("import")["byte"]

    def attempt(number: int, byte: int) -> tuple[int, list[str]]:
        site, ended = stage.play(f"byte {number}", imports=[("byte", byte)])
        return 1, stage.finish(site) if ended["imports"] == [KILLED] else [otherwise(site, ended)]

    chance = random.Random(20260105)
    assert all_of([chance.randint(1, read) for _ in range(12)], attempt) == 12


def test_an_import_may_be_killed_again_and_again(stage: Stage) -> None:
    """An import killed at one moment, and at another when it is given again, ends as if nothing had been."""
    moments = some(stage.moments("import"), 4)

    def attempt(number: int, chain: list[Moment]) -> tuple[int, list[str]]:
        site, ended = stage.play(f"chain {number}", imports=chain)
        kills = [status for status in ended["imports"] if status == KILLED]
        if set(ended["imports"]) - {KILLED, 0}:
            return 0, [otherwise(site, ended)]
        return len(kills), stage.finish(site)

    chance = random.Random(20260106)
    assert all_of([chance.sample(moments, 5) for _ in range(6)], attempt) >= 15


def test_a_guest_may_be_killed_at_any_moment(stage: Stage) -> None:
    """An import killed while another process owns the folder, and given again beside it, ends as if nothing had been."""

    def attempt(number: int, moment: Moment) -> tuple[int, list[str]]:
        site, ended = stage.play(f"guest {number}", owner=NOT_KILLED, imports=[moment, NOT_KILLED])
        right = ended == {"owner": 0, "imports": [KILLED, 0]}
        return 1, stage.finish(site) if right else [otherwise(site, ended)]

    moments = some(stage.moments("import", owner=NOT_KILLED), 1)
    assert {f"{when} {what}" for when in ("before", "after") for what in DONE_BY_GUEST} <= {
        name for name, _ in moments
    }
    assert all_of(moments, attempt) >= 18


def test_an_owner_may_be_killed_at_any_moment(stage: Stage) -> None:
    """An owner killed at its guest's import, and the next one where it takes up what waits, lose and double nothing."""

    def attempt(number: int, moment: Moment) -> tuple[int, list[str]]:
        site, ended = stage.play(f"owner {number}", owner=moment, imports=[NOT_KILLED])
        if ended["owner"] != KILLED:
            return 0, [otherwise(site, ended)]
        _, then = stage.play(site.folder.name, imports=[("after load commit", 1)])
        return 1 + then["imports"].count(KILLED), stage.finish(site)

    moments = [
        moment
        for moment in some(stage.moments("owner", owner=NOT_KILLED), 2)
        if moment[0].partition(" ")[2] in DONE_FOR_GUEST
    ]
    assert all_of(moments, attempt) >= 20
