"""The command `avowal follow`: a log as it grows, through every rotation, stopped and started again."""

import gzip
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avowal.app.session import open_session
from avowal.workspace.messages import CountRecords
from support.site import CHROME, Site, Started, kept, line, wait_until


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder).init(settings='[collect]\nlog_format = "combined"\n')


class Server:
    """Writes a log as a server does, each line different from every other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.open("ab", buffering=0)
        self.numbers = itertools.count()
        self.written: list[str] = []

    def write(self, lines: int = 1) -> None:
        """Write some lines."""
        more = [line(number / 4, f"/page/{number}") for number in itertools.islice(self.numbers, lines)]
        self.written += more
        self.file.write("".join(more).encode())

    def write_one_and_a_half(self) -> tuple[int, bytes]:
        """Write a line and half of the next at once; returns how many are whole, and what is to be written yet."""
        whole, half = (line(next(self.numbers) / 4, "/halves") for _ in range(2))
        self.file.write(f"{whole}{half[:70]}".encode())
        self.written += [whole, half]
        return len(self.written) - 1, half[70:].encode()

    def open_anew(self) -> None:
        """Go on in a new file of the same name."""
        self.file.close()
        self.file = self.path.open("ab", buffering=0)


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    made = Server(site.folder / "access.log")
    yield made
    made.file.close()


@contextmanager
def following(site: Site, *arguments: object) -> Iterator[Started]:
    with site.started("follow", "access.log", *arguments) as follow:
        follow.wait_for("following `access.log`")
        yield follow


def requests(site: Site) -> int:
    """Return how many requests are kept, asked through whoever owns the folder."""
    with open_session(site.data) as at_work:
        return at_work.call(CountRecords()).requests


def wait_for_all(site: Site, server: Server, follow: Started) -> None:
    """Wait until as many requests are kept as were written; they must be the same, and no more."""

    def all_in() -> bool:
        assert follow.process.poll() is None, follow.said()
        found = requests(site)
        assert found <= len(server.written), f"{found} of {len(server.written)}"
        return found == len(server.written)

    wait_until(all_in, f"{len(server.written)} requests")


def wait_for_the_last(site: Site, server: Server, follow: Started) -> None:
    """Wait until the line written last is in: what was rotated away before it must be in by then."""
    last = server.written[-1].split(" ")[6]

    def is_in() -> bool:
        assert follow.process.poll() is None, follow.said()
        return bool(site.report("pages", "--filter", f"page={last}")["tables"]["pages"])

    wait_until(is_in, f"a view of {last}")


def assert_as_imported(site: Site, server: Server) -> None:
    """Compare what is kept with an import of all that was written."""
    beside = Site(site.folder.with_name("beside"))
    beside.folder.mkdir()
    beside.init(settings='[collect]\nlog_format = "combined"\n')
    beside.take_in(beside.log("access.log", *server.written))
    assert kept(site) == kept(beside)


def test_a_log_is_followed_as_it_grows(site: Site, server: Server) -> None:
    """What is there is read, then what is added; visits grow with it, and SIGTERM ends it cleanly with status 0."""
    server.write(5)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        for _ in range(3):
            server.write(2)
            wait_for_all(site, server, follow)
        wait_until(lambda: site.report("overview")["tables"]["overview"][0]["views"] == 11, "11 views")
        assert follow.end(signal.SIGTERM) == 0
        assert "stopped: 11 lines, 11 requests" in follow.said()
    assert not (site.data / "avowal.sock").exists()
    assert_as_imported(site, server)


def test_what_is_written_until_it_stops_is_read(site: Site, server: Server) -> None:
    """Lines that are in the log when SIGTERM comes are taken in before the end; Ctrl-C does the same."""
    for number, stop in enumerate((signal.SIGTERM, signal.SIGINT)):
        with following(site) as follow:
            server.write(10)
            assert follow.end(stop) == 0
        assert site.rows("SELECT count(*) FROM requests") == [(10 * (number + 1),)]


def test_a_line_written_in_two_halves_counts_once_and_whole(site: Site, server: Server) -> None:
    """An unfinished line waits for its end, and is not counted as unparsable meanwhile."""
    with following(site) as follow:
        for _ in range(3):
            whole, rest = server.write_one_and_a_half()
            wait_until(lambda expected=whole: requests(site) == expected, f"{whole} requests")  # type: ignore[misc]
            assert site.report("overview")["excluded"]["unparsable_lines"] == 0
            server.file.write(rest)
            wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_an_unfinished_line_at_the_end_is_left_for_the_next_time(site: Site, server: Server) -> None:
    """A line whose end comes after the stop counts once, also where an import read its beginning in between."""
    server.write(2)
    _, rest = server.write_one_and_a_half()
    with following(site) as follow:
        assert follow.end(signal.SIGTERM) == 0
    assert site.rows("SELECT sum(lines) FROM logs") == [(3,)]
    site.avowal("import", "access.log")
    assert site.rows("SELECT sum(lines) FROM logs") == [(4,)]
    server.file.write(rest)
    server.write(2)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_a_log_that_is_not_there_yet_is_waited_for(site: Site, server: Server) -> None:
    """A log that begins after its follower did is read from its first line, and one of no format is waited for."""
    server.path.unlink()
    with following(site) as follow:
        server.open_anew()
        server.write(4)
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_a_renamed_log_is_read_to_its_end(site: Site, server: Server) -> None:
    """After a rotation by renaming, what the server goes on writing to the old file counts, as does the new one."""
    server.write(5)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        server.path.rename(server.path.with_suffix(".log.1"))
        server.write(3)
        wait_for_all(site, server, follow)
        old = server.file
        server.file = server.path.open("ab", buffering=0)
        server.write(2)
        wait_for_all(site, server, follow)
        new, server.file = server.file, old
        server.write(2)
        server.file = new
        server.write(2)
        wait_for_all(site, server, follow)
        old.close()
        assert "was rotated" in follow.said()
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_rotations_between_two_looks_lose_nothing(site: Site, server: Server) -> None:
    """Lines written before, between and after a rotation that was not seen as it happened are all read, once."""
    server.write(5)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        follow.process.send_signal(signal.SIGSTOP)
        server.write(3)
        server.path.rename(server.path.with_suffix(".log.1"))
        server.write(3)
        server.open_anew()
        server.write(3)
        follow.process.send_signal(signal.SIGCONT)
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_a_truncated_log_is_read_from_its_beginning(site: Site, server: Server) -> None:
    """After a rotation by copying and truncating, the log is read anew, and its copy is not read twice."""
    server.write(5)
    with following(site) as follow:
        for number in (1, 2):
            wait_for_all(site, server, follow)
            shutil.copy(server.path, server.path.with_suffix(f".log.{number}"))
            os.truncate(server.path, 0)
            server.write(number)
        wait_for_all(site, server, follow)
        assert "was truncated" in follow.said()
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_a_truncated_log_that_outgrew_the_old_one_is_noticed(site: Site, server: Server) -> None:
    """A log that was truncated and is longer again by the next look is read from its beginning all the same."""
    server.write(5)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        follow.process.send_signal(signal.SIGSTOP)
        os.truncate(server.path, 0)
        server.write(50)
        follow.process.send_signal(signal.SIGCONT)
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_lines_copied_away_before_they_were_seen_are_read_from_the_copy(site: Site, server: Server) -> None:
    """What was written just before a log was copied and truncated is in its copy, and counts."""
    server.write(5)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        follow.process.send_signal(signal.SIGSTOP)
        server.write(3)
        shutil.copy(server.path, server.path.with_suffix(".log.1"))
        os.truncate(server.path, 0)
        server.write(2)
        follow.process.send_signal(signal.SIGCONT)
        wait_for_the_last(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("rotation", ["none", "rename", "rename and compress", "copy and truncate"])
def test_what_happens_while_it_is_stopped_is_caught_up_with(
    site: Site, server: Server, stop: signal.Signals, rotation: str
) -> None:
    """Started again after any end, it reads what was written meanwhile, also to a log that was rotated away."""
    server.write(30)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        assert follow.end(stop) == (0 if stop == signal.SIGTERM else -9)
    server.write(4)
    old = server.path.with_suffix(".log.1")
    if rotation == "copy and truncate":
        shutil.copy(server.path, old)
        os.truncate(server.path, 0)
    elif rotation != "none":
        server.path.rename(old)
        server.write(3)
        server.open_anew()
    if rotation == "rename and compress":
        old.with_suffix(".1.gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
    server.write(2)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        server.write(1)
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_a_log_rotated_away_unseen_is_caught_up_with(site: Site, server: Server) -> None:
    """Where two rotations happened while it was stopped, the log that came and went in between is read, too."""
    server.write(5)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    for number in (2, 1):
        server.write(3)
        server.path.rename(server.path.with_suffix(f".log.{number}"))
        server.open_anew()
    server.write(3)
    with following(site) as follow:
        wait_for_the_last(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_old_logs_beside_it_are_left_alone(site: Site, server: Server) -> None:
    """Logs that were rotated away before the first follow are not read: whoever wants them imports them."""
    old = Server(site.folder / "access.log.1")
    old.write(4)
    server.numbers = itertools.count(100)
    server.write(3)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    old.file.close()
    assert site.rows("SELECT count(*) FROM requests") == [(3,)]


def test_killed_again_and_again_it_loses_and_doubles_nothing(site: Site, server: Server) -> None:
    """SIGKILL at any moment while a log grows, and a new start, keep every line once."""
    for number in range(5):
        server.write(40)
        with following(site) as follow:
            server.write(40)
            wait_until(lambda seen=number: requests(site) > 80 * seen, "some requests")  # type: ignore[misc]
            server.write(5 - number)
            follow.end(signal.SIGKILL)
        server.numbers = itertools.count(next(server.numbers) + 1)
    with following(site) as follow:
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_reports_and_imports_work_beside_it(site: Site, server: Server) -> None:
    """While it owns the folder, reports answer and another log is imported; its own log is read by nobody else."""
    server.write(5)
    other = [line(n, f"/other/{n}", address="198.51.100.1", agent=CHROME) for n in range(20)]
    with following(site) as follow:
        wait_for_all(site, server, follow)
        for _ in range(2):
            server.write(2)
            report = site.take_in(site.log("other.log", *other))
            assert report["counts"]["requests"] in {20, 0}
            server.written += other if report["counts"]["requests"] else []
            ran = site.avowal("import", "access.log", "--json")
            assert ran.status in {0, 1}
            assert ran.status == 0 or ran.json()["file_reports"][0]["error_code"] == "log-in-use"
            wait_for_all(site, server, follow)
        assert site.avowal("report", "pages").status == 0
        with site.started("import", site.log("third.log", line(500, "/third"))) as third:
            assert third.process.wait(60) == 0, third.said()
        server.written.append(line(500, "/third"))
        server.write(1)
        wait_for_all(site, server, follow)
        assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


def test_it_outlives_the_process_that_owned_the_folder(site: Site, server: Server) -> None:
    """Started while another command owns the folder, it goes on when that command ends."""
    server.write(3)
    with open_session(site.data) as at_work:
        assert at_work.backend.is_owner
        with following(site) as follow:
            wait_until(lambda: at_work.call(CountRecords()).requests == 3, "3 requests")
            at_work.backend.close()
            server.write(3)
            wait_for_all(site, server, follow)
            assert follow.end(signal.SIGTERM) == 0
    assert_as_imported(site, server)


@pytest.mark.parametrize("what", ["folder", "compressed", "no folder"])
def test_what_cannot_be_followed_is_misuse(site: Site, what: str) -> None:
    """A folder, a compressed log and a log in a folder that is not there are misuse, with a remedy."""
    path = site.folder / "logs"
    if what == "folder":
        path.mkdir()
    elif what == "compressed":
        path.write_bytes(gzip.compress(line().encode()))
    else:
        path = path / "access.log"
    with site.started("follow", path) as follow:
        assert follow.process.wait(60) == 2
        assert "Traceback" not in follow.said()
        assert f"`{path}" in follow.said() or f"`{path.parent}`" in follow.said()
