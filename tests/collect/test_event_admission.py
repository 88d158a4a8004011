"""Script events are admitted as log lines of the same time would be: under the version of each record's own time."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.clock import to_microseconds
from avowal.collect.admission import AdmissionRules, admit_records
from avowal.collect.cookie import issue_cookie
from avowal.collect.device import DeviceParser
from avowal.collect.event_admission import EventAdmission
from avowal.collect.event_details import EventDetails
from avowal.collect.journal import JournalRow
from avowal.collect.script_event import (
    ClientIdentity,
    EventDropError,
    ScriptEvent,
    VisitorKeys,
    parse_page_url,
)
from avowal.logs.fields import REQUEST_SCHEMA
from avowal.policy.bounds import AgeByPrecision
from avowal.policy.vocabulary import load_vocabulary
from support.depth import by_depth
from support.site import FIREFOX, GOOGLEBOT

NOW = datetime(2026, 11, 22, 12)  # noqa: DTZ001  # UTC without a zone
DAY_MS = 86_400_000
CALLER = ClientIdentity("192.0.2.77", FIREFOX)
WORDS = load_vocabulary().categories
CATEGORIES = [
    "host", "page-path", "page-query", "referrer", "browser", "operating-system", "device-kind", "bot", "ip-address",
    "country",
]  # fmt: skip
Ages = dict[str, dict[str, int | None]]


def admit(
    versions: list[AdmissionRules], event: ScriptEvent, client: ClientIdentity = CALLER
) -> list[JournalRow]:
    admission = EventAdmission(versions, lambda _: "BR")
    return admission.admit_event(event, client, lambda *_, **__: VisitorKeys(7), to_microseconds(NOW))


def view(**values: Any) -> ScriptEvent:
    return ScriptEvent("abcdefghij", "https://site.example/a", **values)


@st.composite
def admission_ages(draw: st.DrawFn) -> Ages:
    """Draw what the terms permit of each category: ages at some of its precisions."""
    ages = {}
    for category in draw(st.sets(st.sampled_from(CATEGORIES))):
        precisions = WORDS[category].precisions or ["full"]
        chosen = draw(st.sets(st.sampled_from([*precisions, "full"]), min_size=1))
        ages[category] = {precision: draw(st.sampled_from([None, 60, 7_200])) for precision in chosen}
    row_age = draw(st.sampled_from([None, None, 3_600]))
    visitor_id = {"visitor-id": {"day": draw(st.sampled_from([None, 60]))}} if draw(st.booleans()) else {}
    return {**ages, **visitor_id, "request-time": {"full": row_age}, "view-time": {"full": row_age}}


@st.composite
def version_histories(draw: st.DrawFn) -> list[AdmissionRules]:
    """Draw the rules of versions that took effect within the last day, at moments that events of the property have."""
    hours = sorted(
        draw(st.sets(st.sampled_from([0, 1, 2, 5, 23, 24, 48]), min_size=1, max_size=3)), reverse=True
    )
    starts = [NOW - timedelta(hours=age) for age in hours]
    ends = [*starts[1:], datetime.max]
    return [
        AdmissionRules(number, draw(admission_ages()), start, end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1)
    ]


@settings(max_examples=by_depth(standard=150, thorough=1_200))
@given(
    version_histories(),
    st.sampled_from([0, 1, 59_999, 60_000, 60_001, 3_600_000, 3_600_001, 7_200_000, 10_000_000, DAY_MS]),
    st.sampled_from([FIREFOX, GOOGLEBOT, "", "odd/1.0"]),
    st.sampled_from(["192.0.2.77", "2001:db8:1:2::3"]),
    st.sampled_from(["", "https://example.org/a?q=1", "https://example.org", "android-app://x/", "no page"]),
    st.sampled_from(["/", "/a;jsessionid=1?b=c&d", "/\u00e9?x y", "?q"]),
)
def test_an_event_is_admitted_like_a_log_line(
    versions: list[AdmissionRules], elapsed_ms: int, agent: str, address: str, referrer: str, page: str
) -> None:
    """An event gets the columns and precisions of a log line of the time at which it began, or is dropped like it."""
    began = NOW - timedelta(milliseconds=elapsed_ms)
    rules = [rules for rules in versions if rules is versions[0] or rules.effective_from <= began][-1]
    host, path, query = parse_page_url(f"https://Site.Example{page}")
    line = {
        **dict.fromkeys(REQUEST_SCHEMA.names()), "line": 1, "time": began, "address": address, "host": host, "path": path,
        "query": query, "referrer": referrer or None, "user_agent": agent,
    }  # fmt: skip
    record = (
        DeviceParser()
        .add_device_columns(pl.DataFrame([line], schema=REQUEST_SCHEMA))
        .with_columns(
            visitor_id=pl.lit(7, dtype=pl.UInt64), country=pl.lit("BR"), request_kind=pl.lit("view")
        )
    )
    admitted, drops = admit_records(record, rules, NOW)
    event = ScriptEvent("abcdefghij", f"https://Site.Example{page}", referrer, elapsed_ms)
    client = ClientIdentity(address, agent)
    if reasons := drops["reason"].to_list():
        with pytest.raises(EventDropError) as dropped:
            admit(versions, event, client)
        assert [dropped.value.reason] == reasons
        return
    (row,) = admit(versions, event, client)
    (expected,) = admitted.to_dicts()
    for name in (
        "host", "visitor_id", "ip_address", "country", "bot", "page_path", "page_query", "browser", "browser_version",
        "operating_system", "operating_system_version", "device_kind", "version",
    ):  # fmt: skip
        assert getattr(row, name) == expected[name], name
    if referrer.startswith("http"):
        assert row.referrer == expected["referrer"]


ALL: AgeByPrecision = {"full": None}
NARROW = {"view-time": ALL}
WIDE = {"view-time": ALL, "page-path": ALL, "web-vitals": ALL, "download": ALL, "named-event": ALL}
HOUR_AGO = NOW - timedelta(hours=1)


def test_a_view_and_what_was_done_in_it_have_versions_of_their_own() -> None:
    """What a visitor does now is collected under the version of now, on a page that was opened under another one."""
    versions = [AdmissionRules(1, NARROW, datetime.min, HOUR_AGO), AdmissionRules(2, WIDE, HOUR_AGO)]
    details = EventDetails(largest_contentful_paint_ms=5, event_name="signed-up")
    script_view, action = admit(versions, view(elapsed_ms=3_600_001, details=details))
    assert (script_view.version, script_view.largest_contentful_paint_ms, script_view.page_path) == (
        1,
        None,
        None,
    )
    assert (script_view.event_name, script_view.is_action) == (None, False)
    assert (action.version, action.event_name, action.page_path, action.is_action) == (
        2,
        "signed-up",
        "/a",
        True,
    )
    (script_view, _) = admit(versions, view(elapsed_ms=3_600_000, details=details))
    assert (script_view.version, script_view.largest_contentful_paint_ms) == (2, 5)


def test_an_action_is_admitted_without_its_view() -> None:
    """What is done on a page whose view may not be stored any more is stored alone; a bot does nothing."""
    rules = AdmissionRules(1, {**WIDE, "view-time": {"full": 60}})
    details = EventDetails(event_name="signed-up")
    (action,) = admit([rules], view(elapsed_ms=61_000, details=details))
    assert action.is_action
    with pytest.raises(EventDropError, match="too-old"):
        admit([rules], view(elapsed_ms=61_000))
    bots = AdmissionRules(1, {**WIDE, "bot": ALL})
    (script_view,) = admit([bots], view(details=details), ClientIdentity("192.0.2.77", GOOGLEBOT))
    assert not script_view.is_action


@pytest.mark.parametrize(
    ("elapsed_ms", "reason"), [(-1, "in-the-future"), (DAY_MS + 1, "too-old"), (10**30, "too-old")]
)
def test_an_event_of_an_age_that_is_not_credible_is_dropped(elapsed_ms: int, reason: str) -> None:
    """An event that is older than a day, or in the future, is dropped with a reason."""
    with pytest.raises(EventDropError, match=reason):
        admit([AdmissionRules(1, WIDE)], view(elapsed_ms=elapsed_ms))


def test_a_cookie_counts_as_far_as_the_version_of_the_view_permits() -> None:
    """A cookie that a later version let be set without consent gives no key to a view of an earlier version."""
    ages = {**NARROW, "visitor-id": {"day": None, "full": None}}
    versions = [
        AdmissionRules(1, ages, datetime.min, HOUR_AGO, {"if-accepted": 86_400}),
        AdmissionRules(2, ages, HOUR_AGO, cookie_lifetimes={"if-accepted": 86_400, "unless-refused": 86_400}),
    ]
    permitted = []

    def compute_keys(*_: Any, **permissions: Any) -> VisitorKeys:
        permitted.append(permissions["cookie_key_permitted"])
        return VisitorKeys(7)

    for is_accepted in (False, True):
        issued = issue_cookie(versions[1], NOW.date(), is_accepted=is_accepted)
        client = ClientIdentity("192.0.2.77", FIREFOX, issued.identifier)
        for elapsed_ms in (3_600_001, 0):
            admission = EventAdmission(versions)
            admission.admit_event(view(elapsed_ms=elapsed_ms), client, compute_keys, to_microseconds(NOW))
    assert permitted == [False, True, True, True]


def test_undeclared_categories_of_an_event_are_not_admitted() -> None:
    """Without `view-time` the event is dropped, and without `view-duration` it has no visible time."""
    with pytest.raises(EventDropError, match="not-declared"):
        admit([AdmissionRules(1, {"page-path": ALL})], view(visible_ms=7))
    (row,) = admit([AdmissionRules(1, {"view-time": {"full": 60}})], view(visible_ms=7))
    assert {name for name in row.__struct_fields__ if getattr(row, name) is not None} == {
        "script_view_id", "received_at", "version", "elapsed_ms", "is_action",
    }  # fmt: skip
