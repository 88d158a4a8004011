"""How the process of a command starts and ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.site import AVOWAL, Site

FULL = Path("/dev/full")


def run_process(site: Site, *arguments: str, output: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as a process of its own, with its output to a place."""
    with Path(output).open("w") as out:
        return subprocess.run(
            [AVOWAL, *arguments], cwd=site.folder, stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path).init()


@pytest.mark.parametrize(("arguments", "status"), [(("policy", "check"), 0), (("report", "none"), 2)])
def test_a_command_ends_with_its_status_and_all_of_its_output(
    site: Site, arguments: tuple[str, ...], status: int
) -> None:
    """All output is written, although the interpreter is not finalized."""
    output = site.folder / "output.txt"
    result = run_process(site, *arguments, output=str(output))
    assert result.returncode == status
    assert output.read_text() == site.avowal(*arguments, wide=False).out
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", [("policy", "show", "--json"), ("policy", "check"), ("report", "--csv")]
)
def test_output_that_cannot_be_written_is_an_error(site: Site, arguments: tuple[str, ...]) -> None:
    """A full disk gives a message and exit status 1."""
    result = run_process(site, *arguments, output=str(FULL))
    assert result.returncode == 1
    assert "no space is left on the disk of `standard output`" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_closed_pipe_ends_the_command_silently(site: Site) -> None:
    """If the reader of the output, such as `head`, closes it, no error is printed."""
    with subprocess.Popen(
        [AVOWAL, "policy", "show"], cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.wait()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("command", "other"), [("report", "serving"), ("policy", "querying")])
def test_a_command_imports_no_other_command(command: str, other: str) -> None:
    """A command does not import the modules of other commands."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", AVOWAL, command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"avowal {command}" in result.stdout
    assert "avowal.app.session" in result.stderr
    assert f"avowal.cli.{other}" not in result.stderr


def test_an_unknown_command_is_refused_with_the_nearest(site: Site) -> None:
    """The hint at an unknown command names the nearest command."""
    result = site.avowal("reprot", wide=False)
    assert result.status == 2
    assert "report" in result.err
