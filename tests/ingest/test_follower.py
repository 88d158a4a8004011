"""The command `avowal follow`: a growing log is read through every rotation, stop and restart."""

import gzip
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from avowal.app.session import open_session
from avowal.workspace.messages import CountRecords
from support.site import CHROME, RunningCommand, Site, line, read_store, wait_until


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder).init(settings='[collect]\nlog_format = "combined"\n')


class LogWriter:
    """Writes a log as a server does; each line is unique."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("ab", buffering=0)
        self.numbers = itertools.count()
        self.written: list[str] = []

    def write(self, lines: int = 1) -> None:
        """Write some lines."""
        texts = [line(number / 4, f"/page/{number}") for number in itertools.islice(self.numbers, lines)]
        self.written += texts
        self.file.write("".join(texts).encode())

    def write_partial_line(self) -> tuple[int, bytes]:
        """Write a line and half of the next; returns how many lines there will be and the missing bytes."""
        complete, partial = (line(next(self.numbers) / 4, "/halves") for _ in range(2))
        self.file.write(f"{complete}{partial[:70]}".encode())
        self.written += [complete, partial]
        return len(self.written) - 1, partial[70:].encode()

    def reopen(self) -> None:
        """Continue in a new file of the same name."""
        self.file.close()
        self.file = self.path.open("ab", buffering=0)


@pytest.fixture
def writer(site: Site) -> Iterator[LogWriter]:
    writer = LogWriter(site.folder / "access.log")
    yield writer
    writer.file.close()


@contextmanager
def run_follower(site: Site, *arguments: object) -> Iterator[RunningCommand]:
    with site.start("follow", "access.log", *arguments) as follow:
        follow.wait_for("following `access.log`")
        yield follow


def count_requests(site: Site) -> int:
    """Return how many requests are stored, through the process that owns the folder."""
    with chdir(site.folder), open_session(None) as session:
        return session.call(CountRecords()).requests


def wait_for_all(site: Site, writer: LogWriter, follow: RunningCommand) -> None:
    """Wait until as many requests are stored as were written, and never more."""

    def is_complete() -> bool:
        assert follow.process.poll() is None, follow.read_output()
        count = count_requests(site)
        assert count <= len(writer.written), f"{count} of {len(writer.written)}"
        return count == len(writer.written)

    wait_until(is_complete, f"{len(writer.written)} requests")


def wait_for_last_line(site: Site, writer: LogWriter, follow: RunningCommand) -> None:
    """Wait until the line written last is stored, as lines rotated away before it then are too."""
    last = writer.written[-1].split(" ")[6]

    def is_stored() -> bool:
        assert follow.process.poll() is None, follow.read_output()
        return bool(site.report("pages", "--filter", f"page={last}")["tables"]["pages"])

    wait_until(is_stored, f"a view of {last}")


def follow_until_all_are_stored(site: Site, writer: LogWriter) -> None:
    """Follow the log until as many requests are stored as were written, then end the command."""
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0


@contextmanager
def paused(follow: RunningCommand) -> Iterator[None]:
    """Stop the process of a command within the block, so that it does not see the steps in it one by one."""
    follow.process.send_signal(signal.SIGSTOP)
    yield
    follow.process.send_signal(signal.SIGCONT)


def assert_equals_import(site: Site, writer: LogWriter) -> None:
    """Assert that the store equals that of an import of all written lines."""
    imported_site = Site(site.folder.with_name("beside"))
    imported_site.folder.mkdir()
    imported_site.init(settings='[collect]\nlog_format = "combined"\n')
    imported_site.import_logs(imported_site.log("access.log", *writer.written))
    assert read_store(site) == read_store(imported_site)


def test_a_growing_log_is_followed(site: Site, writer: LogWriter) -> None:
    """Existing lines and added lines are read, visits are extended, and SIGTERM ends the command with status 0."""
    writer.write(5)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        for _ in range(3):
            writer.write(2)
            wait_for_all(site, writer, follow)
        wait_until(lambda: site.report("overview")["tables"]["overview"][0]["views"] == 11, "11 views")
        assert follow.end(signal.SIGTERM) == 0
        assert "stopped: 11 lines, 11 requests" in follow.read_output()
    assert not (site.data / "avowal.sock").exists()
    assert_equals_import(site, writer)


def test_lines_written_before_the_stop_are_read(site: Site, writer: LogWriter) -> None:
    """Lines that are in the log at SIGTERM or SIGINT are read before the command ends."""
    for number, stop in enumerate((signal.SIGTERM, signal.SIGINT)):
        with run_follower(site) as follow:
            writer.write(10)
            assert follow.end(stop) == 0
        assert site.rows("SELECT count(*) FROM requests") == [(10 * (number + 1),)]


def test_a_line_written_in_two_halves_is_counted_once(site: Site, writer: LogWriter) -> None:
    """The first half is not counted as unparsable."""
    with run_follower(site) as follow:
        for _ in range(3):
            complete_lines, rest = writer.write_partial_line()
            wait_until(
                lambda expected=complete_lines: count_requests(site) == expected,  # type: ignore[misc]
                f"{complete_lines} requests",
            )
            assert site.report("overview")["excluded"]["unparsable_lines"] == 0
            writer.file.write(rest)
            wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_an_unfinished_last_line_is_read_after_a_restart(site: Site, writer: LogWriter) -> None:
    """Such a line is counted once, even if an import reads its first half in between."""
    writer.write(2)
    _, rest = writer.write_partial_line()
    with run_follower(site) as follow:
        assert follow.end(signal.SIGTERM) == 0
    assert site.rows("SELECT sum(lines) FROM logs") == [(3,)]
    site.avowal("import", "access.log")
    assert site.rows("SELECT sum(lines) FROM logs") == [(4,)]
    writer.file.write(rest)
    writer.write(2)
    follow_until_all_are_stored(site, writer)
    assert_equals_import(site, writer)


def test_a_missing_log_is_waited_for(site: Site, writer: LogWriter) -> None:
    """A log that is created after the command started is read from its first line."""
    writer.path.unlink()
    with run_follower(site) as follow:
        writer.reopen()
        writer.write(4)
        wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_a_renamed_log_is_read_to_its_end(site: Site, writer: LogWriter) -> None:
    """After a rotation by renaming, lines written to the old file and to the new one are read."""
    writer.write(5)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        writer.path.rename(writer.path.with_suffix(".log.1"))
        writer.write(3)
        wait_for_all(site, writer, follow)
        old = writer.file
        writer.file = writer.path.open("ab", buffering=0)
        writer.write(2)
        wait_for_all(site, writer, follow)
        new, writer.file = writer.file, old
        writer.write(2)
        writer.file = new
        writer.write(2)
        wait_for_all(site, writer, follow)
        old.close()
        assert "was rotated" in follow.read_output()
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_a_rotation_between_two_polls_loses_no_line(site: Site, writer: LogWriter) -> None:
    """Lines written before, during and after a rotation that was not observed are read once."""
    writer.write(5)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        with paused(follow):
            writer.write(3)
            writer.path.rename(writer.path.with_suffix(".log.1"))
            writer.write(3)
            writer.reopen()
            writer.write(3)
        wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_a_truncated_log_is_read_from_its_beginning(site: Site, writer: LogWriter) -> None:
    """After a rotation by copying and truncating, the log is read anew, and its copy is not read twice."""
    writer.write(5)
    with run_follower(site) as follow:
        for number in (1, 2):
            wait_for_all(site, writer, follow)
            shutil.copy(writer.path, writer.path.with_suffix(f".log.{number}"))
            os.truncate(writer.path, 0)
            writer.write(number)
        wait_for_all(site, writer, follow)
        assert "was truncated" in follow.read_output()
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_a_truncated_log_that_has_grown_longer_is_noticed(site: Site, writer: LogWriter) -> None:
    """A log that was truncated and is longer than before at the next poll is read from its beginning."""
    writer.write(5)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        with paused(follow):
            os.truncate(writer.path, 0)
            writer.write(50)
        wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_lines_not_read_before_a_truncation_are_read_from_the_copy(site: Site, writer: LogWriter) -> None:
    """Lines written just before a log was copied and truncated are read from its copy."""
    writer.write(5)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        with paused(follow):
            writer.write(3)
            shutil.copy(writer.path, writer.path.with_suffix(".log.1"))
            os.truncate(writer.path, 0)
            writer.write(2)
        wait_for_last_line(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("rotation", ["none", "rename", "rename and compress", "copy and truncate"])
def test_lines_written_while_stopped_are_read_after_a_restart(
    site: Site, writer: LogWriter, stop: signal.Signals, rotation: str
) -> None:
    """After any end, a restart reads the lines written meanwhile, also from a log that was rotated."""
    writer.write(30)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        assert follow.end(stop) == (0 if stop == signal.SIGTERM else -9)
    writer.write(4)
    old = writer.path.with_suffix(".log.1")
    if rotation == "copy and truncate":
        shutil.copy(writer.path, old)
        os.truncate(writer.path, 0)
    elif rotation != "none":
        writer.path.rename(old)
        writer.write(3)
        writer.reopen()
    if rotation == "rename and compress":
        old.with_suffix(".1.gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
    writer.write(2)
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        writer.write(1)
        wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_a_log_rotated_twice_while_stopped_is_read(site: Site, writer: LogWriter) -> None:
    """After two rotations while the command was stopped, the log in between is read too."""
    writer.write(5)
    follow_until_all_are_stored(site, writer)
    for number in (2, 1):
        writer.write(3)
        writer.path.rename(writer.path.with_suffix(f".log.{number}"))
        writer.reopen()
    writer.write(3)
    with run_follower(site) as follow:
        wait_for_last_line(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_logs_rotated_before_the_first_start_are_not_read(site: Site, writer: LogWriter) -> None:
    """Older logs have to be imported with `avowal import`."""
    old = LogWriter(site.folder / "access.log.1")
    old.write(4)
    writer.numbers = itertools.count(100)
    writer.write(3)
    follow_until_all_are_stored(site, writer)
    old.file.close()
    assert site.rows("SELECT count(*) FROM requests") == [(3,)]


def test_repeated_kills_lose_and_repeat_no_line(site: Site, writer: LogWriter) -> None:
    """After SIGKILL at any moment of a growing log, a restart stores every line once."""
    for number in range(5):
        writer.write(40)
        with run_follower(site) as follow:
            writer.write(40)
            wait_until(lambda seen=number: count_requests(site) > 80 * seen, "some requests")  # type: ignore[misc]
            writer.write(5 - number)
            follow.end(signal.SIGKILL)
        writer.numbers = itertools.count(next(writer.numbers) + 1)
    follow_until_all_are_stored(site, writer)
    assert_equals_import(site, writer)


def test_reports_and_imports_work_while_a_log_is_followed(site: Site, writer: LogWriter) -> None:
    """Reports and imports of other logs work; an import of the followed log is refused."""
    writer.write(5)
    other = [line(n, f"/other/{n}", address="198.51.100.1", agent=CHROME) for n in range(20)]
    with run_follower(site) as follow:
        wait_for_all(site, writer, follow)
        for _ in range(2):
            writer.write(2)
            report = site.import_logs(site.log("other.log", *other))
            assert report["counts"]["requests"] in {20, 0}
            writer.written += other if report["counts"]["requests"] else []
            result = site.avowal("import", "access.log", "--json")
            assert result.status in {0, 1}
            assert result.status == 0 or result.json()["file_reports"][0]["error_code"] == "log-in-use"
            wait_for_all(site, writer, follow)
        assert site.avowal("report", "pages").status == 0
        with site.start("import", site.log("third.log", line(500, "/third"))) as third:
            assert third.process.wait(60) == 0, third.read_output()
        writer.written.append(line(500, "/third"))
        writer.write(1)
        wait_for_all(site, writer, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


def test_following_continues_when_the_owner_of_the_folder_ends(site: Site, writer: LogWriter) -> None:
    """A follower that was a client of another command takes over when that command ends."""
    writer.write(3)
    with chdir(site.folder), open_session(None) as session:
        assert session.backend.is_owner
        with run_follower(site) as follow:
            wait_until(lambda: session.call(CountRecords()).requests == 3, "3 requests")
            session.backend.close()
            writer.write(3)
            wait_for_all(site, writer, follow)
            assert follow.end(signal.SIGTERM) == 0
    assert_equals_import(site, writer)


@pytest.mark.parametrize("kind", ["folder", "compressed", "no folder"])
def test_a_log_that_cannot_be_followed_is_refused(site: Site, kind: str) -> None:
    """A folder, a compressed log and a log in a missing folder are refused with status 2."""
    path = site.folder / "logs"
    if kind == "folder":
        path.mkdir()
    elif kind == "compressed":
        path.write_bytes(gzip.compress(line().encode()))
    else:
        path = path / "access.log"
    with site.start("follow", path) as follow:
        assert follow.process.wait(60) == 2
        assert "Traceback" not in follow.read_output()
        assert f"`{path}" in follow.read_output() or f"`{path.parent}`" in follow.read_output()
