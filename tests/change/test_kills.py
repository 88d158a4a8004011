"""Policy and visitor commands, killed at every moment: each is done or not done, and may be repeated."""

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from avowal.ledger.entry import ErasureDone, decode_entry
from support.depth import is_thorough
from support.kills import KILLED, NOT_KILLED, KillServer, choose_moments, count_moments
from support.site import Site, line

TODAY = datetime.now(UTC).date()


def write_terms(site: Site, age: str, updated: Any) -> None:
    """Write terms that keep addresses for an age, from a day on."""
    terms = site.folder / "policy" / "terms.toml"
    lines = [
        f"updated = {updated}"
        if row.startswith("updated = ")
        else row.replace('full = "7 days", prefix', f'full = "{age}", prefix')
        for row in terms.read_text().splitlines(keepends=False)
    ]
    terms.write_text("\n".join(lines))


CONSENT = ["visitor", "consent", "192.0.2.1", "--since", "3 days", "--until", "today", "--channel", "letter"]


def prepare(folder: Path, work: str) -> tuple[Site, list[str]]:
    """Return a site in the state before an operation, and the command of the operation."""
    folder.mkdir()
    site = Site(folder).init()
    write_terms(site, "7 days", TODAY - timedelta(days=9))
    if work == "adopt":
        return site, ["policy", "adopt"]
    assert site.avowal("policy", "adopt").status == 0
    if work == "correct":
        page = next((folder / "policy").glob("*.md"))
        page.write_text(f"{page.read_text()}\nBetter words.\n")
        return site, ["policy", "publish"]
    if work in {"consent", "withdraw consent", "retain", "erase"}:
        yesterday = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1 if work != "retain" else 6.5)
        site.import_logs(site.log("a.log", *(line(minute, start=yesterday) for minute in (0, 1))))
    later = TODAY + timedelta(days=9) if work == "withdraw version" else datetime.now(UTC).date()
    write_terms(site, "6 days", later)
    if work == "publish":
        return site, ["policy", "publish"]
    assert site.avowal("policy", "publish").status == 0
    if work in {"withdraw consent", "erase"}:
        assert site.avowal(*CONSENT).status == 0
    return site, COMMANDS.get(work, CONSENT)


COMMANDS = {
    "retain": ["retain"],
    "withdraw consent": [*CONSENT, "--withdraw"],
    "erase": ["visitor", "erase", *CONSENT[2:7], "--expected-records", "2"],
    "withdraw version": ["policy", "withdraw", "2"],
}

AFTER = {
    "adopt": (1, 1),
    "correct": (1, 2),
    "publish": (2, 2),
    "withdraw version": (1, 3),
    "consent": (2, 3),
    "withdraw consent": (2, 4),
    "retain": (2, 3),
    "erase": (2, 4),
}
"""The numbers of versions and ledger entries after each operation."""


GOVERNING = {"consent": 2, "withdraw consent": 1}
GOVERNED = """
SELECT version, governing FROM requests
UNION ALL SELECT version, governing FROM views UNION ALL SELECT version, governing FROM visits
"""


def recorded_erasures(site: Site) -> list[tuple[int, ...]]:
    """Return how many requests, views and visits each erasure in the ledger says it deleted."""
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register:
        bodies = register.execute("SELECT body FROM entries ORDER BY entry").fetchall()
    entries = [decode_entry(body) for (body,) in bodies]
    return [
        (entry.requests, entry.views, entry.visits) for entry in entries if isinstance(entry, ErasureDone)
    ]


def check_and_repeat(site: Site, work: str, command: list[str]) -> list[str]:
    """Return what is wrong after a kill, and then what is wrong after the same command ran again."""
    problems = []
    verification = site.avowal("verify", "--json")
    if verification.status != 0 and "no checkpoint was ever signed" not in verification.out:
        problems.append(f"left {verification.out}{verification.err}")
    site.avowal(*command)
    site.avowal("ledger", "checkpoint")
    verification = site.avowal("verify", "--json")
    versions = len(site.avowal("policy", "history", "--json").json())
    if verification.status or (versions, verification.json()["entries"]) != AFTER[work]:
        problems.append(f"ended with {versions} versions, {verification.out}{verification.err}")
    if work == "erase" and site.rows(GOVERNED):
        problems.append(f"still has {site.rows(GOVERNED)}")
    if work == "erase" and recorded_erasures(site) != [(2, 2, 1)]:
        problems.append(f"recorded {recorded_erasures(site)}")
    if work == "retain" and set(site.rows("SELECT ip_address FROM requests")) != {("192.0.2.0/24",)}:
        problems.append(f"ended with {site.rows('SELECT ip_address FROM requests')}")
    if work in GOVERNING and set(site.rows(GOVERNED)) != {(1, GOVERNING[work])}:
        problems.append(f"ended with {site.rows(GOVERNED)}")
    return problems


@pytest.mark.parametrize("work", AFTER)
def test_a_command_killed_at_any_moment_is_done_or_not_done(
    kill_server: KillServer, tmp_path: Path, work: str
) -> None:
    """A command killed before or after any write leaves a valid ledger; repeated, it is done once."""
    site, command = prepare(tmp_path / "site", work)
    states = kill_server.states(site, command=command)
    assert {"before register commit", "after register commit", "before sync", "after other rename"} <= set(
        count_moments(site.folder)
    )
    problems = [
        f"{moments}: {problem}"
        for moments, folder in states
        for problem in check_and_repeat(Site(folder), work, command)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("work", AFTER)
def test_a_killed_process_leaves_no_lock_behind(kill_server: KillServer, tmp_path: Path, work: str) -> None:
    """After a real kill at some moments (at all in a thorough run) the command can be repeated."""
    site, command = prepare(tmp_path / "template", work)
    undisturbed = Site(tmp_path / "undisturbed")
    shutil.copytree(site.folder, undisturbed.folder)
    assert kill_server.kill(undisturbed, command, NOT_KILLED) == 0
    moments = choose_moments(count_moments(undisturbed.folder), None if is_thorough() else 1)
    if not is_thorough():
        moments = random.Random(work).sample(moments, 4)
    problems = []
    for number, moment in enumerate(moments):
        killed = Site(tmp_path / str(number))
        shutil.copytree(site.folder, killed.folder)
        if kill_server.kill(killed, command, moment) != KILLED:
            problems.append(f"{moment}: not killed")
        problems += [f"{moment}: {problem}" for problem in check_and_repeat(killed, work, command)]
    assert not problems, "\n".join(problems)
