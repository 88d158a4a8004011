"""What the register keeps, beside what the ledger says was recorded: each fact of the one has to be in the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from avow.keep.consents import commitment
from avow.keep.disclosed import ENTRIES, FACTS
from avow.keep.fact import Fact
from avow.keep.register import SqliteRegister
from avow.keep.tables import (
    CONSENTS,
    CORRECTING,
    CORRECTIONS,
    DOCUMENTS,
    ERASURES,
    HANDLED,
    HANDLINGS,
    NOTICES,
    OBJECTING,
    OBJECTIONS,
    PERSONS,
    PUBLICATIONS,
    READINGS,
    RETENTIONS,
    SHOWINGS,
    WITHDRAWALS,
)
from avow.ledger.entry import (
    ConsentGiven,
    ConsentWithdrawn,
    DocumentsCorrected,
    Entry,
    ErasureDone,
    HandlingSet,
    NoticeShown,
    ObjectionRaised,
    ObjectionWithdrawn,
    ReadingMade,
    RetentionRun,
    SubmissionCorrected,
    VersionPublished,
    VersionWithdrawn,
    hashed,
)


def unlike(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
    """Compare what the register keeps with what the ledger says was recorded."""
    with register.engine.connect() as connection:
        published = connection.execute(sa.select(PUBLICATIONS).order_by(PUBLICATIONS.c.publication)).all()
        withdrawn = connection.execute(sa.select(WITHDRAWALS).order_by(WITHDRAWALS.c.publication)).all()
        documents = connection.execute(sa.select(DOCUMENTS).order_by(DOCUMENTS.c.document)).all()
        notices = connection.execute(sa.select(NOTICES)).all()
    names = {row.publication: f"version {row.number}" for row in published}
    for row in published:
        if hashed(row.canonical) != row.identity:
            yield f"the promises of {names[row.publication]} are not those of its identity"
    versions = [
        Fact(
            (
                *(one.number, one.identity, hashed(one.terms), one.effective_at, one.published_at),
                {row.language: hashed(row.told) for row in notices if row.publication == one.publication},
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
        "documents": _documents(documents, names),
        "showings": _showings(register),
        "consents": _consents(register),
        "readings": _readings(register),
        "retentions": _retentions(register),
        "erasures": _erasures(register),
        "objections": _said(register, OBJECTIONS, OBJECTING, "objection"),
        "corrections": _said(register, CORRECTIONS, CORRECTING, "correction"),
        "handlings": _handlings(register),
        **{kind: find(register) for kind, find in FACTS.items()},
    }
    told = _told(entries)
    for kind, found in facts.items():
        yield from _unlike(found, told[kind])


def _documents(documents: Sequence[Any], names: Mapping[int, str]) -> list[Fact]:
    """Return what the register has of documents, of versions by their names."""
    return sorted(
        Fact(
            (one.recorded_at, one.language, hashed(one.text)),
            f"the document of {names.get(one.publication)} in `{one.language}`",
        )
        for one in documents
    )


def _showings(register: SqliteRegister) -> list[Fact]:
    """Return where the register has that notices were shown."""
    statement = (
        sa.select(SHOWINGS, PUBLICATIONS.c.number, PUBLICATIONS.c.identity)
        .outerjoin(PUBLICATIONS, PUBLICATIONS.c.publication == SHOWINGS.c.publication)
        .order_by(SHOWINGS.c.showing)
    )
    with register.engine.connect() as connection:
        return [
            Fact(
                (one.entry, one.number, one.identity, one.place, one.attested, one.recorded_at),
                f"showing {one.showing} of a notice",
            )
            for one in connection.execute(statement)
        ]


def _readings(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of readings of single visitors."""
    with register.engine.connect() as connection:
        return [
            Fact(
                (
                    *(one.entry, commitment(one.salt, reader=one.name), one.purpose),
                    *(one.version, one.rows, one.question, one.recorded_at),
                ),
                f"reading {one.reading}",
            )
            for one in connection.execute(sa.select(READINGS).order_by(READINGS.c.reading))
        ]


def _retentions(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of what retention took away."""
    with register.engine.connect() as connection:
        return [
            Fact(
                (one.entry, one.run, msgspec.json.decode(one.removed), one.removed_at),
                f"run {one.run} of retention",
            )
            for one in connection.execute(sa.select(RETENTIONS).order_by(RETENTIONS.c.entry))
        ]


def _said(register: SqliteRegister, whole: sa.Table, apart: sa.Table, what: str) -> list[Fact]:
    """Return what was said of submissions; without a person where it is not the one committed to."""
    key = next(iter(whole.primary_key))
    statement = sa.select(whole, apart.c.submission, apart.c.salt).outerjoin(apart, apart.c[key.name] == key)
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement.order_by(key)).mappings():
            kept = row["salt"] is None or row["person"] == commitment(
                row["salt"], submission=row["submission"]
            )
            told = [row[name] for name in ("entry", "means", "recorded_at")]
            words = msgspec.json.decode(row["purposes" if "purposes" in row else "categories"])
            given = row.get("given", True)
            facts.append(
                Fact((*told, given, words, row["person"] if kept else None), f"{what} {row[key.name]}")
            )
    return facts


def _handlings(register: SqliteRegister) -> list[Fact]:
    """Return what was set for submissions; without a person where it is not the one committed to."""
    statement = sa.select(HANDLINGS, HANDLED).outerjoin(HANDLED, HANDLED.c.handling == HANDLINGS.c.handling)
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement.order_by(HANDLINGS.c.handling)):
            kept = row.salt is None or row.person == commitment(
                row.salt, **{row.which: row.value, "told": row.told}
            )
            told = row.entry, row.person if kept else None, msgspec.json.decode(row.settings)
            name = f"handling {row.handling}"
            facts.append(Fact((*told, row.records, row.means, row.recorded_at), name))
    return facts


ERASED = ("requests", "looks", "interactions", "views", "visits", "consents", "submissions", "authorisations")
"""What an erasure counts."""


def _erasures(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of erasures."""
    columns = [ERASURES.c[name] for name in ("entry", "person", *ERASED, "erased_at")]
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).order_by(ERASURES.c.erasure))
        return [Fact(tuple(row), f"erasure {number}") for number, row in enumerate(rows, 1)]


def _consents(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of consents; without a person where it is not the one committed to."""
    same = PERSONS.c.consent == CONSENTS.c.consent
    statement = (
        sa.select(CONSENTS, PUBLICATIONS, PERSONS)
        .outerjoin_from(CONSENTS, PUBLICATIONS, PUBLICATIONS.c.publication == CONSENTS.c.publication)
        .outerjoin(PERSONS, same)
        .order_by(CONSENTS.c.consent)
    )
    with register.engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    facts = []
    for row in rows:
        told = [row[CONSENTS.c[name]] for name in ("given", "language", "document", "means", "recorded_at")]
        person = row[CONSENTS.c.person]
        if row[PERSONS.c.consent] is not None:
            who = {name: row[PERSONS.c[name]] for name in ("visitor", "reference")}
            made = commitment(row[PERSONS.c.salt], **who)
            person = person if person == made else None
        version = (row[PUBLICATIONS.c.number], row[PUBLICATIONS.c.identity])
        name = f"consent {row[CONSENTS.c.consent]}"
        facts.append(Fact((row[CONSENTS.c.entry], *version, *told, person), name))
    return facts


def _consent(number: int, one: ConsentGiven) -> tuple[Any, ...]:
    given = not isinstance(one, ConsentWithdrawn)
    return number, one.number, one.identity, given, one.language, one.document, one.means, one.at, one.person


def _objection(number: int, one: ObjectionRaised) -> tuple[Any, ...]:
    return number, one.means, one.at, not isinstance(one, ObjectionWithdrawn), one.purposes, one.person


TOLD: dict[type, tuple[str, Callable[[int, Any], tuple[Any, ...]]]] = {
    VersionPublished: (
        "versions",
        lambda _, one: (one.number, one.identity, one.terms, one.effective_at, one.at, one.notices),
    ),
    VersionWithdrawn: ("withdrawals", lambda _, one: (one.at,)),
    NoticeShown: (
        "showings",
        lambda number, one: (number, one.number, one.identity, one.place, one.attested, one.at),
    ),
    ConsentGiven: ("consents", _consent),
    ConsentWithdrawn: ("consents", _consent),
    ObjectionRaised: ("objections", _objection),
    ObjectionWithdrawn: ("objections", _objection),
    SubmissionCorrected: (
        "corrections",
        lambda number, one: (number, one.means, one.at, True, one.categories, one.person),
    ),
    HandlingSet: (
        "handlings",
        lambda number, one: (number, one.person, one.settings, one.records, one.means, one.at),
    ),
    ReadingMade: (
        "readings",
        lambda number, one: (number, one.reader, one.purpose, one.version, one.rows, one.question, one.at),
    ),
    RetentionRun: (
        "retentions",
        lambda number, one: (number, one.run, [list(row) for row in one.removed], one.at),
    ),
    ErasureDone: (
        "erasures",
        lambda number, one: (number, one.person, *(getattr(one, name) for name in ERASED), one.at),
    ),
    **ENTRIES,
}
"""What each kind of entry says was recorded, by what that is; `documents` are told by two kinds."""


def _told(entries: Sequence[Entry]) -> dict[str, list[Fact]]:
    """Return what the ledger says was recorded, by what that is."""
    found: dict[str, list[Fact]] = {kind: [] for kind, _ in TOLD.values()}
    pages = []
    for number, one in enumerate(entries):
        if type(one) in TOLD:
            kind, tell = TOLD[type(one)]
            found[kind].append(Fact(tell(number, one)))
        if isinstance(one, VersionPublished | DocumentsCorrected):
            pages += [Fact((one.at, language, sha256)) for language, sha256 in one.documents.items()]
    return {**found, "documents": sorted(pages)}


def _unlike(found: Sequence[Fact], expected: Sequence[Fact]) -> Iterator[str]:
    """Yield the first of the facts that is not what was expected, and whether there are too few or many."""
    if len(found) != len(expected):
        yield f"the register has {len(found)} records where the ledger tells of {len(expected)}"
    for fact, other in zip(found, expected, strict=False):
        if fact.told != other.told:
            yield f"{fact.name} is not what the ledger says was recorded"
            return
