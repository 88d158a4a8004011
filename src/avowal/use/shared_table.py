"""Tables of reports that are shared with others than readers: no figure in them is about too few visitors.

The rules are R8 in `docs/spec/readings.md`. For each table there is a named SQL file `shared_….sql`, which counts the
visitors behind each of its figures. A figure that it does not have is not shared.
"""

from collections.abc import Mapping
from typing import Any

from avowal.sql_files import read_sql
from avowal.use.purpose_view import QueryFunction, ResultTable

UNLIMITED_ROWS = 1_000_000_000

GROUP_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "overview": (),
    "overview_daily": ("day",),
    "pages": ("page_path",),
    "visits": ("duration_range",),
    "visits_hourly": ("hour",),
    "events": ("event_kind", "target"),
    "web_vitals": ("page_path",),
    "errors": ("page_path",),
    "coverage": ("host",),
    "technology_browsers": ("browser",),
    "technology_operating_systems": ("operating_system",),
    "technology_devices": ("device_kind",),
    "technology_browser_versions": (
        *("browser", "browser_version"),
        *("operating_system", "operating_system_version"),
    ),
    "availability": ("status",),
    "availability_daily": ("day",),
    "availability_not_found": ("page_path",),
    "availability_server_errors": ("page_path", "status"),
    "performance": ("page_path",),
    "performance_daily": ("day",),
    "performance_largest_pages": ("page_path",),
    "sources": ("source",),
    "countries": ("country",),
    "downloads": ("page_path",),
}
"""The columns by which each table groups what visitors did. Other columns are figures."""

TABLES_WITHOUT_VISITORS = frozenset({"bots"})
"""Tables of reports whose rows are of bots alone."""


def read_table(run_query: QueryFunction, name: str, values: Mapping[str, Any]) -> ResultTable:
    """Return a table for readers."""
    return run_query(read_sql("use", "_scope") + read_sql("use", name), values)


def read_shared_table(run_query: QueryFunction, name: str, values: Mapping[str, Any]) -> ResultTable:
    """Return a table for others than readers: its groups that are large enough, with the figures that are.

    A figure that is about too few visitors is None. Shares are of everything, also of the groups that are left out.
    """
    table = read_table(run_query, name, values)
    if name in TABLES_WITHOUT_VISITORS or values["group_visitors_min"] == 1:
        return table
    unlimited = {**values, "group_visitors_min": 1, "limit": UNLIMITED_ROWS}
    everything = read_table(run_query, name, unlimited)
    visitors = read_table(run_query, f"shared_{name}", unlimited)
    keys = GROUP_COLUMNS[name]
    figures = [column for column in table.columns if column not in keys]
    rows_by_group, visitors_by_group = _index(everything, keys), _index(visitors, keys)
    rows = []
    for shown in table.to_dicts():
        group = tuple(shown[key] for key in keys)
        row = hide_small_figures(
            {name: rows_by_group[group][name] for name in figures},
            visitors_by_group.get(group, {}),
            values["group_visitors_min"],
        )
        rows.append([shown[column] if column in keys else row[column] for column in table.columns])
    return ResultTable(table.columns, rows)


def hide_small_figures(
    figures: Mapping[str, Any], visitors: Mapping[str, int | None], visitors_min: int
) -> dict[str, Any]:
    """Return figures, with None for those that are about too few visitors.

    `visitors` has how many are behind each figure: None if it counts no record. Other figures are not shared.
    """
    return {
        name: value if name in visitors and _is_enough(visitors[name], visitors_min) else None
        for name, value in figures.items()
    }


def _is_enough(visitors: int | None, visitors_min: int) -> bool:
    return visitors is None or visitors >= visitors_min or visitors_min == 1


def _index(table: ResultTable, keys: tuple[str, ...]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the rows by their group."""
    return {tuple(row[key] for key in keys): row for row in table.to_dicts()}
