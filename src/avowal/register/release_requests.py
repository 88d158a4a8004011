"""Requests for releases with their evidence, their approvals, and the refusals.

The subject, the recipient, the requester and the evidence are stored apart, and can be erased (L3 in
`docs/spec/ledger.md`).
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from avowal.errors import RefusedError
from avowal.ledger.commitment import SALT_BYTES, compute_commitment
from avowal.ledger.entry import decode_entry_of
from avowal.ledger.release_entry import ReleaseApproved, ReleaseRefused, ReleaseRequested, RequestSummary
from avowal.register.database import Connection
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, parse_time, to_parameters
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "release_requests")

APPROVAL_WAIT_DAYS = 30
"""How many days a request can be approved. After that its details are erased."""


class RefusalReason(StrEnum):
    """Why a release was refused: the stable codes in the record of a refusal."""

    UNKNOWN_SUBJECT = "unknown-subject"
    """The person is unknown or ambiguous."""
    OTHER_SUBJECTS = "other-subjects"
    """It would include records of other people."""
    MISSING_EVIDENCE = "missing-evidence"
    """Evidence that the ground requires is missing or invalid."""
    TERMS = "terms"
    """The terms do not permit it."""
    MISSING_APPROVAL = "missing-approval"
    """An approval is missing, or is by somebody who may not approve."""
    NO_PERMISSION = "no-permission"
    """The requester may not disclose."""
    RECIPIENT = "recipient"
    """The recipient may not receive it, or is not verified."""
    DRY_RUN = "dry-run"
    """Nothing was to be released: somebody saw how many records of how many visitors would be."""


class RequestDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of persons and of its case. It is stored apart from the request, and can be erased."""

    recipient: str
    recipient_contact: str
    """How to reach the recipient; empty if unknown."""
    visitor: str
    """The visitor's key; empty if the request is not about one visitor."""
    row_filter: str
    """Conditions that select rows of one or several relations; empty if all rows are selected."""
    address: str = ""
    """The address whose rows they are; empty if they are chosen by something else."""
    submission: str = ""
    """The reference of the only submission that is requested; empty if it is not about a single one."""
    evidence: dict[str, str]
    requester: str
    expires_days: int
    sealed_until: datetime | None = None


class ReleaseRequest(msgspec.Struct, frozen=True):
    """A request for a release. Times are UTC."""

    summary: RequestSummary
    details: RequestDetails
    entry: int | None = None
    """The number of its entry in the ledger; None if it is not recorded yet."""

    def with_categories(self, categories: list[str]) -> "ReleaseRequest":
        """Return the request for other categories."""
        return replace(self, summary=replace(self.summary, categories=categories))

    def with_approvals(self, required_approvals: int) -> "ReleaseRequest":
        """Return the request with another number of required approvals."""
        return replace(self, summary=replace(self.summary, required_approvals=required_approvals))


class ReleaseRefusal(msgspec.Struct, frozen=True):
    """An attempt to disclose that was refused. Times are UTC."""

    ground: str
    recipient_kind: str
    """Empty if the request was refused before its recipient was checked."""
    reason: str
    requester: str
    refused_at: datetime
    entry: int


class ReleaseRequests(Repository):
    """The requests for releases of a register."""

    def record(self, request: ReleaseRequest) -> ReleaseRequest:
        """Record a request with its entry in the ledger; returns it with that entry's number."""
        salt, details = secrets.token_bytes(SALT_BYTES), msgspec.json.encode(request.details).decode()
        request_entry = ReleaseRequested(request.summary, compute_commitment(salt, details=details))
        with self._database.transaction() as connection:
            entry = append_entries(connection, [request_entry])
            values = {"reference": request.summary.reference, "entry": entry}
            number = connection.execute(SQL["insert_request"], values).lastrowid
            subject = {"visitor": request.details.visitor, "details": details, "salt": salt}
            connection.execute(SQL["insert_subject"], {**subject, "release_request": number})
        return replace(request, entry=entry)

    def get(self, reference: str) -> ReleaseRequest:
        """Return a request. Raises RefusedError if there is none, or its details were erased."""
        requests = self._select(reference)
        if not requests:
            raise RefusedError(
                f"there is no request for a release `{reference}`",
                "`avowal release list` lists the requests",
                code="release-not-found",
            )
        return requests[0]

    def recipient_contact(self, reference: str) -> str:
        """Return how to reach the recipient of a request; empty if that is unknown, or was erased."""
        requests = self._select(reference)
        return requests[0].details.recipient_contact if requests else ""

    def all(self) -> list[ReleaseRequest]:
        """Return every request whose details are not erased, in their order."""
        return self._select()

    def pending(self, now: datetime) -> list[ReleaseRequest]:
        """Return the requests that are not approved or not released yet, in their order."""
        with self._database.read() as connection:
            closed = {reference for (reference,) in connection.execute(SQL["select_closed_references"])}
        return [
            request
            for request in self._select()
            if request.summary.reference not in closed and not _is_expired(request, now)
        ]

    def approvers(self, reference: str) -> list[str]:
        """Return who approved a request, in their order."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_approvers"], {"reference": reference}).fetchall()
        return [approver for (approver,) in rows]

    def approve(self, request: ReleaseRequest, approver: str, now: datetime) -> int:
        """Record the approval of a request; returns the number of its entry in the ledger."""
        salt = secrets.token_bytes(SALT_BYTES)
        approved = ReleaseApproved(
            request.summary.reference, compute_commitment(salt, approver=approver), now
        )
        with self._database.transaction() as connection:
            entry = append_entries(connection, [approved])
            values = to_parameters(approved, approver=approver, salt=salt, approved_at=now, entry=entry)
            connection.execute(SQL["insert_approval"], values)
        return entry

    def record_refusal(
        self, ground: str, recipient_kind: str, reason: RefusalReason, requester: str, now: datetime
    ) -> None:
        """Record a refusal with its entry in the ledger."""
        salt = secrets.token_bytes(SALT_BYTES)
        commitment = compute_commitment(salt, reader=requester)
        refused = ReleaseRefused(ground, recipient_kind, reason.value, commitment, now)
        with self._database.transaction() as connection:
            entry = append_entries(connection, [refused])
            values = to_parameters(refused, requester=requester, salt=salt, refused_at=now, entry=entry)
            connection.execute(SQL["insert_refusal"], values)

    def erase_expired(self, now: datetime) -> int:
        """Erase the details of requests that expired before they were released; returns the number of requests."""
        expired = [request.summary.reference for request in self._select() if _is_expired(request, now)]
        with self._database.transaction() as connection:
            return connection.erase(SQL["erase_unreleased"], to_parameters({"references": expired}))

    def refusals(self) -> list[ReleaseRefusal]:
        """Return all refusals, in their order."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_refusals"]).fetchall()
        return [
            ReleaseRefusal(ground, recipient_kind, reason, requester, parse_time(refused_at), entry)
            for ground, recipient_kind, reason, requester, refused_at, entry in rows
        ]

    def _select(self, reference: str | None = None) -> list[ReleaseRequest]:
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_requests"], {"reference": reference}).fetchall()
        return [_parse_row(row) for row in rows]


def _is_expired(request: ReleaseRequest, now: datetime) -> bool:
    """Return whether a request waited too long to be approved."""
    return request.summary.requested_at < now - timedelta(days=APPROVAL_WAIT_DAYS)


def erase_requests_about(connection: Connection, visitor: str, references: Sequence[str]) -> None:
    """Erase, in a transaction, the details of requests about a visitor, and of those with these references."""
    values = to_parameters({"visitor": visitor, "references": list(references)})
    connection.erase(SQL["erase_about"], values)


def _parse_row(row: Sequence[Any]) -> ReleaseRequest:
    body, details, entry = row
    request_entry = decode_entry_of(ReleaseRequested, body)
    return ReleaseRequest(request_entry.summary, msgspec.json.decode(details, type=RequestDetails), entry)
