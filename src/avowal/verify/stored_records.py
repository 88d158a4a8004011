"""Check what is stored: that it was not changed, the versions that records name, what governs them, and their age."""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from avowal.verify.store_state import StoreState
from avowal.verify.verification import Finding


def check_store_seal(state: StoreState) -> Iterator[Finding]:
    """Check that each table holds what was sealed, and that no sequence gives a number again."""
    for table in state.changed_tables:
        yield Finding("store-rows-mismatch", f"`{table}` does not hold what Avowal last wrote into it")
    for row in state.sequence_rows:
        if row["last_value"] < (row["greatest_taken"] or 0):
            yield Finding("store-rows-mismatch", f"`{row['sequence_name']}` would give numbers a second time")


def check_versions(state: StoreState) -> Iterator[Finding]:
    """Check that records name the version that was in force at their time (G1 in `docs/spec/terms.md`).

    Records that are older than the first version belong to that version.
    """
    versions_by_number = {version.number: version for version in state.versions}
    rows = [*state.version_rows, *state.derived_rows, *(row._asdict() for row in state.submission_periods)]
    for row in rows:
        version = versions_by_number.get(row["version"])
        following = versions_by_number.get(row["version"] + 1)
        first, last = (msgspec.convert(row[name], datetime, strict=False) for name in ("first", "last"))
        if version is None:
            sentence = f"{row['records']:,} records name version {row['version']}, which does not exist"
            yield Finding("record-version-unknown", sentence)
            continue
        if version.number > 1 and first < version.effective_at:
            sentence = f"records of {first} name version {version.number}, which took effect later"
            yield Finding("record-version-mismatch", sentence)
        if following and last >= following.effective_at:
            sentence = f"records of {last} name version {version.number}, after version {following.number} took effect"
            yield Finding("record-version-mismatch", sentence)


def check_governing_numbers(state: StoreState) -> Iterator[Finding]:
    """Check that records are governed by their own version or a later one that exists."""
    numbers = {version.number for version in state.versions}
    for row in (*state.version_rows, *state.derived_rows):
        if row["version"] not in numbers:
            continue
        if not row["version"] <= row["least"] <= row["greatest"] <= len(state.versions):
            sentence = f"records of version {row['version']} are governed by an older version, or by none"
            yield Finding("record-governing-mismatch", sentence)


def check_consents(state: StoreState) -> Iterator[Finding]:
    """Check that no record is governed by a later version than its visitor consented to."""
    beyond = [
        row
        for row in state.raised_rows
        if row["governing"] > state.consented_governing.get(row["visitor_id"], 0)
    ]
    if beyond:
        sentence = (
            f"records of {len(beyond):,} visitors are governed by a version to which these have not consented"
        )
        yield Finding("governing-without-consent", sentence)


def check_ages(state: StoreState) -> Iterator[Finding]:
    """Check that nothing is stored for longer than permitted."""
    for records in state.overdue:
        sentence = (
            f"{records.record_count:,} {records.relation} of version {records.version} have `{records.category}` for "
            "longer than permitted; `avowal retain` removes it"
        )
        yield Finding("record-overdue", sentence)
