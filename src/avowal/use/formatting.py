"""How an answer is written for people: headings, values, and what is to be said of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from avowal.use.reports import REPORTS, ReportCompleteness

PATH_CHARACTERS_MAX = 60
"""Longest page path shown in a table, in characters; `--json` and `--csv` give it whole."""


def format_table_title(report: str, table: str) -> str:
    """Return the title of a table of a report."""
    rest = table.removeprefix(report).strip("_")
    return (
        f"{report.capitalize()}: {rest}" if rest else f"{report.capitalize()}: {REPORTS[report].description}"
    )


def format_column_heading(column: str) -> str:
    """Return the heading of a column."""
    return column.replace("_duration_ms", "_duration").replace("_", " ")


def format_value(column: str, value: Any) -> str:
    """Write a value for people; unknown is not zero."""
    if value is None:
        return "unknown"
    for ending, write in VALUE_FORMATTERS.items():
        if column.endswith(ending):
            return write(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    plain = f"{value:,}" if isinstance(value, int) else str(value)
    return replace_unprintable(plain)


def replace_unprintable(text: str) -> str:
    """Return a text that cannot disturb a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def is_printable_line(text: str, characters_max: int) -> bool:
    """Return whether a text is one line that a terminal can show, of so many characters at most."""
    return len(text) <= characters_max and replace_unprintable(text) == text


def _path(path: str) -> str:
    """Decode a path for reading, where it is text and cannot disturb a terminal."""
    plain = unquote(path, errors="replace")
    plain = plain if plain.isprintable() and "\ufffd" not in plain else path
    plain = replace_unprintable(plain)
    return plain if len(plain) <= PATH_CHARACTERS_MAX else f"{plain[: PATH_CHARACTERS_MAX - 1]}…"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004  # SI prefixes
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


VALUE_FORMATTERS: dict[str, Callable[[Any], str]] = {
    "_path": lambda value: _path(str(value)),
    "_duration_ms": lambda value: str(timedelta(seconds=round(float(value) / 1000))),
    "share": lambda value: f"{float(value):.1%}",
    "bytes": lambda value: _size(float(value)),
    "last_seen": lambda value: str(value).replace("T", " ")[:16],
    "_at": lambda value: str(value).replace("T", " ")[:19],
    "status": str,
    "hour": str,
}
"""How the values of a column are written, by the ending of its name."""


def describe_completeness(completeness: ReportCompleteness, dropped_lines: dict[str, int]) -> list[str]:
    """Say what share was measured, and what is not in the tables."""
    measured = []
    if completeness.views:
        measured.append(
            f"{completeness.measured_views / completeness.views:.0%} of {completeness.views:,} views"
        )
    if completeness.visits:
        measured.append(
            f"{completeness.measured_visits / completeness.visits:.0%} of {completeness.visits:,} visits"
        )
    robots = (
        f"{completeness.bot_requests:,}" if completeness.bot_requests is not None else "an untold number of"
    )
    left = [f"{lines:,} lines dropped ({reason})" for reason, lines in dropped_lines.items()]
    left.append(f"{completeness.unparsable_lines:,} unparsable lines")
    sentences = [
        f"Not among visits and views: {robots} requests of robots; and of all that was ever read, {', '.join(left)}."
    ]
    if measured:
        sentences.insert(
            0, f"Duration is known of {' and '.join(measured)}; of the others it is unknown, not zero."
        )
    return sentences
