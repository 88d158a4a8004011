"""Who sends a request: what the connection shows, and what trusted proxies say of the client before them."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.types import Scope

from avowal.collect.client_address import TrustedProxies

READ_HEADERS = frozenset(
    b"user-agent x-forwarded-proto origin host cookie sec-gpc dnt sec-fetch-site".split()
)
"""The request headers that are read, besides the one that names the client's address."""

SAME_ORIGIN = "same-origin"


class RequestSender(NamedTuple):
    """The sender of one request. Lives in memory only."""

    address: str
    is_secure: bool
    """Whether the visitor's browser speaks HTTPS, to this server or to a trusted proxy."""
    headers: Mapping[bytes, str]
    """Those of `READ_HEADERS` that the request has; the lines of a repeated one are joined as a list."""

    def header(self, name: bytes, default: str = "") -> str:
        """Return the value of a header."""
        return self.headers.get(name, default)

    @property
    def is_same_origin(self) -> bool:
        """Whether the request comes from a page of the host that it goes to."""
        origin_host = self.header(b"origin").partition("://")[2]
        by_origin = bool(origin_host) and origin_host == self.header(b"host")
        return self.header(b"sec-fetch-site", SAME_ORIGIN if by_origin else "") == SAME_ORIGIN


def read_sender(proxies: TrustedProxies, scope: Scope) -> RequestSender:
    """Return the sender of an ASGI request; what proxies say of the client counts only from trusted ones."""
    headers, address_lines = dict[bytes, str](), list[str]()
    address_header = proxies.address_header.encode("latin-1")
    for name, value in scope["headers"]:
        if name in READ_HEADERS:
            text = value.decode("latin-1")
            separator = "; " if name == b"cookie" else ", "
            headers[name] = f"{headers[name]}{separator}{text}" if name in headers else text
        if name == address_header:
            address_lines.append(value.decode("latin-1"))
    peer = scope["client"][0] if scope["client"] else ""
    scheme = scope["scheme"]
    if scheme != "https" and proxies.is_trusted(peer):
        scheme = headers.get(b"x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    address = proxies.find_client_address(peer, address_lines)
    return RequestSender(address, scheme == "https", headers)
