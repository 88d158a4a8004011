"""The script that pages load: `/avow.js`, and its source for whoever wants to read it."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

import rjsmin
from starlette.requests import Request
from starlette.responses import Response

MAX_AGE_SECONDS = 3600
SOURCE = "/avow.source.js"


@dataclass(frozen=True)
class Script:
    """Gives the script."""

    async def core(self, request: Request) -> Response:
        """Give the script without its comments and spaces."""
        plain, packed, tag = _core()
        headers = {
            "ETag": tag,
            "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Vary": "Accept-Encoding",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            plain = packed
        return Response(plain, media_type="text/javascript", headers=headers)

    async def source(self, _: Request) -> Response:
        """Give the script as it was written."""
        return Response(_source(), media_type="text/javascript")


@cache
def _source() -> str:
    return (resources.files("avow.web") / "assets" / "avow.js").read_text(encoding="utf-8")


@cache
def _core() -> tuple[bytes, bytes, str]:
    """Return the script, plain and packed, and its tag."""
    plain = f"/* {SOURCE} */{rjsmin.jsmin(_source())}".encode()
    return plain, gzip.compress(plain, 9, mtime=0), f'"{sha256(plain).hexdigest()[:16]}"'
