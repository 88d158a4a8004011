"""How a request is refused: with the reason and its remedy, as JSON."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from starlette.responses import Response


def error_response(
    status: int, message: str, hint: str, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return an error with its remedy, as every one of ours is told."""
    body = msgspec.json.encode({"error": message, "hint": hint})
    return Response(body, status, headers=dict(headers), media_type="application/json")
