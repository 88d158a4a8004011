"""Notices as the register keeps them: as they were worded, and where they were shown."""

import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from avowal.register.notices import Notice, NoticeDisplay, hash_notices
from avowal.register.register import REGISTER_FILE, Register
from support.errors import raises_code
from support.versions import START, policy_version, published_document

NOTICES = [
    Notice(2, tag, "more protective", [], ["ip-address: less"], date(2026, 11, 1), date(2026, 12, 1))
    for tag in ("en", "zh-TW")
]
SHOWING = NoticeDisplay(2, "https://example.org/", attested_by_operator=True, recorded_at=START)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    opened = Register(tmp_path, tmp_path / "keys")
    opened.publish(policy_version(1), [published_document()])
    opened.publish(policy_version(2, 3), [published_document()], NOTICES)
    yield opened
    opened.close()


def test_a_notice_stays_as_it_was_worded(tmp_path: Path, register: Register) -> None:
    """It comes back word for word, its hash is in the entry of its version, and no statement changes it."""
    assert register.notices.all() == NOTICES
    entries = [msgspec.json.decode(body) for _, body in register.ledger.entries()]
    assert [entry["notice_hashes"] for entry in entries] == [{}, hash_notices(NOTICES)]
    with sqlite3.connect(tmp_path / REGISTER_FILE) as file:
        for statement in ("UPDATE notices SET canonical_json = ''", "DELETE FROM notices"):
            with pytest.raises(sqlite3.IntegrityError, match=r"cannot be (changed|deleted)"):
                file.execute(statement)
    file.close()


def test_a_withdrawn_versions_notice_is_gone(register: Register) -> None:
    """It is shown no more, and is not the notice of another version of that number."""
    register.withdraw(2, START + timedelta(days=1))
    assert register.notices.all() == []
    with raises_code("notice-not-found"):
        register.notices.record_display(SHOWING)


def test_where_a_notice_was_shown_is_recorded(register: Register) -> None:
    """With an entry in the ledger, which tells that it is the operator's word; of the first version there is none."""
    register.notices.record_display(SHOWING)
    assert register.notices.displays() == [SHOWING]
    *_, (_, body) = register.ledger.entries()
    told = msgspec.json.decode(body)
    assert (told["kind"], told["attested_by_operator"], told["notice_hashes"]) == (
        "notice-displayed",
        True,
        hash_notices(NOTICES),
    )
    with raises_code("notice-not-found"):
        register.notices.record_display(msgspec.structs.replace(SHOWING, version=1))
