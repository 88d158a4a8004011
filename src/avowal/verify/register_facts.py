"""Compare what the register holds with what the ledger records: each fact of one has to be in the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from avowal.ledger.entry import (
    ConsentGiven,
    ConsentWithdrawn,
    DataAccessed,
    DocumentsCorrected,
    Entry,
    NoticeDisplayed,
    ObjectionRaised,
    RestrictionsChanged,
    RetentionRun,
    SubmissionCorrected,
    VersionPublished,
    VersionWithdrawn,
    find_entry,
    hash_text,
)
from avowal.register.consents import compute_commitment
from avowal.register.register import SqliteRegister
from avowal.register.tables import (
    CONSENT_SUBJECTS,
    CONSENTS,
    DOCUMENTS,
    NOTICE_DISPLAYS,
    NOTICES,
    PUBLICATIONS,
    RETENTION_RUNS,
    WITHDRAWALS,
)
from avowal.verify.disclosure_facts import DISCLOSURE_ENTRY_FACTS, DISCLOSURE_REGISTER_FACTS
from avowal.verify.fact import Fact
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding, FindingCode

NOT_AS_RECORDED = "is not as the ledger records it"


def check_facts(state: RegisterState) -> Iterator[Finding]:
    """Compare each kind of fact in the register with the entries of that kind."""
    register = state.register
    with register.engine.connect() as connection:
        published = connection.execute(sa.select(PUBLICATIONS).order_by(PUBLICATIONS.c.publication)).all()
        withdrawn = connection.execute(sa.select(WITHDRAWALS).order_by(WITHDRAWALS.c.publication)).all()
        documents = connection.execute(sa.select(DOCUMENTS).order_by(DOCUMENTS.c.document)).all()
        notices = connection.execute(sa.select(NOTICES)).all()
    names = {row.publication: f"version {row.number}" for row in published}
    for row in published:
        if hash_text(row.canonical_terms) != row.identity:
            sentence = f"the identity of {names[row.publication]} is not that of its terms"
            yield Finding("version-identity-mismatch", sentence)
    versions = [
        Fact(
            (
                *(one.number, one.identity, hash_text(one.terms_text), one.effective_at, one.published_at),
                {
                    row.language: hash_text(row.canonical_json)
                    for row in notices
                    if row.publication == one.publication
                },
            ),
            names[one.publication],
        )
        for one in published
    ]
    withdrawals = [
        Fact((one.withdrawn_at,), f"the withdrawal of {names.get(one.publication)}") for one in withdrawn
    ]
    facts: dict[FindingCode, list[Fact]] = {
        "version-mismatch": versions,
        "withdrawal-mismatch": withdrawals,
        "document-mismatch": _find_documents(documents, names),
        "notice-display-mismatch": _find_notice_displays(register),
        "consent-mismatch": _find_consents(register),
        "access-mismatch": _find_accesses(register),
        "retention-run-mismatch": _find_retention_runs(register),
        **{code: find(register) for code, find in DISCLOSURE_REGISTER_FACTS.items()},
    }
    expected = _find_entry_facts(state.entries)
    for code, found in facts.items():
        yield from _compare_facts(code, found, expected[code])


def _find_documents(documents: Sequence[Any], names: Mapping[int, str]) -> list[Fact]:
    """Return what the register has of documents, of versions by their names."""
    return sorted(
        Fact(
            (one.recorded_at, one.language, hash_text(one.text)),
            f"the document of {names.get(one.publication)} in `{one.language}`",
        )
        for one in documents
    )


def _find_notice_displays(register: SqliteRegister) -> list[Fact]:
    """Return where the register has that notices were shown."""
    statement = (
        sa.select(NOTICE_DISPLAYS, PUBLICATIONS.c.number, PUBLICATIONS.c.identity)
        .outerjoin(PUBLICATIONS, PUBLICATIONS.c.publication == NOTICE_DISPLAYS.c.publication)
        .order_by(NOTICE_DISPLAYS.c.notice_display)
    )
    with register.engine.connect() as connection:
        return [
            Fact(
                (
                    one.entry,
                    one.number,
                    one.identity,
                    one.location,
                    one.attested_by_operator,
                    one.recorded_at,
                ),
                f"display {one.notice_display} of a notice",
            )
            for one in connection.execute(statement)
        ]


def _find_accesses(register: SqliteRegister) -> list[Fact]:
    """Return what opens the commitments of readings of single visitors."""
    return [
        Fact((entry, name and salt and compute_commitment(salt, reader=name)), f"access {number}")
        for number, (entry, (name, salt)) in enumerate(register.readers.access_readers().items(), 1)
    ]


def _find_retention_runs(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of what retention took away."""
    with register.engine.connect() as connection:
        return [
            Fact(
                (one.entry, one.run_number, msgspec.json.decode(one.removed_records), one.removed_at),
                f"run {one.run_number} of retention",
            )
            for one in connection.execute(sa.select(RETENTION_RUNS).order_by(RETENTION_RUNS.c.entry))
        ]


class CommitmentOpening(NamedTuple):
    """How the register opens the commitments of a kind of entry."""

    description: str
    query: str
    """Returns the entry, the salt, and the values."""
    entry_type: type[ObjectionRaised | SubmissionCorrected | RestrictionsChanged]
    name_values: Callable[..., dict[str, str]]
    """Returns the values by the names under which they were committed to."""


COMMITMENT_OPENINGS: dict[FindingCode, CommitmentOpening] = {
    "objection-mismatch": CommitmentOpening(
        "objection",
        "SELECT entry, CAST(salt AS BLOB), submission FROM objection_subjects ORDER BY entry",
        ObjectionRaised,
        lambda submission: {"submission": submission},
    ),
    "correction-mismatch": CommitmentOpening(
        "correction",
        "SELECT entry, CAST(salt AS BLOB), submission FROM correction_subjects ORDER BY entry",
        SubmissionCorrected,
        lambda submission: {"submission": submission},
    ),
    "restriction-mismatch": CommitmentOpening(
        "restriction",
        "SELECT entry, CAST(salt AS BLOB), selector_kind, selector_value, settings FROM restrictions ORDER BY entry",
        RestrictionsChanged,
        lambda kind, value, settings: {kind: value, "details": settings},
    ),
}
"""The commitments about submissions, which can be opened until the submission is erased."""


def check_commitments(state: RegisterState) -> Iterator[Finding]:
    """Check that what is known of a person opens the commitment of its entry; yields the first of each kind."""
    with state.register.database.driver_connection() as database:
        for code, opening in COMMITMENT_OPENINGS.items():
            for number, (entry_number, salt, *values) in enumerate(database.execute(opening.query), 1):
                entry = find_entry(state.entries, entry_number)
                commitment = compute_commitment(salt, **opening.name_values(*values))
                if not isinstance(entry, opening.entry_type) or entry.commitment != commitment:
                    yield Finding(code, f"{opening.description} {number} {NOT_AS_RECORDED}")
                    break


def _find_consents(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of consents; without a person where it is not the one committed to."""
    same = CONSENT_SUBJECTS.c.consent == CONSENTS.c.consent
    statement = (
        sa.select(CONSENTS, PUBLICATIONS, CONSENT_SUBJECTS)
        .outerjoin_from(CONSENTS, PUBLICATIONS, PUBLICATIONS.c.publication == CONSENTS.c.publication)
        .outerjoin(CONSENT_SUBJECTS, same)
        .order_by(CONSENTS.c.consent)
    )
    with register.engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    facts = []
    for row in rows:
        told = [
            row[CONSENTS.c[name]] for name in ("given", "language", "document_hash", "channel", "recorded_at")
        ]
        person = row[CONSENTS.c.commitment]
        if row[CONSENT_SUBJECTS.c.consent] is not None:
            who = {name: row[CONSENT_SUBJECTS.c[name]] for name in ("visitor", "reference")}
            made = compute_commitment(row[CONSENT_SUBJECTS.c.salt], **who)
            person = person if person == made else None
        version = (row[PUBLICATIONS.c.number], row[PUBLICATIONS.c.identity])
        name = f"consent {row[CONSENTS.c.consent]}"
        facts.append(Fact((row[CONSENTS.c.entry], *version, *told, person), name))
    return facts


def _consent_values(number: int, one: ConsentGiven) -> tuple[Any, ...]:
    given = not isinstance(one, ConsentWithdrawn)
    return (
        number,
        one.version,
        one.identity,
        given,
        one.language,
        one.document_hash,
        one.channel,
        one.at,
        one.commitment,
    )


ENTRY_FACTS: dict[type, tuple[FindingCode, Callable[[int, Any], tuple[Any, ...]]]] = {
    VersionPublished: (
        "version-mismatch",
        lambda _, one: (
            one.version,
            one.identity,
            one.terms_hash,
            one.effective_at,
            one.at,
            one.notice_hashes,
        ),
    ),
    VersionWithdrawn: ("withdrawal-mismatch", lambda _, one: (one.at,)),
    NoticeDisplayed: (
        "notice-display-mismatch",
        lambda number, one: (
            number,
            one.version,
            one.identity,
            one.location,
            one.attested_by_operator,
            one.at,
        ),
    ),
    ConsentGiven: ("consent-mismatch", _consent_values),
    ConsentWithdrawn: ("consent-mismatch", _consent_values),
    DataAccessed: ("access-mismatch", lambda number, one: (number, one.commitment)),
    RetentionRun: (
        "retention-run-mismatch",
        lambda number, one: (number, one.run_number, msgspec.to_builtins(one.removed_records), one.at),
    ),
    **DISCLOSURE_ENTRY_FACTS,
}
"""For each kind of entry, the code of its facts and the values of one; documents are in entries of two kinds."""


def _find_entry_facts(entries: Sequence[Entry]) -> dict[FindingCode, list[Fact]]:
    """Return the facts that the ledger records, by their code."""
    found: dict[FindingCode, list[Fact]] = {code: [] for code, _ in ENTRY_FACTS.values()}
    documents = []
    for number, entry in enumerate(entries):
        if type(entry) in ENTRY_FACTS:
            code, read_values = ENTRY_FACTS[type(entry)]
            found[code].append(Fact(read_values(number, entry)))
        if isinstance(entry, VersionPublished | DocumentsCorrected):
            documents += [
                Fact((entry.at, language, sha256)) for language, sha256 in entry.document_hashes.items()
            ]
    return {**found, "document-mismatch": sorted(documents)}


def _compare_facts(code: FindingCode, found: Sequence[Fact], expected: Sequence[Fact]) -> Iterator[Finding]:
    """Yield whether there are too few or too many facts, and the first one that is not as recorded."""
    if len(found) != len(expected):
        kind = code.removesuffix("-mismatch").replace("-", " ")
        sentence = f"the register has {len(found)} facts of the kind {kind}, and the ledger {len(expected)}"
        yield Finding(code, sentence)
    for fact, other in zip(found, expected, strict=False):
        if fact.values != other.values:
            yield Finding(code, f"{fact.description} {NOT_AS_RECORDED}")
            return
