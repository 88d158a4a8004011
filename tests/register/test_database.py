"""What waits for the disk, and what need not."""

import os
import threading
import time
from pathlib import Path

import pytest

from avowal.errors import RefusedError
from avowal.register.database import BURST_SECONDS_MAX, BURST_TRANSACTIONS_MAX, Database
from support.errors import raises_code

FULL, NORMAL = 2, 1


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time stand still until a test moves it: on a busy machine a burst may take longer than it lasts."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(tmp_path / "file.sqlite")
    with found.transaction() as connection:
        connection.execute("CREATE TABLE told (number INTEGER PRIMARY KEY)")
    return found


def told(database: Database, doing: object = "reading") -> int:
    """Write something; returns how its commit waits."""
    with database.transaction(doing) as connection:
        connection.execute("INSERT INTO told DEFAULT VALUES")
        ((waits,),) = connection.execute("PRAGMA synchronous")
    return int(waits)


def test_the_first_of_a_burst_waits_and_the_others_do_not(database: Database) -> None:
    """So many of them, and then one waits again."""
    assert [told(database) for _ in range(BURST_TRANSACTIONS_MAX + 2)] == [
        FULL,
        *[NORMAL] * (BURST_TRANSACTIONS_MAX - 1),
        FULL,
        NORMAL,
    ]


def test_a_burst_ends_in_time(database: Database, clock: list[float]) -> None:
    """It is counted from when the first began."""
    assert [told(database), told(database)] == [FULL, NORMAL]
    clock[0] += BURST_SECONDS_MAX
    assert [told(database), told(database)] == [FULL, NORMAL]


def test_whatever_is_no_reading_waits(database: Database) -> None:
    """Also within somebody's burst; and another's begins by waiting."""
    assert [told(database), told(database, None), told(database), told(database, None)] == [
        FULL,
        FULL,
        NORMAL,
        FULL,
    ]
    assert [told(database, "another"), told(database, "another")] == [FULL, NORMAL]


def test_what_was_refused_begins_no_burst(database: Database) -> None:
    """Nothing of it is on the disk that a later one could stand on."""

    def refused() -> None:
        with database.transaction("reading"):
            raise RefusedError("no", "")

    with pytest.raises(RefusedError):
        refused()
    assert told(database) == FULL
    with pytest.raises(RefusedError):
        refused()  # one that would not have waited: it is undone, too
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM told").fetchone() == (1,)


def test_a_kill_takes_nothing_of_a_burst(database: Database) -> None:
    """What did not wait for the disk has left the process all the same."""
    child = os.fork()
    if child == 0:
        other = Database(database.path)
        for _ in range(10):
            told(other)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with Database(database.path).read() as connection:
        assert connection.execute("SELECT count(*) FROM told").fetchone() == (10,)


def test_threads_share_a_burst(database: Database) -> None:
    """However many read at once: no more of them go unwaited for than one by one."""
    waited: list[int] = []

    def reads() -> None:
        waited.extend(told(database) for _ in range(BURST_TRANSACTIONS_MAX))

    threads = [threading.Thread(target=reads) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 4 * BURST_TRANSACTIONS_MAX
    assert waited.count(FULL) >= 4
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM told").fetchone() == (4 * BURST_TRANSACTIONS_MAX,)


def test_a_file_that_cannot_be_opened_or_written_is_told(database: Database, tmp_path: Path) -> None:
    """With its name, and no value."""
    with (
        raises_code("store-unusable") as told_of,
        Database(tmp_path).transaction(),
    ):
        pass  # a folder
    assert "look at the disk" in str(told_of.value.hint)
    statement = "INSERT INTO told VALUES ('secret')"
    with (
        raises_code("store-unusable") as told_of,
        database.transaction() as connection,
    ):
        connection.execute(statement)
    assert "secret" not in str(told_of.value)
    assert "from a backup" in str(told_of.value.hint)
    assert told(database) == FULL
