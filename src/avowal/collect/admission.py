"""The threshold of the house: what the terms do not let in goes no further than here.

Nothing before this step touches a disk; nothing after it has ever seen what this step took away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from avowal.logs.distinct_values import map_distinct_series
from avowal.logs.drop_reason import DropReason
from avowal.logs.ip_address import truncate_addresses

_COLUMNS: dict[str, DataType | DataTypeClass] = {
    "request_time": pl.Datetime("us"),
    "host": pl.String,
    "visitor_id": pl.UInt64,
    "ip_address": pl.String,
    "country": pl.String,
    "request_kind": pl.String,
    "bot": pl.String,
    "method": pl.String,
    "page_path": pl.String,
    "page_query": pl.String,
    "referrer": pl.String,
    "status": pl.UInt16,
    "bytes": pl.Int64,
    "response_time_us": pl.Int64,
    "browser": pl.String,
    "browser_version": pl.String,
    "operating_system": pl.String,
    "operating_system_version": pl.String,
    "device_kind": pl.String,
    "version": pl.UInt32,
    "governing": pl.UInt32,
}
ADMITTED_SCHEMA = pl.Schema(_COLUMNS)
"""A record as it is kept: the columns of `requests`, named by the categories of the vocabulary.

`request_time` is UTC. Null is what the terms do not let in, or what the log does not say.
"""

MaximumAges = Mapping[str, int | None]
"""The greatest age in seconds at each precision, coarse to fine; None is for ever; an absent precision is never."""


@dataclass(frozen=True)
class AdmissionRules:
    """What admission needs of a version of the terms, and of those that govern its records since."""

    version: int
    maximum_ages: Mapping[str, MaximumAges]
    """For each category that is collected, its greatest ages over all purposes."""
    effective_from: datetime = datetime.min
    """When it took effect, in UTC."""
    effective_until: datetime = datetime.max
    """When the next one did."""
    cookie_lifetimes: MaximumAges = field(default_factory=dict)
    """The basis on which the site's own cookie may be set, and for how long; none where it may not."""
    tab_storage_lifetimes: MaximumAges = field(default_factory=dict)
    """The same of what the script may keep in a tab's own storage."""


def admit_records(
    records: pl.DataFrame, rules: AdmissionRules, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut each record to what the terms permit of it at its age.

    Returns the records, of the schema ADMITTED and with their `line`, and the lines that are not let in at all, as
    `line` and `reason`: a record whose time is not declared or is older than the terms permit cannot be kept to any
    age, and a robot's where robots are not declared would pass for a person's.
    """
    age = pl.lit(now, dtype=pl.Datetime("us")) - pl.col("time")
    network = _network(records, rules.maximum_ages.get("ip-address", {}), age)
    judged = records.with_columns(reason=_reason(rules, age), network=network)
    left = judged.filter(pl.col("reason").is_not_null()).select("line", "reason")
    kept = judged.filter(pl.col("reason").is_null()) if len(left) else judged
    columns = _columns(rules, age)
    return kept.select(
        "line", *(columns[name].cast(kind).alias(name) for name, kind in ADMITTED_SCHEMA.items())
    ), left


def _reason(promise: AdmissionRules, age: pl.Expr) -> pl.Expr:
    """Return why a record is not let in at all; null where it is."""
    if "request-time" not in promise.maximum_ages:
        return pl.lit(DropReason.NOT_DECLARED.value)
    dated = _permitted(promise.maximum_ages["request-time"], "full", age)
    reason = pl.lit(None)
    if isinstance(dated, pl.Expr):
        reason = pl.when(~dated).then(pl.lit(DropReason.TOO_OLD.value))
    if "bot" not in promise.maximum_ages:
        reason = (
            pl.when(pl.col("bot").is_not_null()).then(pl.lit(DropReason.NOT_DECLARED.value)).otherwise(reason)
        )
    return reason.cast(pl.String)


def _columns(promise: AdmissionRules, age: pl.Expr) -> dict[str, pl.Expr]:
    """Return each column of ADMITTED as what its category permits of it."""
    permitted = partial(_finest, promise, age)

    def whole(category: str, column: str) -> pl.Expr:
        return permitted(category, full=pl.col(column))

    country = permitted("ip-address", country=pl.col("country"))
    return {
        "request_time": whole("request-time", "time"),
        "host": whole("host", "host"),
        "visitor_id": permitted("visitor-id", day=pl.col("visitor_id")),
        "ip_address": permitted("ip-address", full=pl.col("address"), prefix=pl.col("network")),
        "country": pl.coalesce(country, whole("country", "country")),
        "request_kind": whole("request-kind", "request_kind"),
        "bot": whole("bot", "bot"),
        "method": whole("method", "method"),
        "page_path": whole("page-path", "path"),
        "page_query": whole("page-query", "query"),
        "referrer": permitted(
            "referrer",
            full=pl.col("referrer"),
            page=_extracted(pl.col("referrer"), REFERRER_PAGE_REGEX),
            site=_extracted(pl.col("referrer"), REFERRER_SITE_REGEX),
        ),
        "status": whole("status", "status"),
        "bytes": whole("bytes", "bytes"),
        "response_time_us": whole("response-time", "response_time_us"),
        "browser": permitted("browser", full=pl.col("browser"), name=pl.col("browser")),
        "browser_version": whole("browser", "browser_version"),
        "operating_system": permitted(
            "operating-system", full=pl.col("operating_system"), name=pl.col("operating_system")
        ),
        "operating_system_version": whole("operating-system", "operating_system_version"),
        "device_kind": whole("device-kind", "device_kind"),
        "version": pl.lit(promise.version),
        "governing": pl.lit(promise.version),
    }


def _finest(promise: AdmissionRules, age: pl.Expr, category: str, **precisions: pl.Expr) -> pl.Expr:
    """Return the finest precision that a record's age permits; precisions are given fine to coarse."""
    chosen = pl.lit(None)
    for precision, value in reversed(precisions.items()):
        allowed = _permitted(promise.maximum_ages.get(category, {}), precision, age)
        if allowed is True:
            chosen = value
        elif allowed is not False:
            chosen = pl.when(allowed).then(value).otherwise(chosen)
    return chosen


def _extracted(text: pl.Expr, regex: str) -> pl.Expr:
    """Extract the group of a regex, once for each distinct text."""
    reading = partial(map_distinct_series, convert=lambda texts: texts.str.extract(regex))
    return text.map_batches(reading, return_dtype=pl.String)


def _permitted(ages: MaximumAges, precision: str, age: pl.Expr) -> pl.Expr | bool:
    """Return whether an age permits a precision: for every record, for none, or for those that the expression tells."""
    if precision not in ages:
        return False
    greatest = ages[precision]
    return True if greatest is None else age <= timedelta(seconds=greatest)


def _network(records: pl.DataFrame, ages: MaximumAges, age: pl.Expr) -> pl.Series:
    """Return the network of each address that may not be kept whole; null for the others, which do not need it."""
    whole = _permitted(ages, "full", age)
    if whole is True or "prefix" not in ages:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(records))
    needed = (
        records["address"] if whole is False else records.select(pl.when(~whole).then("address")).to_series()
    )
    return truncate_addresses(needed, "prefix")


SITE_REGEX = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+"
REFERRER_SITE_REGEX = rf"^({SITE_REGEX})(?:[/?#]|$)"
REFERRER_PAGE_REGEX = rf"^({SITE_REGEX}(?:/[^?#]*)?)(?:[?#]|$)"
"""What is no plain URL, and one that names a user (which no browser sends), is cut to nothing."""
