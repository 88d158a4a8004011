"""The kinds of entry in the ledger, each encoded as canonical JSON (RFC 8785).

Times are UTC, and hashes are SHA-256 in hexadecimal. An entry about a person contains a salted commitment and never an
identifier: once the salt is erased, nothing leads from the entry to the person, and its proofs stay valid.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import TypeVar, get_args

import msgspec

from avowal.errors import ProofError
from avowal.ledger.release_entry import (
    AgeReach,
    ReleaseApproved,
    ReleaseMade,
    ReleaseRecalled,
    ReleaseRefused,
    ReleaseRequested,
)
from avowal.ledger.restore_entry import BackupRestored
from avowal.strict import JSON_ERRORS


class VersionPublished(msgspec.Struct, frozen=True, tag="version-published", tag_field="kind"):
    """A version of the terms was adopted or published."""

    version: int
    identity: str
    terms_hash: str
    """The hash of the text of the terms."""
    document_hashes: dict[str, str]
    """The hash of each document, by language."""
    effective_at: datetime
    at: datetime
    notice_hashes: dict[str, str] = {}
    """The hash of each notice, by language; the first version has none."""


class VersionWithdrawn(msgspec.Struct, frozen=True, tag="version-withdrawn", tag_field="kind"):
    """A version was withdrawn before it took effect."""

    version: int
    identity: str
    at: datetime


class DocumentsCorrected(msgspec.Struct, frozen=True, tag="documents-corrected", tag_field="kind"):
    """The wording of a version's documents was corrected."""

    version: int
    identity: str
    document_hashes: dict[str, str]
    at: datetime


class NoticeDisplayed(msgspec.Struct, frozen=True, tag="notice-displayed", tag_field="kind"):
    """The notice of a version was displayed to the public."""

    version: int
    identity: str
    notice_hashes: dict[str, str]
    location: str
    attested_by_operator: bool
    """Whether only the operator says so; otherwise Avowal itself displayed it."""
    at: datetime


class DataAccessed(msgspec.Struct, frozen=True, tag="data-accessed", tag_field="kind"):
    """A reader accessed data of single visitors."""

    commitment: str
    """A salted commitment to the reader."""
    purpose: str
    version: int
    """The last version that had taken effect; rows were governed by it and by earlier ones."""
    rows: int
    query_hash: str
    """The hash of the query; the answer is not recorded."""
    at: datetime


class RemovedRecordCount(msgspec.Struct, frozen=True):
    """How many records of a relation retention removed or made coarser, by category and collecting version."""

    relation: str
    category: str
    version: int
    records: int


class RetentionRun(msgspec.Struct, frozen=True, tag="retention-run", tag_field="kind"):
    """Retention removed or coarsened records that may no longer be kept."""

    run_number: int
    removed_records: list[RemovedRecordCount]
    at: datetime


class ErasureDone(msgspec.Struct, frozen=True, tag="erasure-done", tag_field="kind"):
    """The data of a visitor was erased; the numbers say how much of each."""

    commitment: str
    """A salted commitment to the visitor, whose salt only the visitor has."""
    requests: int
    views: int
    visits: int
    consents: int
    at: datetime
    script_views: int = 0
    events: int = 0
    submissions: int = 0
    authorisations: int = 0


class ProcessorAdded(msgspec.Struct, frozen=True, tag="processor-added", tag_field="kind"):
    """A processor was added, with a contract that was compared with a version."""

    name: str
    """The name that the operator gave it."""
    contract_hash: str
    """The hash of the text of the contract."""
    version_identity: str
    """The identity of the version."""
    at: datetime


class ProcessorRemoved(msgspec.Struct, frozen=True, tag="processor-removed", tag_field="kind"):
    """A processor was removed."""

    name: str
    at: datetime


class FeedPageProvided(msgspec.Struct, frozen=True, tag="feed-page-provided", tag_field="kind"):
    """A processor fetched a page of its feed."""

    processor: str
    reference: str
    contract_hash: str
    """The hash of the text of the contract in force."""
    version: int
    """The version in force."""
    records: dict[str, int]
    """The number of records of each relation."""
    deletions: int
    """The number of records that the page asks the processor to delete."""
    at: datetime
    age_reach: list[AgeReach] = []
    """How old the records were, as in `ReleaseMade`."""


class AuthorisationGiven(msgspec.Struct, frozen=True, tag="authorisation-given", tag_field="kind"):
    """A visitor authorised a disclosure."""

    commitment: str
    """A salted commitment to the visitor, the recipient and the reference of the statement."""
    categories: list[str]
    channel: str
    at: datetime


class AuthorisationWithdrawn(msgspec.Struct, frozen=True, tag="authorisation-withdrawn", tag_field="kind"):
    """A visitor withdrew all authorisations for a recipient."""

    commitment: str
    """A salted commitment to the visitor, the recipient and the reference of the statement."""
    channel: str
    at: datetime


class ObjectionRaised(msgspec.Struct, frozen=True, tag="objection-raised", tag_field="kind"):
    """A person objected to the use of their submission for purposes."""

    commitment: str
    """A salted commitment to the submission."""
    purposes: list[str]
    channel: str
    at: datetime


class ObjectionWithdrawn(msgspec.Struct, frozen=True, tag="objection-withdrawn", tag_field="kind"):
    """A person withdrew an objection to purposes."""

    commitment: str
    """A salted commitment to the submission."""
    purposes: list[str]
    channel: str
    at: datetime


class SubmissionCorrected(msgspec.Struct, frozen=True, tag="submission-corrected", tag_field="kind"):
    """Values of a submission were corrected."""

    commitment: str
    """A salted commitment to the submission."""
    categories: list[str]
    channel: str
    at: datetime


class RestrictionsChanged(msgspec.Struct, frozen=True, tag="restrictions-changed", tag_field="kind"):
    """Settings of submissions were changed, such as who may read them and until when they are kept."""

    commitment: str
    """A salted commitment to the submission, visitor or form that selects the submissions, and to the new settings."""
    settings: list[str]
    """The names of the changed settings."""
    submissions: int
    """The number of submissions that were changed."""
    channel: str
    at: datetime


class ConsentGiven(msgspec.Struct, frozen=True, tag="consent-given", tag_field="kind"):
    """A visitor consented to a version for data collected before it."""

    version: int
    identity: str
    language: str
    """The language of the document that was shown."""
    document_hash: str
    """The hash of the document that was shown."""
    channel: str
    """How the visitor consented."""
    commitment: str
    """A salted commitment to the visitor and the reference of the statement."""
    at: datetime


class ConsentWithdrawn(msgspec.Struct, frozen=True, tag="consent-withdrawn", tag_field="kind"):
    """A visitor withdrew a consent; `language` and `document_hash` are those of the consent."""

    version: int
    identity: str
    language: str
    document_hash: str
    channel: str
    """How the visitor withdrew it."""
    commitment: str
    """A salted commitment to the visitor and the reference of the statement."""
    at: datetime


Entry = (
    VersionPublished
    | VersionWithdrawn
    | DocumentsCorrected
    | NoticeDisplayed
    | DataAccessed
    | RetentionRun
    | ErasureDone
    | ProcessorAdded
    | ProcessorRemoved
    | FeedPageProvided
    | AuthorisationGiven
    | AuthorisationWithdrawn
    | ObjectionRaised
    | ObjectionWithdrawn
    | SubmissionCorrected
    | RestrictionsChanged
    | ReleaseRequested
    | ReleaseApproved
    | ReleaseRefused
    | ReleaseMade
    | ReleaseRecalled
    | ConsentGiven
    | ConsentWithdrawn
    | BackupRestored
)


ENTRY_KINDS: tuple[str, ...] = tuple(entry_type.__struct_config__.tag for entry_type in get_args(Entry))
"""The value of `kind` of each kind of entry."""


EntryKind = TypeVar("EntryKind", bound=msgspec.Struct)

_DECODER = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Return an entry as canonical JSON.

    Sorted keys are enough for RFC 8785, as names of fields are ASCII and numbers are integers.
    """
    return msgspec.json.encode(entry, order="sorted")


def decode_entry(body: bytes) -> Entry:
    """Decode an entry that `encode_entry` encoded. Raises ProofError if it is not one."""
    try:
        entry: Entry = _DECODER.decode(body)
    except JSON_ERRORS:
        raise ProofError(
            "an entry cannot be decoded",
            "use the version of Avowal that wrote it, or a newer one",
            code="entry-unreadable",
        ) from None
    return entry


def decode_entry_of(kind: type[EntryKind], body: bytes | None) -> EntryKind:
    """Decode an entry of a kind. Raises ProofError if there is none, or it is of another kind."""
    entry = None if body is None else decode_entry(body)
    if not isinstance(entry, kind):
        raise ProofError(
            "an entry is not of the kind that the register says",
            "restore the newest backup; `avowal verify` lists what does not match",
            code="ledger-mismatch",
        )
    return entry


def find_entry(entries: Sequence[Entry], number: int) -> Entry | None:
    """Return the entry at a number; None if there is none."""
    return entries[number] if isinstance(number, int) and 0 <= number < len(entries) else None


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()
