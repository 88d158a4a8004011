"""How a command ends that the terminal started."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.site import AVOWAL, Site

FULL = Path("/dev/full")


def ran(site: Site, *words: str, output: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a process of its own, with its output to a place."""
    with Path(output).open("w") as out:
        return subprocess.run(
            [AVOWAL, *words], cwd=site.folder, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path).init()


@pytest.mark.parametrize(("words", "status"), [(("policy", "check"), 0), (("report", "none"), 2)])
def test_a_command_ends_with_its_status_and_all_of_its_output(
    site: Site, words: tuple[str, ...], status: int
) -> None:
    """Nothing that was written is lost, although the interpreter is not taken apart."""
    told = site.folder / "told.txt"
    found = ran(site, *words, output=str(told))
    assert found.returncode == status
    assert told.read_text() == site.avowal(*words, wide=False).out
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_an_error(site: Site) -> None:
    """With a message; a disk that is full does not pass for a report that was written."""
    found = ran(site, "policy", "show", "--json", output=str(FULL))
    assert found.returncode == 1
    assert "No space left on device" in found.stderr
    assert "Traceback" not in found.stderr


def test_who_reads_no_further_ends_it_quietly(site: Site) -> None:
    """A reader that has seen enough, as `head` has, is told nothing."""
    with subprocess.Popen(
        [AVOWAL, "policy", "show"], cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.wait()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("called", "beside"), [("report", "serving"), ("policy", "querying")])
def test_a_command_imports_no_other(called: str, beside: str) -> None:
    """Whoever asks for a report does not wait for the server's modules."""
    found = subprocess.run(
        [sys.executable, "-X", "importtime", AVOWAL, called, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"avowal {called}" in found.stdout
    assert "avowal.app.session" in found.stderr
    assert f"avowal.cli.{beside}" not in found.stderr


def test_an_unknown_command_is_told_with_the_nearest(site: Site) -> None:
    """All commands are looked through where none of that name is there."""
    found = site.avowal("reprot", wide=False)
    assert found.status == 2
    assert "report" in found.err
