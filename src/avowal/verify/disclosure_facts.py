"""What the register keeps of disclosure, beside what the ledger says: processors, requests, releases, refusals."""

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from avowal.ledger.entry import (
    AuthorisationGiven,
    AuthorisationWithdrawn,
    FeedGiven,
    ProcessorAdded,
    ProcessorRemoved,
    ReleaseApproved,
    ReleaseAsked,
    ReleaseMade,
    ReleaseRecalled,
    ReleaseRefused,
    hash_text,
)
from avowal.register.consents import compute_commitment
from avowal.register.register import SqliteRegister
from avowal.register.releases import TOLD, combine_commitments
from avowal.register.tables import (
    APPROVALS,
    ASKED,
    ASKING,
    AUTHORISATIONS,
    AUTHORISING,
    FEED_PAGES,
    PROCESSORS,
    REFUSALS,
    RELEASED,
    RELEASES,
)
from avowal.verify.fact import Fact


def _find_authorisations(register: SqliteRegister) -> list[Fact]:
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
                person = person if person == compute_commitment(row[AUTHORISING.c.salt], **who) else None
            told = [row[AUTHORISATIONS.c[name]] for name in ("entry", "given", "categories", "means")]
            told[2] = msgspec.json.decode(told[2])
            name = f"authorisation {row[AUTHORISATIONS.c.authorisation]}"
            facts.append(Fact((*told, row[AUTHORISATIONS.c.recorded_at], person), name))
    return facts


ASKED_ALIKE = ("reference", "ground", "recipient_kind", "version", "approvals")
"""What a request and its entry have alike."""


def _find_requests(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of requests; without a person where what was told is not what it committed to."""
    statement = sa.select(ASKED, ASKING.c.told, ASKING.c.salt).outerjoin(
        ASKING, ASKING.c.asked == ASKED.c.asked
    )
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement.order_by(ASKED.c.asked)):
            kept = row.salt is None or row.person == compute_commitment(row.salt, told=row.told)
            told = (row.entry, *(getattr(row, name) for name in ASKED_ALIKE), row.asked_at)
            lists = (msgspec.json.decode(row.categories), msgspec.json.decode(row.evidence))
            person = row.person if kept else None
            facts.append(Fact((*told, *lists, person), f"the request for the release {row.reference}"))
    return facts


def _find_approvals(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of approvals; without a person where it is not the one committed to."""
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(APPROVALS).order_by(APPROVALS.c.approval)).all()
    return [
        Fact(
            (one.entry, one.reference, compute_commitment(one.salt, approver=one.name), one.approved_at),
            f"an approval of the release {one.reference}",
        )
        for one in rows
    ]


def _find_refusals(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of refused attempts; without a person where it is not the one committed to."""
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(REFUSALS).order_by(REFUSALS.c.refusal)).all()
    return [
        Fact(
            (
                *(one.entry, one.ground, one.recipient_kind, one.why),
                *(compute_commitment(one.salt, reader=one.name), one.refused_at),
            ),
            f"refusal {one.refusal}",
        )
        for one in rows
    ]


def _find_releases(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of releases; without a person where they are not those committed to."""
    with register.engine.connect() as connection:
        releases = connection.execute(sa.select(RELEASES).order_by(RELEASES.c.release)).all()
        released = connection.execute(
            sa.select(RELEASED).order_by(RELEASED.c.release, RELEASED.c.place)
        ).all()
    persons: dict[int, list[str]] = {one.release: [] for one in releases}
    for row in released:
        kept = row.visitor is None or row.person == compute_commitment(
            row.salt, visitor=row.visitor, recipient=row.recipient
        )
        persons.setdefault(row.release, []).append(row.person if kept else "")
    facts = []
    for one in releases:
        whose = persons[one.release]
        root = combine_commitments(whose) if all(whose) else None
        told = (one.entry, *(getattr(one, name) for name in TOLD), msgspec.json.decode(one.categories))
        facts.append(
            Fact((*told, one.released_at, one.sealed_until, len(whose), root), f"release {one.reference}")
        )
    return facts


def _find_recalls(register: SqliteRegister) -> list[Fact]:
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


def _find_processors(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of processors and their contracts."""
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(PROCESSORS).order_by(PROCESSORS.c.processor)).all()
    return [
        Fact(
            (
                one.entry,
                one.name,
                hash_text(one.contract) if one.contract else "",
                one.identity,
                one.recorded_at,
            ),
            f"the contract of `{one.name}`",
        )
        for one in rows
    ]


def _authorisation_values(number: int, one: AuthorisationGiven) -> tuple[Any, ...]:
    given = not isinstance(one, AuthorisationWithdrawn)
    return number, given, one.categories, one.means, one.at, one.person


def _request_values(number: int, one: ReleaseAsked) -> tuple[Any, ...]:
    alike = (getattr(one, name) for name in ASKED_ALIKE)
    return number, *alike, one.at, one.categories, one.evidence, one.person


def _release_values(number: int, one: ReleaseMade) -> tuple[Any, ...]:
    alike = (getattr(one, name) for name in TOLD)
    return number, *alike, one.categories, one.at, one.sealed_until, one.persons, one.person


def _find_feed_pages(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of what processors were given."""
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(FEED_PAGES).order_by(FEED_PAGES.c.page)).all()
    return [
        Fact(
            (
                *(one.entry, one.processor, one.reference, one.contract, one.version),
                *(msgspec.json.decode(one.records), one.gone, one.given_at),
            ),
            f"page {one.page} of the feed of `{one.processor}`",
        )
        for one in rows
    ]


DISCLOSURE_REGISTER_FACTS: dict[str, Callable[[SqliteRegister], list[Fact]]] = {
    "processors": _find_processors,
    "authorisations": _find_authorisations,
    "asked": _find_requests,
    "approvals": _find_approvals,
    "refusals": _find_refusals,
    "releases": _find_releases,
    "recalls": _find_recalls,
    "feeds": _find_feed_pages,
}
"""What the register keeps, by what it is."""

DISCLOSURE_ENTRY_FACTS: dict[type, tuple[str, Callable[[int, Any], tuple[Any, ...]]]] = {
    AuthorisationGiven: ("authorisations", _authorisation_values),
    AuthorisationWithdrawn: ("authorisations", _authorisation_values),
    ReleaseAsked: ("asked", _request_values),
    ReleaseApproved: ("approvals", lambda number, one: (number, one.reference, one.person, one.at)),
    ReleaseRefused: (
        "refusals",
        lambda number, one: (number, one.ground, one.recipient_kind, one.why, one.person, one.at),
    ),
    ReleaseMade: ("releases", _release_values),
    ReleaseRecalled: ("recalls", lambda _, one: (one.reference, one.at)),
    ProcessorAdded: (
        "processors",
        lambda number, one: (number, one.name, one.contract, one.identity, one.at),
    ),
    FeedGiven: (
        "feeds",
        lambda number, one: (
            *(number, one.name, one.reference, one.contract, one.version, one.records, one.gone, one.at),
        ),
    ),
    ProcessorRemoved: ("processors", lambda number, one: (number, one.name, "", "", one.at)),
}
"""What each kind of entry says was recorded, by what that is."""
