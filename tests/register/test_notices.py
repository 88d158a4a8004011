"""The register keeps the text of each notice and records where it was displayed."""

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
DISPLAY = NoticeDisplay(2, "https://example.org/", attested_by_operator=True, recorded_at=START)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    register = Register(tmp_path, tmp_path / "keys")
    register.publish(policy_version(1), [published_document()])
    register.publish(policy_version(2, 3), [published_document()], NOTICES)
    yield register
    register.close()


def test_a_notice_cannot_be_changed(tmp_path: Path, register: Register) -> None:
    """A stored notice is returned unchanged, the ledger has its hash, and no SQL statement changes it."""
    assert register.notices.all() == NOTICES
    entries = [msgspec.json.decode(body) for _, body in register.ledger.entries()]
    assert [entry["notice_hashes"] for entry in entries] == [{}, hash_notices(NOTICES)]
    with sqlite3.connect(tmp_path / REGISTER_FILE) as file:
        for statement in ("UPDATE notices SET canonical_json = ''", "DELETE FROM notices"):
            with pytest.raises(sqlite3.IntegrityError, match=r"cannot be (changed|deleted)"):
                file.execute(statement)
    file.close()


def test_a_withdrawn_version_has_no_notice(register: Register) -> None:
    """When a version is withdrawn, its notice is no longer listed, and its display cannot be recorded."""
    register.withdraw(2, START + timedelta(days=1))
    assert register.notices.all() == []
    with raises_code("notice-not-found"):
        register.notices.record_display(DISPLAY)


def test_a_display_of_a_notice_is_recorded_in_the_ledger(register: Register) -> None:
    """A display gets an entry that says the operator attests it; the first version has no notice to display."""
    register.notices.record_display(DISPLAY)
    assert register.notices.displays() == [DISPLAY]
    *_, (_, body) = register.ledger.entries()
    entry = msgspec.json.decode(body)
    assert (entry["kind"], entry["attested_by_operator"], entry["notice_hashes"]) == (
        "notice-displayed",
        True,
        hash_notices(NOTICES),
    )
    with raises_code("notice-not-found"):
        register.notices.record_display(msgspec.structs.replace(DISPLAY, version=1))
