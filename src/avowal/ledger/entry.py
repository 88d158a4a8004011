"""What the ledger has entries of, each as canonical JSON (RFC 8785).

An entry about a person holds a salted commitment and never an identifier: once the salt is erased, nothing leads from
the entry to the person, and its proofs still hold.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import get_args

import msgspec

from avowal.errors import ProofError

AgeReach = tuple[str, str, int, datetime]
"""A category at a precision, what governed records of it, and since when these came, by an age of the terms (X7)."""


class VersionPublished(msgspec.Struct, frozen=True, tag="version-published", tag_field="kind"):
    """A version of the terms was adopted or published. Hashes are SHA-256, in hexadecimal; times are UTC."""

    version: int
    identity: str
    terms_hash: str
    """The hash of the file of terms."""
    document_hashes: dict[str, str]
    """The hash of each document, by language."""
    effective_at: datetime
    at: datetime
    notice_hashes: dict[str, str] = {}
    """The hash of each notice, by language; the first version has none."""


class VersionWithdrawn(msgspec.Struct, frozen=True, tag="version-withdrawn", tag_field="kind"):
    """A version was taken back before it took effect."""

    version: int
    identity: str
    at: datetime


class DocumentsCorrected(msgspec.Struct, frozen=True, tag="documents-corrected", tag_field="kind"):
    """The wording of a version was corrected."""

    version: int
    identity: str
    document_hashes: dict[str, str]
    at: datetime


class NoticeDisplayed(msgspec.Struct, frozen=True, tag="notice-displayed", tag_field="kind"):
    """The notice of a version was shown where everybody sees it."""

    version: int
    identity: str
    notice_hashes: dict[str, str]
    location: str
    attested_by_operator: bool
    """Whether this is the operator's word; else the system itself showed it."""
    at: datetime


class DataAccessed(msgspec.Struct, frozen=True, tag="data-accessed", tag_field="kind"):
    """Somebody read something about single visitors."""

    commitment: str
    """A salted commitment."""
    purpose: str
    version: int
    """The last version that had taken effect: rows were governed by it and those before."""
    rows: int
    query_hash: str
    """The hash of what was asked; what was answered is nowhere."""
    at: datetime


class RemovedRecordCount(msgspec.Struct, frozen=True):
    """How many records of a relation retention removed or made coarser, by category and collecting version."""

    relation: str
    category: str
    version: int
    records: int


class RetentionRun(msgspec.Struct, frozen=True, tag="retention-run", tag_field="kind"):
    """What may not be kept any more was removed, or cut down."""

    run_number: int
    removed_records: list[RemovedRecordCount]
    at: datetime


class ErasureDone(msgspec.Struct, frozen=True, tag="erasure-done", tag_field="kind"):
    """What was held of a visitor was erased."""

    commitment: str
    """A salted commitment, whose salt only the visitor has."""
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
    """A third party works for the operator, under a contract that was compared with a version."""

    name: str
    """As the operator calls it."""
    contract_hash: str
    """The hash of the contract."""
    version_identity: str
    """Of the version."""
    at: datetime


class ProcessorRemoved(msgspec.Struct, frozen=True, tag="processor-removed", tag_field="kind"):
    """It works for the operator no more."""

    name: str
    at: datetime


class FeedPageProvided(msgspec.Struct, frozen=True, tag="feed-page-provided", tag_field="kind"):
    """A processor was given a page of its feed."""

    processor: str
    reference: str
    contract_hash: str
    """The hash of the contract that it went by."""
    version: int
    """The one in force."""
    records: dict[str, int]
    """How many there are of each relation."""
    deletions: int
    """How many records it was told to delete."""
    at: datetime
    age_reach: list[AgeReach] = []
    """As of a release."""


class AuthorisationGiven(msgspec.Struct, frozen=True, tag="authorisation-given", tag_field="kind"):
    """A visitor authorised a disclosure."""

    commitment: str
    """A salted commitment, to the visitor and to the recipient."""
    categories: list[str]
    channel: str
    at: datetime


class AuthorisationWithdrawn(
    AuthorisationGiven, frozen=True, tag="authorisation-withdrawn", tag_field="kind"
):
    """A visitor took back what the recipient may have."""


class ObjectionRaised(msgspec.Struct, frozen=True, tag="objection-raised", tag_field="kind"):
    """Somebody objected to purposes that something is used for which they handed over."""

    commitment: str
    """A salted commitment, to the submission."""
    purposes: list[str]
    channel: str
    at: datetime


class ObjectionWithdrawn(ObjectionRaised, frozen=True, tag="objection-withdrawn", tag_field="kind"):
    """Somebody took an objection back."""


class SubmissionCorrected(msgspec.Struct, frozen=True, tag="submission-corrected", tag_field="kind"):
    """Something that was handed over was corrected."""

    commitment: str
    """A salted commitment, to the submission."""
    categories: list[str]
    channel: str
    at: datetime


class RestrictionsChanged(msgspec.Struct, frozen=True, tag="restrictions-changed", tag_field="kind"):
    """Something was set for what was handed over: who reads it, until when it is kept, and the like."""

    commitment: str
    """A salted commitment: to the submission, or the visitor or form whose they are, and to what was set."""
    settings: list[str]
    """The names of what was set."""
    submissions: int
    """For how many submissions."""
    channel: str
    at: datetime


class ReleaseRequested(msgspec.Struct, frozen=True, tag="release-requested", tag_field="kind"):
    """Somebody asked for a release, on a ground and with its evidence."""

    reference: str
    ground: str
    recipient_kind: str
    commitment: str
    """A salted commitment to all that was told: of whom, for whom, by whom, and the evidence itself."""
    categories: list[str]
    evidence_kinds: list[str]
    """Of which kinds there is evidence."""
    version: int
    required_approvals: int
    """How many others have to approve."""
    at: datetime


class ReleaseApproved(msgspec.Struct, frozen=True, tag="release-approved", tag_field="kind"):
    """Somebody else approved a release that was asked for."""

    reference: str
    commitment: str
    """A salted commitment, to whoever approved."""
    at: datetime


class ReleaseRefused(msgspec.Struct, frozen=True, tag="release-refused", tag_field="kind"):
    """Somebody tried to have something released, and it was refused."""

    ground: str
    recipient_kind: str
    reason: str
    """A word of a closed list."""
    commitment: str
    """A salted commitment, to whoever tried."""
    at: datetime


class ReleaseMade(msgspec.Struct, frozen=True, tag="release-made", tag_field="kind"):
    """Something left the house, on a ground."""

    reference: str
    ground: str
    recipient_kind: str
    commitment: str
    """A salted commitment, to the visitor and to the recipient; of several visitors, the root of the tree of theirs."""
    categories: list[str]
    """Those that left."""
    records: int
    version: int
    """The one in force."""
    manifest_hash: str
    """The hash of the package's manifest."""
    at: datetime
    visitor_count: int = 1
    """How many visitors it is of; 0 where none is known."""
    sealed_until: datetime | None = None
    """Until when those visitors are not told of it."""
    age_reach: list[AgeReach] = []
    """Of each category and precision, and of each version that governed records of it: the time of the oldest."""


class ReleaseRecalled(msgspec.Struct, frozen=True, tag="release-recalled", tag_field="kind"):
    """A release was recalled: its recipient has to delete it."""

    reference: str
    reason: str
    at: datetime


class ConsentGiven(msgspec.Struct, frozen=True, tag="consent-given", tag_field="kind"):
    """A visitor consented to a version for what was collected before."""

    version: int
    identity: str
    language: str
    """Of the document that was shown."""
    document_hash: str
    """The hash of the document that was shown."""
    channel: str
    """How the visitor said so: a word of a closed list."""
    commitment: str
    """A salted commitment."""
    at: datetime


class ConsentWithdrawn(ConsentGiven, frozen=True, tag="consent-withdrawn", tag_field="kind"):
    """A visitor took a consent back; `language` and `document` are those of the consent."""


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
)


ENTRY_KINDS: tuple[str, ...] = tuple(one.__struct_config__.tag for one in get_args(Entry))
"""What each kind of entry is called in it."""


_DECODER = msgspec.json.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Return the bytes that the ledger keeps: the JSON of RFC 8785, as names of fields are ASCII and numbers whole."""
    return msgspec.json.encode(entry, order="sorted")


def decode_entry(body: bytes) -> Entry:
    """Read what `written` wrote. Raises ProofError where it is none."""
    try:
        entry: Entry = _DECODER.decode(body)
    except msgspec.DecodeError:
        raise ProofError(
            "an entry cannot be read", "use the Avowal that wrote it, or a newer one", code="entry-unreadable"
        ) from None
    return entry


def find_entry(entries: Sequence[Entry], number: int) -> Entry | None:
    """Return the entry of a number; None where there is none."""
    return entries[number] if isinstance(number, int) and 0 <= number < len(entries) else None


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()
