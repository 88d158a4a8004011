"""Pair requests with script views: a line of a log and the report of a script that are one page view.

Pairs are found among the records of one page (host and path). They have the same daily key and are at most
PAIR_TOLERANCE apart. Each record has at most one partner, and no other choice makes more pairs.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import duckdb
import polars as pl

from avowal.sql_files import read_sql
from avowal.store.load_state import ArrowStream
from avowal.store.run_query import execute_statements

PAIR_TOLERANCE = timedelta(seconds=5)
"""How far the time of a request and the navigation that the script reports may lie apart."""

_TOLERANCE_US = PAIR_TOLERANCE // timedelta(microseconds=1)


class PageRecord(NamedTuple):
    """A request or script view of one page; `time_us` is in microseconds, and `key` the daily key of its visitor."""

    number: int
    time_us: int
    key: int | None
    is_script: bool


class Pair(NamedTuple):
    """The record numbers of a request and a script view that are one page view."""

    request_number: int
    script_view_number: int


def pair_page(records: Sequence[PageRecord]) -> list[Pair]:
    """Pair the records of one page, in the order of key and time.

    Records of the same key come first. A record without a key may then be paired with any that is left: a log without
    addresses has no keys. One more record never makes more than one more pair.
    """
    pairs, rest = [], []
    for _, group in groupby(records, key=attrgetter("key")):
        pairs_of_key, unpaired = _match_in_order(group)
        pairs += pairs_of_key
        rest += unpaired
    for is_script in (False, True):
        if any(record.key is None and record.is_script == is_script for record in rest):
            rest.sort(key=attrgetter("time_us", "is_script"))
            takes_part = [record.key is None or record.is_script != is_script for record in rest]
            keyless = [record for record, takes in zip(rest, takes_part, strict=True) if takes]
            others = [record for record, takes in zip(rest, takes_part, strict=True) if not takes]
            more_pairs, unpaired = _match_in_order(keyless)
            pairs += more_pairs
            rest = others + unpaired
    return pairs


def _match_in_order(records: Iterable[PageRecord]) -> tuple[list[Pair], list[PageRecord]]:
    """Pair each record with the earliest one of the other kind that still waits; returns the pairs and the others.

    On a line with one tolerance for all this makes as many pairs as possible.
    """
    pairs, rest, waiting = [], [], deque[PageRecord]()
    for record in records:
        while waiting and record.time_us - waiting[0].time_us > _TOLERANCE_US:
            rest.append(waiting.popleft())
        if waiting and waiting[0].is_script != record.is_script:
            other = waiting.popleft()
            request, script_view = (other, record) if record.is_script else (record, other)
            pairs.append(Pair(request.number, script_view.number))
        else:
            waiting.append(record)
    return pairs, [*rest, *waiting]


def pair_new_records(cursor: duckdb.DuckDBPyConnection) -> None:
    """Pair the records that were loaded since the last derivation, and write the pairs to `script_views`.

    Earlier records of the same pages get another partner where that makes more pairs; those whose columns retention has
    cut keep theirs. The table `repaired_views` then has the script views whose partner changed.
    """
    values: dict[str, Any] = {"tolerance": PAIR_TOLERANCE}
    execute_statements(cursor, read_sql("store", "pair_pages"), values)
    changes: list[tuple[int, int | None, int | None]] = []
    if cursor.execute("SELECT 1 FROM pages_to_pair LIMIT 1").fetchall():
        execute_statements(cursor, read_sql("store", "pair_candidates"), values)
        frame = pl.DataFrame(cursor.sql(read_sql("store", "pair_records")))
        changes = list(_find_changes(frame))
    schema = {"record_number": pl.UInt64, "request_number": pl.UInt64, "earlier_request_number": pl.UInt64}
    cursor.register("new_pairs", ArrowStream(pl.DataFrame(changes, schema=schema, orient="row")))
    cursor.execute("CREATE OR REPLACE TEMP TABLE repaired_views AS FROM new_pairs")
    cursor.unregister("new_pairs")
    if changes:
        execute_statements(cursor, read_sql("store", "pair_update"), values)


def _find_changes(frame: pl.DataFrame) -> Iterator[tuple[int, int | None, int | None]]:
    """Yield script views whose partner changes, each with the record numbers of the new and the earlier request."""
    pages = frame.select(pl.struct("host", "page_path").rle_id()).to_series().to_list()
    rows = frame.select(
        "record_number", pl.col("record_time").cast(pl.Int64), "visitor_key", "is_script", "request_number"
    )
    partners: Mapping[int, int | None] = {}
    for _, page in groupby(zip(pages, rows.iter_rows(), strict=True), key=lambda item: item[0]):
        records = [row for _, row in page]
        partners = {number: partner for number, _, _, is_script, partner in records if is_script}
        if not partners:
            continue
        pairs = pair_page([PageRecord(*row[:4]) for row in records])
        requests = {pair.script_view_number: pair.request_number for pair in pairs}
        for number, partner in partners.items():
            if requests.get(number) != partner:
                yield number, requests.get(number), partner
