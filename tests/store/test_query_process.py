"""The process of a query has nothing but its rows, and is ended when it exceeds a limit."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from avowal.errors import QueryError
from avowal.store import query_process, query_worker
from avowal.store.query_process import QueryAnswer, QueryLimits, run_in_process
from avowal.store.query_worker import Question
from support.errors import raises_code

LIMITS = QueryLimits(timeout_seconds=20, rows_max=100, memory_bytes=64_000_000)
ROWS = pl.DataFrame({"page_path": ["/a", "/b", "/c"], "bytes": [1, 2, 3]})


def run(sql: str, *, limits: QueryLimits = LIMITS, batches: Sequence[pl.DataFrame] = (ROWS,)) -> QueryAnswer:
    """Run a query over batches of requests. It is not validated: the process is a barrier of its own."""
    question = Question(sql, limits.rows_max, ["requests"])
    return run_in_process(question, [("requests", frame) for frame in batches], limits)


def rows(sql: str) -> list[list[Any]]:
    """Return the rows of a query."""
    return run(sql).table.rows


def test_a_query_reads_all_batches() -> None:
    """The batches of a relation are one table."""
    answer = run("SELECT sum(bytes)::INTEGER AS total FROM requests", batches=[ROWS, ROWS, ROWS.head(0)])
    assert (answer.table.columns, answer.table.rows) == (["total"], [[12]])


def test_the_process_has_nothing_but_the_rows() -> None:
    """Whatever SQL runs there, it finds no other table, and no database that is a file."""
    assert rows("SELECT table_name FROM duckdb_tables()") == [["requests"]]
    assert rows("SELECT path FROM duckdb_databases() WHERE NOT internal") == [[None]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM glob('/*')",
        "FROM '/etc/passwd'",
        "FROM sys",
        "ATTACH '/tmp/other.duckdb'",
        "COPY requests TO '/tmp/requests.csv'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "LOAD httpfs",
        "INSTALL httpfs",
        "SELECT page_path::INTEGER FROM requests",
        "SELECT nothing FROM requests",
        "SELECT * FROM consents",
    ],
)
def test_an_escape_fails_without_telling_a_value(sql: str) -> None:
    """No file and no setting can be reached, and the message has no stored value."""
    with pytest.raises(QueryError) as error_info:
        run(sql)
    assert error_info.value.code in {"query-failed", "query-invalid"}
    assert "/a" not in error_info.value.message
    assert "root:" not in error_info.value.message


DOUBLED = "replace(" * 60 + "'a'" + ", 'a', 'aa')" * 60
"""A literal that doubles sixty times when the query is planned."""


@pytest.mark.parametrize(
    ("sql", "codes"),
    [
        (
            "SELECT count(*) FROM requests a, " + ", ".join(f"requests r{n}" for n in range(30)),
            {"query-timeout", "query-too-large"},
        ),
        (f"SELECT length({DOUBLED})", {"query-timeout", "query-too-large", "query-failed"}),
        ("SELECT count(DISTINCT range) FROM range(100000000)", {"query-too-large", "query-timeout"}),
        ("SELECT repeat(page_path, 10000000) FROM requests", {"query-too-large"}),
        ("SELECT repeat('a', 1000) FROM range(50000)", {"query-too-large"}),
    ],
)
def test_a_query_that_exceeds_a_limit_is_ended(sql: str, codes: set[str]) -> None:
    """Time, memory and the length of the answer are limited, whether the query is planned or runs."""
    limits = QueryLimits(timeout_seconds=2, rows_max=100_000, memory_bytes=64_000_000)
    with pytest.raises(QueryError) as error_info:
        run(sql, limits=limits)
    assert error_info.value.code in codes


def test_no_more_rows_are_handed_over_than_memory_permits() -> None:
    """The owner stops before it has made more of them."""
    made = []

    def make_batches() -> Iterator[tuple[str, pl.DataFrame]]:
        for number in range(1_000):
            made.append(number)
            yield "requests", pl.DataFrame({"bytes": os.urandom(2_000_000)[:2_000_000].hex()})

    with raises_code("query-too-large"):
        run_in_process(Question("SELECT 1", 1, ["requests"]), make_batches(), LIMITS)
    assert len(made) < 100


def test_an_answer_has_at_most_the_rows_that_it_may_have() -> None:
    """The process returns no more, whatever the SQL says."""
    limits = QueryLimits(timeout_seconds=20, rows_max=10, memory_bytes=64_000_000)
    assert len(run("SELECT * FROM range(100000)", limits=limits).table.rows) == 10


def test_an_answer_that_cannot_be_read_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that ends without an answer, or with one of another form, gives an error."""
    program = tmp_path / "worker.py"
    monkeypatch.setattr(query_worker, "__file__", str(program))
    for text in (
        "",
        "import os; os.write(1, b'nonsense')",
        "import os; os.abort()",
        "print('x' * 50_000_000)",
    ):
        program.write_text(text)
        with raises_code("query-failed"):
            run("SELECT 1")


def test_too_many_queries_at_a_time_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that waits for longer than a query may take is refused."""
    taken = threading.BoundedSemaphore(1)
    monkeypatch.setattr(query_process, "_free_workers", taken)
    limits = QueryLimits(timeout_seconds=0.01, rows_max=10, memory_bytes=64_000_000)
    with taken, raises_code("query-busy"):
        run("SELECT 1", limits=limits)
    assert rows("SELECT 1") == [[1]]


PARENT = """
import os, sys, time, polars
from avowal.store.query_process import QueryLimits, _start_worker
with _start_worker(QueryLimits(60, 10, 64_000_000)) as worker:
    print(worker.process.pid, flush=True)
    time.sleep(60)
"""


def test_the_process_ends_with_its_parent() -> None:
    """If the owner is killed, no process is left that holds rows."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        worker = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(1_000):
        if not _is_running(worker):
            return
        time.sleep(0.01)
    pytest.fail("the process is still running")


def _is_running(process: int) -> bool:
    try:
        return (
            "Z" not in Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_process_limits_itself() -> None:
    """It writes no file and no core, and its memory and time are limited by the system, too."""
    code = (
        f"import os, resource, sys; sys.path.insert(0, {str(Path(query_worker.__file__).parent)!r}); import query_worker\n"
        "query_worker.limit_process(os.getppid(), 1000, 5)\n"
        "print([resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, "
        "resource.RLIMIT_CPU, resource.RLIMIT_DATA)])"
    )
    printed = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.split() == f"[0, 0, 5, {query_worker.BASE_BYTES + 1000}]".split()
