"""The HTTP server: uvicorn with Avowal's settings."""

import gc
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import uvicorn
from starlette.types import ASGIApp

from avowal.collect.client_address import TrustedProxies
from avowal.errors import SettingsError
from avowal.server.event_loop import LOOP_FACTORY
from avowal.server.http_connection import HttpConnection, create_connection_class
from avowal.server.proxy_protocol import ProxyProtocolConnection

SHUTDOWN_TIMEOUT_SECONDS = 5
"""How long open requests may take once the server is told to stop."""

GARBAGE_COLLECTION_THRESHOLDS = (50_000, 20, 100)


class ListenAddress(NamedTuple):
    """Where the server listens, with a certificate for HTTPS."""

    host: str
    port: int
    certificate: Path | None = None
    """A file in PEM, with the chain."""
    certificate_key: Path | None = None

    @property
    def url(self) -> str:
        """The address of the home page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}/"


def create_http_server(
    application: ASGIApp, address: ListenAddress, proxies: TrustedProxies, *, proxy_protocol: bool
) -> uvicorn.Server:
    """Return a server that stops on SIGTERM and SIGINT.

    With `proxy_protocol`, only trusted proxies may connect, and they have to use the PROXY protocol. Raises
    SettingsError if that is combined with HTTPS.
    """
    if proxy_protocol and address.certificate:
        raise SettingsError(
            "`serve.proxy_protocol` cannot be combined with `--tls-cert`: its header comes before TLS",
            "let the proxy speak TLS with visitors, or remove the setting",
            code="conflicting-options",
        )
    _, file_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit, file_limit))  # each connection is an open file
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn handles them, and raises them again when it ends
    config = uvicorn.Config(
        application,
        host=address.host,
        port=address.port,
        loop=LOOP_FACTORY,
        http=create_connection_class(ProxyProtocolConnection if proxy_protocol else HttpConnection, proxies),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
        proxy_headers=False,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.certificate_key,
    )
    return uvicorn.Server(config)


@contextmanager
def reduced_garbage_collection() -> Iterator[None]:
    """Exclude the objects that exist by now from garbage collection: scanning them would delay responses."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_COLLECTION_THRESHOLDS)
    try:
        yield
    finally:
        gc.unfreeze()
