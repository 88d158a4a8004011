"""Readings: each row and column as what governs the row permits it to the purpose, and nothing beside."""

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
from support.store_records import admitted_records, written_segment


def expected(governs: Sequence[Bounds], rows: Sequence[tuple[float, int]]) -> list[dict[str, Any]]:
    shown = []
    for days, governing in rows:
        what = governs[governing - 1]
        if not is_permitted(what, "request-time", "full", days):
            continue
        told: dict[str, Any] = {"version": 1}
        for column, forms in FORMS.items():
            finest = next((form for form in forms if is_permitted(what, *form, days)), None)
            told[column] = COARSER.get((column, finest[1]), ROW[column]) if finest else None
        shown.append(told)
    return shown


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    folder = tmp_path_factory.mktemp("store")
    opened = DuckDBStore(folder, "256MB")
    rows = [
        {**ROW, "request_time": NOW - timedelta(days=days), "governing": governing}
        for days, governing in ROWS
    ]
    opened.load_segments([written_segment(folder, admitted_records(*rows))])
    yield opened
    opened.close()


ROWS = [(days, governing) for days in (0.5, 2, 5, 20) for governing in (1, 2, 3)]


@settings(
    max_examples=by_depth(standard=50, thorough=300),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(random_bounds(), min_size=3, max_size=3))
def test_a_reading_shows_what_governs_each_row_and_no_more(
    store: DuckDBStore, versions: list[Bounds]
) -> None:
    """Row by row and column by column, for every age and governing number."""
    governs = list_governing_bounds(versions)
    with PurposeView(store, governs, "content", NOW).open() as ask:
        found = ask(f"SELECT * REPLACE ({KEY} AS visitor_id) FROM requests", {}).to_dicts()
        columns = [*FORMS, "version"]
        assert sorted(map(repr, ([row[name] for name in columns] for row in found))) == sorted(
            map(repr, ([row[name] for name in columns] for row in expected(governs, ROWS)))
        )


@settings(
    max_examples=by_depth(standard=25, thorough=100),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(random_bounds(), min_size=3, max_size=3), st.sets(st.sampled_from(["ip-address", "page-path"]))
)
def test_rows_that_lack_what_is_needed_are_left_out(
    store: DuckDBStore, versions: list[Bounds], needs: set[str]
) -> None:
    """Where categories are needed, only rows that have all of them are there."""
    governs = list_governing_bounds(versions)
    with PurposeView(store, governs, "content", NOW).open(*needs) as ask:
        ((found,),) = ask("SELECT count(*) FROM requests", {}).rows
    assert found == sum(
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
def test_a_purpose_that_nothing_is_declared_for_sees_nothing(store: DuckDBStore, purpose: str) -> None:
    """No row of any relation, whatever others may see."""
    with PurposeView(store, [EVERYTHING] * 3, purpose, NOW).open() as ask:
        for name in RELATIONS:
            assert ask(f"SELECT * FROM {name}", {}).rows == []  # names of ours


def test_before_any_version_nothing_is_seen(store: DuckDBStore) -> None:
    """Where nothing governs, nothing is permitted."""
    with PurposeView(store, [], "content", NOW).open() as ask:
        assert ask("SELECT * FROM requests", {}).rows == []


class Failing(Bounds):
    """Bounds that cannot tell what they permit."""

    def max_age(self, cell: Cell, precision: str) -> Age:  # noqa: ARG002  # whatever is asked
        """Fail."""
        raise RuntimeError("undecided")


def test_an_error_while_deciding_denies(store: DuckDBStore) -> None:
    """The whole reading fails; nothing of it is shown."""
    broken = Failing(EVERYTHING.cells, {})
    with (
        pytest.raises(RuntimeError, match="undecided"),
        PurposeView(store, [broken] * 3, "content", NOW).open() as ask,
    ):
        ask("SELECT * FROM requests", {})


def test_a_value_that_is_hidden_is_not_told_by_an_error(store: DuckDBStore) -> None:
    """A cast that would fail on a hidden row or column, and does not, as neither is looked at."""
    cells = {Cell("request-time", "content", OPERATOR, OWN_USE): {"full": 3 * DAY_SECONDS}}
    with PurposeView(store, [Bounds(cells, {})] * 3, "content", NOW).open() as ask:
        ask("SELECT sum(ip_address::INTEGER), sum(page_path::INTEGER) FROM requests", {})
        with pytest.raises(Exception, match="not found"):
            ask("SELECT governing FROM requests", {})
        with pytest.raises(Exception, match="not found"):
            ask("SELECT rowid FROM requests", {})


@given(st.integers(0, 2**128 - 1), st.integers(0, 127))
def test_a_network_is_that_of_admission(masks: DuckDBStore, number: int, zeros: int) -> None:
    """Cutting an address in the store gives what cutting it before the disk does; what is cut stays."""
    for address in (
        str(ipaddress.IPv6Address(number >> zeros << zeros)),
        str(ipaddress.IPv4Address(number % 2**32)),
    ):
        (network,) = truncate_addresses(pl.Series([address]), "prefix")
        found = masks.query("SELECT ip_network($a), ip_network(ip_network($a))", {"a": address}).rows
        assert found == [[network, network]]


@given(st.from_regex(r"[a-z]{1,5}:/{0,3}[a-z@?#:. ]{0,9}/?[a-z?#=/ ]{0,9}", fullmatch=True))
def test_a_referrer_is_cut_as_by_admission(masks: DuckDBStore, referrer: str) -> None:
    """To its page and to its site; what is no plain URL to nothing."""
    expected = [
        pl.Series([referrer]).str.extract(pattern)[0]
        for pattern in (REFERRER_PAGE_REGEX, REFERRER_SITE_REGEX)
    ]
    assert masks.query("SELECT url_page($r), url_site($r)", {"r": referrer}).rows == [expected]


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(Path(tmp_path_factory.mktemp("masks")), "256MB")
    yield opened
    opened.close()


def test_every_column_of_the_store_is_shown_or_kept_back(store: DuckDBStore) -> None:
    """A new column is no part of a reading until somebody says what permits it."""
    hidden = {
        "requests": {"governing", "load_number", "record_number"},
        "script_views": {"governing", "load_number", "record_number", "script_view_id"},
        "events": {"governing", "load_number", "record_number"},
        "views": {"governing"},
        "visits": {"governing"},
    }
    for name, relation in RELATIONS.items():
        told = {row[0] for row in store.query(f"DESCRIBE {name}", {}).rows}
        assert told - hidden[name] == {*relation.columns, "version"}
