"""What the register keeps of disclosure, beside what the ledger says: processors, requests, releases, refusals."""

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from avowal.ledger.entry import (
    AuthorisationGiven,
    AuthorisationWithdrawn,
    FeedPageProvided,
    ProcessorAdded,
    ProcessorRemoved,
    ReleaseApproved,
    ReleaseMade,
    ReleaseRecalled,
    ReleaseRefused,
    ReleaseRequested,
    hash_text,
)
from avowal.register.consents import compute_commitment
from avowal.register.register import SqliteRegister
from avowal.register.releases import SHARED_ENTRY_FIELDS, combine_commitments
from avowal.register.tables import (
    AUTHORISATION_SUBJECTS,
    AUTHORISATIONS,
    FEED_PAGES,
    PROCESSORS,
    RELEASE_APPROVALS,
    RELEASE_REFUSALS,
    RELEASE_REQUEST_SUBJECTS,
    RELEASE_REQUESTS,
    RELEASE_SUBJECTS,
    RELEASES,
)
from avowal.verify.fact import Fact
from avowal.verify.verification import FindingCode


def _find_authorisations(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of authorisations; without a person where it is not the one committed to."""
    same = AUTHORISATION_SUBJECTS.c.authorisation == AUTHORISATIONS.c.authorisation
    statement = (
        sa.select(AUTHORISATIONS, AUTHORISATION_SUBJECTS)
        .outerjoin_from(AUTHORISATIONS, AUTHORISATION_SUBJECTS, same)
        .order_by(AUTHORISATIONS.c.authorisation)
    )
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement).mappings():
            person = row[AUTHORISATIONS.c.commitment]
            if row[AUTHORISATION_SUBJECTS.c.authorisation] is not None:
                who = {
                    name: row[AUTHORISATION_SUBJECTS.c[name]]
                    for name in ("visitor", "recipient", "reference")
                }
                person = (
                    person
                    if person == compute_commitment(row[AUTHORISATION_SUBJECTS.c.salt], **who)
                    else None
                )
            told = [row[AUTHORISATIONS.c[name]] for name in ("entry", "given", "categories", "channel")]
            told[2] = msgspec.json.decode(told[2])
            name = f"authorisation {row[AUTHORISATIONS.c.authorisation]}"
            facts.append(Fact((*told, row[AUTHORISATIONS.c.recorded_at], person), name))
    return facts


REQUEST_ENTRY_FIELDS = ("reference", "ground", "recipient_kind", "version", "required_approvals")
"""What a request and its entry have alike."""


def _find_requests(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of requests; without a person where what was told is not what it committed to."""
    statement = sa.select(
        RELEASE_REQUESTS, RELEASE_REQUEST_SUBJECTS.c.details, RELEASE_REQUEST_SUBJECTS.c.salt
    ).outerjoin(
        RELEASE_REQUEST_SUBJECTS,
        RELEASE_REQUEST_SUBJECTS.c.release_request == RELEASE_REQUESTS.c.release_request,
    )
    facts = []
    with register.engine.connect() as connection:
        for row in connection.execute(statement.order_by(RELEASE_REQUESTS.c.release_request)):
            kept = row.salt is None or row.commitment == compute_commitment(row.salt, details=row.details)
            told = (row.entry, *(getattr(row, name) for name in REQUEST_ENTRY_FIELDS), row.requested_at)
            lists = (msgspec.json.decode(row.categories), msgspec.json.decode(row.evidence_kinds))
            person = row.commitment if kept else None
            facts.append(Fact((*told, *lists, person), f"the request for the release {row.reference}"))
    return facts


def _find_approvals(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of approvals; without a person where it is not the one committed to."""
    with register.engine.connect() as connection:
        rows = connection.execute(
            sa.select(RELEASE_APPROVALS).order_by(RELEASE_APPROVALS.c.release_approval)
        ).all()
    return [
        Fact(
            (one.entry, one.reference, compute_commitment(one.salt, approver=one.approver), one.approved_at),
            f"an approval of the release {one.reference}",
        )
        for one in rows
    ]


def _find_refusals(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of refused attempts; without a person where it is not the one committed to."""
    with register.engine.connect() as connection:
        rows = connection.execute(
            sa.select(RELEASE_REFUSALS).order_by(RELEASE_REFUSALS.c.release_refusal)
        ).all()
    return [
        Fact(
            (
                *(one.entry, one.ground, one.recipient_kind, one.reason),
                *(compute_commitment(one.salt, reader=one.requester), one.refused_at),
            ),
            f"refusal {one.release_refusal}",
        )
        for one in rows
    ]


def _find_releases(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of releases; without a person where they are not those committed to."""
    with register.engine.connect() as connection:
        releases = connection.execute(sa.select(RELEASES).order_by(RELEASES.c.release)).all()
        released = connection.execute(
            sa.select(RELEASE_SUBJECTS).order_by(RELEASE_SUBJECTS.c.release, RELEASE_SUBJECTS.c.position)
        ).all()
    persons: dict[int, list[str]] = {one.release: [] for one in releases}
    for row in released:
        kept = row.visitor is None or row.commitment == compute_commitment(
            row.salt, visitor=row.visitor, recipient=row.recipient
        )
        persons.setdefault(row.release, []).append(row.commitment if kept else "")
    facts = []
    for one in releases:
        whose = persons[one.release]
        root = combine_commitments(whose) if all(whose) else None
        told = (
            one.entry,
            *(getattr(one, name) for name in SHARED_ENTRY_FIELDS),
            msgspec.json.decode(one.categories),
        )
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
                hash_text(one.contract_text) if one.contract_text else "",
                one.version_identity,
                one.recorded_at,
            ),
            f"the contract of `{one.name}`",
        )
        for one in rows
    ]


def _authorisation_values(number: int, one: AuthorisationGiven) -> tuple[Any, ...]:
    given = not isinstance(one, AuthorisationWithdrawn)
    return number, given, one.categories, one.channel, one.at, one.commitment


def _request_values(number: int, one: ReleaseRequested) -> tuple[Any, ...]:
    alike = (getattr(one, name) for name in REQUEST_ENTRY_FIELDS)
    return number, *alike, one.at, one.categories, one.evidence_kinds, one.commitment


def _release_values(number: int, one: ReleaseMade) -> tuple[Any, ...]:
    alike = (getattr(one, name) for name in SHARED_ENTRY_FIELDS)
    return number, *alike, one.categories, one.at, one.sealed_until, one.visitor_count, one.commitment


def _find_feed_pages(register: SqliteRegister) -> list[Fact]:
    """Return what the register has of what processors were given."""
    with register.engine.connect() as connection:
        rows = connection.execute(sa.select(FEED_PAGES).order_by(FEED_PAGES.c.page)).all()
    return [
        Fact(
            (
                *(one.entry, one.processor, one.reference, one.contract_hash, one.version),
                *(msgspec.json.decode(one.records), one.deletions, one.provided_at),
            ),
            f"page {one.page} of the feed of `{one.processor}`",
        )
        for one in rows
    ]


DISCLOSURE_REGISTER_FACTS: dict[FindingCode, Callable[[SqliteRegister], list[Fact]]] = {
    "processor-mismatch": _find_processors,
    "authorisation-mismatch": _find_authorisations,
    "release-request-mismatch": _find_requests,
    "approval-mismatch": _find_approvals,
    "refusal-mismatch": _find_refusals,
    "release-mismatch": _find_releases,
    "recall-mismatch": _find_recalls,
    "feed-page-mismatch": _find_feed_pages,
}
"""What the register keeps, by what it is."""

DISCLOSURE_ENTRY_FACTS: dict[type, tuple[FindingCode, Callable[[int, Any], tuple[Any, ...]]]] = {
    AuthorisationGiven: ("authorisation-mismatch", _authorisation_values),
    AuthorisationWithdrawn: ("authorisation-mismatch", _authorisation_values),
    ReleaseRequested: ("release-request-mismatch", _request_values),
    ReleaseApproved: (
        "approval-mismatch",
        lambda number, one: (number, one.reference, one.commitment, one.at),
    ),
    ReleaseRefused: (
        "refusal-mismatch",
        lambda number, one: (number, one.ground, one.recipient_kind, one.reason, one.commitment, one.at),
    ),
    ReleaseMade: ("release-mismatch", _release_values),
    ReleaseRecalled: ("recall-mismatch", lambda _, one: (one.reference, one.at)),
    ProcessorAdded: (
        "processor-mismatch",
        lambda number, one: (number, one.name, one.contract_hash, one.version_identity, one.at),
    ),
    FeedPageProvided: (
        "feed-page-mismatch",
        lambda number, one: (
            *(number, one.processor, one.reference, one.contract_hash, one.version),
            *(one.records, one.deletions, one.at),
        ),
    ),
    ProcessorRemoved: ("processor-mismatch", lambda number, one: (number, one.name, "", "", one.at)),
}
"""What each kind of entry says was recorded, by what that is."""
