"""Admission: which values of a record the terms permit to be stored."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from avowal.collect.admission import ADMITTED_SCHEMA, AdmissionRules, admit_records
from avowal.logs.drop_reason import DropReason
from avowal.policy.bounds import AgeByPrecision

NOW = datetime(2026, 11, 22, 12, 0)  # noqa: DTZ001  # UTC without a zone
DAY = 86400
RECORD = {
    "line": 7,
    "time": NOW - timedelta(days=10),
    "address": "192.0.2.77",
    "host": "www.example.org",
    "method": "GET",
    "path": "/a",
    "query": "q=1",
    "status": 200,
    "bytes": 5,
    "response_time_us": 1200,
    "referrer": "https://search.example.net:8443/find?q=mine#top",
    "user_agent": "an agent",
    "browser": "Firefox",
    "browser_version": "115",
    "operating_system": "Linux",
    "operating_system_version": "6.1",
    "device_kind": "desktop",
    "bot": None,
    "request_kind": "view",
    "visitor_id": 2**63 + 1,
}
TIME: dict[str, AgeByPrecision] = {"request-time": {"full": None}}


def admit(
    ages: dict[str, AgeByPrecision], **columns: Any
) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    frame = pl.DataFrame([{**RECORD, **columns}]).with_columns(
        pl.col("line").cast(pl.UInt32),
        pl.col("time").cast(pl.Datetime("us")),
        pl.col("visitor_id").cast(pl.UInt64),
        pl.col("bot").cast(pl.String),
    )
    records, drops = admit_records(frame, AdmissionRules(3, ages), NOW)
    assert records.drop("line").schema == ADMITTED_SCHEMA
    return records.to_dicts(), drops.rows()


def test_undeclared_categories_are_not_admitted() -> None:
    """If the terms declare the request time alone, all other columns of a request are null."""
    ((record,), drops) = admit(TIME)
    columns = {name for name, value in record.items() if value is not None}
    assert columns == {"line", "request_time", "version", "governing"}
    assert (record["version"], record["governing"]) == (3, 3)
    assert drops == []


@pytest.mark.parametrize(
    ("category", "ages", "column", "expected"),
    [
        ("ip-address", {"full": None}, "ip_address", "192.0.2.77"),
        ("ip-address", {"prefix": 90 * DAY, "full": 7 * DAY}, "ip_address", "192.0.2.0/24"),
        ("ip-address", {"prefix": 10 * DAY, "full": 7 * DAY}, "ip_address", "192.0.2.0/24"),
        ("ip-address", {"prefix": 10 * DAY - 1, "full": 7 * DAY}, "ip_address", None),
        ("ip-address", {"prefix": 90 * DAY, "full": 10 * DAY}, "ip_address", "192.0.2.77"),
        ("referrer", {"site": None, "page": None, "full": None}, "referrer", RECORD["referrer"]),
        ("referrer", {"site": None, "page": None}, "referrer", "https://search.example.net:8443/find"),
        ("referrer", {"site": None}, "referrer", "https://search.example.net:8443"),
        ("browser", {"name": None}, "browser", "Firefox"),
        ("browser", {"name": None}, "browser_version", None),
        ("browser", {"name": None, "full": None}, "browser_version", "115"),
        ("operating-system", {"name": None}, "operating_system_version", None),
        ("operating-system", {"name": None, "full": None}, "operating_system_version", "6.1"),
        ("visitor-id", {"day": None}, "visitor_id", 2**63 + 1),
        ("page-query", {"full": None}, "page_query", "q=1"),
        ("response-time", {"full": 10 * DAY}, "response_time_us", 1200),
        ("response-time", {"full": 10 * DAY - 1}, "response_time_us", None),
    ],
)
def test_a_value_is_reduced_to_the_precision_that_its_age_permits(
    category: str, ages: AgeByPrecision, column: str, expected: Any
) -> None:
    """A record keeps the finest precision whose maximum age is at least the age of the record."""
    ((record,), _) = admit({**TIME, category: ages})
    assert record[column] == expected


def test_a_record_whose_time_is_not_declared_is_dropped() -> None:
    """A record without a time has no age, so nothing of it may be kept."""
    assert admit({"page-path": {"full": None}}) == ([], [(7, DropReason.NOT_DECLARED)])


def test_a_record_that_is_too_old_is_dropped() -> None:
    """A record is dropped if it is older than its request time may be kept."""
    assert admit({"request-time": {"full": 9 * DAY}}) == ([], [(7, DropReason.TOO_OLD)])


def test_bots_are_dropped_if_the_terms_do_not_declare_them() -> None:
    """A request of a bot is dropped if it would otherwise count as a person's."""
    assert admit(TIME, bot="Googlebot") == ([], [(7, DropReason.NOT_DECLARED)])
    ((record,), _) = admit({**TIME, "bot": {"full": None}}, bot="Googlebot")
    assert record["bot"] == "Googlebot"


def test_a_referrer_that_is_not_a_web_address_is_dropped() -> None:
    """Such a referrer has no site and no page, so it is only kept where full referrers are permitted."""
    for referrer in ("my secret", "javascript:alert(1)", "//x", "", "https://user:secret@example.net/"):
        ((record,), _) = admit({**TIME, "referrer": {"site": None, "page": None}}, referrer=referrer)
        assert record["referrer"] is None
