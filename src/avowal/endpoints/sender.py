"""Who sends a request: what the connection shows, and what proxies that are trusted say of the one before them."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Receive, Scope

from avowal.collect.client_address import Proxies
from avowal.collect.script_event import BODY_MAX

HEADERS = frozenset(
    b"user-agent forwarded x-forwarded-for x-forwarded-proto origin host cookie sec-gpc dnt sec-fetch-site".split()
)
"""Those that are looked at."""

SAME_ORIGIN = "same-origin"


class Sender(NamedTuple):
    """The sender of one request: lives in memory only."""

    address: str
    is_secure: bool
    """Whether the visitor's browser speaks HTTPS, to us or to a proxy that is trusted."""
    headers: Mapping[bytes, str]
    """Those of HEADERS that the request has."""

    def header(self, name: bytes, otherwise: str = "") -> str:
        """Return a header."""
        return self.headers.get(name, otherwise)

    @property
    def is_own(self) -> bool:
        """Whether the request comes from a page of the host that it goes to."""
        origin = self.header(b"origin")
        by_origin = bool(origin) and urlsplit(origin).netloc == self.header(b"host")
        return self.header(b"sec-fetch-site", SAME_ORIGIN if by_origin else "") == SAME_ORIGIN


async def body(receive: Receive) -> bytes | None:
    """Return the body of a request (ASGI); None where it is too long."""
    told = b""
    while True:
        message = await receive()
        told += bytes(message.get("body", b""))
        if len(told) > BODY_MAX:
            return None
        if not message.get("more_body"):
            return told


def sender(proxies: Proxies, scope: Scope) -> Sender:
    """Return who sends a request (ASGI); how the browser spoke is taken only from whom is trusted."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in HEADERS}
    peer = scope["client"][0] if scope["client"] else ""
    scheme = scope["scheme"]
    if scheme != "https" and proxies.trusts(peer):
        scheme = headers.get(b"x-forwarded-proto", "").rpartition(",")[2].strip()
    address = proxies.client(peer, headers.get(b"forwarded", ""), headers.get(b"x-forwarded-for", ""))
    return Sender(address, scheme == "https", headers)
