"""A model of purpose views: random bounds, and a record with its form at each precision."""

from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import Any

from hypothesis import strategies as st

from avowal.policy.bounds import OPERATOR, OWN_USE, Age, AgeByPrecision, Bounds, Cell

NOW = datetime(2026, 11, 22)  # noqa: DTZ001  # UTC without a zone
DAY_SECONDS = 86_400
PRECISIONS = {
    "ip-address": ("country", "prefix", "full"),
    "referrer": ("site", "page", "full"),
    "browser": ("name", "full"),
    "visitor-id": ("day", "full"),
    "request-time": ("full",),
    "country": ("full",),
    "page-path": ("full",),
}
"""The precisions of each category, from coarse to fine."""
ADDRESS, REFERRER = "2001:db8:0:7::1", "https://example.org/a/b?q=secret"
ROW: dict[str, Any] = {
    "ip_address": ADDRESS,
    "country": "BR",
    "referrer": REFERRER,
    "browser": "Firefox",
    "browser_version": "130",
    "visitor_id": 7,  # a cookie key
    "page_path": "/a",
}
"""The columns of a record."""
COARSER = {
    ("ip_address", "prefix"): "2001:db8::/48",
    ("referrer", "page"): "https://example.org/a/b",
    ("referrer", "site"): "https://example.org",
    ("visitor_id", "day"): 0,  # stands for any daily key, which is even
}
"""The coarser forms of the columns of `ROW`."""
KEY = "CASE WHEN visitor_id % 2 = 0 THEN 0 ELSE visitor_id END"
"""SQL of the visitor key, with 0 for each daily key."""
FORMS = {
    "ip_address": [("ip-address", "full"), ("ip-address", "prefix")],
    "country": [("country", "full"), ("ip-address", "country")],
    "referrer": [("referrer", "full"), ("referrer", "page"), ("referrer", "site")],
    "browser": [("browser", "name")],
    "browser_version": [("browser", "full")],
    "visitor_id": [("visitor-id", "full"), ("visitor-id", "day")],
    "page_path": [("page-path", "full")],
}
"""The forms of each column, from fine to coarse."""
AGES = st.sampled_from([0, 1, 3, 9, None])


@st.composite
def random_bounds(draw: st.DrawFn, purposes: Sequence[str] = ("content",)) -> Bounds:
    """Draw bounds for some purposes; a finer precision never has a longer age."""
    cells: dict[Cell, AgeByPrecision] = {}
    for purpose, (category, precisions) in product(purposes, PRECISIONS.items()):
        ages: list[Age] = sorted(
            (draw(AGES) for _ in precisions), key=lambda age: 1e9 if age is None else age, reverse=True
        )
        permitted = {
            name: age if age is None else age * DAY_SECONDS
            for name, age in zip(precisions, ages, strict=True)
            if age != 0
        }
        if permitted:
            cells[Cell(category, purpose, OPERATOR, OWN_USE)] = permitted
    return Bounds(cells, {})


def is_permitted(bounds: Bounds, category: str, precision: str, days: float) -> bool:
    """Return whether bounds permit `content` a value of this age."""
    age = bounds.max_age(Cell(category, "content", OPERATOR, OWN_USE), precision)
    return age is None or days * DAY_SECONDS <= age
