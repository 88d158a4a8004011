"""`/avowal.js`, the script that pages load, and the scripts that it loads if there is more to report or to show."""

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
from avowal.collect.event_admission import EventAdmission
from avowal.collect.event_details import select_script_parts
from avowal.http.problem import ProblemCode, problem_response

MAX_AGE_SECONDS = 3600


@dataclass(frozen=True)
class ScriptEndpoint:
    """Sends the scripts, assembled from the parts that the terms in force declare."""

    current_admission: Callable[[], EventAdmission | None]
    encode_notice: Callable[[], bytes]
    """Returns the notice to display as JSON; empty if there is none."""
    download_extensions: tuple[str, ...] = ()
    """The extensions of files that count as downloads."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        handlers = {
            "/avowal.js": self.core,
            "/avowal.details.js": self.details,
            "/avowal.notice.js": self.notice_script,
            "/avowal.source.js": self.core_source,
            "/avowal.details.source.js": self.details_source,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    async def core(self, request: Request) -> Response:
        """Send the script that reports page views, minified."""
        return self._send_minified(request, "avowal", await self._core_parts())

    async def details(self, request: Request) -> Response:
        """Send the script that reports details of page views, minified: those that the terms declare."""
        if not self._declared_parts():
            return _nothing_declared()
        return self._send_minified(request, "avowal.details", self._details_parts())

    async def notice_script(self, _: Request) -> Response:
        """Send the script that shows the notice of a new version, with its texts."""
        notice = await run_in_threadpool(self.encode_notice)
        if not notice:
            return problem_response(
                404, ProblemCode.NO_NOTICE, "there is no notice to display", "see `avowal policy notice`"
            )
        text = _assemble(("notice/show",), ()).replace("NOTICE", notice.decode(), 1)
        headers = {"Cache-Control": "no-cache", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(text, media_type="text/javascript", headers=headers)

    async def core_source(self, _: Request) -> Response:
        """Send the script that reports page views as it was written."""
        return Response(_assemble(await self._core_parts(), ()), media_type="text/javascript")

    async def details_source(self, _: Request) -> Response:
        """Send the script that reports details as it was written."""
        if not self._declared_parts():
            return _nothing_declared()
        source = _assemble(self._details_parts(), self.download_extensions)
        return Response(source, media_type="text/javascript")

    def _send_minified(self, request: Request, name: str, parts: tuple[str, ...]) -> Response:
        script, compressed, tag = _minify(name, parts, self.download_extensions)
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
            script = compressed
        return Response(script, media_type="text/javascript", headers=headers)

    async def _core_parts(self) -> tuple[str, ...]:
        admission = self.current_admission()
        can_remember = admission and CookieBasis.UNLESS_REFUSED in admission.rules.tab_storage_lifetimes
        remember = ("remember",) if can_remember else ()
        details = ("details/load",) if self._declared_parts() else ()
        notice = ("notice/load",) if await run_in_threadpool(self.encode_notice) else ()
        return (*remember, "avowal", *details, *notice)

    def _declared_parts(self) -> tuple[str, ...]:
        admission = self.current_admission()
        return select_script_parts(admission.rules.maximum_ages) if admission else ()

    def _details_parts(self) -> tuple[str, ...]:
        return tuple(f"details/{name}" for name in ("begin", *self._declared_parts(), "end"))


def _nothing_declared() -> Response:
    return problem_response(
        404,
        ProblemCode.NO_DETAILS_DECLARED,
        "the terms declare no details of page views",
        "declare the categories that the script is to report",
    )


@cache
def _assemble(parts: tuple[str, ...], download_extensions: tuple[str, ...]) -> str:
    """Return a script from its parts, with the constants in it filled in."""
    assets = resources.files("avowal.endpoints") / "assets"
    texts = {part: (assets / f"{part}.js").read_text(encoding="utf-8") for part in parts}
    remember = texts.pop("remember", "\n")
    script = "".join(texts.values()).replace("// REMEMBER\n", remember, 1)
    extensions = [extension.lower().lstrip(".") for extension in download_extensions]
    return script.replace("ENDINGS", msgspec.json.encode(extensions).decode())


@cache
def _minify(
    name: str, parts: tuple[str, ...], download_extensions: tuple[str, ...]
) -> tuple[bytes, bytes, str]:
    """Return a script minified, the same compressed by gzip, and its entity tag."""
    script = f"/* /{name}.source.js */{rjsmin.jsmin(_assemble(parts, download_extensions))}".encode()
    return script, gzip.compress(script, 9, mtime=0), f'"{sha256(script).hexdigest()[:16]}"'
