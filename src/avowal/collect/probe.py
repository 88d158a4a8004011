"""Probing: asking a page as a visitor would, as availability is also what nobody requested.

A probe tells of the site alone and of no visitor, so no terms govern it.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

PROBE_USER_AGENT = "AvowalBot/0.1 (availability monitor)"
"""A robot's, so that a probe in a log counts as nobody's visit."""

PROBE_BODY_BYTES_MAX = 1_000_000
"""How much of a page is read: more than that tells nothing more."""

_PART = 65_536
_DAY_SECONDS = 86_400


class ProbeState(StrEnum):
    """How a page was found."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"


class FailureReason(StrEnum):
    """Why a page was down."""

    NO_ADDRESS = "no-address"
    """Its name leads nowhere."""
    NO_CONNECTION = "no-connection"
    """Nobody listens there, or the connection was broken off."""
    TIMEOUT = "timeout"
    CERTIFICATE = "certificate"
    """It is not valid: another's, of nobody who is trusted, or past its time."""
    NO_ANSWER = "no-answer"
    """What came is no answer of HTTP."""
    STATUS = "status"
    """The answer was 400 or more."""


FAILURE_REASONS: Mapping[type[Exception], FailureReason] = {
    ssl.SSLCertVerificationError: FailureReason.CERTIFICATE,
    TimeoutError: FailureReason.TIMEOUT,
    socket.gaierror: FailureReason.NO_ADDRESS,
    OSError: FailureReason.NO_CONNECTION,
    http.client.HTTPException: FailureReason.NO_ANSWER,
    ValueError: FailureReason.NO_ANSWER,
}
"""What each failure tells, the more special ones first."""


class ProbeResult(msgspec.Struct, frozen=True):
    """What came of asking a page once. Times are UTC; what is null is not known."""

    probe_time: datetime
    page: str
    host: str
    state: ProbeState
    interval_seconds: int
    """How long it stands for: until the next one."""
    failure_reason: FailureReason | None = None
    status: int | None = None
    response_ms: int | None = None
    """Until the whole page was there, or the first megabyte of it."""
    certificate_days: int | None = None
    """How many days the certificate is valid for yet."""


class Prober(msgspec.Struct, frozen=True):
    """Asks pages."""

    interval_seconds: int
    slow_threshold_ms: int
    timeout_seconds: float

    def probe(self, page: str, now: datetime) -> ProbeResult:
        """Ask a page once. Raises nothing: whatever fails is that it is down."""
        told = {"probe_time": now, "page": page, "host": urlsplit(page).hostname or ""}
        found = self._asked(page)
        return ProbeResult(**told, interval_seconds=self.interval_seconds, **found)  # type: ignore[arg-type]  # of Probe's fields

    def _asked(self, page: str) -> Mapping[str, object]:
        began = time.monotonic()
        try:
            status, days = _get(page, began + self.timeout_seconds)
        except tuple(FAILURE_REASONS) as error:
            why = next(why for kind, why in FAILURE_REASONS.items() if isinstance(error, kind))
            return {"state": ProbeState.DOWN, "failure_reason": why}
        took = int((time.monotonic() - began) * 1000)
        told = {"status": status, "response_ms": took, "certificate_days": days}
        if status >= http.HTTPStatus.BAD_REQUEST:
            return {"state": ProbeState.DOWN, "failure_reason": FailureReason.STATUS, **told}
        return {"state": ProbeState.SLOW if took > self.slow_threshold_ms else ProbeState.UP, **told}


def _get(page: str, deadline: float) -> tuple[int, int | None]:
    """Ask a page; returns the status, and for how many days its certificate is valid.

    Raises TimeoutError where it takes longer than the deadline, and as `http.client` and `ssl` do.
    """
    url = urlsplit(page)
    made = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = made(url.hostname or "", url.port, timeout=deadline - time.monotonic())
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("GET", target, headers={"User-Agent": PROBE_USER_AGENT, "Connection": "close"})
        left = _days_left(connection.sock)
        answer = connection.getresponse()
        size = 0
        while size < PROBE_BODY_BYTES_MAX and (part := answer.read1(_PART)):
            size += len(part)
            if time.monotonic() > deadline:
                raise TimeoutError
        return answer.status, left
    finally:
        connection.close()


def _days_left(connection: socket.socket) -> int | None:
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    ends = (certificate or {}).get("notAfter")
    return int(ssl.cert_time_to_seconds(str(ends)) - time.time()) // _DAY_SECONDS if ends else None
