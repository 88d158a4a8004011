"""How the tables of reports are written for people: titles, labels, values, and what a report leaves out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from avowal.url_parts import display_host_name, display_path
from avowal.use.labels import TABLE_TITLES, VALUE_LABELS, ValueFormat, find_column
from avowal.use.reports import ReportCompleteness

_SI_STEP = 1000


def format_table_title(table: str) -> str:
    """Return the title of a table of a report."""
    return TABLE_TITLES[table]


def format_column_heading(column: str) -> str:
    """Return the label of a column."""
    return find_column(column).label


def format_value(column: str, value: Any) -> str:
    """Write a value of a column for people. A value that is NULL is written as unknown, never as zero."""
    if value is None:
        return "unknown"
    if label := VALUE_LABELS.get((column, str(value))):
        return label
    return VALUE_WRITERS[find_column(column).value_format](value)


def replace_unprintable(text: str) -> str:
    """Replace characters that could disturb a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def is_printable_line(text: str, characters_max: int) -> bool:
    """Return whether a text is a single printable line of at most `characters_max` characters."""
    return len(text) <= characters_max and replace_unprintable(text) == text


def _write_plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return replace_unprintable(f"{value:,}" if isinstance(value, int) else str(value))


def _write_bytes(value: Any) -> str:
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < _SI_STEP:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= _SI_STEP
    return f"{size:,.1f} TB"


VALUE_WRITERS: dict[ValueFormat, Callable[[Any], str]] = {
    ValueFormat.PLAIN: _write_plain,
    ValueFormat.IDENTIFIER: lambda value: replace_unprintable(str(value)),
    ValueFormat.PATH: lambda path: replace_unprintable(display_path(str(path))),
    ValueFormat.HOST: lambda host: replace_unprintable(display_host_name(str(host))),
    ValueFormat.SHARE: lambda value: f"{float(value):.1%}",
    ValueFormat.BYTES: _write_bytes,
    ValueFormat.DURATION_MS: lambda value: str(timedelta(seconds=round(float(value) / 1000))),
    ValueFormat.MINUTE: lambda value: str(value).replace("T", " ")[:16],
    ValueFormat.SECOND: lambda value: str(value).replace("T", " ")[:19],
}
"""How values are written, by the format of their column."""


def _describe_sources(completeness: ReportCompleteness) -> str:
    """Return a sentence about what reported the views; empty if only a log or only the script did."""
    paired = completeness.paired_views or 0
    counts = paired, completeness.script_only_views or 0, completeness.log_only_views or 0
    if not (completeness.views and paired + counts[1] and paired + counts[2]):
        return ""
    both, script, log = (f"{count / completeness.views:.0%}" for count in counts)
    return (
        f"Of the views, {both} are in both a log and the script, {script} come from the script only, and {log} "
        "from a log only."
    )


def describe_completeness(completeness: ReportCompleteness, dropped_lines: dict[str, int]) -> list[str]:
    """Return sentences about the share of views and visits that was measured, and what the tables leave out."""
    measured = [
        f"{part / whole:.0%} of {whole:,} {name}"
        for name, part, whole in (
            ("views", completeness.measured_views, completeness.views),
            ("visits", completeness.measured_visits, completeness.visits),
        )
        if whole and part is not None
    ]
    bots = "an unknown number of" if completeness.bot_requests is None else f"{completeness.bot_requests:,}"
    lines = [f"{count:,} dropped lines ({reason})" for reason, count in dropped_lines.items()]
    lines.append(f"{completeness.unparsable_lines:,} unparsable lines")
    sentences = [f"Visits and views leave out {bots} bot requests and, of all logs, {', '.join(lines)}."]
    if measured:
        sentences.insert(
            0,
            f"Durations are based on {' and '.join(measured)}, where they could be measured; the others are unknown, "
            "not zero.",
        )
    if sources := _describe_sources(completeness):
        sentences.append(sources)
    return sentences
