"""How a command ends that cannot run, or that fails."""

import errno
import json
from importlib import metadata
from pathlib import Path

import pytest

import avowal
from avowal.cli.main import AVOWAL, execute
from avowal.errors import StoreError
from avowal.policy.vocabulary import load_vocabulary
from support.site import Site


@pytest.mark.parametrize(
    "arguments",
    [("nope",), ("report", "--nope"), ("query",), ("report", "--bots=perhaps"), ("release", "nope")],
)
def test_an_invalid_command_line_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """An invalid command line gives exit status 2 and one error with a hint."""
    result = Site(tmp_path).avowal(*arguments)
    assert (result.status, result.code, result.out) == (2, "invalid-command", "")
    assert len(result.err.splitlines()) == 2


@pytest.mark.parametrize("arguments", [(), ("policy",), ("visitor",)])
def test_no_command_prints_the_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Without a command, or with only a group, the help is printed, and the exit status is 2."""
    result = Site(tmp_path).avowal(*arguments)
    assert (result.status, result.code, "Usage: avowal" in result.out) == (2, "", True)


def test_an_error_is_printed_as_json(tmp_path: Path) -> None:
    """With `--json`, an error is one object on standard error: its code, its message and its hint."""
    result = Site(tmp_path).avowal("report", "pagse", "--json")
    assert (result.status, result.out) == (2, "")
    error = json.loads(result.err)["error"]
    assert list(error) == ["code", "message", "hint"]
    assert (error["code"], "`pagse`" in error["message"]) == ("unknown-name", True)


def test_an_error_of_the_command_line_is_printed_as_json(tmp_path: Path) -> None:
    """With `--json`, an error of the command line is an object, too."""
    result = Site(tmp_path).avowal("report", "--nope", "--json")
    assert (result.status, json.loads(result.err)["error"]["code"]) == (2, "invalid-command")


def test_the_version_is_printed(tmp_path: Path) -> None:
    """`avowal --version` and `avowal.__version__` are the version of the package."""
    result = Site(tmp_path).avowal("--version")
    assert (result.status, result.out) == (0, f"avowal {metadata.version('avowal')}\n")
    assert avowal.__version__ == metadata.version("avowal")
    assert "--version" in Site(tmp_path).avowal("--help").out


def test_the_help_of_disclose_lists_the_grounds(tmp_path: Path) -> None:
    """Whoever has to name a ground finds all of them."""
    text = " ".join(Site(tmp_path).avowal("disclose", "--help").out.replace("-\n", "-").split())
    for ground in load_vocabulary().words("grounds"):
        assert ground.replace("-", "") in text.replace("-", "").replace(" ", ""), ground


@pytest.mark.parametrize("joiner", [" ", "="])
def test_an_error_that_names_no_file_names_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joiner: str
) -> None:
    """The option of the folder may have its value after a blank or after an equals sign."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(AVOWAL, "main", fail)
    with pytest.raises(StoreError) as caught:
        execute(["status", *f"--data{joiner}{tmp_path}".split()])
    assert (caught.value.code, str(tmp_path) in caught.value.message) == ("disk-full", True)
