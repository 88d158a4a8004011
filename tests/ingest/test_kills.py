"""Imports killed at any moment: no line is lost or counted twice.

Most states are copied during an import. A few kills are real, and all of them in a thorough run.
"""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from support.depth import by_depth, is_thorough
from support.kills import KILLED, NOT_KILLED, KillServer, Moment, choose_moments, count_moments
from support.site import CHROME, FIREFOX, GOOGLEBOT, STORE_QUERIES, Site, line, read_store

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
    """Logs, the result of an undisturbed import of them, and a server that plays scenes."""

    folder: Path
    server: KillServer
    expected: dict[str, Any] = field(default_factory=dict)

    def play(self, name: str, **scene: Any) -> tuple[Site, dict[str, Any]]:
        """Play a scene in the folder of this name."""
        site = Site(self.folder / name)
        site.folder.mkdir(parents=True, exist_ok=True)
        return site, self.server.play(site.folder, arguments=self.arguments, **scene)

    @property
    def arguments(self) -> list[str]:
        """Return the arguments of the import."""
        logs = [str(self.folder / "first.log"), str(self.folder / "second.log")]
        return [*logs, "--format", "combined", "--max-unparsable-percent", "100"]

    def moments(self, role: str, **scene: Any) -> dict[str, int]:
        """Return how often each moment comes for a role if nothing is killed."""
        site, _ = self.play(f"moments of {role} {len(scene)}", imports=[NOT_KILLED], **scene)
        return count_moments(site.folder, role)

    def finish(self, site: Site) -> list[str]:
        """Import to the end, and return what is wrong afterwards."""
        before = count_stored_lines(site)
        _, statuses = self.play(str(site.folder.relative_to(self.folder)), imports=[NOT_KILLED])
        output = (site.folder / "import.output").read_text()
        if statuses["imports"] != [0]:
            return [f"the import after it ended with {statuses['imports']}: {output}"]
        stored = read_store(site)
        all_problems = [f"other {name}" for name in STORE_QUERIES if stored[name] != self.expected[name]]
        ((lines, _),) = self.expected["lines"]
        if before is not None and json.loads(output)["counts"]["lines"] != lines - before:
            all_problems.append(
                f"{json.loads(output)['counts']['lines']} lines reported after {before} of {lines}"
            )
        if segments := list((site.data / "segments").glob("*.parquet")):
            all_problems.append(f"{len(segments)} segments left")
        return all_problems


def count_stored_lines(site: Site) -> int | None:
    """Return how many lines a copy of the store has counted, or None if segments are waiting."""
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
def stage(tmp_path_factory: pytest.TempPathFactory, kill_server: KillServer) -> Stage:
    stage = Stage(tmp_path_factory.mktemp("stage"), kill_server)
    (stage.folder / "first.log").write_text("".join(SCATTERED[:80]))
    (stage.folder / "second.log").write_text("".join(SCATTERED[80:])[:-30])
    site, statuses = stage.play("undisturbed", imports=[NOT_KILLED])
    assert statuses["imports"] == [0]
    stage.expected = read_store(site)
    return stage


def describe_end(site: Site, statuses: dict[str, Any]) -> str:
    """Describe a scene that did not end as expected."""
    return f"ended with {statuses}: {(site.folder / 'import.output').read_text()}"


def run_attempts(moments: list[Any], attempt: Callable[[int, Any], tuple[int, list[str]]]) -> int:
    """Run an attempt for each moment; returns the number of kills. Fails with everything that is wrong."""
    attempts = [attempt(number, moment) for number, moment in enumerate(moments)]
    all_problems = {
        str(moment): problems for moment, (_, problems) in zip(moments, attempts, strict=True) if problems
    }
    assert not all_problems, json.dumps(all_problems, indent=1)
    return sum(kills for kills, _ in attempts)


def test_an_import_killed_at_any_moment_can_be_repeated(stage: Stage) -> None:
    """After a kill before or after any write, a repeated import ends like an undisturbed one."""
    site = Site(stage.folder / "states")
    site.folder.mkdir()
    states = stage.server.states(site, arguments=stage.arguments)
    names = {moment.rpartition(" ")[0] for moments, _ in states for moment in moments.split(", ")}
    assert {f"{when} {event}" for when in ("before", "after") for event in DONE_BY_OWNER} <= names
    assert len(states) >= 25
    all_problems = {
        moments: problems for moments, folder in states if (problems := stage.finish(Site(folder)))
    }
    assert not all_problems, json.dumps(all_problems, indent=1)


def test_a_killed_import_leaves_no_lock_behind(stage: Stage) -> None:
    """After a real kill at some moments (at all in a thorough run) the import can be repeated."""

    def attempt(number: int, moment: Moment) -> tuple[int, list[str]]:
        site, statuses = stage.play(f"import {number}", imports=[moment])
        return 1, stage.finish(site) if statuses["imports"] == [KILLED] else [describe_end(site, statuses)]

    moments = choose_moments(stage.moments("import"), None if is_thorough() else 1)
    if not is_thorough():
        moments = random.Random(20260107).sample(moments, 8)
    assert run_attempts(moments, attempt) == len(moments)


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
    "views insert",
    "visits insert",
    "derive commit",
    "socket unlink",
    "store close",
)
DONE_BY_CLIENT = (
    "sync",
    "segment rename",
    "request to claim-log",
    "request to load-segments",
    "request to derive-views",
)
DONE_FOR_CLIENT = ("load commit", "segment unlink", "answer", "derive commit")


def test_an_import_killed_at_any_byte_can_be_repeated(stage: Stage) -> None:
    """After a kill at any number of read bytes, a repeated import ends like an undisturbed one."""
    byte_count = stage.moments("import")["byte"]

    def attempt(number: int, byte: int) -> tuple[int, list[str]]:
        site, statuses = stage.play(f"byte {number}", imports=[("byte", byte)])
        return 1, stage.finish(site) if statuses["imports"] == [KILLED] else [describe_end(site, statuses)]

    chance = random.Random(20260105)
    kills = by_depth(standard=6, thorough=24)
    assert run_attempts([chance.randint(1, byte_count) for _ in range(kills)], attempt) == kills


def test_an_import_killed_several_times_can_be_repeated(stage: Stage) -> None:
    """After several kills at different moments, a repeated import ends like an undisturbed one."""
    moments = choose_moments(stage.moments("import"), 4)

    def attempt(number: int, chain: list[Moment]) -> tuple[int, list[str]]:
        site, statuses = stage.play(f"chain {number}", imports=chain)
        kills = [status for status in statuses["imports"] if status == KILLED]
        if set(statuses["imports"]) - {KILLED, 0}:
            return 0, [describe_end(site, statuses)]
        return len(kills), stage.finish(site)

    chance = random.Random(20260106)
    chains = by_depth(standard=3, thorough=12)
    assert run_attempts([chance.sample(moments, 5) for _ in range(chains)], attempt) >= 2 * chains


def test_a_client_killed_at_any_moment_can_be_repeated(stage: Stage) -> None:
    """An import that was killed while another process owns the folder can be repeated beside it."""

    def attempt(number: int, moment: Moment) -> tuple[int, list[str]]:
        site, statuses = stage.play(f"client {number}", owner=NOT_KILLED, imports=[moment, NOT_KILLED])
        is_as_expected = statuses == {"owner": 0, "imports": [KILLED, 0]}
        return 1, stage.finish(site) if is_as_expected else [describe_end(site, statuses)]

    moments = choose_moments(
        stage.moments("import", owner=NOT_KILLED), by_depth(standard=1, thorough=3, quick=1)
    )
    assert {f"{when} {event}" for when in ("before", "after") for event in DONE_BY_CLIENT} <= {
        name for name, _ in moments
    }
    assert run_attempts(moments, attempt) >= 18


def test_an_owner_killed_at_any_moment_loses_no_line(stage: Stage) -> None:
    """If the owner is killed during a client's import, and then the next owner, no line is lost or repeated."""

    def attempt(number: int, moment: Moment) -> tuple[int, list[str]]:
        site, statuses = stage.play(f"owner {number}", owner=moment, imports=[NOT_KILLED])
        if statuses["owner"] != KILLED:
            return 0, [describe_end(site, statuses)]
        _, next_statuses = stage.play(site.folder.name, imports=[("after load commit", 1)])
        return 1 + next_statuses["imports"].count(KILLED), stage.finish(site)

    moments = [
        moment
        for moment in choose_moments(
            stage.moments("owner", owner=NOT_KILLED), by_depth(standard=2, thorough=5, quick=1)
        )
        if moment[0].partition(" ")[2] in DONE_FOR_CLIENT
    ]
    assert run_attempts(moments, attempt) >= 20
