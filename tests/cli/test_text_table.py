"""Tables of commands: a value is printed whole, or its column is left out and named."""

import io
import os
import pty
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import avowal.cli
from avowal.cli.text_table import PIPE_CHARACTERS, TextTable
from avowal.use.formatting import format_column_heading, format_value
from avowal.use.reports import REPORTS
from support.site import AVOWAL, GOOGLEBOT, Site, line

DAY = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0) - timedelta(days=2)
WIDTHS = [*range(20, 201, 9), 80, 200, PIPE_CHARACTERS]
LEFT_OUT = re.compile(r"notshownin\d+characters:(.*?);awiderterminal")

TEXTS = st.text("abcdefghij0123456789éñßдж網站隱私", max_size=90)
NUMBERS = st.integers(0, 10**9).map("{:,}".format)


def squeeze(text: str) -> str:
    """Remove blanks and ends of lines, which wrapping moves."""
    return re.sub(r"\s", "", text)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[bool], list[list[str]]]:
    """Draw headings, which of the columns are numbers, and rows."""
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=9))
    headings = [f"Heading no.{index} {'x' * draw(st.integers(0, 12))}" for index in range(len(kinds))]
    row = st.tuples(*(NUMBERS if is_number else TEXTS for is_number in kinds)).map(list)
    return headings, kinds, draw(st.lists(row, max_size=4))


@given(tables(), st.sampled_from(WIDTHS))
def test_a_value_is_whole_or_its_column_is_named(
    table: tuple[list[str], list[bool], list[list[str]]], width: int
) -> None:
    """At every width the values of each column can be read back, unless the table says that it left out the column."""
    headings, kinds, rows = table
    grid = TextTable(*headings, numbers=[name for name, kind in zip(headings, kinds, strict=True) if kind])
    output = io.StringIO()
    for row in rows:
        grid.add_row(*row)
    grid.print(Console(file=output, width=width))
    text = output.getvalue()
    note = LEFT_OUT.search(squeeze(text))
    shown = len(headings) - (len(note[1].split(",")) if note else 0)
    assert shown >= 1
    table_text = text[: text.index("not shown in")] if note else text
    assert all(cell_len(printed) <= width for printed in table_text.splitlines())
    for row in rows:
        for value, is_number in zip(row[:shown], kinds, strict=False):
            if is_number and shown > 1:
                assert value in table_text.split()
            elif shown == 1 or len(value) <= 4:
                assert squeeze(value) in squeeze(table_text)
            assert all(table_text.count(letter) >= value.count(letter) for letter in set(value))
    if note:
        assert list(map(squeeze, headings[shown:])) == note[1].split(",")


def test_wrapped_values_stand_in_their_columns() -> None:
    """A long value goes on in the next line; a number never does."""
    output = io.StringIO()
    grid = TextTable("Page", "Views", numbers=["Views"]).add_row("/articles/a-long-name/2026", "1,234")
    grid.print(Console(file=output, width=20))
    assert output.getvalue().splitlines() == ["Page           Views", "/articles/a-lo 1,234", "ng-name/2026"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Make a site with long paths, many visits and long times."""
    site = Site(tmp_path_factory.mktemp("site")).init()
    pages = [
        line(
            n / 2,
            f"/articles/{'very-' * (n % 7)}long/{n % 11}.html",
            start=DAY,
            address=f"192.0.2.{n % 50}",
            status=404 if n % 13 == 0 else 200,
            size=n * 12_345,
            referrer=f"https://{'sub.' * (n % 9)}example.net/",
            agent=GOOGLEBOT
            if n % 17 == 0
            else "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        )
        for n in range(400)
    ]
    site.import_logs(site.log("a.log", *pages))
    return site


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_shows_each_value_whole(name: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piped, every value is in its line; at each width each number is whole, or the column is named as left out."""
    report = site.report(name)
    assert name not in {"pages", "visits", "technology", "availability", "sources", "bots"} or any(
        report["tables"].values()
    )
    piped = site.avowal("report", name, wide=False).out
    for row in (row for rows in report["tables"].values() for row in rows):
        texts = [format_value(column, value) for column, value in row.items()]
        assert "overview" in report["tables"] or any(
            all(text in printed for text in texts) for printed in piped.splitlines()
        )
    for width in (20, 44, 80, 140):
        monkeypatch.setattr("avowal.cli.report.create_console", lambda width=width: Console(width=width))
        out = site.avowal("report", name).out
        assert all(cell_len(printed) <= width for printed in out.splitlines())
        notes = ",".join(LEFT_OUT.findall(squeeze(out)))
        for row in (row for rows in report["tables"].values() for row in rows):
            for column, value in row.items():
                is_left_out = squeeze(format_column_heading(column)) in notes
                assert is_left_out or isinstance(value, str) or format_value(column, value) in out


def test_a_terminal_and_a_pipe_show_a_query_whole(site: Site) -> None:
    """On a real terminal of 40 characters a path is wrapped; a pipe gives its line whole, whatever `COLUMNS` says."""
    path = f"/articles/{'very-' * 6}long/6.html"
    query = f"SELECT page_path, 123456789 AS n FROM views WHERE page_path = '{path}' LIMIT 1"
    command = [AVOWAL, "query", query, "--purpose", "content"]
    environment = {**os.environ, "COLUMNS": "40", "TERM": "dumb"}
    piped = subprocess.run(
        command, cwd=site.folder, env=environment, capture_output=True, text=True, check=True
    )
    assert f"{path} 123,456,789" in piped.stdout.splitlines()
    reading, writing = pty.openpty()
    subprocess.run(command, cwd=site.folder, env=environment, stdout=writing, check=True)
    os.close(writing)
    terminal = os.read(reading, 10_000).decode()
    os.close(reading)
    assert all(len(printed) <= 40 for printed in terminal.splitlines())
    assert "123,456,789" in terminal
    assert path in squeeze(terminal.replace("123,456,789", ""))


def test_nothing_else_prints_tables() -> None:
    """All commands use this table, so what holds for it holds for them."""
    folder = Path(avowal.cli.__file__).parent
    assert not [file for file in folder.glob("*.py") if "rich.table" in file.read_text()]
