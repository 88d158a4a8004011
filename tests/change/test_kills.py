"""Adopting, publishing, correcting and withdrawing, killed at every moment: the ledger holds, and the work can be done again."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.ledger.entry import ErasureDone, decode_entry
from support.site import Site, line

FAULTS = Path(__file__).parents[1] / "support" / "faults.py"
TODAY = datetime.now(UTC).date()
KILLED = -9


class Stage:
    """A process that plays scenes: started once, as it takes longer to start than to play one."""

    def __init__(self) -> None:
        command = [sys.executable, str(FAULTS)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def play(self, site: Site, command: Sequence[str], fault: tuple[str, int]) -> int:
        """Run a command that is killed at a moment; returns how it ended."""
        scene = {"folder": str(site.folder), "command": command, "arguments": [], "imports": [fault]}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(scene) + "\n")
        (ended,) = json.loads(self.process.stdout.readline())["imports"]
        assert isinstance(ended, int)
        return ended


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.process.communicate()


def drafted(site: Site, age: str, updated: Any) -> None:
    """Write terms that keep addresses for an age, from a day on."""
    terms = site.folder / "policy" / "terms.toml"
    lines = [
        f"updated = {updated}"
        if row.startswith("updated = ")
        else row.replace('full = "7 days", prefix', f'full = "{age}", prefix')
        for row in terms.read_text().splitlines(keepends=False)
    ]
    terms.write_text("\n".join(lines))


CONSENT = ["visitor", "consent", "192.0.2.1", "--since", "3 days", "--until", "today", "--means", "letter"]


def prepared(folder: Path, work: str) -> tuple[Site, list[str]]:
    """Return a site that stands before some work, and the command for it."""
    folder.mkdir()
    site = Site(folder).init()
    drafted(site, "7 days", TODAY - timedelta(days=9))
    if work == "adopt":
        return site, ["policy", "adopt"]
    assert site.avowal("policy", "adopt").status == 0
    if work == "correct":
        page = next((folder / "policy").glob("*.md"))
        page.write_text(f"{page.read_text()}\nBetter words.\n")
        return site, ["policy", "publish"]
    if work in {"consent", "take back", "retain", "erase"}:
        yesterday = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1 if work != "retain" else 6.5)
        site.take_in(site.log("a.log", *(line(minute, start=yesterday) for minute in (0, 1))))
    later = TODAY + timedelta(days=9) if work == "withdraw" else datetime.now(UTC).date()
    drafted(site, "6 days", later)
    if work == "publish":
        return site, ["policy", "publish"]
    assert site.avowal("policy", "publish").status == 0
    if work in {"take back", "erase"}:
        assert site.avowal(*CONSENT).status == 0
    return site, COMMANDS.get(work, CONSENT)


COMMANDS = {
    "retain": ["retain"],
    "take back": [*CONSENT, "--withdraw"],
    "erase": ["visitor", "erase", *CONSENT[2:7], "--count", "2"],
    "withdraw": ["policy", "withdraw", "2"],
}

AFTER = {
    "adopt": (1, 1),
    "correct": (1, 2),
    "publish": (2, 2),
    "withdraw": (1, 3),
    "consent": (2, 3),
    "take back": (2, 4),
    "retain": (2, 3),
    "erase": (2, 4),
}
"""How many versions and entries there are when the work was done."""


GOVERNING = {"consent": 2, "take back": 1}
GOVERNED = """
SELECT version, governing FROM requests
UNION ALL SELECT version, governing FROM views UNION ALL SELECT version, governing FROM visits
"""


def told_erased(site: Site) -> list[tuple[int, ...]]:
    """Return how many requests, views and visits each erasure is recorded to have taken away."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        bodies = register.execute("SELECT body FROM entries ORDER BY entry").fetchall()
    entries = [decode_entry(body) for (body,) in bodies]
    return [(one.requests, one.views, one.visits) for one in entries if isinstance(one, ErasureDone)]


@pytest.mark.parametrize("work", AFTER)
def test_it_may_be_killed_at_any_moment(stage: Stage, tmp_path: Path, work: str) -> None:
    """Killed before or after anything that it does, it left all or nothing; given again, it is done once."""
    site, command = prepared(tmp_path / "template", work)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(site.folder, undisturbed)
    assert stage.play(Site(undisturbed), command, ("", 0)) == 0
    moments = json.loads((undisturbed / "import.moments").read_text())
    assert {"before register commit", "after register commit", "before sync", "after other rename"} <= set(
        moments
    )
    wrong = []
    for number, (moment, times) in enumerate(sorted(moments.items())):
        for time in range(1, times + 1):
            again = Site(tmp_path / f"{number} {time}")
            shutil.copytree(site.folder, again.folder)
            if stage.play(again, command, (moment, time)) != KILLED:
                wrong.append(f"{moment} {time}: not killed")
            told = again.avowal("verify", "--json")
            if told.status != 0 and "no checkpoint was ever signed" not in told.out:
                wrong.append(f"{moment} {time}: left {told.out}{told.err}")
            again.avowal(*command)
            again.avowal("ledger", "checkpoint")
            told = again.avowal("verify", "--json")
            versions = len(again.avowal("policy", "history", "--json").json())
            if told.status or (versions, told.json()["entries"]) != AFTER[work]:
                wrong.append(f"{moment} {time}: ended with {versions} versions, {told.out}{told.err}")
            if work == "erase" and again.rows(GOVERNED):
                wrong.append(f"{moment} {time}: still has {again.rows(GOVERNED)}")
            if work == "erase" and told_erased(again) != [(2, 2, 1)]:
                wrong.append(f"{moment} {time}: told {told_erased(again)}")
            if work == "retain" and set(again.rows("SELECT ip_address FROM requests")) != {("192.0.2.0/24",)}:
                wrong.append(f"{moment} {time}: ended with {again.rows('SELECT ip_address FROM requests')}")
            if work in GOVERNING and set(again.rows(GOVERNED)) != {(1, GOVERNING[work])}:
                wrong.append(f"{moment} {time}: ended with {again.rows(GOVERNED)}")
    assert not wrong, "\n".join(wrong)
