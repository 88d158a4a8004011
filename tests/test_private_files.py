"""Files of data and keys are refused if others could have put them there, or may change them."""

import os
from pathlib import Path

import pytest

from avowal.private_files import check_private_folder, open_private, read_private
from support.errors import raises_code
from support.site import Site, line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "store").write_text("ours")
    (folder / "ours.key").write_text("secret")
    (folder / "ours.key").chmod(0o600)
    return folder


def test_a_folder_of_our_own_is_accepted(folder: Path) -> None:
    """Files that others may read are accepted, and so is a folder that is reached by a link or does not exist."""
    check_private_folder(folder)
    check_private_folder(folder, has_secrets=True)
    (folder / "ours.key").chmod(0o644)  # nobody else may enter the folder
    check_private_folder(folder, has_secrets=True)
    (folder.parent / "link").symlink_to(folder)
    check_private_folder(folder.parent / "link")
    check_private_folder(folder.parent / "nowhere")


@pytest.mark.parametrize("name", ["store", "journals", "new"])
def test_a_symbolic_link_is_refused(folder: Path, name: str) -> None:
    """A link is refused in place of a file or a folder, also one that leads nowhere."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(folder.parent / ("elsewhere" if name == "new" else "."))
    with raises_code("file-unsafe"):
        check_private_folder(folder)
    with raises_code("file-unsafe"):
        read_private(folder / name)
    with raises_code("file-unsafe"):
        open_private(folder / name, os.O_WRONLY | os.O_CREAT)
    assert not (folder.parent / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "mode"), [("", 0o770), ("", 0o707), ("store", 0o646), ("ours.key", 0o640), ("ours.key", 0o604)]
)
def test_a_file_that_others_may_change_is_refused(folder: Path, name: str, mode: int) -> None:
    """Nobody else may write to a folder or its files, or read a key."""
    folder.chmod(0o711)
    (folder / name).chmod(mode)
    with raises_code("file-unsafe"):
        check_private_folder(folder, has_secrets=True)


def test_a_pipe_is_refused(folder: Path) -> None:
    """Something that is neither file nor folder is refused."""
    os.mkfifo(folder / "pipe")
    with raises_code("file-unsafe"):
        check_private_folder(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(folder: Path) -> None:
    """Root acts for the user who owns the folder, and for nobody else."""
    os.chown(folder, 12345, 12345)
    os.chown(folder / "store", 12345, 12345)
    check_private_folder(folder)
    os.chown(folder / "store", 54321, 54321)
    with raises_code("file-unsafe"):
        check_private_folder(folder)


PLACES = [
    "data/avowal.duckdb",
    "data/register.sqlite",
    "data/lock",
    "data/journals",
    "keys/ledger.key",
    "keys/salts.json",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_command_follows_a_link_in_its_folder(tmp_path: Path, place: str) -> None:
    """A command refuses a store, a register, a lock, a folder or a key that is a symbolic link, and changes nothing."""
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    site.init()
    log = site.log("access.log", line())
    assert site.avowal("import", log).status == 0
    path, elsewhere = site.folder / place, tmp_path / "elsewhere"
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.mkdir()
    before = elsewhere.read_bytes() if elsewhere.is_file() else b""
    path.symlink_to(elsewhere)
    for command in (("import", log), ("report", "pages"), ("verify",), ("retain",)):
        result = site.avowal(*command)
        assert (result.status, result.code) == (1, "file-unsafe"), (command, result.err)
    assert before == (elsewhere.read_bytes() if elsewhere.is_file() else b"")


@pytest.mark.parametrize("name", ["0.journal", "0.parquet"])
def test_a_link_among_what_waits_is_refused(tmp_path: Path, name: str) -> None:
    """A journal or a segment that is a symbolic link is not read."""
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    site.init()
    assert site.avowal("import", site.log("access.log", line())).status == 0
    (site.data / "journals").mkdir(mode=0o700)
    (site.data / "journals" / name).symlink_to(tmp_path / "elsewhere")
    result = site.avowal("report", "pages")
    assert (result.status, result.code) == (1, "file-unsafe")
