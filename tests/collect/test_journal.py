"""Journals: acknowledged rows are durable, and damaged frames are ignored."""

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


def row(script_view_id: int, seconds: float = 0, **values: object) -> JournalRow:
    return JournalRow(script_view_id, NOON + int(seconds * 1_000_000), 1, **values)  # type: ignore[arg-type]  # the fields of each test


def frame(*rows: JournalRow) -> pl.DataFrame:
    return pl.DataFrame([msgspec.structs.asdict(row) for row in rows], schema=JOURNAL_SCHEMA)


def write_journal(folder: Path, *groups: list[JournalRow]) -> Path:
    writer = JournalWriter(folder)
    for group in groups:
        writer.append(group)
    writer.rotate()
    (journal,) = list_journals(folder)
    return journal.path


def test_written_rows_are_read_back(tmp_path: Path) -> None:
    """Each value is read as it was written, including the largest integers and any text."""
    rows = [row(2**64 - 1, host="é \n\t\"'\\", visitor_id=2**64 - 1, visible_ms=0), row(1)]
    write_journal(tmp_path, rows, [row(2)])
    (journal,) = list_journals(tmp_path)
    read_rows = journal.read_rows().to_dicts()
    assert [read_row["script_view_id"] for read_row in read_rows] == [2**64 - 1, 1, 2]
    for name in ("host", "visitor_id", "visible_ms", "page_path"):
        assert read_rows[0][name] == getattr(rows[0], name)


def test_a_damaged_journal_is_read_up_to_the_damage(tmp_path: Path) -> None:
    """If a journal is cut or changed at any byte, its complete frames are read and no others."""
    path = write_journal(tmp_path, [row(1)], [row(2)])
    content = path.read_bytes()
    first = len(JOURNAL_HEADER) + (len(content) - len(JOURNAL_HEADER)) // 2
    (journal,) = list_journals(tmp_path)
    for end in range(len(content)):
        path.write_bytes(content[:end])
        assert journal.read_rows()["script_view_id"].to_list() == ([1] if end >= first else [])
    for position in range(first, len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        assert journal.read_rows()["script_view_id"].to_list() == [1]


@pytest.mark.parametrize("failing", ["write", "fdatasync"])
def test_a_failed_write_leaves_no_row(tmp_path: Path, failing: str) -> None:
    """If a write fails, its rows are not in the journal, and later rows are."""
    writer = JournalWriter(tmp_path)
    writer.append([row(1)])
    full = OSError(errno.ENOSPC, "full")
    with mock.patch(f"os.{failing}", side_effect=full), pytest.raises(OSError, match="full"):
        writer.append([row(2)])
    writer.append([row(3)])
    writer.rotate()
    assert sorted(
        script_view_id
        for journal in list_journals(tmp_path)
        for script_view_id in journal.read_rows()["script_view_id"]
    ) == [
        1,
        3,
    ]


def test_a_short_write_is_continued(tmp_path: Path) -> None:
    """If the system writes fewer bytes than given, the rest is written too."""
    write = os.write
    with mock.patch("os.write", side_effect=lambda descriptor, data: write(descriptor, data[:7])):
        write_journal(tmp_path, [row(1), row(2)])
    (journal,) = list_journals(tmp_path)
    assert journal.read_rows()["script_view_id"].to_list() == [1, 2]


def test_the_events_of_a_script_view_become_one_row() -> None:
    """The first event sets the page; the visible time is limited by the server's clock and a transmission delay."""
    merged = merge_script_views(
        frame(
            row(7, 10, elapsed_ms=1_000, visible_ms=900, page_path="/a"),
            row(7, 40, elapsed_ms=31_000, visible_ms=90_000, page_path="/b"),
            row(7, 20, elapsed_ms=11_000, visible_ms=5_000, page_path="/c"),
            row(8, 5, page_path="/d"),
        )
    )
    by_script_view = {merged_row["script_view_id"]: merged_row for merged_row in merged.to_dicts()}
    assert by_script_view[7]["page_path"] == "/a"
    assert by_script_view[7]["visible_ms"] == (timedelta(seconds=31) + TRANSMISSION_DELAY_MAX) / timedelta(
        milliseconds=1
    )
    assert by_script_view[7]["received_at"] - by_script_view[7]["view_time"] == timedelta(seconds=31)
    assert by_script_view[8]["visible_ms"] is None
    assert by_script_view[8]["received_at"] == by_script_view[8]["view_time"]
