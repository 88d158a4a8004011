"""Run a reader's SQL in a process of its own, which is given the rows and columns that the query needs.

The rows are handed over as Parquet files in memory, never on a disk. The process limits itself (`query_worker.py`), and
is killed when its time is over.
"""

import math
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import duckdb
import msgspec
import polars as pl

from avowal.errors import QueryError
from avowal.store import query_worker
from avowal.store.interface import ResultTable
from avowal.store.query_worker import Answer, QueryFailure, Question
from avowal.store.run_query import timeout_error
from avowal.strict import JSON_ERRORS

WORKERS_MAX = 2
"""How many queries run at a time; others wait for as long as a query may take."""

Batch = tuple[str, pl.DataFrame]
"""Rows of a relation, with the relation's name."""


@dataclass(frozen=True)
class QueryLimits:
    """What one query may use."""

    timeout_seconds: float
    rows_max: int
    memory_bytes: int
    """How much memory the query may use, and how much data may be handed over."""


class QueryAnswer(msgspec.Struct, frozen=True):
    """The result of a query, with plain values, and whether each of its rows is about enough visitors."""

    table: ResultTable
    is_about_groups: bool


_free_workers = threading.BoundedSemaphore(WORKERS_MAX)


def run_in_process(question: Question, batches: Iterable[Batch], limits: QueryLimits) -> QueryAnswer:
    """Run a validated query over batches of its relations, in a new process.

    Raises QueryError if the query fails, takes too long, needs or returns too much, or if too many others run.
    """
    if not _free_workers.acquire(timeout=limits.timeout_seconds):
        raise QueryError(
            f"{WORKERS_MAX} other queries are running", "try again when they are done", code="query-busy"
        )
    try:
        with _start_worker(limits) as worker:
            worker.send(question, batches, limits)
            data = worker.receive()
        if worker.is_timed_out:
            raise timeout_error(limits.timeout_seconds)
        return read_answer(data, limits)
    finally:
        _free_workers.release()


@dataclass
class _Worker:
    """A process that runs one query, and the socket to its standard input."""

    process: subprocess.Popen[bytes]
    connection: socket.socket
    is_timed_out: bool = False

    def kill(self) -> None:
        """End the process because its time is over."""
        self.is_timed_out = True
        self.process.kill()

    def send(self, question: Question, batches: Iterable[Batch], limits: QueryLimits) -> None:
        """Hand over a question and its rows. Raises QueryError if the rows are more than the memory limit."""
        size = 0
        with suppress(OSError), self.connection:  # after an error the process ends: its answer says why
            self._send_file(query_worker.QUESTION, msgspec.msgpack.encode(question))
            for name, frame in batches:
                size += self._send_file(name, frame)
                if size > limits.memory_bytes:
                    raise _too_large_error(limits)
            self.connection.send(query_worker.END_OF_BATCHES)

    def _send_file(self, name: str, content: bytes | pl.DataFrame) -> int:
        """Send a file in memory with its name; returns its size."""
        descriptor = create_file(content)
        try:
            socket.send_fds(self.connection, [name.encode()], [descriptor])
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def receive(self) -> bytes:
        """Return what the process answered before it ended, or nothing if that is too long."""
        return cast("IO[bytes]", self.process.stdout).read(2 * query_worker.ANSWER_BYTES_MAX)


@contextmanager
def _start_worker(limits: QueryLimits) -> Iterator[_Worker]:
    """Start a process for one query; it is killed at the end, or when its time is over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    cpu_seconds = math.ceil(limits.timeout_seconds) * query_worker.THREADS + 1
    with ours, theirs:
        process = subprocess.Popen(  # noqa: S603  # our own program, with numbers and folders
            [
                _find_python(),
                "-I",
                query_worker.__file__,
                *map(str, (os.getpid(), limits.memory_bytes, cpu_seconds)),
                *{str(Path(str(library.__file__)).parents[1]) for library in (duckdb, msgspec)},
            ],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            start_new_session=True,
        )
        theirs.close()
        worker = _Worker(process, ours)
        timer = threading.Timer(limits.timeout_seconds, worker.kill)
        timer.start()
        try:
            with process:
                try:
                    yield worker
                finally:
                    process.kill()
        finally:
            timer.cancel()


def _find_python() -> str:
    """Return the interpreter; a server that embeds Python may be `sys.executable` itself."""
    if Path(sys.executable).name.startswith("python"):
        return sys.executable
    return str(Path(sys.prefix, "bin", "python3"))


def create_file(content: bytes | pl.DataFrame) -> int:
    """Write bytes, or rows as Parquet, to a file in memory; returns its descriptor."""
    descriptor = os.memfd_create("query")
    with open(descriptor, "wb", closefd=False) as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content.write_parquet(file, compression="lz4", statistics=False)
    return descriptor


def read_answer(data: bytes, limits: QueryLimits) -> QueryAnswer:
    """Return what a process answered. Raises QueryError if it is a failure or no answer."""
    try:
        answer = msgspec.msgpack.decode(data, type=Answer | QueryFailure)
    except JSON_ERRORS:
        answer = QueryFailure("failed", "the process ended")
    if isinstance(answer, Answer):
        return QueryAnswer(ResultTable(answer.columns, answer.rows), answer.is_about_groups)
    if answer.reason == "invalid":
        raise QueryError(f"query does not match the schema: {answer.detail}", "", code="query-invalid")
    if answer.reason == "too-large":
        raise _too_large_error(limits)
    raise QueryError(
        f"query failed ({answer.detail})", "use try_cast if a value may not convert", code="query-failed"
    )


def _too_large_error(limits: QueryLimits) -> QueryError:
    return QueryError(
        f"the query needs more than {limits.memory_bytes // 1_000_000:,} MB of memory, or its answer is too long",
        "name fewer columns, ask for fewer rows, or raise `query.memory_limit`",
        code="query-too-large",
    )
