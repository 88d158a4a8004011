"""Verifying a folder: the ledger, what the register keeps of it, and the versions of what was collected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from avow.collect.intake import FUTURE_TOLERANCE
from avow.errors import AvowError
from avow.keep.consents import commitment
from avow.keep.ledger import Ledger
from avow.keep.register import SqliteRegister, Version
from avow.keep.tables import (
    CONSENTS,
    DOCUMENTS,
    ERASURES,
    NOTICES,
    PERSONS,
    PROCESSORS,
    PUBLICATIONS,
    READINGS,
    RETENTIONS,
    SHOWINGS,
    WITHDRAWALS,
)
from avow.ledger.checkpoint import Checkpoint, opened
from avow.ledger.entry import (
    ConsentGiven,
    ConsentWithdrawn,
    DocumentsCorrected,
    Entry,
    ErasureDone,
    NoticeShown,
    ProcessorAdded,
    ProcessorRemoved,
    ReadingMade,
    RetentionRun,
    VersionPublished,
    VersionWithdrawn,
    hashed,
)
from avow.ledger.note import Note

RECORDS = """
SELECT version, min(told_at) AS first, max(told_at) AS last, count(*) AS records,
       min(governing) AS least, max(governing) AS greatest
FROM told GROUP BY version ORDER BY version
"""

RAISED = """
SELECT visitor_id, max(governing) AS governing
FROM (SELECT visitor_id, version, governing FROM told
      UNION ALL SELECT visitor_id, version, governing FROM views
      UNION ALL SELECT visitor_id, version, governing FROM visits)
WHERE governing > version
GROUP BY visitor_id
"""


def findings(register: SqliteRegister, witnessed: Sequence[Note]) -> Iterator[str]:
    """Yield, in a sentence each, what does not hold of the ledger and of the register; nothing where all does.

    `witnessed` are checkpoints that somebody else holds.
    """
    entries: list[Entry] = []
    yield from register.ledger.broken(entries)
    yield from _checkpoints(register.ledger, witnessed)
    yield from _register(register, entries)


def of_records(versions: Sequence[Version], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
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


def of_raised(raised: Mapping[int, int], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield what is governed by a later version than its visitor consented to.

    `rows` are the answer to RAISED, and `raised` tells what the consents that stand raise each visitor's records to.
    """
    beyond = [row for row in rows if row["governing"] > raised.get(row["visitor_id"], 0)]
    if beyond:
        yield f"records of {len(beyond):,} visitors are governed by a version that these have not consented to"


def _checkpoints(ledger: Ledger, witnessed: Sequence[Note]) -> Iterator[str]:
    """Check every checkpoint that was signed: those of the register, that beside the key, and those of witnesses."""
    told = [("a checkpoint of the register", note) for note in ledger.checkpoints()]
    last = ledger.last_seen()
    told += [("the last checkpoint, beside the key,", last)] if last else []
    told += [("a checkpoint that a witness holds", note) for note in witnessed]
    size = ledger.size()
    if size and not told:
        yield "the ledger has entries, and no checkpoint was ever signed"
    for name, note in told:
        try:
            checkpoint: Checkpoint = opened(note, ledger.signer.verifier)
            if checkpoint.size > size:
                yield f"{name} is of {checkpoint.size} entries, and the ledger has {size}: the last ones are gone"
            elif ledger.root(checkpoint.size) != checkpoint.root:
                yield f"{name} over {checkpoint.size} entries does not hold: one of these was changed"
        except AvowError as error:
            yield f"{name}: {error.message}"


class Fact(NamedTuple):
    """Something that was recorded: all that is told of it, and what it is called."""

    told: tuple[Any, ...]
    name: str = ""


def _register(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
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
    pages = [
        Fact(
            (one.recorded_at, one.language, hashed(one.text)),
            f"the document of {names.get(one.publication)} in `{one.language}`",
        )
        for one in documents
    ]
    facts = {
        "versions": versions,
        "withdrawals": withdrawals,
        "documents": sorted(pages),
        "showings": _showings(register),
        "consents": _consents(register),
        "readings": _readings(register),
        "retentions": _retentions(register),
        "erasures": _erasures(register),
        "processors": _processors(register),
    }
    told = _told(entries)
    for kind, found in facts.items():
        yield from _unlike(found, told[kind])


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


ERASED = ("requests", "looks", "interactions", "views", "visits", "consents", "submissions")
"""What an erasure counts."""


def _erasures(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of erasures."""
    columns = [ERASURES.c[name] for name in ("entry", "person", *ERASED, "erased_at")]
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(*columns).order_by(ERASURES.c.erasure))
        return [Fact(tuple(row), f"erasure {number}") for number, row in enumerate(rows, 1)]


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
