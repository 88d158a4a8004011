"""What commands print has no character that controls a terminal or turns the direction of text."""

import csv
import io
import json
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console

from avowal.cli.printable import escape_unprintable
from avowal.cli.text_table import TextTable
from support.site import Site
from support.templates import make_once

CONTROLS = "\x1b[31m\x9b31m\u202e\u2066\x7f\r\u2028\U000e0001"
"""An escape sequence in two forms, two controls of direction, and others."""


@make_once
def empty_site(folder: Path) -> Site:
    """Make a site without data."""
    return Site(folder).init()


def test_exactly_the_unprintable_characters_are_escaped() -> None:
    """They are those that Unicode calls control, format, surrogate, private and line separators, but tab and newline."""
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        category = unicodedata.category(character)  # Cn: this Python does not know it yet
        is_escaped = escape_unprintable(character) != character
        if category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character not in "\t\n":
            assert is_escaped, hex(number)
        else:
            assert not is_escaped or category == "Cn", hex(number)


def test_json_with_escapes_has_the_same_value() -> None:
    """A character beyond 16 bits becomes two escapes."""
    text = "".join(map(chr, range(32, 0xD800))) + "\U000e0001\U0010ffff"
    assert json.loads(escape_unprintable(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("options", [(), ("--json",), ("--csv",), ("--explain",), ("--explain", "--json")])
def test_an_answer_has_no_controls(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Tables, JSON, CSV and SQL have escapes, or another character in their place."""
    ran = empty_site(tmp_path).avowal(
        "query", f"SELECT '{CONTROLS}' AS \"{CONTROLS}\"", "--purpose", "content", *options
    )
    assert ran.status == 0
    assert not set(CONTROLS) & set(ran.out.replace("\r\n", "\n")) - set("[31m")


def test_json_has_every_value_exactly_and_csv_has_escapes(tmp_path: Path) -> None:
    """JSON escapes have the value of the characters; CSV, which knows no escapes, has them as text."""
    site = empty_site(tmp_path)
    query = ("query", f"SELECT '{CONTROLS}' AS x", "--purpose", "content")
    assert site.avowal(*query, "--json").json()["rows"] == [{"x": CONTROLS}]
    rows = list(csv.reader(io.StringIO(site.avowal(*query, "--csv").out)))
    assert rows == [["x"], [json.dumps(CONTROLS)[1:-1].replace("\\r", "\\u000d")]]


def test_an_error_has_no_controls(tmp_path: Path) -> None:
    """What somebody typed stands in the message with escapes, also with `--json`."""
    site = empty_site(tmp_path)
    for options in ((), ("--json",)):
        ran = site.avowal("report", "pages", "--as", f"ann{CONTROLS}", *options)
        assert ran.status == 1
        assert not set(CONTROLS) & set(ran.err.replace("\x1b[31m\x1b[1m", "").replace("\x1b[0m", "")) - set(
            "[31m"
        )


def test_a_table_escapes_its_cells() -> None:
    """A cell or a heading cannot control the terminal. All commands use this table: `test_text_table.py` holds that."""
    output = io.StringIO()
    TextTable("a\x1b[2J", "b").add_row("\x1b]0;x\x07[red]", "\u202e").print(Console(file=output, width=80))
    assert not set(output.getvalue()) & {"\x1b", "\x07", "\u202e"}
    assert "[red]" in output.getvalue()
