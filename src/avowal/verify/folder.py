"""Verifying a folder: the ledger, what the register keeps of it, and the versions of what was collected."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from avowal.collect.pipeline import FUTURE_TOLERANCE
from avowal.errors import AvowalError, ProofError, StoreError
from avowal.ledger.checkpoint import Checkpoint, verify_checkpoint
from avowal.ledger.entry import (
    AuthorisationGiven,
    ConsentGiven,
    DataAccessed,
    Entry,
    ErasureDone,
    FeedPageProvided,
    ProcessorAdded,
    ReleaseApproved,
    ReleaseMade,
    ReleaseRefused,
    ReleaseRequested,
    RetentionRun,
    VersionPublished,
)
from avowal.ledger.note import SignedNote
from avowal.register.ledger_storage import Ledger
from avowal.register.register import SqliteRegister, Version
from avowal.store.interface import ConsentCursor, RemovedRecords, Store
from avowal.verify import restriction_facts
from avowal.verify.permissions import find_permission_violations
from avowal.verify.register_facts import find_register_mismatches
from avowal.verify.schema import (
    STORE_SCHEMA_QUERY,
    find_register_schema_mismatches,
    find_store_schema_mismatches,
)
from avowal.verify.verification import Finding, Verification

MALFORMED_REGISTER_ERRORS: tuple[type[Exception], ...] = (
    *(sqlite3.DatabaseError, sa.exc.DatabaseError, msgspec.MsgspecError),
    *(AttributeError, LookupError, TypeError, ValueError, StoreError),
)
"""What verifying comes to where a column, or a table, is not what we write."""

RECORD_VERSIONS_QUERY = """
SELECT version, min(record_time) AS first, max(record_time) AS last, count(*) AS records,
       min(governing) AS least, max(governing) AS greatest
FROM (SELECT version, record_time, governing FROM collected_records
      UNION ALL SELECT version, event_time, governing FROM events)
GROUP BY version ORDER BY version
"""

CONSENT_GOVERNING_QUERY = """
SELECT visitor_id, max(governing) AS governing
FROM (SELECT visitor_id, version, governing FROM collected_records
      UNION ALL SELECT visitor_id, version, governing FROM events
      UNION ALL SELECT visitor_id, version, governing FROM views
      UNION ALL SELECT visitor_id, version, governing FROM visits)
WHERE governing > version
GROUP BY visitor_id
"""


def find_register_violations(
    register: SqliteRegister,
    last_checkpoint: SignedNote | None,
    witness_checkpoints: Sequence[SignedNote],
    entries: list[Entry],
) -> Iterator[str]:
    """Yield, in a sentence each, what does not hold of the ledger and of the register; nothing where all does.

    `last` is the last checkpoint beside the key, `witnessed` are those that somebody else holds; `entries` gets
    what the ledger has.
    """
    yield from register.ledger.find_errors(entries)
    yield from _check_checkpoints(register.ledger, last_checkpoint, witness_checkpoints)
    yield from find_register_mismatches(register, entries)
    yield from restriction_facts.find_restriction_mismatches(register, entries)


def find_record_violations(versions: Sequence[Version], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what does not hold of stored records; `rows` are the answer to RECORDS.

    The version of a record exists, and was in force at its time; what is older than the first is bound to that, and
    what a log dates ahead of our clock to the one in force when it came in (G1).
    """
    known = {version.number: version for version in versions}
    for row in rows:
        version, following = known.get(row["version"]), known.get(row["version"] + 1)
        first, last = (msgspec.convert(row[name], datetime, strict=False) for name in ("first", "last"))
        if version is None:
            yield f"{row['records']:,} records bear version {row['version']}, which there is not"
            continue
        if version.number > 1 and first < version.effective_at:
            yield f"records of {first} bear version {version.number}, which took effect later"
        if following and last >= following.effective_at + FUTURE_TOLERANCE:
            yield f"records of {last} bear version {version.number}, though version {following.number} held"
        if not version.number <= row["least"] <= row["greatest"] <= len(versions):
            yield f"records of version {version.number} are governed by one that is older, or that there is not"


def find_consent_violations(
    consented_governing: Mapping[int, int], rows: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """Yield what is governed by a later version than its visitor consented to.

    `rows` are the answer to RAISED, and `raised` tells what the consents that stand raise each visitor's records to.
    """
    beyond = [row for row in rows if row["governing"] > consented_governing.get(row["visitor_id"], 0)]
    if beyond:
        yield f"records of {len(beyond):,} visitors are governed by a version that these have not consented to"


def _check_checkpoints(
    ledger: Ledger, last: SignedNote | None, witnessed: Sequence[SignedNote]
) -> Iterator[str]:
    """Check every checkpoint that was signed: those of the register, that beside the key, and those of witnesses."""
    told = [("a checkpoint of the register", note) for note in ledger.checkpoints()]
    told += [("the last checkpoint, beside the key,", last)] if last else []
    told += [("a checkpoint that a witness holds", note) for note in witnessed]
    size = ledger.count_entries()
    if size and not told:
        yield "the ledger has entries, and no checkpoint was ever signed"
    for name, note in told:
        try:
            checkpoint: Checkpoint = verify_checkpoint(note, ledger.signer.verifier)
            if checkpoint.size > size:
                yield f"{name} is of {checkpoint.size} entries, and the ledger has {size}: the last ones are gone"
            elif ledger.compute_root(checkpoint.size) != checkpoint.root:
                yield f"{name} over {checkpoint.size} entries does not hold: one of these was changed"
        except AvowalError as error:
            yield f"{name}: {error.message}"


COUNTED_ENTRIES: dict[type, str] = {
    VersionPublished: "publications",
    ConsentGiven: "consents",
    DataAccessed: "readings",
    RetentionRun: "runs of retention",
    ErasureDone: "erasures",
    ProcessorAdded: "contracts",
    FeedPageProvided: "pages of feeds",
    AuthorisationGiven: "authorisations",
    ReleaseRequested: "requests for releases",
    ReleaseApproved: "approvals",
    ReleaseMade: "releases",
    ReleaseRefused: "refusals",
}
"""The kinds of entry whose number a verification reports, by their plural names."""


def verify_register(register: SqliteRegister, witness_checkpoints: Sequence[SignedNote]) -> Verification:
    """Verify the ledger, and the register against it; `witness_checkpoints` are those that somebody else holds."""
    sentences, entries = list[str](), list[Entry]()
    last_checkpoint = (
        register.ledger.last_checkpoint_beside_key()
    )  # read first, as the ledger may grow meanwhile
    try:
        with register.snapshot() as snapshot:
            sentences += find_register_violations(snapshot, last_checkpoint, witness_checkpoints, entries)
            if not sentences:
                sentences += find_permission_violations(snapshot, entries)
    except ProofError as error:
        sentences.append(error.message)
    except MALFORMED_REGISTER_ERRORS as error:
        sentences.append(f"the register holds what was never written so ({type(error).__name__})")
    sentences += find_register_schema_mismatches(register)
    checked = Counter(COUNTED_ENTRIES[type(entry)] for entry in entries if type(entry) in COUNTED_ENTRIES)
    return Verification(
        [Finding("register", sentence) for sentence in sentences], len(entries), dict(checked)
    )


def verify_store(
    store: Store, register: SqliteRegister, overdue: Sequence[RemovedRecords], now: datetime
) -> Verification:
    """Verify what is stored against the register; `overdue` is what is stored for longer than permitted."""
    versions = store.query(RECORD_VERSIONS_QUERY, {}).to_dicts()
    columns = store.query(STORE_SCHEMA_QUERY, {}).rows
    consented = register.consents.compute_governing_update(ConsentCursor(), now).governing_by_visitor
    sentences = [
        *find_store_schema_mismatches(columns),
        *find_record_violations(register.versions(), versions),
        *find_consent_violations(consented, store.query(CONSENT_GOVERNING_QUERY, {}).to_dicts()),
        *(
            f"{removed.record_count:,} {removed.relation} of version {removed.version} hold `{removed.category}` "
            "beyond its time (`avowal retain`)"
            for removed in overdue
        ),
    ]
    return Verification(
        [Finding("store", sentence) for sentence in sentences],
        checked={"records": sum(row["records"] for row in versions), "columns": len(columns)},
    )
