"""A site in a folder, generated logs, and the command `avowal` in this process or in one of its own."""

import contextlib
import io
import json
import os
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from unittest import mock

import duckdb
import msgspec

from avowal.cli import main
from avowal.collect.line_counts import LineCounts
from support.commands import Command, start_command

AVOWAL = str(Path(sys.executable).with_name("avowal"))
REAL_DATA = Path(__file__).parents[3] / "shared" / "data"
"""Logs of real sites, which are not part of the project; tests that need them are skipped without them."""

NOON = datetime(2026, 1, 5, 12, 0)  # noqa: DTZ001  # UTC without a zone
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

DEADLINE_SECONDS = 60.0
"""The longest time that a test waits for a condition."""
LONGEST_PAUSE_SECONDS = 0.2
"""The longest pause between two looks: a condition that sends a request stays below the server's limits."""


def line(
    minutes: float = 0,
    path: str = "/",
    *,
    start: datetime = NOON,
    address: str = "192.0.2.1",
    user: str = "-",
    method: str = "GET",
    status: int = 200,
    size: int | str = 512,
    referrer: str = "-",
    agent: str = FIREFOX,
    host: str = "",
) -> str:
    """Write a line of the combined format, `minutes` after `start`, with a host in front of it if given."""
    moment = start + timedelta(minutes=minutes)
    prefix = f"{host} " if host else ""
    return (
        f"{prefix}{address} - {user} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"{method} {path} HTTP/1.1" {status} {size} "{referrer}" "{agent}"\n'
    )


def wait_until(condition: Callable[[], bool], description: str) -> None:
    """Poll a condition until it holds, ever less often. Fails with a description after the deadline."""
    deadline, pause = time.monotonic() + DEADLINE_SECONDS, 0.02
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"in {DEADLINE_SECONDS:.0f} s this never came true: {description}")
        time.sleep(pause)
        pause = min(1.1 * pause, LONGEST_PAUSE_SECONDS)


TERMS_PROSE = """## Everyone

This is for all.

## All of it

{categories}

## For what

{purposes}

## For whom

{recipients}

{grounds}

{cookies}

## Versions

This changes.

Last updated on 2026-11-22.
"""
"""Prose that is true of any terms, as it is made of references."""


def fill_placeholders(terms: str) -> str:
    """Replace what the policies that come with Avowal leave to the operator."""
    terms = terms.replace('"The operator of this website"', '"The example project"')
    terms = terms.replace('"privacy@example.org"', '"privacy@site.example"')
    return re.sub(r" +# placeholder\b.*", "", terms)


@dataclass(frozen=True)
class CommandResult:
    """The result of a command."""

    status: int
    out: str
    err: str
    code: str = ""
    """The code of the error, if any."""

    def json(self) -> Any:
        """Return the one object that `--json` printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class RunningCommand:
    """A command in a process of its own."""

    process: Command
    output: IO[bytes]

    def read_output(self) -> str:
        """Return the output so far."""
        return os.pread(self.output.fileno(), 1_000_000, 0).decode()

    def wait_for(self, text: str) -> None:
        """Wait until the output contains a text."""
        wait_until(lambda: text in self.read_output() or self.process.poll() is not None, text)
        assert text in self.read_output(), self.read_output()

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_SECONDS)
        assert "Traceback" not in self.read_output(), self.read_output()
        return status


@dataclass(frozen=True)
class Site:
    """A folder, its data, and the command `avowal` in this folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        """Return the data folder."""
        return self.folder / "data"

    def init(self, *changes: tuple[str, str], settings: str = "") -> "Site":
        """Create the folder with the terms of the example with a cookie, some of their text replaced, and with settings."""
        assert self.avowal("init", ".", "--example", "unless-refused").status == 0
        terms = self.folder / "policy" / "terms.toml"
        text = re.sub(r"(?m)^updated = \S+", "updated = 2026-11-22", terms.read_text())
        text = fill_placeholders(text)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        terms.write_text(text)
        document = terms.with_name("privacy-policy.en.md")
        head = document.read_text().partition("\n## ")[0]
        document.write_text(f"{head}\n{TERMS_PROSE}")
        (self.folder / "avowal.toml").write_text(settings)
        return self

    def log(self, name: str, *lines: str) -> Path:
        """Write a log; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
        return path

    def avowal(self, *arguments: object, stdin: bytes = b"", wide: bool = True) -> CommandResult:
        """Run the command in this process."""
        out, err = io.StringIO(), io.StringIO()
        environment = {"COLUMNS": "250" if wide else "80", **self.environment}
        status = 0
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, environment),
            mock.patch.object(sys, "argv", ["avowal", *map(str, arguments)]),
            mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin)))),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(main, "print_error", wraps=main.print_error) as print_error,
        ):
            try:
                main.run()
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else int(bool(error.code))
        code = print_error.call_args.args[0].code if print_error.called else ""
        return CommandResult(status, out.getvalue(), err.getvalue(), code)

    def import_logs(self, *arguments: object, stdin: bytes = b"") -> dict[str, Any]:
        """Import with `--json`; returns the report after checking its sums."""
        report = self.avowal("import", "--json", *arguments, stdin=stdin).json()
        assert isinstance(report, dict)
        counts = msgspec.convert(report["counts"], LineCounts)
        files = [msgspec.convert(file["counts"], LineCounts) for file in report["file_reports"]]
        drops = sum(counts.dropped.values()) + sum(counts.unparsable.values())
        assert (counts.lines, counts) == (counts.requests + drops, sum(files, LineCounts()))
        return report

    def report(self, name: str, *arguments: object) -> dict[str, Any]:
        """Return a report."""
        result = self.avowal("report", name, "--json", *arguments)
        assert result.status == 0, result.err
        report = result.json()
        assert isinstance(report, dict)
        return report

    @contextlib.contextmanager
    def start(self, *arguments: object) -> Iterator[RunningCommand]:
        """Start the command in a process of its own, which is killed at the end of the block."""
        with tempfile.TemporaryFile() as output:
            environment = {**os.environ, "COLUMNS": "250", **self.environment}
            process = start_command(self.folder, environment, [*map(str, arguments)], output)
            try:
                yield RunningCommand(process, output)
            finally:
                process.kill()
                process.wait()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the store's file, which no process may have open."""
        with duckdb.connect(self.data / "avowal.duckdb") as store:
            return store.execute(sql).fetchall()


STORE_QUERIES: Mapping[str, str] = {
    "requests": "SELECT * EXCLUDE (visitor_id, load_number, record_number) FROM requests ORDER BY ALL",
    "views": "SELECT * EXCLUDE (visitor_id, request_number, script_view_number) FROM views ORDER BY ALL",
    "visits": "SELECT * EXCLUDE (visitor_id) FROM visits ORDER BY ALL",
    "visitors": "SELECT min(request_time), max(request_time), count(*) FROM requests GROUP BY visitor_id ORDER BY ALL",
    "dropped": "SELECT reason, sum(line_count) FROM dropped_lines GROUP BY reason ORDER BY ALL",
    "unparsable_lines": "SELECT offset_bytes, length_bytes, reason, shape FROM unparsable_lines ORDER BY ALL",
    "lines": "SELECT sum(lines), sum(requests) FROM logs",
    "waiting": "SELECT count(*) FROM stale_visitors",
}
"""Everything in the store except visitor keys and load numbers, which differ between folders and runs."""


def read_store(site: Site, tables: Sequence[str] = tuple(STORE_QUERIES)) -> dict[str, list[tuple[Any, ...]]]:
    """Return the content of a site's store, in an order that does not depend on the order of imports."""
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        return {name: store.execute(STORE_QUERIES[name]).fetchall() for name in tables}


def tamper(site: Site, *statements: str) -> None:
    """Change the register's file as somebody with root could: its triggers are out of force meanwhile."""
    with contextlib.closing(sqlite3.connect(site.data / "register.sqlite")) as file:
        triggers = file.execute(
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _, _ in triggers:
            file.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert file.execute(statement).rowcount != 0, statement
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for _, table, sql in triggers:
            if table in tables:
                file.execute(sql)
        file.commit()
