"""What a full, read-only or forbidden disk is called, and that the same command works once it is mended."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from support.running_server import SETTINGS, SITE, start_server
from support.site import AVOWAL, NOON, Site, line, read_store, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount file systems and change users")

LINES = 40_000
WRONG_ADVICE = re.compile(r"newest backup|is damaged|check its name")
COMMANDS = (
    ("status",),
    ("report", "overview"),
    ("query", "--purpose", "abuse", "SELECT count(*) AS n FROM views"),
    ("import", "late.log"),
    ("retain",),
    ("verify",),
    ("ledger", "checkpoint"),
    ("user", "add", "ann", "--purposes", "abuse"),
    ("backup", "copy"),
)


@contextmanager
def mounted(folder: Path, size_kb: int) -> Iterator[None]:
    """Mount a small file system in memory at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={size_kb}k,mode=700", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        run_system("/bin/umount", "-l", str(folder))


def run_system(*command: str) -> None:
    subprocess.run(command, check=True)


def remount(folder: Path, options: str) -> None:
    run_system("/bin/mount", "-o", f"remount,{options}", str(folder))


def write_log(site: Site, name: str = "big.log", count: int = LINES) -> None:
    site.log(name, *(line(n / 60, f"/{n * 7919:x}", address=f"192.0.2.{n % 250}") for n in range(count)))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a site with a little of data, and logs to import."""
    site = Site(tmp_path_factory.mktemp("template")).init()
    site.import_logs(site.log("a.log", line(0), line(1, "/b")))
    site.log("late.log", *(line(n, "/late", start=NOON.replace(hour=20)) for n in range(2_000)))
    return site


def copy_of(template: Site, folder: Path) -> Site:
    shutil.copytree(template.folder, folder, dirs_exist_ok=True)
    return Site(folder)


def free_kb(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize // 1024


def fill(folder: Path, leave_kb: int) -> Path:
    """Fill a file system but for some kilobytes."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 1024 * max(free_kb(folder) - leave_kb, 0))
    return ballast


@pytest.mark.parametrize("leave_kb", [0, 8, 32, 96, 256, 400, 700, 1_200, 2_000, 4_000])
def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path: Path, leave_kb: int) -> None:
    """Wherever an import meets a full disk, it says so; once there is room, the same command counts each line once."""
    volume = tmp_path / "volume"
    with mounted(volume, 64_000):
        site = Site(volume / "site")
        site.folder.mkdir()
        site.init()
        write_log(site)
        site.import_logs(site.log("a.log", line(0, "/first", address="198.51.100.1")))
        ballast = fill(volume, leave_kb)
        result = site.avowal("import", "big.log")
        if result.status:
            told = result.out + result.err
            assert f"no space is left on the disk of `{volume}" in told, told
            assert not WRONG_ADVICE.search(told), told
        ballast.unlink()
        assert site.avowal("import", "big.log").status == 0
        assert site.avowal("verify").status == 0
        assert len(read_store(site)["requests"]) == LINES + 1


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("leave_kb", [0, 24])
def test_each_command_names_a_full_disk(
    template: Site, tmp_path: Path, arguments: tuple[str, ...], leave_kb: int
) -> None:
    """A command that cannot write on a full disk says so, and works after room was made."""
    volume = tmp_path / "volume"
    with mounted(volume, 64_000):
        site = copy_of(template, volume / "site")
        ballast = fill(volume, leave_kb)
        result = site.avowal(*arguments)
        if result.status:
            assert result.code == "disk-full", result.err
            assert not WRONG_ADVICE.search(result.err), result.err
        ballast.unlink()
        if result.status:
            assert site.avowal(*arguments).status == 0
        assert site.avowal("verify").status == 0


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("part", ["", "data", "keys"])
def test_each_command_names_a_read_only_disk(
    template: Site, tmp_path: Path, arguments: tuple[str, ...], part: str
) -> None:
    """A command that has to write to a read-only folder says so, and works once the folder can be written."""
    site = copy_of(template, tmp_path / "site")
    folder = site.folder / part
    away = tmp_path / "away"
    shutil.copytree(folder, away)
    with mounted(folder, 64_000):
        shutil.copytree(away, folder, dirs_exist_ok=True)
        remount(folder, "ro")
        result = site.avowal(*arguments)
        if result.status:
            assert result.code == "disk-read-only", result.err
            assert not WRONG_ADVICE.search(result.err), result.err
        remount(folder, "rw")
        if result.status:
            assert site.avowal(*arguments).status == 0


def run_as_nobody(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user without rights."""
    command = [
        "/usr/bin/setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        AVOWAL,
        *arguments,
        "--json",
    ]
    environment = {**os.environ, "HOME": "/tmp"}  # noqa: S108  # nothing is written there
    return subprocess.run(
        command, check=False, cwd=site.folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "forbidden", ["data", "keys", "data/avowal.duckdb", "data/register.sqlite", "keys/ledger.key"]
)
@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_a_missing_permission_is_named(template: Site, forbidden: str, mode: int) -> None:
    """A user who may not use a file of the folder is told which, and what helps."""
    with mounted(Path("/mnt") / f"avowal-{os.getpid()}", 64_000):
        volume = Path("/mnt") / f"avowal-{os.getpid()}"
        volume.chmod(0o755)
        site = copy_of(template, volume / "site")
        run_system("/bin/chown", "-R", "65534:65534", str(volume))
        path = site.folder / forbidden
        before = path.stat().st_mode
        path.chmod(mode)
        result = run_as_nobody(site, "status")
        if result.returncode and "ModuleNotFoundError" in result.stderr:
            pytest.skip("another user cannot run the program")
        if result.returncode:
            assert '"file-not-permitted"' in result.stderr, result.stderr
            assert f"{site.folder}" in result.stderr
            assert not WRONG_ADVICE.search(result.stderr), result.stderr
        path.chmod(before)
        run_system("/bin/chmod", "-R", "u+rw", str(site.folder))  # as the hint says
        assert run_as_nobody(site, "status").returncode == 0


@pytest.mark.parametrize("position", [2, 60, -3])
def test_a_damaged_log_of_writes_is_named(template: Site, tmp_path: Path, position: int) -> None:
    """A store whose log of writes is damaged is called so, nothing of it is changed, and a backup helps."""
    site = copy_of(template, tmp_path)
    assert site.avowal("backup", "copy").status == 0
    wal = site.data / "avowal.duckdb.wal"
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute("SET checkpoint_threshold = '1GB'")
        store.execute("PRAGMA disable_checkpoint_on_shutdown")
        store.execute("DELETE FROM dropped_lines")
        store.execute("CREATE TABLE other AS SELECT range FROM range(1000)")
    content = bytearray(wal.read_bytes())
    content[position] ^= 0xFF
    wal.write_bytes(content)
    result = site.avowal("status")
    assert (result.status, result.code in {"store-damaged", "store-rows-mismatch"}) == (1, True), result.err
    assert "avowal restore" in result.err
    assert wal.read_bytes() == content or result.code == "store-rows-mismatch"
    site.data.rename(site.folder / "data.old")
    assert site.avowal("restore", "copy").status == 0
    assert site.avowal("status").status == 0


@pytest.mark.parametrize("leave_kb", [0, 40, 300])
def test_a_server_goes_on_once_there_is_room(tmp_path: Path, leave_kb: int) -> None:
    """On a full disk a server refuses events or keeps them, and says why; each that it acknowledged is loaded later."""
    volume = tmp_path / "volume"
    with mounted(volume, 64_000):
        (volume / "site").mkdir()
        site = Site(volume / "site").init(settings=SETTINGS)
        with start_server(site) as server:
            assert server.send_event(script_view_token="before-it-was-full").status == 202
            server.wait_for_rows("SELECT 1 FROM script_views", 1)
            ballast = fill(volume, leave_kb)
            accepted, statuses = 1, set[int]()
            for number in range(300):
                status = server.send_event(
                    script_view_token=f"{number:020d}", url=f"https://{SITE}/{number}"
                ).status
                statuses.add(status)
                accepted += status == 202
            assert statuses <= {202, 503}
            if leave_kb == 0:
                ready = server.request("GET", "/readyz")
                assert (ready.status, 503 in statuses) == (503, True)
            ballast.unlink()
            server.wait_for_rows("SELECT 1 FROM script_views", accepted)
            wait_until(lambda: server.request("GET", "/readyz").status == 200, "it is ready")
        assert site.avowal("verify").status == 0
