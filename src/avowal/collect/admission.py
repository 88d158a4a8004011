"""The threshold of the house: what the terms do not let in goes no further than here.

Nothing before this step touches a disk; nothing after it has ever seen what this step took away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from avowal.logs.distinct_values import once
from avowal.logs.drop_reason import Reason
from avowal.logs.ip_address import cut

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
ADMITTED = pl.Schema(_COLUMNS)
"""A record as it is kept: the columns of `requests`, named by the categories of the vocabulary.

`request_time` is UTC. Null is what the terms do not let in, or what the log does not say.
"""

Ages = Mapping[str, int | None]
"""The greatest age in seconds at each precision, coarse to fine; None is for ever; an absent precision is never."""


@dataclass(frozen=True)
class Promise:
    """What admission needs of a version of the terms, and of those that govern its records since."""

    version: int
    kept: Mapping[str, Ages]
    """For each category that is collected, its greatest ages over all purposes."""
    since: datetime = datetime.min
    """When it took effect, in UTC."""
    until: datetime = datetime.max
    """When the next one did."""
    cookie: Ages = field(default_factory=dict)
    """The basis on which the site's own cookie may be set, and for how long; none where it may not."""
    tab: Ages = field(default_factory=dict)
    """The same of what the script may keep in a tab's own storage."""


def admit(records: pl.DataFrame, promise: Promise, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut each record to what the terms permit of it at its age.

    Returns the records, of the schema ADMITTED and with their `line`, and the lines that are not let in at all, as
    `line` and `reason`: a record whose time is not declared or is older than the terms permit cannot be kept to any
    age, and a robot's where robots are not declared would pass for a person's.
    """
    age = pl.lit(now, dtype=pl.Datetime("us")) - pl.col("time")
    network = _network(records, promise.kept.get("ip-address", {}), age)
    judged = records.with_columns(reason=_reason(promise, age), network=network)
    left = judged.filter(pl.col("reason").is_not_null()).select("line", "reason")
    kept = judged.filter(pl.col("reason").is_null()) if len(left) else judged
    columns = _columns(promise, age)
    return kept.select(
        "line", *(columns[name].cast(kind).alias(name) for name, kind in ADMITTED.items())
    ), left


def _reason(promise: Promise, age: pl.Expr) -> pl.Expr:
    """Return why a record is not let in at all; null where it is."""
    if "request-time" not in promise.kept:
        return pl.lit(Reason.NOT_DECLARED.value)
    dated = _permitted(promise.kept["request-time"], "full", age)
    reason = pl.lit(None)
    if isinstance(dated, pl.Expr):
        reason = pl.when(~dated).then(pl.lit(Reason.TOO_OLD.value))
    if "bot" not in promise.kept:
        reason = (
            pl.when(pl.col("bot").is_not_null()).then(pl.lit(Reason.NOT_DECLARED.value)).otherwise(reason)
        )
    return reason.cast(pl.String)


def _columns(promise: Promise, age: pl.Expr) -> dict[str, pl.Expr]:
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
            page=_extracted(pl.col("referrer"), REFERRER_PAGE),
            site=_extracted(pl.col("referrer"), REFERRER_SITE),
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


def _finest(promise: Promise, age: pl.Expr, category: str, **precisions: pl.Expr) -> pl.Expr:
    """Return the finest precision that a record's age permits; precisions are given fine to coarse."""
    chosen = pl.lit(None)
    for precision, value in reversed(precisions.items()):
        allowed = _permitted(promise.kept.get(category, {}), precision, age)
        if allowed is True:
            chosen = value
        elif allowed is not False:
            chosen = pl.when(allowed).then(value).otherwise(chosen)
    return chosen


def _extracted(text: pl.Expr, regex: str) -> pl.Expr:
    """Extract the group of a regex, once for each distinct text."""
    reading = partial(once, read=lambda texts: texts.str.extract(regex))
    return text.map_batches(reading, return_dtype=pl.String)


def _permitted(ages: Ages, precision: str, age: pl.Expr) -> pl.Expr | bool:
    """Return whether an age permits a precision: for every record, for none, or for those that the expression tells."""
    if precision not in ages:
        return False
    greatest = ages[precision]
    return True if greatest is None else age <= timedelta(seconds=greatest)


def _network(records: pl.DataFrame, ages: Ages, age: pl.Expr) -> pl.Series:
    """Return the network of each address that may not be kept whole; null for the others, which do not need it."""
    whole = _permitted(ages, "full", age)
    if whole is True or "prefix" not in ages:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(records))
    needed = (
        records["address"] if whole is False else records.select(pl.when(~whole).then("address")).to_series()
    )
    return cut(needed, "prefix")


SITE = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+"
REFERRER_SITE = rf"^({SITE})(?:[/?#]|$)"
REFERRER_PAGE = rf"^({SITE}(?:/[^?#]*)?)(?:[?#]|$)"
"""What is no plain URL, and one that names a user (which no browser sends), is cut to nothing."""
