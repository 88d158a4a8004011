"""Journals: what was acknowledged is there, and nothing else of them matters."""

import errno
import os
from datetime import timedelta
from pathlib import Path
from unittest import mock

import msgspec
import polars as pl
import pytest

from avowal.collect.journal import (
    JOURNAL_HEADER,
    JOURNAL_SCHEMA,
    TRANSMISSION_DELAY_MAX,
    JournalRow,
    JournalWriter,
    list_journals,
    merge_script_views,
)

NOON = 1_800_000_000_000_000


def row(look: int, heard: float = 0, **told: object) -> JournalRow:
    return JournalRow(look, NOON + int(heard * 1_000_000), 1, **told)  # type: ignore[arg-type]  # as each test has them


def frame(*rows: JournalRow) -> pl.DataFrame:
    return pl.DataFrame([msgspec.structs.asdict(one) for one in rows], schema=JOURNAL_SCHEMA)


def written(folder: Path, *groups: list[JournalRow]) -> Path:
    writer = JournalWriter(folder)
    for group in groups:
        writer.append(group)
    writer.rotate()
    (journal,) = list_journals(folder)
    return journal.path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Each value as it was, also the greatest numbers and words of any kind."""
    rows = [row(2**64 - 1, host="é \n\t\"'\\", visitor_id=2**64 - 1, visible_ms=0), row(1)]
    written(tmp_path, rows, [row(2)])
    (journal,) = list_journals(tmp_path)
    read = journal.read_rows().to_dicts()
    assert [one["script_view_id"] for one in read] == [2**64 - 1, 1, 2]
    for name in ("host", "visitor_id", "visible_ms", "page_path"):
        assert read[0][name] == getattr(rows[0], name)


def test_a_torn_journal_is_read_up_to_the_tear(tmp_path: Path) -> None:
    """Cut at any byte, or with any byte of its last frame changed: whole frames stand, and no other."""
    path = written(tmp_path, [row(1)], [row(2)])
    whole = path.read_bytes()
    first = len(JOURNAL_HEADER) + (len(whole) - len(JOURNAL_HEADER)) // 2
    (journal,) = list_journals(tmp_path)
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        assert journal.read_rows()["script_view_id"].to_list() == ([1] if end >= first else [])
    for place in range(first, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert journal.read_rows()["script_view_id"].to_list() == [1]


@pytest.mark.parametrize("failing", ["write", "fdatasync"])
def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, failing: str) -> None:
    """The disk is full or broken: what was not acknowledged is not there, and what comes later is."""
    writer = JournalWriter(tmp_path)
    writer.append([row(1)])
    full = OSError(errno.ENOSPC, "full")
    with mock.patch(f"os.{failing}", side_effect=full), pytest.raises(OSError, match="full"):
        writer.append([row(2)])
    writer.append([row(3)])
    writer.rotate()
    assert sorted(look for one in list_journals(tmp_path) for look in one.read_rows()["script_view_id"]) == [
        1,
        3,
    ]


def test_a_write_that_is_cut_short_goes_on(tmp_path: Path) -> None:
    """The system may take less at a time than it was given."""
    write = os.write
    with mock.patch("os.write", side_effect=lambda place, data: write(place, data[:7])):
        written(tmp_path, [row(1), row(2)])
    (journal,) = list_journals(tmp_path)
    assert journal.read_rows()["script_view_id"].to_list() == [1, 2]


def test_the_events_of_a_script_view_become_one_row() -> None:
    """The first has its say of the page; the time is the longest that the clock allows, and what may be under way."""
    told = merge_script_views(
        frame(
            row(7, 10, elapsed_ms=1_000, visible_ms=900, page_path="/a"),
            row(7, 40, elapsed_ms=31_000, visible_ms=90_000, page_path="/b"),
            row(7, 20, elapsed_ms=11_000, visible_ms=5_000, page_path="/c"),
            row(8, 5, page_path="/d"),
        )
    )
    by_look = {one["script_view_id"]: one for one in told.to_dicts()}
    assert by_look[7]["page_path"] == "/a"
    assert by_look[7]["visible_ms"] == (timedelta(seconds=31) + TRANSMISSION_DELAY_MAX) / timedelta(
        milliseconds=1
    )
    assert by_look[7]["received_at"] - by_look[7]["view_time"] == timedelta(seconds=31)
    assert by_look[8]["visible_ms"] is None
    assert by_look[8]["received_at"] == by_look[8]["view_time"]
