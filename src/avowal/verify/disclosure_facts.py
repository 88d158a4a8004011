"""The facts about disclosures in the register and the ledger: processors, requests, releases and refusals.

The commitment of a fact is None if the stored salt and values do not open it.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from avowal.ledger.commitment import compute_commitment
from avowal.ledger.entry import (
    AuthorisationGiven,
    AuthorisationWithdrawn,
    FeedPageProvided,
    ProcessorAdded,
    ProcessorRemoved,
    hash_text,
)
from avowal.ledger.release_entry import (
    ReleaseApproved,
    ReleaseMade,
    ReleaseRecalled,
    ReleaseRefused,
    ReleaseRequested,
)
from avowal.register.register import Register
from avowal.register.release_requests import RequestDetails
from avowal.register.releases import combine_commitments, commit_to_release
from avowal.register.repository import parse_time, parse_words
from avowal.verify.fact import Fact, read_rows
from avowal.verify.verification import FindingCode


def _find_authorisations(register: Register) -> list[Fact]:
    facts = []
    for row in read_rows(register, "authorisations"):
        number, entry, given, categories, channel, recorded_at, commitment, subject, salt, *persons = row
        if subject is not None:
            visitor, recipient, reference = persons
            computed = compute_commitment(salt, visitor=visitor, recipient=recipient, reference=reference)
            commitment = commitment if commitment == computed else None
        recorded = entry, given == 1, parse_words(categories), channel, parse_time(recorded_at)
        facts.append(Fact((*recorded, commitment), f"authorisation {number}"))
    return facts


def _find_requests(register: Register) -> list[Fact]:
    facts = []
    for entry, reference, commitment, visitor, details, salt in read_rows(register, "release_requests"):
        computed = commitment
        if salt is not None:
            is_visitor = visitor == msgspec.json.decode(details, type=RequestDetails).visitor
            computed = compute_commitment(salt, details=details) if is_visitor else None
        facts.append(Fact((entry, reference, computed), f"the request for the release {reference}"))
    return facts


def _find_approvals(register: Register) -> list[Fact]:
    return [
        Fact(
            (entry, reference, compute_commitment(salt, approver=approver), parse_time(approved_at)),
            f"an approval of the release {reference}",
        )
        for entry, reference, approver, salt, approved_at in read_rows(register, "release_approvals")
    ]


def _find_refusals(register: Register) -> list[Fact]:
    return [
        Fact(
            (*recorded, compute_commitment(salt, reader=requester), parse_time(refused_at)),
            f"refusal {number}",
        )
        for number, *recorded, requester, salt, refused_at in read_rows(register, "release_refusals")
    ]


def _find_releases(register: Register) -> list[Fact]:
    commitments: dict[int, list[str | None]] = {}
    for release, reference, commitment, visitor, recipient, salt in read_rows(register, "release_subjects"):
        is_valid = visitor is None or commitment == commit_to_release(salt, reference, visitor, recipient)
        commitments.setdefault(release, []).append(commitment if is_valid else None)
    facts = []
    for release, entry, reference in read_rows(register, "releases"):
        subjects = commitments.get(release, [])
        valid_commitments = [commitment for commitment in subjects if commitment]
        root = combine_commitments(valid_commitments) if len(valid_commitments) == len(subjects) else None
        facts.append(Fact((entry, reference, len(subjects), root), f"release {reference}"))
    return facts


def _find_recalls(register: Register) -> list[Fact]:
    return [
        Fact((reference, parse_time(recalled_at)), f"the recall of {reference}")
        for reference, recalled_at in read_rows(register, "recalls")
    ]


def _find_processors(register: Register) -> list[Fact]:
    return [
        Fact(
            (entry, name, hash_text(text) if text else "", identity, parse_time(recorded_at)),
            f"the contract of `{name}`",
        )
        for entry, name, text, identity, recorded_at in read_rows(register, "processors")
    ]


def _find_feed_pages(register: Register) -> list[Fact]:
    return [
        Fact(
            (*recorded, msgspec.json.decode(records), deletions, parse_time(provided_at)),
            f"page {page} of the feed of `{recorded[1]}`",
        )
        for page, *recorded, records, deletions, provided_at in read_rows(register, "feed_pages")
    ]


def _authorisation_values(number: int, entry: AuthorisationGiven | AuthorisationWithdrawn) -> tuple[Any, ...]:
    given = isinstance(entry, AuthorisationGiven)
    categories = entry.categories if isinstance(entry, AuthorisationGiven) else []
    return number, given, categories, entry.channel, entry.at, entry.commitment


DISCLOSURE_REGISTER_FACTS: dict[FindingCode, Callable[[Register], list[Fact]]] = {
    "processor-mismatch": _find_processors,
    "authorisation-mismatch": _find_authorisations,
    "release-request-mismatch": _find_requests,
    "approval-mismatch": _find_approvals,
    "refusal-mismatch": _find_refusals,
    "release-mismatch": _find_releases,
    "recall-mismatch": _find_recalls,
    "feed-page-mismatch": _find_feed_pages,
}
"""For each code, the function that reads the facts of its kind from the register."""

DISCLOSURE_ENTRY_FACTS: dict[type, tuple[FindingCode, Callable[[int, Any], tuple[Any, ...]]]] = {
    AuthorisationGiven: ("authorisation-mismatch", _authorisation_values),
    AuthorisationWithdrawn: ("authorisation-mismatch", _authorisation_values),
    ReleaseRequested: (
        "release-request-mismatch",
        lambda number, entry: (number, entry.summary.reference, entry.commitment),
    ),
    ReleaseApproved: (
        "approval-mismatch",
        lambda number, entry: (number, entry.reference, entry.commitment, entry.at),
    ),
    ReleaseRefused: (
        "refusal-mismatch",
        lambda number, entry: (
            number,
            entry.ground,
            entry.recipient_kind,
            entry.reason,
            entry.commitment,
            entry.at,
        ),
    ),
    ReleaseMade: (
        "release-mismatch",
        lambda number, entry: (
            *(number, entry.summary.reference),
            *(entry.visitor_count, entry.commitment),
        ),
    ),
    ReleaseRecalled: ("recall-mismatch", lambda _, entry: (entry.reference, entry.at)),
    ProcessorAdded: (
        "processor-mismatch",
        lambda number, entry: (number, entry.name, entry.contract_hash, entry.version_identity, entry.at),
    ),
    FeedPageProvided: (
        "feed-page-mismatch",
        lambda number, entry: (
            *(number, entry.processor, entry.reference, entry.contract_hash, entry.version),
            *(entry.records, entry.deletions, entry.at),
        ),
    ),
    ProcessorRemoved: ("processor-mismatch", lambda number, entry: (number, entry.name, "", "", entry.at)),
}
"""For each kind of entry, the code of its facts and the function that returns the values of one."""
