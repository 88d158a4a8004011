"""The script that pages load, `/avowal.js`, and what that loads where the terms declare more than views."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

import msgspec
import rjsmin
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avowal.collect.cookie import CookieBasis
from avowal.collect.event_details import select_script_parts
from avowal.collect.script_event import EventAdmission
from avowal.http.problem import error_response

MAX_AGE_SECONDS = 3600


@dataclass(frozen=True)
class ScriptEndpoint:
    """Gives the script as the terms in force would have it."""

    current_admission: Callable[[], EventAdmission | None]
    read_notice: Callable[[], bytes]
    """Gives the notice that is to be shown, as JSON; empty where there is none."""
    download_extensions: tuple[str, ...] = ()
    """The endings of files that are downloads."""

    def routes(self) -> list[Route]:
        """Return its addresses."""
        at = {
            "/avowal.js": self.core,
            "/avowal.more.js": self.more,
            "/avowal.notice.js": self.notice_script,
            "/avowal.source.js": self.core_source,
            "/avowal.more.source.js": self.more_source,
        }
        return [Route(place, door, methods=["GET"]) for place, door in at.items()]

    async def core(self, request: Request) -> Response:
        """Give what tells of views, without its comments and spaces."""
        return self._small(request, "avowal", await self._core())

    async def more(self, request: Request) -> Response:
        """Give what tells more than that: the parts that the terms declare."""
        return self._small(request, "avowal.more", self._parts()) if self._options() else _none()

    async def notice_script(self, _: Request) -> Response:
        """Give what shows the notice of a new version, with its words."""
        told = await run_in_threadpool(self.read_notice)
        if not told:
            return error_response(404, "no notice is to be displayed", "look at `avowal policy notice`")
        text = _source(("notice/show",), ()).replace("NOTICE", told.decode(), 1)
        headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(text, media_type="text/javascript", headers=headers)

    async def core_source(self, _: Request) -> Response:
        """Give the first as it was written."""
        return Response(_source(await self._core(), ()), media_type="text/javascript")

    async def more_source(self, _: Request) -> Response:
        """Give the other as it was written."""
        source = _source(self._parts(), self.download_extensions)
        return Response(source, media_type="text/javascript") if self._options() else _none()

    def _small(self, request: Request, name: str, parts: tuple[str, ...]) -> Response:
        plain, packed, tag = _packed(name, parts, self.download_extensions)
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

    async def _core(self) -> tuple[str, ...]:
        gate = self.current_admission()
        remember = (
            ("remember",) if gate and CookieBasis.UNLESS_REFUSED in gate.rules.tab_storage_lifetimes else ()
        )
        more = ("more/load",) if self._options() else ()
        notice = ("notice/load",) if await run_in_threadpool(self.read_notice) else ()
        return (*remember, "avowal", *more, *notice)

    def _options(self) -> tuple[str, ...]:
        gate = self.current_admission()
        return select_script_parts(gate.rules.maximum_ages) if gate else ()

    def _parts(self) -> tuple[str, ...]:
        return tuple(f"more/{name}" for name in ("begin", *self._options(), "end"))


def _none() -> Response:
    return error_response(
        404, "the terms declare nothing more than views", "declare what the script is to tell"
    )


@cache
def _source(parts: tuple[str, ...], downloads: tuple[str, ...]) -> str:
    assets = resources.files("avowal.endpoints") / "assets"
    read = {part: (assets / f"{part}.js").read_text(encoding="utf-8") for part in parts}
    remember = read.pop("remember", "\n")
    text = "".join(read.values()).replace("// REMEMBER\n", remember, 1)
    endings = [ending.lower().lstrip(".") for ending in downloads]
    return text.replace("ENDINGS", msgspec.json.encode(endings).decode())


@cache
def _packed(name: str, parts: tuple[str, ...], downloads: tuple[str, ...]) -> tuple[bytes, bytes, str]:
    """Return a script, plain and packed, and its tag."""
    plain = f"/* /{name}.source.js */{rjsmin.jsmin(_source(parts, downloads))}".encode()
    return plain, gzip.compress(plain, 9, mtime=0), f'"{sha256(plain).hexdigest()[:16]}"'
