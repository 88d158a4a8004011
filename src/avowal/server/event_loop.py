"""The event loop of the server: uvloop's, with a shorter time-out of TLS handshakes than its own of a minute."""

from typing import Any

import uvloop

TLS_HANDSHAKE_SECONDS = 10.0
"""How long a TLS handshake may take. Until it ends, no other limit of connections counts it."""


class ServerLoop(uvloop.Loop):
    """An event loop whose servers do not wait long for a handshake."""

    async def create_server(self, *arguments: Any, **options: Any) -> Any:
        """Create a server."""
        if options.get("ssl"):
            options.setdefault("ssl_handshake_timeout", TLS_HANDSHAKE_SECONDS)
        return await super().create_server(*arguments, **options)


LOOP_FACTORY = f"{__name__}:{ServerLoop.__name__}"
"""The name of the event loop for uvicorn."""
