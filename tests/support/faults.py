"""Runs commands that kill themselves at a named moment: `support.kills` starts this, and sends one scene per line.

A scene is a folder, a command (by default `import`) and its arguments, and the moment at which each of its processes
dies, as the name of the moment and its number:

- `imports`: the command is run once for each of these moments, one after the other;
- `owner`, if given, owns the folder from before these until after them, so that they are its clients;
- `snapshots` kills no process, and copies the folder at each moment at which its content has changed.

The processes are forked from this one, which has imported everything and started no thread, so that a
hundred of them are cheap. Functions are patched in the forked processes alone.
"""

import hashlib
import json
import os
import pickle
import signal
import stat
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

import duckdb
import msgspec

import avowal.app.session
import avowal.cli.import_
import avowal.use.reports
from avowal.cli.main import run
from avowal.ingest import log_import
from avowal.logs import log_file
from avowal.register import database
from avowal.workspace import client, server

BLOCK_BYTES = 4096
LOAD_SEGMENTS = 2
"""Small numbers, so that a small log gives many blocks and loads."""

STATEMENTS = {
    "INSERT INTO requests": "records insert",
    "INSERT INTO logs": "account insert",
    "DELETE FROM views": "views delete",
    "INSERT INTO views": "views insert",
    "INSERT INTO visits": "visits insert",
}
"""Statements that are moments, by their beginning."""

TRANSACTIONS = {
    "CREATE SEQUENCE": "migrate",
    "migrations": "migrate",
    "FROM logs": "load",
    "TABLE units_in_slice": "derive",
}
"""The purpose of a transaction, by text in one of its statements."""


@dataclass
class Snapshots:
    """Copies of the working folder, one for each state at a moment.

    A kill at that moment leaves the same bytes, as written bytes survive the end of their process.
    """

    folder: Path = Path("snapshots")
    moments: dict[str, list[str]] = field(default_factory=dict)
    """The moments that leave a state, by the number of the state."""
    _numbers: dict[bytes, str] = field(default_factory=dict)

    def add(self, moment: str) -> None:
        """Copy the folder, unless it was in this state before."""
        state = self._read()
        while (
            again := self._read()
        ) != state:  # another thread has written meanwhile: not the state of one moment
            state = again
        digest = hashlib.sha256(pickle.dumps(state)).digest()
        number = self._numbers.setdefault(digest, str(len(self._numbers)))
        if number not in self.moments:
            self._write(self.folder / number, state)
        self.moments.setdefault(number, []).append(moment)

    def _read(self) -> dict[str, tuple[int, bytes]]:
        state = {}
        for path in sorted(Path().rglob("*")):
            if path.is_relative_to(self.folder) or path.suffix in {".output", ".moments"}:
                continue
            with suppress(FileNotFoundError):
                mode = path.lstat().st_mode
                state[str(path)] = mode, path.read_bytes() if stat.S_ISREG(mode) else b""
        return state

    @staticmethod
    def _write(folder: Path, state: dict[str, tuple[int, bytes]]) -> None:
        folder.mkdir(parents=True)
        for name, (mode, content) in state.items():
            path = folder / name
            if stat.S_ISDIR(mode):
                path.mkdir(exist_ok=True)
            elif stat.S_ISSOCK(mode):
                os.mknod(path, mode)  # no process listens there, as after a kill
            elif stat.S_ISREG(mode):
                path.write_bytes(content)
            path.chmod(stat.S_IMODE(mode))


@dataclass
class Fault:
    """Counts the moments of this process, and kills it at one, such as the third `after load commit`.

    The moment `byte` comes once for each byte of a log that is read.
    """

    name: str = ""
    number: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    snapshots: "Snapshots | None" = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, name: str, times: int = 1) -> None:
        """Count a moment, and kill the process if it is the chosen one."""
        with self._lock:
            before = self.seen[name]
            self.seen[name] += times
            if self.snapshots and name != "byte":
                self.snapshots.add(f"{name} {before + 1}")
            if name == self.name and before < self.number <= before + times:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Count the moments before and after a block; an empty name is no moment."""
        if not name:
            yield
            return
        self.at(f"before {name}")
        yield
        self.at(f"after {name}")

    def patch(self, place: Any, attribute: str, name: Callable[..., str]) -> None:
        """Put moments around the calls of a function; `name` computes their name from the arguments."""
        real = getattr(place, attribute)

        def patched(*arguments: Any, **named: Any) -> Any:
            with self.around(name(*arguments)):
                return real(*arguments, **named)

        setattr(place, attribute, patched)

    def patch_all(self) -> None:
        """Put moments around each call that changes a file or sends a message to another process."""
        self.patch(Path, "replace", lambda _, new: f"{_kind(new)} rename")
        self.patch(Path, "unlink", lambda path, *_: f"{_kind(path)} unlink")
        self.patch(os, "link", lambda *_: "key link")
        self.patch(os, "fsync", lambda *_: "sync")
        self.patch(server, "_listen", lambda *_: "listen")
        self.patch(server, "send_message", lambda *_: "answer")
        self.patch(client, "send_message", _request_name)
        self.patch(
            database.Connection,
            "execute",
            lambda _, sql, *__: "register commit" if sql == "COMMIT" else "",
        )
        self.patch(duckdb, "connect", lambda *_: "store open")
        connect, fault = duckdb.connect, self
        duckdb.connect = lambda *arguments, **named: Connection(connect(*arguments, **named), fault)  # type: ignore[assignment]
        read = log_file.LogFile.read

        def read_and_count(log: log_file.LogFile, size: int) -> bytes:
            data = read(log, size)
            self.at("byte", len(data))
            return data

        log_file.LogFile.read = read_and_count  # type: ignore[assignment,method-assign]


def _kind(path: Path) -> str:
    return {".parquet": "segment", ".sock": "socket", ".json": "salts", ".duckdb": "store"}.get(
        path.suffix, "other"
    )


def _request_name(_: object, message: bytes) -> str:
    return f"request to {msgspec.msgpack.decode(message)['type']}"


@dataclass
class Connection:
    """A connection or cursor of DuckDB with moments around its statements."""

    real: duckdb.DuckDBPyConnection
    fault: Fault
    close_moment: str = "store close"
    transaction: str = "other"

    def cursor(self) -> "Connection":
        """Return a cursor; closing it is no moment."""
        return Connection(self.real.cursor(), self.fault, close_moment="")

    def execute(self, statement: Any, *values: Any) -> Any:
        """Execute a statement with its moments around it."""
        sql = getattr(statement, "query", statement).lstrip()
        for table, transaction in TRANSACTIONS.items():
            self.transaction = (
                transaction if table in sql and self.transaction == "other" else self.transaction
            )
        plain = " ".join(word for word in sql.splitlines() if not word.startswith("--")).lstrip()
        name = next((name for begin, name in STATEMENTS.items() if plain.startswith(begin)), "")
        with self.fault.around(f"{self.transaction} commit" if plain == "COMMIT" else name):
            return self.real.execute(statement, *values)

    def close(self) -> None:
        """Close the store or a cursor."""
        with self.fault.around(self.close_moment):
            self.real.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def _fork(role: str, scene: dict[str, Any], work: Callable[[], None]) -> int:
    """Fork a process for a role of a scene; its output and its moments are written to files."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.chdir(scene["folder"])
        os.environ.update(scene.get("environment", {}))
        output = os.open(f"{role}.output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output, stream.fileno())
        log_file.BLOCK_BYTES, log_import.SEGMENTS_PER_LOAD = BLOCK_BYTES, LOAD_SEGMENTS
        fault = Fault(*scene.get(role, ()))
        if role == "import" and scene.get("snapshots"):
            fault.snapshots = Snapshots()
            fault.snapshots.add("at the beginning")
        fault.patch_all()
        try:
            work()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        sys.stdout.flush()
        Path(f"{role}.moments").write_text(json.dumps(fault.seen), encoding="utf-8")
        if fault.snapshots:
            moments = json.dumps(fault.snapshots.moments)
            (fault.snapshots.folder / "moments.json").write_text(moments, encoding="utf-8")
    except BaseException:  # noqa: BLE001  # after any error the process must not continue as its parent
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


@dataclass
class Owner:
    """A process that owns the folder of a scene until it is stopped."""

    scene: dict[str, Any]

    def start(self) -> None:
        """Start the process; returns when it owns the folder or is dead."""
        (opened, to_opened), (done, self.to_done) = os.pipe(), os.pipe()

        def hold() -> None:
            os.close(self.to_done)
            with avowal.app.session.open_session(None) as session:
                assert session.backend.is_owner
                os.write(to_opened, b"x")
                os.read(done, 1)

        self.process = _fork("owner", self.scene, hold)
        os.close(to_opened)
        os.close(done)
        os.read(opened, 1)
        os.close(opened)

    def stop(self) -> int:
        """Let the process close the folder; returns its exit status."""
        os.close(self.to_done)
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])


def play(scene: dict[str, Any]) -> dict[str, Any]:
    """Play a scene; returns the exit status of each process, below zero for a signal."""
    owner = Owner(scene)
    if "owner" in scene:
        owner.start()

    def import_logs() -> None:
        sys.argv = ["avowal", *scene.get("command", ("import", "--json")), *scene["arguments"]]
        run()

    imports = []
    for fault in scene["imports"]:
        child = _fork("import", {**scene, "import": fault}, import_logs)
        imports.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return {"imports": imports, "owner": owner.stop() if "owner" in scene else None}


def main() -> NoReturn:
    """Play each scene of the input."""
    for line in sys.stdin:
        print(json.dumps(play(json.loads(line))), flush=True)  # noqa: T201
    sys.exit()


if __name__ == "__main__":
    main()
