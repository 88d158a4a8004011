"""What the register keeps, beside what the ledger says was recorded: each fact of the one has to be in the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

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


def find_register_mismatches(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
    """Compare what the register keeps with what the ledger says was recorded."""
    with register.engine.connect() as connection:
        published = connection.execute(sa.select(PUBLICATIONS).order_by(PUBLICATIONS.c.publication)).all()
        withdrawn = connection.execute(sa.select(WITHDRAWALS).order_by(WITHDRAWALS.c.publication)).all()
        documents = connection.execute(sa.select(DOCUMENTS).order_by(DOCUMENTS.c.document)).all()
        notices = connection.execute(sa.select(NOTICES)).all()
    names = {row.publication: f"version {row.number}" for row in published}
    for row in published:
        if hash_text(row.canonical_terms) != row.identity:
            yield f"the promises of {names[row.publication]} are not those of its identity"
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
    facts = {
        "versions": versions,
        "withdrawals": withdrawals,
        "documents": _find_documents(documents, names),
        "notice_displays": _find_notice_displays(register),
        "consents": _find_consents(register),
        "accesses": _find_accesses(register),
        "retention_runs": _find_retention_runs(register),
        **{kind: find(register) for kind, find in DISCLOSURE_REGISTER_FACTS.items()},
    }
    told = _find_entry_facts(entries)
    for kind, found in facts.items():
        yield from _compare_facts(found, told[kind])
    yield from _check_commitments(register, entries)


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


COMMITMENT_OPENINGS: dict[
    str, tuple[str, type[ObjectionRaised | SubmissionCorrected | RestrictionsChanged], Callable[..., Any]]
] = {
    "objection": (
        "SELECT entry, CAST(salt AS BLOB), submission FROM objection_subjects ORDER BY entry",
        ObjectionRaised,
        lambda submission: {"submission": submission},
    ),
    "correction": (
        "SELECT entry, CAST(salt AS BLOB), submission FROM correction_subjects ORDER BY entry",
        SubmissionCorrected,
        lambda submission: {"submission": submission},
    ),
    "restriction": (
        "SELECT entry, CAST(salt AS BLOB), selector_kind, selector_value, settings FROM restrictions ORDER BY entry",
        RestrictionsChanged,
        lambda kind, value, settings: {kind: value, "details": settings},
    ),
}
"""What opens commitments to what was handed over, as long as that is there: of each, its entries and what they tell."""


def _check_commitments(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield the first of each kind that is to open the commitment of an entry, and does not."""
    with register.database.driver_connection() as database:
        for what, (select, kind, told) in COMMITMENT_OPENINGS.items():
            for number, (entry, salt, *values) in enumerate(database.execute(select), 1):
                one = find_entry(entries, entry)
                if not isinstance(one, kind) or one.commitment != compute_commitment(salt, **told(*values)):
                    yield f"{what} {number} is not what the ledger says was recorded"
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


ENTRY_FACTS: dict[type, tuple[str, Callable[[int, Any], tuple[Any, ...]]]] = {
    VersionPublished: (
        "versions",
        lambda _, one: (
            one.version,
            one.identity,
            one.terms_hash,
            one.effective_at,
            one.at,
            one.notice_hashes,
        ),
    ),
    VersionWithdrawn: ("withdrawals", lambda _, one: (one.at,)),
    NoticeDisplayed: (
        "notice_displays",
        lambda number, one: (
            number,
            one.version,
            one.identity,
            one.location,
            one.attested_by_operator,
            one.at,
        ),
    ),
    ConsentGiven: ("consents", _consent_values),
    ConsentWithdrawn: ("consents", _consent_values),
    DataAccessed: ("accesses", lambda number, one: (number, one.commitment)),
    RetentionRun: (
        "retention_runs",
        lambda number, one: (number, one.run_number, msgspec.to_builtins(one.removed_records), one.at),
    ),
    **DISCLOSURE_ENTRY_FACTS,
}
"""What each kind of entry says was recorded, by what that is; `documents` are told by two kinds."""


def _find_entry_facts(entries: Sequence[Entry]) -> dict[str, list[Fact]]:
    """Return what the ledger says was recorded, by what that is."""
    found: dict[str, list[Fact]] = {kind: [] for kind, _ in ENTRY_FACTS.values()}
    pages = []
    for number, one in enumerate(entries):
        if type(one) in ENTRY_FACTS:
            kind, tell = ENTRY_FACTS[type(one)]
            found[kind].append(Fact(tell(number, one)))
        if isinstance(one, VersionPublished | DocumentsCorrected):
            pages += [Fact((one.at, language, sha256)) for language, sha256 in one.document_hashes.items()]
    return {**found, "documents": sorted(pages)}


def _compare_facts(found: Sequence[Fact], expected: Sequence[Fact]) -> Iterator[str]:
    """Yield the first of the facts that is not what was expected, and whether there are too few or many."""
    if len(found) != len(expected):
        yield f"the register has {len(found)} records where the ledger tells of {len(expected)}"
    for fact, other in zip(found, expected, strict=False):
        if fact.values != other.values:
            yield f"{fact.description} is not what the ledger says was recorded"
            return
