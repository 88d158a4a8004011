"""Requests and script views that are one page view."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from avowal.store.pairing import PAIR_TOLERANCE, PageRecord, Pair, pair_page

SECOND = 1_000_000
TOLERANCE_US = PAIR_TOLERANCE.seconds * SECOND

drawn_records = st.lists(
    st.builds(
        PageRecord,
        number=st.just(0),
        time_us=st.integers(0, 40).map(lambda half_seconds: half_seconds * SECOND // 2),
        key=st.sampled_from([2, 4, None]),
        is_script=st.booleans(),
    ),
    max_size=9,
).map(lambda records: [record._replace(number=number) for number, record in enumerate(records)])


def in_order(records: Sequence[PageRecord]) -> list[PageRecord]:
    """Return records in the order of key and time."""
    return sorted(
        records, key=lambda record: (record.key is None, record.key or 0, record.time_us, record.is_script)
    )


def may_be_one_view(record: PageRecord, other: PageRecord) -> bool:
    """Return whether a request and a script view may be a pair."""
    return (
        record.is_script != other.is_script
        and abs(record.time_us - other.time_us) <= TOLERANCE_US
        and (record.key == other.key or None in {record.key, other.key})
    )


def most_pairs(records: Sequence[PageRecord]) -> int:
    """Return the greatest number of pairs, by trying every choice."""
    if not records:
        return 0
    first, others = records[0], records[1:]
    counts = [most_pairs(others)]
    for position, other in enumerate(others):
        if may_be_one_view(first, other):
            counts.append(1 + most_pairs([*others[:position], *others[position + 1 :]]))
    return max(counts)


@given(drawn_records)
def test_pairs_are_one_to_one_and_near(records: list[PageRecord]) -> None:
    """Each record has at most one partner, of the other kind, near and of the same key."""
    pairs = pair_page(in_order(records))
    numbers = [number for pair in pairs for number in pair]
    assert len(numbers) == len(set(numbers))
    for request, script_view in pairs:
        assert records[script_view].is_script
        assert may_be_one_view(records[request], records[script_view])


@given(drawn_records)
def test_there_are_as_many_pairs_as_possible(records: list[PageRecord]) -> None:
    """No other choice of pairs of the same key makes more."""
    of_one_key = [record._replace(key=2) for record in records]
    assert len(pair_page(in_order(of_one_key))) == most_pairs(of_one_key)


@given(drawn_records.filter(bool))
def test_one_more_record_never_makes_fewer_views(records: list[PageRecord]) -> None:
    """It makes as many pairs as before, or one more."""
    before, after = len(pair_page(in_order(records[:-1]))), len(pair_page(in_order(records)))
    assert after in {before, before + 1}


@given(drawn_records)
def test_no_two_pairs_of_a_key_cross(records: list[PageRecord]) -> None:
    """The earlier request has the earlier script view."""
    of_one_key = [record._replace(key=2) for record in records]
    pairs = sorted(pair_page(in_order(of_one_key)), key=lambda pair: records[pair.request_number].time_us)
    for pair, following in pairwise(pairs):
        assert records[pair.script_view_number].time_us <= records[following.script_view_number].time_us or (
            records[pair.request_number].time_us == records[following.request_number].time_us
        )


def test_a_record_without_a_key_is_paired_after_those_with_one() -> None:
    """The script view goes to the request of its own key, even where one without a key is nearer."""
    request, keyless = PageRecord(1, 0, 2, is_script=False), PageRecord(2, 3 * SECOND, None, is_script=False)
    script_view = PageRecord(3, 3 * SECOND, 2, is_script=True)
    assert pair_page([request, script_view, keyless]) == [Pair(1, 3)]
    assert pair_page([script_view, keyless]) == [Pair(2, 3)]
