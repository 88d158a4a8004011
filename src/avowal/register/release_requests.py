"""What was asked to be released, in the register: with its evidence, who approved it, and what was refused.

Of whom, for whom, by whom and the evidence itself stand apart, and can be erased (L3 in `docs/spec/ledger.md`).
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from avowal.errors import RefusedError
from avowal.ledger.entry import ReleaseApproved, ReleaseRefused, ReleaseRequested
from avowal.register.consents import SALT_BYTES, compute_commitment
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import (
    RELEASE_APPROVALS,
    RELEASE_REFUSALS,
    RELEASE_REQUEST_SUBJECTS,
    RELEASE_REQUESTS,
    RELEASES,
)

APPROVAL_WAIT_DAYS = 30
"""For how many days a request waits for those who approve it."""


class RefusalReason(StrEnum):
    """Why something was not released: what the record of a refusal says."""

    UNKNOWN_SUBJECT = "unknown-subject"
    """The person is unknown, or may be several."""
    OTHER_SUBJECTS = "other-subjects"
    """Others' records would be in it."""
    MISSING_EVIDENCE = "missing-evidence"
    """The ground lacks its evidence, or the evidence is none."""
    TERMS = "terms"
    """The terms let nothing of it be released."""
    MISSING_APPROVAL = "missing-approval"
    """Others have not approved it, or may not."""
    NO_PERMISSION = "no-permission"
    """Whoever asked may not disclose."""
    RECIPIENT = "recipient"
    """The recipient is none that may have it, or did not prove who it is."""


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked to be released, and why. Times are UTC."""

    reference: str
    ground: str
    recipient_kind: str
    categories: list[str]
    version: int
    """The one in force."""
    required_approvals: int
    """How many others have to approve."""
    recipient: str
    recipient_contact: str
    """How to reach the recipient; empty where nobody said."""
    visitor: str
    """The visitor's key; empty where no visitor is named."""
    row_filter: str
    """What chooses rows; empty where nothing does."""
    submission: str = ""
    """The reference of the one submission that it is about; empty where it is about none alone."""
    evidence: dict[str, str]
    requester: str
    expires_days: int
    sealed_until: datetime | None = None
    requested_at: datetime
    entry: int = -1
    """The number of its entry in the ledger."""


class ReleaseRefusal(msgspec.Struct, frozen=True):
    """An attempt to disclose that was refused. Times are UTC."""

    ground: str
    recipient_kind: str
    """Empty where it was not looked at."""
    reason: str
    requester: str
    """Who tried."""
    refused_at: datetime
    entry: int


ERASABLE_FIELDS = (
    "recipient",
    "recipient_contact",
    "visitor",
    "row_filter",
    "submission",
    "evidence",
    "requester",
    "expires_days",
    "sealed_until",
)
"""What stands apart from the record of a request."""


class ReleaseRequests(Repository):
    """The requests for releases of a register."""

    def record(self, request: ReleaseRequest) -> ReleaseRequest:
        """Record a request with its entry in the ledger; returns it with that entry's number."""
        salt, told = secrets.token_bytes(SALT_BYTES), encode_erasable_fields(request)
        person = compute_commitment(salt, details=told)
        entry = ReleaseRequested(
            request.reference,
            request.ground,
            request.recipient_kind,
            person,
            request.categories,
            sorted(request.evidence),
            request.version,
            request.required_approvals,
            request.requested_at,
        )
        row: dict[str, Any] = {
            **{name: getattr(request, name) for name in ("reference", "ground", "recipient_kind")},
            **{name: getattr(request, name) for name in ("required_approvals", "version", "requested_at")},
            "categories": msgspec.json.encode(request.categories).decode(),
            "evidence_kinds": msgspec.json.encode(sorted(request.evidence)).decode(),
            "commitment": person,
        }
        with self._write_transaction() as connection:
            number = append_entries(connection, [entry])
            asked = connection.execute(sa.insert(RELEASE_REQUESTS).values({**row, "entry": number})).lastrowid
            apart = {"release_request": asked, "visitor": request.visitor, "details": told, "salt": salt}
            connection.execute(sa.insert(RELEASE_REQUEST_SUBJECTS).values(apart))
        return msgspec.structs.replace(request, entry=number)

    def get(self, reference: str) -> ReleaseRequest:
        """Return a request. Raises RefusedError where there is none that is not erased."""
        found = self._found(RELEASE_REQUESTS.c.reference == reference)
        if not found:
            raise RefusedError(
                f"nobody asked for a release `{reference}`",
                "`avowal release list` tells which there are",
                code="release-not-found",
            )
        return found[0]

    def recipient_contact(self, reference: str) -> str:
        """Return how to reach the recipient of a request; empty where nobody said, or it is erased."""
        found = self._found(RELEASE_REQUESTS.c.reference == reference)
        return found[0].recipient_contact if found else ""

    def all(self) -> list[ReleaseRequest]:
        """Return every request that is not erased, in their order."""
        return self._found(sa.true())

    def pending(self, now: datetime) -> list[ReleaseRequest]:
        """Return the requests that wait for those who approve, or to be made, in their order."""
        due = RELEASES.c.written_at.is_not(None) | RELEASES.c.recalled_at.is_not(None)
        made = sa.select(RELEASES.c.reference).where(due)
        young = RELEASE_REQUESTS.c.requested_at >= now - timedelta(days=APPROVAL_WAIT_DAYS)
        return self._found(RELEASE_REQUESTS.c.reference.not_in(made) & young)

    def approvers(self, reference: str) -> list[str]:
        """Return who approved a request, in their order."""
        statement = sa.select(RELEASE_APPROVALS.c.approver).where(RELEASE_APPROVALS.c.reference == reference)
        with self._engine.connect() as connection:
            return list(
                connection.execute(statement.order_by(RELEASE_APPROVALS.c.release_approval)).scalars()
            )

    def approve(self, request: ReleaseRequest, approver: str, now: datetime) -> int:
        """Record that somebody else approves a request; returns the number of its entry in the ledger."""
        salt = secrets.token_bytes(SALT_BYTES)
        person = compute_commitment(salt, approver=approver)
        with self._write_transaction() as connection:
            entry = append_entries(connection, [ReleaseApproved(request.reference, person, now)])
            row: dict[str, Any] = {
                "reference": request.reference,
                "approver": approver,
                "salt": salt,
                "commitment": person,
            }
            row |= {"approved_at": now, "entry": entry}
            connection.execute(sa.insert(RELEASE_APPROVALS).values(row))
        return entry

    def record_refusal(
        self, ground: str, recipient_kind: str, reason: RefusalReason, requester: str, now: datetime
    ) -> None:
        """Record that somebody tried to have something released, and why it was not."""
        salt = secrets.token_bytes(SALT_BYTES)
        person = compute_commitment(salt, reader=requester)
        with self._write_transaction() as connection:
            entry = append_entries(connection, [ReleaseRefused(ground, recipient_kind, reason, person, now)])
            row: dict[str, Any] = {
                "ground": ground,
                "recipient_kind": recipient_kind,
                "reason": reason,
                "requester": requester,
            }
            row |= {"salt": salt, "commitment": person, "refused_at": now, "entry": entry}
            connection.execute(sa.insert(RELEASE_REFUSALS).values(row))

    def erase_expired(self, now: datetime) -> int:
        """Erase what was told in requests that were never made, and wait no more; returns how many those were."""
        made, waiting = (
            sa.select(RELEASES.c.reference),
            RELEASE_REQUESTS.c.requested_at >= now - timedelta(days=APPROVAL_WAIT_DAYS),
        )
        lapsed = sa.select(RELEASE_REQUESTS.c.release_request).where(
            RELEASE_REQUESTS.c.reference.not_in(made), ~waiting
        )
        with self._write_transaction() as connection:
            gone = connection.execute(
                sa.delete(RELEASE_REQUEST_SUBJECTS).where(
                    RELEASE_REQUEST_SUBJECTS.c.release_request.in_(lapsed)
                )
            ).rowcount
        if gone:
            self.truncate_wal()
        return gone

    def refusals(self) -> list[ReleaseRefusal]:
        """Return every attempt that was refused, in their order."""
        columns = [RELEASE_REFUSALS.c[name] for name in ReleaseRefusal.__struct_fields__]
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).order_by(RELEASE_REFUSALS.c.release_refusal))
            return [ReleaseRefusal(*row) for row in rows]

    def _found(self, which: sa.ColumnElement[bool]) -> list[ReleaseRequest]:
        statement = (
            sa.select(RELEASE_REQUESTS, RELEASE_REQUEST_SUBJECTS.c.details)
            .join(
                RELEASE_REQUEST_SUBJECTS,
                RELEASE_REQUEST_SUBJECTS.c.release_request == RELEASE_REQUESTS.c.release_request,
            )
            .where(which)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement.order_by(RELEASE_REQUESTS.c.release_request)).mappings().all()
        return [_read(row) for row in rows]


def encode_erasable_fields(request: ReleaseRequest) -> str:
    """Return what stands apart of a request, as one text."""
    return msgspec.json.encode({name: getattr(request, name) for name in ERASABLE_FIELDS}).decode()


def erase_requests_about(connection: sa.Connection, visitor: str, releases: Sequence[str]) -> None:
    """Erase, in a transaction, what was told in requests about a visitor, and for releases that the visitor is in."""
    of_releases = sa.select(RELEASE_REQUESTS.c.release_request).where(
        RELEASE_REQUESTS.c.reference.in_(releases)
    )
    gone = (RELEASE_REQUEST_SUBJECTS.c.visitor == visitor) | RELEASE_REQUEST_SUBJECTS.c.release_request.in_(
        of_releases
    )
    connection.execute(sa.delete(RELEASE_REQUEST_SUBJECTS).where(gone))


def _read(row: sa.RowMapping) -> ReleaseRequest:
    kept: dict[str, Any] = {name: row[name] for name in ReleaseRequest.__struct_fields__ if name in row}
    kept["categories"] = msgspec.json.decode(row["categories"])
    told = msgspec.json.decode(row["details"])
    return msgspec.convert({**kept, **told}, ReleaseRequest)
