"""Responses of JSON."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from starlette.responses import Response

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def json_response(
    content: object,
    status: int = 200,
    headers: Mapping[str, str] = NO_HEADERS,
    media_type: str = "application/json",
) -> Response:
    """Return `content` as JSON."""
    return Response(msgspec.json.encode(content), status, dict(headers), media_type)
