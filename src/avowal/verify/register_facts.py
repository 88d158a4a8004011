"""Compare the facts in the register with those in the ledger: both have to have the same ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from avowal.change.consent_receipt import ConsentReceiptStatement
from avowal.ledger.commitment import commit_to_json, compute_commitment
from avowal.ledger.entry import (
    ConsentGiven,
    ConsentWithdrawn,
    DataAccessed,
    DocumentsCorrected,
    Entry,
    NoticeDisplayed,
    ObjectionRaised,
    ObjectionWithdrawn,
    RestrictionsChanged,
    RetentionRun,
    SubmissionCorrected,
    VersionPublished,
    VersionWithdrawn,
    find_entry,
    hash_text,
)
from avowal.register.register import Register
from avowal.register.repository import parse_time
from avowal.verify.disclosure_facts import DISCLOSURE_ENTRY_FACTS, DISCLOSURE_REGISTER_FACTS
from avowal.verify.fact import SQL, Fact, read_rows
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding, FindingCode

NOT_AS_RECORDED = "is not as the ledger records it"


def check_facts(state: RegisterState) -> Iterator[Finding]:
    """Compare each kind of fact in the register with the entries of that kind."""
    register = state.register
    versions = read_rows(register, "versions")
    names = {publication: f"version {number}" for publication, number, *_ in versions}
    for publication, _, identity, canonical_terms, *_ in versions:
        if hash_text(canonical_terms) != identity:
            sentence = f"the identity of {names[publication]} is not that of its terms"
            yield Finding("version-identity-mismatch", sentence)
    facts: dict[FindingCode, list[Fact]] = {
        "version-mismatch": _find_versions(register, versions, names),
        "withdrawal-mismatch": [
            Fact((parse_time(withdrawn_at),), f"the withdrawal of {names.get(publication)}")
            for publication, withdrawn_at in read_rows(register, "withdrawals")
        ],
        "document-mismatch": _find_documents(register, names),
        "notice-display-mismatch": _find_notice_displays(register),
        "consent-mismatch": _find_consents(register),
        "access-mismatch": _find_accesses(register),
        "retention-run-mismatch": _find_retention_runs(register),
        **{code: find(register) for code, find in DISCLOSURE_REGISTER_FACTS.items()},
    }
    expected = _find_entry_facts(state.entries)
    for code, actual in facts.items():
        yield from _compare_facts(code, actual, expected[code])


def _find_versions(register: Register, rows: Sequence[Any], names: Mapping[int, str]) -> list[Fact]:
    notice_hashes: dict[int, dict[str, str]] = {}
    for publication, language, canonical_json in read_rows(register, "notices"):
        notice_hashes.setdefault(publication, {})[language] = hash_text(canonical_json)
    return [
        Fact(
            (
                *(
                    number,
                    identity,
                    hash_text(terms_text),
                    parse_time(effective_at),
                    parse_time(published_at),
                ),
                notice_hashes.get(publication, {}),
            ),
            names[publication],
        )
        for publication, number, identity, _, terms_text, effective_at, published_at in rows
    ]


def _find_documents(register: Register, names: Mapping[int, str]) -> list[Fact]:
    return sorted(
        Fact(
            (parse_time(recorded_at), language, hash_text(text)),
            f"the document of {names.get(publication)} in `{language}`",
        )
        for publication, language, text, recorded_at in read_rows(register, "documents")
    )


def _find_notice_displays(register: Register) -> list[Fact]:
    return [
        Fact((*recorded, attested == 1, parse_time(recorded_at)), f"display {number} of a notice")
        for number, *recorded, attested, recorded_at in read_rows(register, "notice_displays")
    ]


def _find_accesses(register: Register) -> list[Fact]:
    """Return the accesses with the commitments that their stored readers and salts give."""
    return [
        Fact((entry, reader and salt and compute_commitment(salt, reader=reader)), f"access {number}")
        for number, (entry, (reader, salt)) in enumerate(register.readers.access_readers().items(), 1)
    ]


def _find_retention_runs(register: Register) -> list[Fact]:
    return [
        Fact(
            (entry, number, msgspec.json.decode(removed_records), parse_time(removed_at)),
            f"run {number} of retention",
        )
        for entry, number, removed_records, removed_at in read_rows(register, "retention_runs")
    ]


def _find_consents(register: Register) -> list[Fact]:
    """Return the consents; the commitment is None if the stored statement, visitor and salt do not open it."""
    facts = []
    for row in read_rows(register, "consents"):
        consent, entry, number, identity, given, *recorded, subject, salt, visitor, statement = row
        *details, recorded_at, commitment = recorded
        values = (number, identity, given == 1, *details, parse_time(recorded_at))
        if subject is not None:
            is_opened = commitment == _open_consent(salt, visitor, statement, values)
            commitment = commitment if is_opened else None
        facts.append(Fact((entry, *values, commitment), f"consent {consent}"))
    return facts


def _open_consent(salt: bytes, visitor: str, statement: str, values: tuple[Any, ...]) -> str | None:
    """Return the commitment to a statement; None if the statement is not about a visitor and these values."""
    stated = msgspec.json.decode(statement, type=ConsentReceiptStatement)
    commitment = commit_to_json(salt, statement.encode())
    is_stated = _consent_values(0, stated.to_ledger_entry(commitment)) == (0, *values, commitment)
    return commitment if is_stated and stated.pii_principal_id == visitor else None


SubmissionEntry = ObjectionRaised | ObjectionWithdrawn | SubmissionCorrected | RestrictionsChanged


class CommitmentOpening(NamedTuple):
    """How the register opens the commitments of a kind of entry."""

    description: str
    statement: str
    """The name of the statement that returns the entry, the salt, and the values."""
    entry_types: tuple[type[SubmissionEntry], ...]
    name_values: Callable[..., dict[str, str]]
    """Returns the values by the names under which they were committed to."""


COMMITMENT_OPENINGS: dict[FindingCode, CommitmentOpening] = {
    "objection-mismatch": CommitmentOpening(
        "objection",
        "objection_subjects",
        (ObjectionRaised, ObjectionWithdrawn),
        lambda submission: {"submission": submission},
    ),
    "correction-mismatch": CommitmentOpening(
        "correction",
        "correction_subjects",
        (SubmissionCorrected,),
        lambda submission: {"submission": submission},
    ),
    "restriction-mismatch": CommitmentOpening(
        "restriction",
        "restrictions",
        (RestrictionsChanged,),
        lambda kind, value, settings: {kind: value, "details": settings},
    ),
}
"""The commitments about submissions, which can be opened until the submission is erased."""


def check_commitments(state: RegisterState) -> Iterator[Finding]:
    """Check that stored selectors and salts open the commitments of entries; yields the first error of each kind."""
    with state.register.database.read() as connection:
        for code, opening in COMMITMENT_OPENINGS.items():
            for number, (entry_number, salt, *values) in enumerate(
                connection.execute(SQL[opening.statement]), 1
            ):
                entry = find_entry(state.entries, entry_number)
                commitment = compute_commitment(salt, **opening.name_values(*values))
                if not isinstance(entry, opening.entry_types) or entry.commitment != commitment:
                    yield Finding(code, f"{opening.description} {number} {NOT_AS_RECORDED}")
                    break


def _consent_values(number: int, entry: ConsentGiven | ConsentWithdrawn) -> tuple[Any, ...]:
    given = isinstance(entry, ConsentGiven)
    return (
        number,
        entry.version,
        entry.identity,
        given,
        entry.language,
        entry.document_hash,
        entry.channel,
        entry.at,
        entry.commitment,
    )


ENTRY_FACTS: dict[type, tuple[FindingCode, Callable[[int, Any], tuple[Any, ...]]]] = {
    VersionPublished: (
        "version-mismatch",
        lambda _, entry: (
            entry.version,
            entry.identity,
            entry.terms_hash,
            entry.effective_at,
            entry.at,
            entry.notice_hashes,
        ),
    ),
    VersionWithdrawn: ("withdrawal-mismatch", lambda _, entry: (entry.at,)),
    NoticeDisplayed: (
        "notice-display-mismatch",
        lambda number, entry: (
            number,
            entry.version,
            entry.identity,
            entry.location,
            entry.attested_by_operator,
            entry.at,
        ),
    ),
    ConsentGiven: ("consent-mismatch", _consent_values),
    ConsentWithdrawn: ("consent-mismatch", _consent_values),
    DataAccessed: ("access-mismatch", lambda number, entry: (number, entry.commitment)),
    RetentionRun: (
        "retention-run-mismatch",
        lambda number, entry: (
            number,
            entry.run_number,
            msgspec.to_builtins(entry.removed_records),
            entry.at,
        ),
    ),
    **DISCLOSURE_ENTRY_FACTS,
}
"""For each kind of entry, the code of its facts and the values of one; documents are in entries of two kinds."""


def _find_entry_facts(entries: Sequence[Entry]) -> dict[FindingCode, list[Fact]]:
    """Return the facts that the ledger records, by their code."""
    facts: dict[FindingCode, list[Fact]] = {code: [] for code, _ in ENTRY_FACTS.values()}
    documents = []
    for number, entry in enumerate(entries):
        if type(entry) in ENTRY_FACTS:
            code, read_values = ENTRY_FACTS[type(entry)]
            facts[code].append(Fact(read_values(number, entry)))
        if isinstance(entry, VersionPublished | DocumentsCorrected):
            documents += [
                Fact((entry.at, language, sha256)) for language, sha256 in entry.document_hashes.items()
            ]
    return {**facts, "document-mismatch": sorted(documents)}


def _compare_facts(code: FindingCode, actual: Sequence[Fact], expected: Sequence[Fact]) -> Iterator[Finding]:
    """Yield a finding if the numbers of facts differ, and one for the first fact that differs."""
    if len(actual) != len(expected):
        kind = code.removesuffix("-mismatch").replace("-", " ")
        sentence = f"the register has {len(actual)} facts of the kind {kind}, and the ledger {len(expected)}"
        yield Finding(code, sentence)
    for fact, expected_fact in zip(actual, expected, strict=False):
        if fact.values != expected_fact.values:
            yield Finding(code, f"{fact.description} {NOT_AS_RECORDED}")
            return
