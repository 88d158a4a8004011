"""What people see for the identifiers of reports: a title for each table, and a label and a format for each column."""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class ValueFormat(Enum):
    """How the values of a column are written."""

    PLAIN = "plain"
    """Integers with thousands separators, other numbers with one decimal, text as it is."""
    IDENTIFIER = "identifier"
    """A number without separators, such as a status code."""
    PATH = "path"
    """A path, with letters beyond ASCII."""
    HOST = "host"
    """A host, with letters beyond ASCII."""
    SHARE = "share"
    """A fraction of 1, written in percent."""
    BYTES = "bytes"
    DURATION_MS = "duration"
    """Milliseconds, written in hours, minutes and seconds."""
    MINUTE = "minute"
    """A time to the minute."""
    SECOND = "second"
    """A time to the second."""


class Column(NamedTuple):
    """The label of a column, and the format of its values."""

    label: str
    value_format: ValueFormat = ValueFormat.PLAIN


TABLE_TITLES = {
    "overview": "Overview",
    "overview_daily": "Overview by day",
    "pages": "Pages",
    "visits": "Visits by length",
    "visits_hourly": "Visits by time of day",
    "events": "Events: downloads, outbound links, uploads, named events",
    "web_vitals": "Web Vitals",
    "errors": "Errors: missing pages and script errors",
    "coverage": "Coverage: views measured by script and by log",
    "technology_browsers": "Browsers",
    "technology_operating_systems": "Operating systems",
    "technology_devices": "Devices",
    "technology_browser_versions": "Browser versions",
    "availability": "Availability: responses by status",
    "availability_daily": "Errors by day",
    "availability_not_found": "Missing pages",
    "availability_server_errors": "Server errors",
    "availability_probes": "Probes of the site's pages",
    "availability_outages": "Outages",
    "performance": "Performance: response times",
    "performance_daily": "Performance by day",
    "performance_largest_pages": "Largest pages",
    "sources": "Traffic sources",
    "countries": "Countries",
    "downloads": "Downloads",
    "bots": "Bots",
    "disclosures": "Disclosures",
}
"""The title of each table of a report."""

COLUMNS = {
    "ai_operator": Column("AI operator"),
    "ai_purpose": Column("AI purpose"),
    "bot": Column("Bot"),
    "bounce_rate": Column("Bounce rate", ValueFormat.SHARE),
    "browser": Column("Browser"),
    "browser_version": Column("Version", ValueFormat.IDENTIFIER),
    "bytes": Column("Data", ValueFormat.BYTES),
    "certificate_days_left": Column("Certificate expires in (days)"),
    "client_errors": Column("4xx errors"),
    "count": Column("Count"),
    "country": Column("Country"),
    "cumulative_layout_shift_p75": Column("CLS (75th percentile)"),
    "day": Column("Day"),
    "device_kind": Column("Device"),
    "distinct_pages": Column("Pages"),
    "downloads": Column("Downloads"),
    "duration_range": Column("Duration"),
    "ended_at": Column("Ended", ValueFormat.SECOND),
    "entries": Column("Entries"),
    "errors": Column("Errors"),
    "event_kind": Column("Event"),
    "exits": Column("Exits"),
    "failure_reason": Column("Cause"),
    "good_cls_share": Column("Good CLS", ValueFormat.SHARE),
    "good_inp_share": Column("Good INP", ValueFormat.SHARE),
    "good_lcp_share": Column("Good LCP", ValueFormat.SHARE),
    "ground": Column("Ground"),
    "host": Column("Host", ValueFormat.HOST),
    "hour": Column("Hour", ValueFormat.IDENTIFIER),
    "human_requests": Column("By people"),
    "interaction_to_next_paint_p75_ms": Column("INP (75th percentile, ms)"),
    "largest_contentful_paint_p75_ms": Column("LCP (75th percentile, ms)"),
    "last_seen_at": Column("Last seen", ValueFormat.MINUTE),
    "last_state": Column("Status"),
    "log_only_views": Column("Log only"),
    "log_views": Column("Views by log"),
    "matched_views": Column("In both"),
    "max_response_ms": Column("Slowest (ms)"),
    "mean_visit_duration_ms": Column("Visit duration (mean)", ValueFormat.DURATION_MS),
    "measured_share": Column("Measured", ValueFormat.SHARE),
    "measured_views": Column("Measured views"),
    "median_bytes": Column("Size (median)", ValueFormat.BYTES),
    "median_response_ms": Column("Median (ms)"),
    "median_time_on_page_ms": Column("Time on page (median)", ValueFormat.DURATION_MS),
    "median_visit_duration_ms": Column("Visit duration (median)", ValueFormat.DURATION_MS),
    "not_found": Column("Not found"),
    "operating_system": Column("Operating system"),
    "operating_system_version": Column("Version", ValueFormat.IDENTIFIER),
    "outage_duration_ms": Column("Duration", ValueFormat.DURATION_MS),
    "p95_response_ms": Column("95th percentile (ms)"),
    "p99_response_ms": Column("99th percentile (ms)"),
    "page": Column("Page"),
    "page_path": Column("Page", ValueFormat.PATH),
    "period": Column("Period"),
    "probes": Column("Probes"),
    "recalled": Column("Recalled"),
    "refused": Column("Refused"),
    "released": Column("Released"),
    "requests": Column("Requests"),
    "script_errors": Column("Script errors"),
    "script_only_views": Column("Script only"),
    "script_views": Column("Views by script"),
    "server_error_rate": Column("5xx rate", ValueFormat.SHARE),
    "server_errors": Column("5xx errors"),
    "share": Column("Share", ValueFormat.SHARE),
    "slow_share": Column("Slow", ValueFormat.SHARE),
    "source": Column("Source", ValueFormat.HOST),
    "started_at": Column("Started", ValueFormat.SECOND),
    "status": Column("Status", ValueFormat.IDENTIFIER),
    "target": Column("Target"),
    "unique_visitors": Column("Unique visitors (per day)"),
    "uploads": Column("Uploads"),
    "uptime_share": Column("Uptime", ValueFormat.SHARE),
    "views": Column("Views"),
    "views_per_visit": Column("Views per visit"),
    "views_with_errors": Column("Views with script errors"),
    "visits": Column("Visits"),
    "visits_with_download": Column("Visits with a download"),
    "visits_with_upload": Column("Visits with an upload"),
    "visits_without_transfer": Column("Visits without a download or upload"),
}
"""Every column of a report."""

QUERY_COLUMN_FORMATS = {
    "_path": ValueFormat.PATH,
    "host": ValueFormat.HOST,
    "_duration_ms": ValueFormat.DURATION_MS,
    "share": ValueFormat.SHARE,
    "_rate": ValueFormat.SHARE,
    "bytes": ValueFormat.BYTES,
    "_at": ValueFormat.SECOND,
    "status": ValueFormat.IDENTIFIER,
    "hour": ValueFormat.IDENTIFIER,
}
"""The formats of columns that a reader's own SQL names, by the ending of the name."""

VALUE_LABELS: Mapping[tuple[str, str], str] = {
    ("ai_purpose", "training"): "Training",
    ("ai_purpose", "search"): "Search",
    ("ai_purpose", "assistant"): "Assistant",
    ("bot", "unnamed"): "Unidentified bot",
    ("event_kind", "download"): "Download",
    ("event_kind", "outbound-link"): "Outbound link",
    ("event_kind", "upload"): "Upload",
    ("event_kind", "named-event"): "Named event",
    ("source", "(none)"): "Direct or unknown",
    ("source", "(this site)"): "Internal",
}
"""What people see for values that are identifiers, by column and value."""


def find_column(name: str) -> Column:
    """Return the label and format of a column; one that no report has is labelled by its own name."""
    if name in COLUMNS:
        return COLUMNS[name]
    formats = (value_format for ending, value_format in QUERY_COLUMN_FORMATS.items() if name.endswith(ending))
    return Column(name, next(formats, ValueFormat.PLAIN))
