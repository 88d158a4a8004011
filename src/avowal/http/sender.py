"""Who sends a request: what the connection shows, and what trusted proxies say of the client before them."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.types import Scope

from avowal.collect.client_address import TrustedProxies

READ_HEADERS = frozenset(
    b"user-agent forwarded x-forwarded-for x-forwarded-proto origin host cookie sec-gpc dnt sec-fetch-site".split()
)
"""The request headers that are read."""

SAME_ORIGIN = "same-origin"


class RequestSender(NamedTuple):
    """The sender of one request. Lives in memory only."""

    address: str
    is_secure: bool
    """Whether the visitor's browser speaks HTTPS, to this server or to a trusted proxy."""
    headers: Mapping[bytes, str]
    """Those of `READ_HEADERS` that the request has."""

    def header(self, name: bytes, default: str = "") -> str:
        """Return the value of a header."""
        return self.headers.get(name, default)

    @property
    def is_same_origin(self) -> bool:
        """Whether the request comes from a page of the host that it goes to."""
        origin = self.header(b"origin")
        by_origin = bool(origin) and urlsplit(origin).netloc == self.header(b"host")
        return self.header(b"sec-fetch-site", SAME_ORIGIN if by_origin else "") == SAME_ORIGIN


def read_sender(proxies: TrustedProxies, scope: Scope) -> RequestSender:
    """Return the sender of an ASGI request; forwarded headers count only from trusted proxies."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in READ_HEADERS}
    peer = scope["client"][0] if scope["client"] else ""
    scheme = scope["scheme"]
    if scheme != "https" and proxies.is_trusted(peer):
        scheme = headers.get(b"x-forwarded-proto", "").rpartition(",")[2].strip()
    address = proxies.find_client_address(
        peer, headers.get(b"forwarded", ""), headers.get(b"x-forwarded-for", "")
    )
    return RequestSender(address, scheme == "https", headers)
