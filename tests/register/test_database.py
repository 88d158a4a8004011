"""Which transactions of the register wait for the disk, and what an erasure leaves in its files."""

import os
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from avowal.errors import RefusedError
from avowal.register.database import BURST_SECONDS_MAX, BURST_TRANSACTIONS_MAX, Database
from support.errors import raises_code

FULL, NORMAL = 2, 1


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stop the clock until a test moves it: on a busy machine a burst may take longer than its limit."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(tmp_path / "file.sqlite")
    with database.transaction() as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
    return database


def write_row(database: Database, burst: object = "reading") -> int:
    """Write a row; returns the value of `PRAGMA synchronous` within its transaction."""
    with database.transaction(burst) as connection:
        connection.execute("INSERT INTO numbers DEFAULT VALUES")
        ((waits,),) = connection.execute("PRAGMA synchronous")
    return int(waits)


def test_only_the_first_transaction_of_a_burst_waits_for_the_disk(database: Database) -> None:
    """Only the first transaction of a burst waits for the disk; after the limit, another one waits."""
    assert [write_row(database) for _ in range(BURST_TRANSACTIONS_MAX + 2)] == [
        FULL,
        *[NORMAL] * (BURST_TRANSACTIONS_MAX - 1),
        FULL,
        NORMAL,
    ]


def test_a_burst_ends_after_its_time_limit(database: Database, clock: list[float]) -> None:
    """A burst ends a fixed time after its first transaction began."""
    assert [write_row(database), write_row(database)] == [FULL, NORMAL]
    clock[0] += BURST_SECONDS_MAX
    assert [write_row(database), write_row(database)] == [FULL, NORMAL]


def test_a_transaction_outside_a_burst_waits_for_the_disk(database: Database) -> None:
    """A transaction without a burst always waits, and the first one of another burst waits too."""
    assert [
        write_row(database),
        write_row(database, None),
        write_row(database),
        write_row(database, None),
    ] == [
        FULL,
        FULL,
        NORMAL,
        FULL,
    ]
    assert [write_row(database, "another"), write_row(database, "another")] == [FULL, NORMAL]


def test_a_transaction_that_was_rolled_back_begins_no_burst(database: Database) -> None:
    """After a rollback the next transaction waits: nothing is on the disk yet that it could follow."""

    def fail() -> None:
        with database.transaction("reading"):
            raise RefusedError("no", "")

    with pytest.raises(RefusedError):
        fail()
    assert write_row(database) == FULL
    with pytest.raises(RefusedError):
        fail()  # this one would not have waited, and is rolled back too
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (1,)


def test_a_killed_process_loses_no_transaction_of_a_burst(database: Database) -> None:
    """Transactions that did not wait for the disk survive when their process is killed."""
    child = os.fork()
    if child == 0:
        other = Database(database.path)
        for _ in range(10):
            write_row(other)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with Database(database.path).read() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (10,)


def test_threads_share_the_limit_of_a_burst(database: Database) -> None:
    """Several threads together get no more transactions without waiting than one thread does."""
    waited: list[int] = []

    def write_rows() -> None:
        waited.extend(write_row(database) for _ in range(BURST_TRANSACTIONS_MAX))

    threads = [threading.Thread(target=write_rows) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 4 * BURST_TRANSACTIONS_MAX
    assert waited.count(FULL) >= 4
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (4 * BURST_TRANSACTIONS_MAX,)


@pytest.mark.parametrize("in_batch", [False, True])
def test_an_erased_value_remains_in_no_file(database: Database, in_batch: bool) -> None:
    """While the database is open, an erased value is in neither its file nor its log of writes; a batch erases at its end."""

    def files_contain(value: bytes) -> bool:
        return any(value in path.read_bytes() for path in database.path.parent.iterdir())

    with database.transaction() as connection:
        connection.execute("CREATE TABLE words (word TEXT)")
        connection.execute("INSERT INTO words VALUES ('a private word')")
    assert files_contain(b"a private word")
    with database.batch() if in_batch else nullcontext():
        with database.transaction() as connection:
            connection.erase("DELETE FROM words", {})
        write_row(database)
    assert not files_contain(b"a private word")


def test_an_unusable_file_is_reported_without_values(database: Database, tmp_path: Path) -> None:
    """The error of a file that cannot be opened or written has a hint, and shows no stored value."""
    with (
        raises_code("store-unusable") as error_info,
        Database(tmp_path).transaction(),
    ):
        pass  # a folder
    assert "check the disk" in str(error_info.value.hint)
    statement = "INSERT INTO numbers VALUES ('secret')"
    with (
        raises_code("store-unusable") as error_info,
        database.transaction() as connection,
    ):
        connection.execute(statement)
    assert "secret" not in str(error_info.value)
    assert "avowal restore" in str(error_info.value.hint)
    assert write_row(database) == FULL
