"""Who sends a request: what the connection shows, and what proxies that are trusted say of the one before them."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Receive, Scope

from avowal.collect.client_address import TrustedProxies
from avowal.collect.script_event import EVENT_BODY_BYTES_MAX

READ_HEADERS = frozenset(
    b"user-agent forwarded x-forwarded-for x-forwarded-proto origin host cookie sec-gpc dnt sec-fetch-site".split()
)
"""Those that are looked at."""

SAME_ORIGIN = "same-origin"


class RequestSender(NamedTuple):
    """The sender of one request: lives in memory only."""

    address: str
    is_secure: bool
    """Whether the visitor's browser speaks HTTPS, to us or to a proxy that is trusted."""
    headers: Mapping[bytes, str]
    """Those of HEADERS that the request has."""

    def header(self, name: bytes, default: str = "") -> str:
        """Return a header."""
        return self.headers.get(name, default)

    @property
    def is_same_origin(self) -> bool:
        """Whether the request comes from a page of the host that it goes to."""
        origin = self.header(b"origin")
        by_origin = bool(origin) and urlsplit(origin).netloc == self.header(b"host")
        return self.header(b"sec-fetch-site", SAME_ORIGIN if by_origin else "") == SAME_ORIGIN


async def read_body(receive: Receive) -> bytes | None:
    """Return the body of a request (ASGI); None where it is too long."""
    told = b""
    while True:
        message = await receive()
        told += bytes(message.get("body", b""))
        if len(told) > EVENT_BODY_BYTES_MAX:
            return None
        if not message.get("more_body"):
            return told


def read_sender(proxies: TrustedProxies, scope: Scope) -> RequestSender:
    """Return who sends a request (ASGI); how the browser spoke is taken only from whom is trusted."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in READ_HEADERS}
    peer = scope["client"][0] if scope["client"] else ""
    scheme = scope["scheme"]
    if scheme != "https" and proxies.is_trusted(peer):
        scheme = headers.get(b"x-forwarded-proto", "").rpartition(",")[2].strip()
    address = proxies.find_client_address(
        peer, headers.get(b"forwarded", ""), headers.get(b"x-forwarded-for", "")
    )
    return RequestSender(address, scheme == "https", headers)
