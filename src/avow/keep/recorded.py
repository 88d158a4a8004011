"""What the register keeps, beside what the ledger says was recorded: each fact of the one has to be in the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from avow.keep.consents import commitment
from avow.keep.register import SqliteRegister
from avow.keep.tables import (
    AUTHORISATIONS,
    AUTHORISING,
    CONSENTS,
    DOCUMENTS,
    ERASURES,
    NOTICES,
    PERSONS,
    PROCESSORS,
    PUBLICATIONS,
    READINGS,
    RELEASED,
    RELEASES,
    RETENTIONS,
    SHOWINGS,
    WITHDRAWALS,
)
from avow.ledger.entry import (
    AuthorisationGiven,
    AuthorisationWithdrawn,
    ConsentGiven,
    ConsentWithdrawn,
    DocumentsCorrected,
    Entry,
    ErasureDone,
    NoticeShown,
    ProcessorAdded,
    ProcessorRemoved,
    ReadingMade,
    ReleaseMade,
    ReleaseRecalled,
    RetentionRun,
    VersionPublished,
    VersionWithdrawn,
    hashed,
)


class Fact(NamedTuple):
    """Something that was recorded: all that is told of it, and what it is called."""

    told: tuple[Any, ...]
    name: str = ""


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
        "processors": _processors(register),
        "authorisations": _authorisations(register),
        "releases": _releases(register),
        "recalls": _recalls(register),
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


ERASED = ("requests", "looks", "interactions", "views", "visits", "consents", "submissions", "authorisations")
"""What an erasure counts."""


def _erasures(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of erasures."""
    columns = [ERASURES.c[name] for name in ("entry", "person", *ERASED, "erased_at")]
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).order_by(ERASURES.c.erasure))
        return [Fact(tuple(row), f"erasure {number}") for number, row in enumerate(rows, 1)]


def _authorisations(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of authorisations; without a person where it is not the one committed to."""
    same = AUTHORISING.c.authorisation == AUTHORISATIONS.c.authorisation
    statement = (
        sa.select(AUTHORISATIONS, AUTHORISING)
        .outerjoin_from(AUTHORISATIONS, AUTHORISING, same)
        .order_by(AUTHORISATIONS.c.authorisation)
    )
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement).mappings():
            person = row[AUTHORISATIONS.c.person]
            if row[AUTHORISING.c.authorisation] is not None:
                who = {name: row[AUTHORISING.c[name]] for name in ("visitor", "recipient", "reference")}
                person = person if person == commitment(row[AUTHORISING.c.salt], **who) else None
            told = [row[AUTHORISATIONS.c[name]] for name in ("entry", "given", "categories", "means")]
            told[2] = msgspec.json.decode(told[2])
            name = f"authorisation {row[AUTHORISATIONS.c.authorisation]}"
            facts.append(Fact((*told, row[AUTHORISATIONS.c.recorded_at], person), name))
    return facts


RELEASE = ("reference", "ground", "recipient_kind", "records", "version", "manifest")
"""What a release and its entry have alike."""


def _releases(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of releases; without a person where it is not the one committed to."""
    statement = (
        sa.select(RELEASES, RELEASED.c.visitor, RELEASED.c.recipient, RELEASED.c.salt)
        .outerjoin(RELEASED, RELEASED.c.release == RELEASES.c.release)
        .order_by(RELEASES.c.release)
    )
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement):
            person = row.person
            if row.salt is not None:
                made = commitment(row.salt, visitor=row.visitor, recipient=row.recipient)
                person = person if person == made else None
            told = [getattr(row, name) for name in RELEASE]
            categories = msgspec.json.decode(row.categories)
            facts.append(
                Fact((row.entry, *told, categories, row.released_at, person), f"release {row.reference}")
            )
    return facts


def _recalls(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of recalled releases, in their order."""
    statement = (
        sa.select(RELEASES)
        .where(RELEASES.c.recalled_at.is_not(None))
        .order_by(RELEASES.c.recalled_at, RELEASES.c.release)
    )
    with register.engine.connect() as connection:
        return [
            Fact((one.reference, one.recalled_at), f"the recall of {one.reference}")
            for one in connection.execute(statement)
        ]


def _processors(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of processors and their contracts."""
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(PROCESSORS).order_by(PROCESSORS.c.processor)).all()
    return [
        Fact(
            (
                one.entry,
                one.name,
                hashed(one.contract) if one.contract else "",
                one.identity,
                one.recorded_at,
            ),
            f"the contract of `{one.name}`",
        )
        for one in rows
    ]


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


def _authorisation(number: int, one: AuthorisationGiven) -> tuple[Any, ...]:
    given = not isinstance(one, AuthorisationWithdrawn)
    return number, given, one.categories, one.means, one.at, one.person


def _consent(number: int, one: ConsentGiven) -> tuple[Any, ...]:
    given = not isinstance(one, ConsentWithdrawn)
    return number, one.number, one.identity, given, one.language, one.document, one.means, one.at, one.person


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
    AuthorisationGiven: ("authorisations", _authorisation),
    AuthorisationWithdrawn: ("authorisations", _authorisation),
    ReleaseMade: (
        "releases",
        lambda number, one: (
            number,
            *(getattr(one, name) for name in RELEASE),
            one.categories,
            one.at,
            one.person,
        ),
    ),
    ReleaseRecalled: ("recalls", lambda _, one: (one.reference, one.at)),
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
    ProcessorAdded: (
        "processors",
        lambda number, one: (number, one.name, one.contract, one.identity, one.at),
    ),
    ProcessorRemoved: ("processors", lambda number, one: (number, one.name, "", "", one.at)),
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
