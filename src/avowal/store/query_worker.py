"""The process that runs a reader's SQL. It holds nothing but the rows and columns that the query needs.

It is started as a program of its own, and imports nothing of Avowal. It limits itself before it receives anything. On
the socket at its standard input it receives files in memory: a Question, and rows of its relations as Parquet; it
writes one Answer or QueryFailure to its standard output and ends. Errors hold no stored value.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

if __name__ == "__main__":
    sys.path += sys.argv[4:]  # where the owner has the libraries: an isolated process knows no PYTHONPATH

import duckdb
import msgspec

NAME_BYTES_MAX = 64
"""The longest name of a file that the process receives, in bytes."""

QUESTION = "question"
"""The name of the file with the Question; the other files have the names of relations."""

END_OF_BATCHES = b"\0"
"""The message after the last batch."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""The longest answer, in bytes of MessagePack."""

THREADS = 2
"""How many threads of DuckDB run a query."""

BASE_BYTES = 256 * 1024 * 1024
"""What Python, the libraries and the stacks of threads may take besides the memory limit of DuckDB, in bytes."""

FILES_MAX = 1024
"""How many files the process may have open: those in memory that hold the batches."""

FETCHED_ROWS = 1_000
"""How many rows of a result are fetched at a time."""

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4


class GroupCheck(msgspec.Struct, frozen=True):
    """How to find out whether each row of a result is about enough visitors."""

    sql: str
    """The query with its columns numbered (`c0` …), followed by its group keys (`g0` …)."""
    keys: int
    """How many group keys there are."""
    large_groups_sql: str
    """Selects the keys of the groups of which each figure is about enough visitors."""


class Question(msgspec.Struct, frozen=True):
    """A validated query, and the relations that it reads, in the order in which their batches follow."""

    sql: str
    rows_max: int
    relations: list[str]
    group_check: GroupCheck | None = None


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The result of a query; its values are plain, as JSON has them."""

    columns: list[str]
    rows: list[list[Any]]
    is_about_groups: bool
    """Whether each row is about enough visitors; false if there are no rows, or if it could not be checked."""


class QueryFailure(msgspec.Struct, frozen=True, tag="failure"):
    """Why there is no result: `invalid`, `too-large` or `failed`; the detail holds no stored value."""

    reason: str
    detail: str = ""


def answer_question(connection: duckdb.DuckDBPyConnection, question: Question) -> Answer | QueryFailure:
    """Answer a question over the tables of a connection."""
    try:
        # The clock stands still in a transaction: the check and the answer have the same time.
        connection.execute("BEGIN")
        relation = connection.sql(question.sql)
        check = question.group_check
        if check and _is_valid(connection, check.sql):
            return _answer_and_check(connection, relation.columns, check, question.rows_max)
        result = connection.execute(_without_time_zones(question.sql, relation))
        rows = _fetch_rows(result, question.rows_max)
        return Answer(relation.columns, rows, is_about_groups=not question.relations)
    except duckdb.BinderException as error:  # raised before any stored value is read
        return QueryFailure("invalid", str(error).splitlines()[0].lower())
    except (duckdb.OutOfMemoryException, MemoryError, _AnswerTooLongError):
        return QueryFailure("too-large")
    except duckdb.Error as error:
        return QueryFailure("failed", type(error).__name__.removesuffix("Exception").lower())


def _is_valid(connection: duckdb.DuckDBPyConnection, sql: str) -> bool:
    """Return whether a query matches the schema; it is not run."""
    try:
        connection.sql(sql)
    except (duckdb.BinderException, duckdb.ParserException):
        return False
    return True


class _AnswerTooLongError(Exception):
    """The answer has more than ANSWER_BYTES_MAX."""


def _without_time_zones(sql: str, relation: duckdb.DuckDBPyRelation) -> str:
    """Return a query with its times in UTC and without a zone, as the store has times."""
    types = [str(column_type) for column_type in relation.types]
    if "TIMESTAMP WITH TIME ZONE" not in types:
        return sql
    names = [f"c{index}" for index in range(len(types))]
    shown = [
        f"{name}::TIMESTAMP" if column_type == "TIMESTAMP WITH TIME ZONE" else name
        for name, column_type in zip(names, types, strict=True)
    ]
    return f"SELECT {', '.join(shown)} FROM ({sql}) AS answer({', '.join(names)})"  # noqa: S608  # validated SQL


def _answer_and_check(
    connection: duckdb.DuckDBPyConnection, columns: list[str], check: GroupCheck, rows_max: int
) -> Answer:
    """Answer a query over groups, and find out whether the keys of all its rows are those of large groups."""
    keys = ", ".join(f"g{index}" for index in range(check.keys))
    connection.execute(f"CREATE TEMP TABLE answer AS {check.sql}")
    shown = f"SELECT * EXCLUDE ({keys}) FROM answer"  # noqa: S608  # numbered keys
    small = f"SELECT {keys} FROM answer EXCEPT ({check.large_groups_sql}) LIMIT 1"  # noqa: S608  # validated SQL
    rows = _fetch_rows(connection.execute(shown), rows_max)
    try:
        has_small = bool(connection.execute(small).fetchall())
    except duckdb.Error:
        has_small = True  # that there are none could not be found out
    return Answer(columns, rows, is_about_groups=bool(rows) and not has_small)


def _fetch_rows(result: duckdb.DuckDBPyConnection, rows_max: int) -> list[list[Any]]:
    """Return the rows of a result, with plain values. Raises _AnswerTooLongError if they are too long."""
    rows: list[list[Any]] = []
    size = 0
    while len(rows) < rows_max and (chunk := result.fetchmany(FETCHED_ROWS)):
        plain = [[_to_plain(value) for value in row] for row in chunk]
        size += len(msgspec.msgpack.encode(plain))
        if size > ANSWER_BYTES_MAX:
            raise _AnswerTooLongError
        rows += plain
    return rows[:rows_max]


def _to_plain(value: Any) -> Any:
    """Return a value as JSON has it; a number that no machine integer holds becomes text."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return msgspec.to_builtins(value)


def open_database(memory_limit_bytes: int) -> duckdb.DuckDBPyConnection:
    """Open a database in memory that writes no file, and loads no extension."""
    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_limit_bytes}B",
            "temp_directory": "",
            "threads": str(THREADS),
            "python_enable_replacements": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
        },
    )


def lock_database(connection: duckdb.DuckDBPyConnection) -> None:
    """Take the access to files and to the configuration away."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def load_relation(connection: duckdb.DuckDBPyConnection, name: str, descriptors: Sequence[int]) -> None:
    """Create the table of a relation from its batches, each a Parquet file that is open."""
    paths = ", ".join(f"'/proc/self/fd/{descriptor}'" for descriptor in descriptors)
    connection.execute(f'CREATE TABLE main."{name}" AS FROM read_parquet([{paths}])')
    for descriptor in descriptors:
        os.close(descriptor)


def limit_process(parent: int, memory_bytes: int, cpu_seconds: int) -> None:
    """Limit what the process may use, and let it die with its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_DUMPABLE, 0)
    if os.getppid() != parent:
        os._exit(1)
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_DATA, memory_bytes + BASE_BYTES),
    ):
        _, highest = resource.getrlimit(kind)
        least = limit if highest == resource.RLIM_INFINITY else min(limit, highest)
        resource.setrlimit(kind, (least, least))


def main() -> None:
    """Answer the question that arrives at the standard input."""
    parent, memory_bytes, cpu_seconds = map(int, sys.argv[1:4])
    limit_process(parent, memory_bytes, cpu_seconds)
    with socket.socket(fileno=0) as owner:
        _, (descriptor,), _, _ = socket.recv_fds(owner, NAME_BYTES_MAX, 1)
        question = msgspec.msgpack.decode(_read_file(descriptor), type=Question)
        batches: dict[str, list[int]] = {name: [] for name in question.relations}
        while True:
            message, descriptors, _, _ = socket.recv_fds(owner, NAME_BYTES_MAX, 1)
            if message == END_OF_BATCHES:
                break
            batches[message.decode()] += descriptors  # a KeyError if the owner has gone: the message is empty
        answer: Answer | QueryFailure
        try:
            connection = open_database(memory_bytes)
            for name, opened in batches.items():
                load_relation(connection, name, opened)
            lock_database(connection)
            answer = answer_question(connection, question)
        except (duckdb.OutOfMemoryException, MemoryError):
            answer = QueryFailure("too-large")
    _write(msgspec.msgpack.encode(answer))
    os._exit(0)  # without freeing what is freed with the process


def _read_file(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as file:
        return file.read()


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
