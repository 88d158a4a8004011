"""Reading the body of a request up to a limit."""

from starlette.types import Receive


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """Return the body of an ASGI request; None if it is longer than `max_bytes`."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > max_bytes:
            return None
        if not message.get("more_body"):
            return body
