"""How a command ends that cannot run, or that fails."""

import json
from pathlib import Path

import pytest

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
