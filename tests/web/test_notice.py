"""The notice on pages: a later version hides none before it."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from avowal.change.notice import build_notices
from avowal.clock import utc_now
from avowal.policy.terms import CollectRule, Terms, compile_terms
from avowal.register.register import PublishedDocument, Register, Version
from avowal.web.notice import find_current_notice, is_display_recorded, record_display

NOW = utc_now()


def version_with(number: int, age: str, effective_at: datetime) -> Version:
    """Return a version that keeps addresses for an age."""
    rule = CollectRule(["ip-address"], {"full": age}, ["abuse"])
    compiled = compile_terms(Terms(2, "A", "a@example.org", date(2026, 1, 1), ["en"], [rule]))
    return Version(number, compiled.identity, compiled.encode_canonical().decode(), "", effective_at, NOW)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    """Open a register with a weaker version that is to come, and a stricter one after it."""
    opened = Register(tmp_path, tmp_path / "keys")
    versions = [
        version_with(1, "7 days", NOW - timedelta(days=90)),
        version_with(2, "90 days", NOW + timedelta(days=10)),
        version_with(3, "89 days", NOW + timedelta(days=11)),
    ]
    document = PublishedDocument("en", "# Privacy", NOW)
    for old, new in zip([None, *versions], versions, strict=False):
        opened.publish(new, [document], build_notices(old, new, ["en"]) if old else [])
    yield opened
    opened.close()


def test_a_later_version_hides_no_notice(register: Register) -> None:
    """While the notices of two versions are to be displayed, both are in the text, and its link shows all changes."""
    newest, texts = find_current_notice(register, NOW)
    assert (newest, list(texts)) == (3, ["en"])
    text = texts["en"].text
    assert text.index("Version 2, in force from") < text.index("less protective") < text.index("Version 3")
    assert texts["en"].changes_path.partition("?")[0].endswith("changes/1..3")


def test_the_display_of_several_notices_is_recorded_together(register: Register) -> None:
    """A page that shows the notices of two versions displays both, and the ledger says so."""
    record_display(register, 3, "every page")
    assert is_display_recorded(register, 2)
    assert is_display_recorded(register, 3)
    record_display(register, 3, "every page")
    assert len(register.notices.displays()) == 2
