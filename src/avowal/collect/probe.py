"""Request pages regularly, to measure availability also while no visitor requests anything.

A probe contains no data of visitors, so the terms do not apply to it.
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
"""The user agent of a bot, so that probes in a log do not count as visits."""

PROBE_BODY_BYTES_MAX = 1_000_000
"""How much of a page is read, in bytes."""

_CHUNK_BYTES = 65_536
_DAY_SECONDS = 86_400


class ProbeState(StrEnum):
    """The state of a page."""

    UP = "up"
    SLOW = "slow"
    DOWN = "down"


class FailureReason(StrEnum):
    """Why a page was down."""

    NO_ADDRESS = "no-address"
    """The host name could not be resolved."""
    NO_CONNECTION = "no-connection"
    """The connection was refused or broken."""
    TIMEOUT = "timeout"
    CERTIFICATE = "certificate"
    """The certificate is for another host, not trusted, or expired."""
    NO_ANSWER = "no-answer"
    """The response was not HTTP."""
    STATUS = "status"
    """The status was 400 or higher."""


FAILURE_REASONS: Mapping[type[Exception], FailureReason] = {
    ssl.SSLCertVerificationError: FailureReason.CERTIFICATE,
    TimeoutError: FailureReason.TIMEOUT,
    socket.gaierror: FailureReason.NO_ADDRESS,
    OSError: FailureReason.NO_CONNECTION,
    http.client.HTTPException: FailureReason.NO_ANSWER,
    ValueError: FailureReason.NO_ANSWER,
}
"""The reason of each exception, the more specific ones first."""


class ProbeResult(msgspec.Struct, frozen=True):
    """The result of one probe. Times are UTC; None means not known."""

    probe_time: datetime
    page: str
    host: str
    state: ProbeState
    interval_seconds: int
    """The time until the next probe, for which this result counts."""
    failure_reason: FailureReason | None = None
    status: int | None = None
    response_ms: int | None = None
    """The time until the page, or its first megabyte, was received."""
    certificate_days: int | None = None
    """The number of days until the certificate expires."""


class Prober(msgspec.Struct, frozen=True):
    """Probes pages."""

    interval_seconds: int
    slow_threshold_ms: int
    timeout_seconds: float

    def probe(self, page: str, now: datetime) -> ProbeResult:
        """Request a page once. Raises nothing: the page is down if anything fails."""
        host = urlsplit(page).hostname or ""
        started_at = time.monotonic()
        try:
            status, certificate_days = _get(page, started_at + self.timeout_seconds)
        except tuple(FAILURE_REASONS) as error:
            reason = next(reason for kind, reason in FAILURE_REASONS.items() if isinstance(error, kind))
            return ProbeResult(now, page, host, ProbeState.DOWN, self.interval_seconds, reason)
        response_ms = int((time.monotonic() - started_at) * 1000)
        state = ProbeState.SLOW if response_ms > self.slow_threshold_ms else ProbeState.UP
        is_error = status >= http.HTTPStatus.BAD_REQUEST
        return ProbeResult(
            probe_time=now,
            page=page,
            host=host,
            state=ProbeState.DOWN if is_error else state,
            interval_seconds=self.interval_seconds,
            failure_reason=FailureReason.STATUS if is_error else None,
            status=status,
            response_ms=response_ms,
            certificate_days=certificate_days,
        )


def _get(page: str, deadline: float) -> tuple[int, int | None]:
    """Request a page. Returns the status, and the number of days until its certificate expires.

    Raises TimeoutError after the deadline, and the errors of `http.client` and `ssl`.
    """
    url = urlsplit(page)
    connection_class = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = connection_class(url.hostname or "", url.port, timeout=deadline - time.monotonic())
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("GET", target, headers={"User-Agent": PROBE_USER_AGENT, "Connection": "close"})
        certificate_days = _days_until_expiry(connection.sock)
        response = connection.getresponse()
        size = 0
        while size < PROBE_BODY_BYTES_MAX and (chunk := response.read1(_CHUNK_BYTES)):
            size += len(chunk)
            if time.monotonic() > deadline:
                raise TimeoutError
        return response.status, certificate_days
    finally:
        connection.close()


def _days_until_expiry(connection: socket.socket) -> int | None:
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    expiry = (certificate or {}).get("notAfter")
    return int(ssl.cert_time_to_seconds(str(expiry)) - time.time()) // _DAY_SECONDS if expiry else None
