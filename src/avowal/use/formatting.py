"""How an answer is written for people: headings, values, and what is to be said of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from avowal.use.reports import REPORTS, Account

PATH_WIDTH = 60
"""Longest page path shown in a table, in characters; `--json` and `--csv` give it whole."""


def titled(report: str, table: str) -> str:
    """Return the title of a table of a report."""
    rest = table.removeprefix(report).strip("_")
    return f"{report.capitalize()}: {rest}" if rest else f"{report.capitalize()}: {REPORTS[report].about}"


def heading(column: str) -> str:
    """Return the heading of a column."""
    return column.replace("_duration_ms", "_duration").replace("_", " ")


def text(column: str, value: Any) -> str:
    """Write a value for people; unknown is not zero."""
    if value is None:
        return "unknown"
    for ending, write in FORMS.items():
        if column.endswith(ending):
            return write(value)
    if isinstance(value, float):
        return f"{value:,.1f}"
    plain = f"{value:,}" if isinstance(value, int) else str(value)
    return printable(plain)


def printable(text: str) -> str:
    """Return a text that cannot disturb a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def is_line(text: str, longest: int) -> bool:
    """Return whether a text is one line that a terminal can show, of so many characters at most."""
    return len(text) <= longest and printable(text) == text


def _path(path: str) -> str:
    """Decode a path for reading, where it is text and cannot disturb a terminal."""
    plain = unquote(path, errors="replace")
    plain = plain if plain.isprintable() and "\ufffd" not in plain else path
    plain = printable(plain)
    return plain if len(plain) <= PATH_WIDTH else f"{plain[: PATH_WIDTH - 1]}…"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004  # SI prefixes
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


FORMS: dict[str, Callable[[Any], str]] = {
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


def sentences(account: Account, dropped: dict[str, int]) -> list[str]:
    """Say what share was measured, and what is not in the tables."""
    measured = []
    if account.views:
        measured.append(f"{account.views_measured / account.views:.0%} of {account.views:,} views")
    if account.visits:
        measured.append(f"{account.visits_measured / account.visits:.0%} of {account.visits:,} visits")
    robots = f"{account.bot_requests:,}" if account.bot_requests is not None else "an untold number of"
    left = [f"{lines:,} lines dropped ({reason})" for reason, lines in dropped.items()]
    left.append(f"{account.dead_letters:,} unreadable lines")
    sentences = [
        f"Not among visits and views: {robots} requests of robots; and of all that was ever read, {', '.join(left)}."
    ]
    if measured:
        sentences.insert(
            0, f"Duration is known of {' and '.join(measured)}; of the others it is unknown, not zero."
        )
    return sentences
