"""Purpose views: each row and column is shown as far as the bounds of the row permit it for the purpose."""

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avowal.collect.admission import REFERRER_PAGE_REGEX, REFERRER_SITE_REGEX
from avowal.logs.ip_address import truncate_addresses
from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell
from avowal.policy.compare import list_governing_bounds
from avowal.store.duckdb_store import DuckDBStore
from avowal.use.purpose_view import RELATIONS, PurposeView
from support.depth import by_depth
from support.model_bounds import (
    COARSER,
    DAY_SECONDS,
    FORMS,
    KEY,
    NOW,
    PRECISIONS,
    ROW,
    is_permitted,
    random_bounds,
)
from support.store_records import admitted_records, write_segment


def expected_rows(governs: Sequence[Bounds], rows: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    expected = []
    for days, governing in rows:
        bounds = governs[governing - 1]
        if not is_permitted(bounds, "request-time", "full", days):
            continue
        values: dict[str, Any] = {"version": 1}
        for column, forms in FORMS.items():
            finest = next((form for form in forms if is_permitted(bounds, *form, days)), None)
            values[column] = COARSER.get((column, finest[1]), ROW[column]) if finest else None
        expected.append(values)
    return expected


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    folder = tmp_path_factory.mktemp("store")
    store = DuckDBStore(folder, "256MB")
    rows = [
        {**ROW, "request_time": NOW - timedelta(days=days), "governing": governing}
        for days, governing in ROWS
    ]
    store.load_segments([write_segment(folder, admitted_records(*rows))])
    yield store
    store.close()


ROWS = [(days, governing) for days in (0.5, 2, 5, 20) for governing in (1, 2, 3)]


@settings(
    max_examples=by_depth(standard=50, thorough=300),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(random_bounds(), min_size=3, max_size=3))
def test_a_purpose_view_shows_what_the_governing_number_permits(
    store: DuckDBStore, versions: list[Bounds]
) -> None:
    """Each row and column is checked for every age and governing number."""
    governs = list_governing_bounds(versions)
    with PurposeView(store, governs, "content", NOW).open() as query:
        rows = query(f"SELECT * REPLACE ({KEY} AS visitor_id) FROM requests", {}).to_dicts()
        columns = [*FORMS, "version"]
        assert sorted(map(repr, ([row[name] for name in columns] for row in rows))) == sorted(
            map(repr, ([row[name] for name in columns] for row in expected_rows(governs, ROWS)))
        )


@settings(
    max_examples=by_depth(standard=25, thorough=100),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(random_bounds(), min_size=3, max_size=3), st.sets(st.sampled_from(["ip-address", "page-path"]))
)
def test_rows_without_a_needed_category_are_hidden(
    store: DuckDBStore, versions: list[Bounds], needs: set[str]
) -> None:
    """If a query needs categories, only rows in which all of them are permitted are shown."""
    governs = list_governing_bounds(versions)
    with PurposeView(store, governs, "content", NOW).open(*needs) as query:
        ((count,),) = query("SELECT count(*) FROM requests", {}).rows
    assert count == sum(
        all(
            is_permitted(governs[governing - 1], name, PRECISIONS[name][0], days)
            for name in {"request-time", *needs}
        )
        for days, governing in ROWS
    )


EVERYTHING = Bounds(
    {
        Cell(name, "content", OPERATOR, OWN_USE): dict.fromkeys(precisions, None)
        for name, precisions in PRECISIONS.items()
    },
    {},
)


@pytest.mark.parametrize("purpose", ["marketing", "", "abuse"])
def test_an_undeclared_purpose_sees_no_row(store: DuckDBStore, purpose: str) -> None:
    """No relation shows a row to a purpose for which the terms declare nothing."""
    with PurposeView(store, [EVERYTHING] * 3, purpose, NOW).open() as query:
        for name in RELATIONS:
            assert query(f"SELECT * FROM {name}", {}).rows == []  # names from RELATIONS


def test_without_a_version_no_row_is_shown(store: DuckDBStore) -> None:
    """If no version is in force, nothing is permitted."""
    with PurposeView(store, [], "content", NOW).open() as query:
        assert query("SELECT * FROM requests", {}).rows == []


class FailingBounds(Bounds):
    """Bounds that raise an error when they are read."""

    def max_age(self, cell: Cell, precision: str) -> Age:  # noqa: ARG002  # the same for all arguments
        """Fail."""
        raise RuntimeError("undecided")


def test_an_error_in_a_decision_denies_access(store: DuckDBStore) -> None:
    """If the bounds cannot be read, the whole view fails and shows nothing."""
    broken = FailingBounds(EVERYTHING.cells, {})
    with (
        pytest.raises(RuntimeError, match="undecided"),
        PurposeView(store, [broken] * 3, "content", NOW).open() as query,
    ):
        query("SELECT * FROM requests", {})


def test_an_error_does_not_reveal_a_hidden_value(store: DuckDBStore) -> None:
    """A cast is not applied to hidden rows and columns, so it cannot fail because of them."""
    cells = {Cell("request-time", "content", OPERATOR, OWN_USE): {"full": 3 * DAY_SECONDS}}
    with PurposeView(store, [Bounds(cells, {})] * 3, "content", NOW).open() as query:
        query("SELECT sum(ip_address::INTEGER), sum(page_path::INTEGER) FROM requests", {})
        with pytest.raises(Exception, match="not found"):
            query("SELECT governing FROM requests", {})
        with pytest.raises(Exception, match="not found"):
            query("SELECT rowid FROM requests", {})


@given(st.integers(0, 2**128 - 1), st.integers(0, 127))
def test_the_store_shortens_addresses_like_admission(masks: DuckDBStore, number: int, zeros: int) -> None:
    """The macro of the store gives the same network as admission, and shortening twice changes nothing."""
    for address in (
        str(ipaddress.IPv6Address(number >> zeros << zeros)),
        str(ipaddress.IPv4Address(number % 2**32)),
    ):
        (network,) = truncate_addresses(pl.Series([address]), "prefix")
        rows = masks.query("SELECT ip_network($a), ip_network(ip_network($a))", {"a": address}).rows
        assert rows == [[network, network]]


@given(st.from_regex(r"[a-z]{1,5}:/{0,3}[a-z@?#:. ]{0,9}/?[a-z?#=/ ]{0,9}", fullmatch=True))
def test_the_store_shortens_referrers_like_admission(masks: DuckDBStore, referrer: str) -> None:
    """The macros of the store give the same page and site; an invalid URL gives null."""
    expected = [
        pl.Series([referrer]).str.extract(pattern)[0]
        for pattern in (REFERRER_PAGE_REGEX, REFERRER_SITE_REGEX)
    ]
    assert masks.query("SELECT url_page($r), url_site($r)", {"r": referrer}).rows == [expected]


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    store = DuckDBStore(Path(tmp_path_factory.mktemp("masks")), "256MB")
    yield store
    store.close()


def test_every_column_of_the_store_is_shown_or_hidden(store: DuckDBStore) -> None:
    """A new column fails this test until it is declared as shown or hidden."""
    hidden = {
        "requests": {"governing", "load_number", "record_number"},
        "script_views": {"governing", "load_number", "record_number", "request_number", "script_view_id"},
        "events": {"governing", "load_number", "record_number"},
        "views": {"governing", "request_number", "script_view_number"},
        "visits": {"governing"},
    }
    for name, relation in RELATIONS.items():
        columns = {row[0] for row in store.query(f"DESCRIBE {name}", {}).rows}
        assert columns - hidden[name] == {*relation.columns, "version"}
