"""The register of policy versions: published versions, their documents, and counted accesses."""

import multiprocessing
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from avowal.errors import StoreError
from avowal.register.readers import Readers
from avowal.register.register import REGISTER_FILE, Register, Version, open_register
from support.errors import raises_code
from support.versions import START, TERMS, policy_version, published_document


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    register = Register(tmp_path, tmp_path / "keys")
    yield register
    register.close()


def test_published_versions_survive_reopening(tmp_path: Path, register: Register) -> None:
    """A reopened register returns its versions in order with their terms, and their documents by language."""
    assert register.versions() == []
    register.publish(policy_version(1), [published_document("pt-BR", "olá"), published_document()])
    register.publish(policy_version(2, 3), [published_document()])
    reopened = Register(tmp_path, tmp_path / "keys")
    assert reopened.versions() == [policy_version(1), policy_version(2, 3)]
    assert reopened.versions()[0].compiled_terms == TERMS
    assert [(document.language, document.text) for document in reopened.documents(1)] == [
        ("en", "# Privacy"),
        ("pt-BR", "olá"),
    ]
    reopened.close()


@pytest.mark.parametrize(
    "version", [policy_version(1, 9), policy_version(3, 9), policy_version(2, 0), policy_version(2, -1)]
)
def test_a_version_must_follow_the_last_one(register: Register, version: Version) -> None:
    """A version with the wrong number, or without a later start, is refused and not recorded."""
    register.publish(policy_version(1), [published_document()])
    with raises_code("version-out-of-order"):
        register.publish(version, [published_document()])
    assert register.versions() == [policy_version(1)]


def test_a_correction_is_shown_and_the_original_is_kept(tmp_path: Path, register: Register) -> None:
    """The last document of each language is shown, and every earlier one stays in the register."""
    register.publish(policy_version(1), [published_document(), published_document("zh-TW", "隱私")])
    register.correct_documents(1, [published_document(text="# Privacy, spelt right")])
    assert [document.text for document in register.documents(1)] == ["# Privacy, spelt right", "隱私"]
    with sqlite3.connect(tmp_path / REGISTER_FILE) as file:
        assert file.execute("SELECT count(*) FROM documents").fetchone() == (3,)
    with raises_code("version-not-found"):
        register.correct_documents(2, [published_document()])
    assert register.documents(2) == []


def test_only_the_last_version_can_be_withdrawn_before_it_takes_effect(register: Register) -> None:
    """Only the last version can be withdrawn, and only before it takes effect; its number is then free."""
    register.publish(policy_version(1), [published_document()])
    register.publish(policy_version(2, 30), [published_document()])
    for number, days in ((1, 1), (2, 30), (3, 1)):
        with raises_code("version-in-effect"):
            register.withdraw(number, START + timedelta(days=days))
    register.withdraw(2, START + timedelta(days=29))
    assert register.versions() == [policy_version(1)]
    assert register.documents(2) == []
    register.publish(policy_version(2, 40), [published_document("en", "another")])
    assert [document.text for document in register.documents(2)] == ["another"]


@pytest.mark.parametrize("table", ["publications", "withdrawals", "documents"])
def test_published_rows_cannot_be_changed_or_deleted(tmp_path: Path, register: Register, table: str) -> None:
    """Not even SQL on the open file changes or deletes a published row."""
    register.publish(policy_version(1), [published_document()])
    register.publish(policy_version(2, 30), [published_document()])
    register.withdraw(2, START)
    with sqlite3.connect(tmp_path / REGISTER_FILE) as file:
        before = file.execute(f"SELECT * FROM {table}").fetchall()  # the parameter above, not input
        assert before
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET publication = 7"):
            with pytest.raises(sqlite3.IntegrityError, match=r"cannot be (changed|deleted)"):
                file.execute(sql)
        assert file.execute(f"SELECT * FROM {table}").fetchall() == before


def _publish(folder: Path, results: "multiprocessing.Queue[bool]") -> None:
    register = Register(folder, folder / "keys")
    try:
        register.publish(policy_version(1), [published_document()])
        results.put(True)  # noqa: FBT003  # a queue takes its value by position
    except StoreError:
        results.put(False)  # noqa: FBT003  # the same
    register.close()


def test_only_one_of_several_processes_publishes_a_number(tmp_path: Path) -> None:
    """When processes publish the same number at once, even into a new register, exactly one of them succeeds."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[bool] = context.Queue()
    processes = [context.Process(target=_publish, args=(tmp_path, results)) for _ in range(4)]
    for process in processes:
        process.start()
    assert sorted(results.get(timeout=60) for _ in processes) == [False, False, False, True]
    for process in processes:
        process.join()
    register = Register(tmp_path, tmp_path / "keys")
    assert register.versions() == [policy_version(1)]
    register.close()


def test_a_missing_register_is_not_created_beside_a_store(tmp_path: Path) -> None:
    """Beside a store, a missing register is an error; in a new folder, the register is created."""
    open_register(tmp_path / "new", tmp_path / "keys", store_file="avowal.duckdb").close()
    assert (tmp_path / "new" / REGISTER_FILE).exists()
    (tmp_path / "avowal.duckdb").touch()
    with raises_code("store-missing"):
        open_register(tmp_path, tmp_path / "keys", store_file="avowal.duckdb")
    assert not (tmp_path / REGISTER_FILE).exists()


def test_a_damaged_register_is_refused(tmp_path: Path) -> None:
    """A damaged register is refused, and its file is not changed."""
    (tmp_path / REGISTER_FILE).write_bytes(b"no database" * 500)
    with raises_code("store-unusable"):
        Register(tmp_path, tmp_path / "keys")
    assert (tmp_path / REGISTER_FILE).read_bytes().startswith(b"no database")


@pytest.mark.usefixtures("register")
def test_a_newer_register_is_refused(tmp_path: Path) -> None:
    """A register that a newer version of Avowal wrote is refused."""
    with sqlite3.connect(tmp_path / REGISTER_FILE) as file:
        file.execute("PRAGMA user_version = 99")
    with raises_code("newer-store"):
        Register(tmp_path, tmp_path / "keys")


AT = START + timedelta(hours=12)


def test_accesses_are_listed_since_a_time(register: Register) -> None:
    """Accesses are listed from a given time on, to the millisecond."""
    moments = [
        AT + timedelta(milliseconds=offset_ms)
        for offset_ms in (-1500, -1000, -999, -500, -1, 0, 1, 86_400_000)
    ]
    for rows, moment in enumerate(moments):
        register.readers.record_access("operator", "abuse", 0, rows, "SELECT 1", moment)
    for first, since in enumerate(moments):
        assert [access.rows for access in register.readers.accesses_since(since)] == [
            *range(first, len(moments))
        ]
    assert len(register.readers.accesses_since(datetime.min)) == len(moments)
    with register.database.transaction() as connection:  # a text sorts before all bytes
        connection.execute("DROP TRIGGER entries_forbid_update")
        connection.execute("UPDATE entries SET body = CAST(body AS TEXT)")
    assert len(register.readers.accesses_since(AT)) == 3


def test_reports_are_recorded_once_an_hour(register: Register) -> None:
    """Each reader and purpose has one entry an hour, also after a restart, and public counts have no report twice."""
    for readers in (register.readers, Readers(register.database)):
        for minutes in (0, 1, 59, 60, 61, 200):
            readers.record_report("ann", "content", 0, minutes, AT + timedelta(minutes=minutes))
    register.readers.record_report("ann", "performance", 0, 7, AT + timedelta(minutes=200))
    register.readers.record_report("ben", "content", 0, 8, AT + timedelta(minutes=200))
    assert [(access.reader, access.rows) for access in register.readers.accesses_since(AT)] == [
        ("ann", 0),
        ("ann", 60),
        ("ann", 200),
        ("ann", 7),
        ("ben", 8),
    ]
    assert register.readers.count_accesses_by_purpose(START) == {}
    assert sum(count.accesses for count in register.readers.aggregate_access_counts(START)) == 14


def test_accesses_are_counted_by_purpose_since_a_time(register: Register) -> None:
    """Accesses since a given time are counted by purpose, including those that came after the last count."""
    days = [START + timedelta(days=number, hours=number) for number in range(4)]
    for day in days:
        register.readers.record_access("operator", "abuse", 0, 1, "SELECT 1", day)
    assert [register.readers.count_accesses_by_purpose(day) for day in days] == [
        {"abuse": 4 - index} for index in range(4)
    ]
    register.readers.record_access("operator", "content", 0, 1, "SELECT 1", days[3])
    assert register.readers.count_accesses_by_purpose(days[3]) == {"abuse": 1, "content": 1}
    assert register.readers.count_accesses_by_purpose(days[3] + timedelta(days=1)) == {}
