"""Reduce each record to what the terms permit.

Nothing is written to disk before this step, and later steps never see the values that it removes. Values that are
permitted on arrival and have to be coarsened or removed later are the task of retention: `keep/retention.py` plans it,
and `store/retention_sql.py` has its statements. So a full IP address is truncated here if its age on arrival already
permits only the network, and by retention otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from avowal.logs.distinct_values import map_distinct_series
from avowal.logs.drop_reason import DropReason
from avowal.logs.ip_address import truncate_addresses
from avowal.policy.bounds import AgeByPrecision

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
"""The columns of an admitted record and of the table `requests`, named after the categories of the vocabulary.

`request_time` is UTC. Null means that the terms do not permit a value, or that the log does not say it.
"""


@dataclass(frozen=True)
class AdmissionRules:
    """What one version of the terms, and the versions that govern its records since, permit at collection."""

    version: int
    maximum_ages: Mapping[str, AgeByPrecision]
    """For each collected category, the maximum ages over all purposes."""
    effective_from: datetime = datetime.min
    """When the version took effect, in UTC."""
    effective_until: datetime = datetime.max
    """When the next version took effect, in UTC."""
    cookie_lifetimes: AgeByPrecision = field(default_factory=dict)
    """The lifetime of the site's own cookie in seconds, by the basis on which it may be set; empty if it may not."""
    tab_storage_lifetimes: AgeByPrecision = field(default_factory=dict)
    """The same for what the script stores in the session storage of a tab."""


def admit_records(
    records: pl.DataFrame, rules: AdmissionRules, now: datetime
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Reduce each record to what the terms permit at its age.

    Returns the records, with `line` and the columns of `ADMITTED_SCHEMA`, and a frame of `line` and `reason` of those
    that are dropped. A record is dropped if its time is not declared or too old, because its age could not be checked
    later, and if it is a bot's and `bot` is not declared or too old, because it would count as a person's.
    """
    age = pl.lit(now, dtype=pl.Datetime("us")) - pl.col("time")
    network = _truncate_addresses(records, rules.maximum_ages.get("ip-address", {}), age)
    records = records.with_columns(reason=_reason_expression(rules, age), network=network)
    drops = records.filter(pl.col("reason").is_not_null()).select("line", "reason")
    if len(drops):
        records = records.filter(pl.col("reason").is_null())
    columns = _column_expressions(rules, age)
    admitted = records.select(
        "line", *(columns[name].cast(dtype).alias(name) for name, dtype in ADMITTED_SCHEMA.items())
    )
    return admitted, drops


def _reason_expression(rules: AdmissionRules, age: pl.Expr) -> pl.Expr:
    """Return an expression of the reason why a record is dropped; null if it is admitted."""
    if "request-time" not in rules.maximum_ages:
        return pl.lit(DropReason.NOT_DECLARED.value)
    is_bot = pl.col("bot").is_not_null()
    reason: Any = pl.when(is_bot & ("bot" not in rules.maximum_ages)).then(
        pl.lit(DropReason.NOT_DECLARED.value)
    )
    for category, is_concerned in (("request-time", pl.lit(value=True)), ("bot", is_bot)):
        is_young_enough = _permitted(rules.maximum_ages.get(category, {}), "full", age)
        if isinstance(is_young_enough, pl.Expr):
            reason = reason.when(is_concerned & ~is_young_enough).then(pl.lit(DropReason.TOO_OLD.value))
    expression: pl.Expr = reason.otherwise(None).cast(pl.String)
    return expression


def _column_expressions(rules: AdmissionRules, age: pl.Expr) -> dict[str, pl.Expr]:
    """Return, for each column of `ADMITTED_SCHEMA`, an expression of what its category permits."""
    finest = partial(_finest_permitted, rules, age)

    def full(category: str, column: str) -> pl.Expr:
        return finest(category, full=pl.col(column))

    country = finest("ip-address", country=pl.col("country"))
    return {
        "request_time": full("request-time", "time"),
        "host": full("host", "host"),
        "visitor_id": finest("visitor-id", day=pl.col("visitor_id")),
        "ip_address": finest("ip-address", full=pl.col("address"), prefix=pl.col("network")),
        "country": pl.coalesce(country, full("country", "country")),
        "request_kind": full("request-kind", "request_kind"),
        "bot": full("bot", "bot"),
        "method": full("method", "method"),
        "page_path": full("page-path", "path"),
        "page_query": full("page-query", "query"),
        "referrer": finest(
            "referrer",
            full=pl.col("referrer"),
            page=_extract_distinct(pl.col("referrer"), REFERRER_PAGE_REGEX),
            site=_extract_distinct(pl.col("referrer"), REFERRER_SITE_REGEX),
        ),
        "status": full("status", "status"),
        "bytes": full("bytes", "bytes"),
        "response_time_us": full("response-time", "response_time_us"),
        "browser": finest("browser", full=pl.col("browser"), name=pl.col("browser")),
        "browser_version": full("browser", "browser_version"),
        "operating_system": finest(
            "operating-system", full=pl.col("operating_system"), name=pl.col("operating_system")
        ),
        "operating_system_version": full("operating-system", "operating_system_version"),
        "device_kind": full("device-kind", "device_kind"),
        "version": pl.lit(rules.version),
        "governing": pl.lit(rules.version),
    }


def _finest_permitted(rules: AdmissionRules, age: pl.Expr, category: str, **precisions: pl.Expr) -> pl.Expr:
    """Return the value at the finest precision that a record's age permits. `precisions` are ordered fine to coarse."""
    finest = pl.lit(None)
    for precision, value in reversed(precisions.items()):
        is_permitted = _permitted(rules.maximum_ages.get(category, {}), precision, age)
        if is_permitted is True:
            finest = value
        elif is_permitted is not False:
            finest = pl.when(is_permitted).then(value).otherwise(finest)
    return finest


def _extract_distinct(text: pl.Expr, regex: str) -> pl.Expr:
    """Extract the group of a regex, once for each distinct text."""
    extract = partial(map_distinct_series, convert=lambda texts: texts.str.extract(regex))
    return text.map_batches(extract, return_dtype=pl.String)


def _permitted(ages: AgeByPrecision, precision: str, age: pl.Expr) -> pl.Expr | bool:
    """Return whether an age permits a precision: True or False for all records, or an expression."""
    if precision not in ages:
        return False
    maximum_age = ages[precision]
    return True if maximum_age is None else age <= timedelta(seconds=maximum_age)


def _truncate_addresses(records: pl.DataFrame, ages: AgeByPrecision, age: pl.Expr) -> pl.Series:
    """Return the network of each address that may not be stored in full; null for the others, which do not need it."""
    is_full_permitted = _permitted(ages, "full", age)
    if is_full_permitted is True or "prefix" not in ages:
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(records))
    if is_full_permitted is False:
        return truncate_addresses(records["address"], "prefix")
    addresses = records.select(pl.when(~is_full_permitted).then("address")).to_series()
    return truncate_addresses(addresses, "prefix")


SITE_REGEX = r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#@\\\s]+"
REFERRER_SITE_REGEX = rf"^({SITE_REGEX})(?:[/?#]|$)"
REFERRER_PAGE_REGEX = rf"^({SITE_REGEX}(?:/[^?#]*)?)(?:[?#]|$)"
"""Text that is not a plain URL does not match, and neither does a URL with a user, which no browser sends."""
