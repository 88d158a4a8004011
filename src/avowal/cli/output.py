"""Print sentences, tables, JSON and CSV."""

import csv
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console

from avowal.cli.printable import escape_unprintable
from avowal.cli.text_table import TextTable, create_console
from avowal.disclose.contract_check import ContractComparison
from avowal.policy.bounds import OWN_USE
from avowal.policy.compare import Witness
from avowal.policy.describe import CellDifference, group_witnesses
from avowal.register.register import Version
from avowal.store.interface import ResultTable
from avowal.use.formatting import format_column_heading, format_value


def print_line(sentence: str, *, is_note: bool = False) -> None:
    """Print a sentence in one line, without markup; a note to standard error."""
    console = create_console(is_error=is_note)
    console.print(escape_unprintable(sentence), markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as indented JSON, whose strings have escapes for unprintable characters."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.write(escape_unprintable(text) + "\n")


def print_table(table: ResultTable, console: Console) -> None:
    """Print rows as a table that fits the terminal; control characters are replaced."""
    headings = [format_column_heading(column) for column in table.columns]
    numbers = {
        heading
        for index, heading in enumerate(headings)
        if not all(isinstance(row[index], str | None) for row in table.rows)
    }
    grid = TextTable(*headings, numbers=numbers)
    for row in table.rows:
        grid.add_row(*(format_value(column, value) for column, value in zip(table.columns, row, strict=True)))
    grid.print(console)


def print_table_csv(table: ResultTable) -> None:
    """Print rows as CSV (RFC 4180), with a header and with escapes for unprintable characters."""
    writer = csv.writer(sys.stdout)
    writer.writerow(map(escape_unprintable, table.columns))
    writer.writerows([_escape_cell(value) for value in row] for row in table.rows)


def _escape_cell(value: Any) -> Any:
    """Escape a text, and put a quote before one that a spreadsheet would take for a formula (OWASP: CSV injection)."""
    if not isinstance(value, str):
        return value
    quote = "'" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else ""
    return quote + escape_unprintable(value)


def print_differences(title: str, witnesses: Sequence[Witness], console: Console) -> None:
    """Print differences between terms as a table; nothing if there are none."""
    if not witnesses:
        return
    console.print(f"\n{title}", style="bold")
    table = TextTable("data", "purposes", "recipient", "before", "after")
    for difference in group_witnesses(witnesses):
        purposes, recipient = "", ""
        if isinstance(difference, CellDifference):
            purposes = ", ".join(difference.purposes)
            recipient = (
                difference.recipient
                if difference.ground == OWN_USE
                else f"{difference.recipient} ({difference.ground})"
            )
        table.add_row(difference.describe_subject(), purposes, recipient, *difference.describe_values())
    table.print(console, style="dim")


def print_contract_result(name: str, result: ContractComparison, compared_with: str) -> None:
    """Print whether a contract is sufficient, and why not."""
    print_line(
        f"{name}: {'sufficient' if result.is_sufficient else 'not sufficient'}, compared with {compared_with}"
    )
    for reason in result.reasons:
        print_line(f"  {reason.sentence}")
    print_differences("protects less than the terms", result.looser, create_console())


def version_to_object(version: Version) -> dict[str, Any]:
    """Return a version as the object that `--json` prints."""
    return {
        "version": version.number,
        "identity": version.identity,
        "effective_at": version.effective_at,
        "published_at": version.published_at,
    }
