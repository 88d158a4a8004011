import re
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from avowal import strict
from avowal.errors import InvalidInputError, SettingsError


class Inner(msgspec.Struct, frozen=True):
    """A table."""

    colour: Literal["red", "green"] = "red"
    names: list[str] = []


class Outer(msgspec.Struct, frozen=True):
    """A file."""

    count: int
    on: bool = False
    day: date = date(2026, 11, 22)
    inner: Inner = Inner()
    line: list[Inner] = []
    table: dict[str, Inner] = {}
    perhaps: Inner | None = None


def refusal(tmp_path: Path, text: str | bytes) -> SettingsError:
    """Return the error that a file is refused with."""
    path = tmp_path / "a.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as error_info:
        strict.load_toml(path, Outer, SettingsError)
    assert str(path) in error_info.value.message
    assert error_info.value.hint
    return error_info.value


def test_a_valid_file_is_read(tmp_path: Path) -> None:
    """A valid file is converted to its struct, with or without a byte order mark."""
    path = tmp_path / "a.toml"
    for mark in ("", "\ufeff"):
        path.write_text(f'{mark}count = 1\n[[line]]\ncolour = "green"\n', encoding="utf-8")
        assert strict.load_toml(path, Outer, SettingsError) == Outer(1, line=[Inner("green")])


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("count = 1\ncuont = 2", "line 2: `cuont` is not a known key", "did you mean `count`?"),
        ("count = 1\nzzz = 2", "line 2: `zzz` is not a known key", "the keys here are: count, on, day"),
        ("count = 1\n[iner]", "line 2: `iner` is not a known key", "`inner`"),
        ("count = 1\n[inner]\ncolor = 1", "line 3: `inner.color` is not a known key", "`colour`"),
        ("count = 1\ninner = { color = 1 }", "line 2: `inner.color` is not a known key", "`colour`"),
        ("count = 1\n[[line]]\n[[line]]\nname = []", "line 4: `line[1].name` is not a known key", "`names`"),
        ("count = 1\n[table.a]\nname = []", "line 3: `table.a.name` is not a known key", "`names`"),
        ("count = 1\n[perhaps]\nname = []", "line 3: `perhaps.name` is not a known key", "`names`"),
        ('count = 1\n[inner]\ncolour = "grean"', "line 3: `inner.colour` is `grean`", "`green`"),
    ],
)
def test_an_unknown_name_is_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """An unknown key or name is refused with its line, its dotted key and the nearest valid one."""
    error = refusal(tmp_path, text)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('count = 1\non = "true"', "line 2: `on`: expected `bool`, got `str`", "`true` or `false`"),
        ("count = 1\non = 1", "line 2: `on`: expected `bool`, got `int`", "`true` or `false`"),
        ('count = "1"', "line 1: `count`: expected `int`, got `str`", "whole number"),
        ("count = true", "line 1: `count`: expected `int`, got `bool`", "whole number"),
        ('count = 1\nday = "2026-11-22"', "line 2: `day`: expected `date`, got `str`", "a day"),
        ('count = 1\n[inner]\nnames = "a"', "line 3: `inner.names`: expected `array`, got `str`", "list"),
        (
            "count = 1\n[[line]]\nnames = [1]",
            "line 3: `line[0].names[0]`: expected `str`, got `int`",
            "quotes",
        ),
        ("count = 1\nline = 1", "line 2: `line`: expected `array`, got `int`", "list"),
        ("count = 1\ninner = 1", "line 2: `inner`: expected `object`, got `int`", "table"),
        ("on = true", "`count` is missing", "reference"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """A value of the wrong type is refused with its line, its key and what to write; it is never converted."""
    error = refusal(tmp_path, text)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"count = ", "invalid value"),
        (b"count = 1\ncount = 2", "cannot overwrite"),
        (b"count = 1 # \xe9", "is not UTF-8"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is not valid TOML or UTF-8 is refused with the place and a remedy."""
    assert message in refusal(tmp_path, content).message


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    """A missing file or a folder is refused with a hint."""
    for path, message in ((tmp_path / "none.toml", "there is no file"), (tmp_path, "cannot be read")):
        with pytest.raises(SettingsError, match=message) as error_info:
            strict.load_toml(path, Outer, SettingsError)
        assert error_info.value.hint


@pytest.mark.parametrize("data", [{"inner": []}, {"count": None}, {"line": [[]]}, {"table": {"a": 1}}, [], 1])
def test_parsed_data_is_converted_as_strictly_as_a_file(data: Any) -> None:
    """Data that is already parsed is converted as strictly as a file, and its error names the source."""
    with pytest.raises(InvalidInputError, match=re.escape("the body")):
        strict.convert_toml(data, Outer, source_name="the body", error_type=InvalidInputError)
    assert (
        strict.convert_toml({"count": 2}, Outer, source_name="the body", error_type=InvalidInputError).count
        == 2
    )


@pytest.mark.parametrize("text", [b"", b"{", b'"\xc0"', b"[" * 100_000, b"7"])
def test_whatever_is_no_json_raises_an_expected_error(text: bytes) -> None:
    """Bytes that are no JSON of the expected type raise one of `JSON_ERRORS`, and nothing else."""
    with pytest.raises(strict.JSON_ERRORS):
        msgspec.json.decode(text, type=list[Any])
