"""`/avowal.js`, the script that pages load: one file, with the parts that the terms and a new version call for."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
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
        return [
            Route("/avowal.js", self.minified, methods=["GET"]),
            Route("/avowal.source.js", self.source, methods=["GET"]),
        ]

    async def minified(self, request: Request) -> Response:
        """Send the script that reports page views, minified, with all that the terms declare."""
        notice = await run_in_threadpool(self.encode_notice)
        script, compressed, tag = _minify(
            self._parts(notice), self.download_extensions, notice, self._keeps_query()
        )
        headers = {
            "ETag": tag,
            # A notice that was withdrawn must not stay in a cache.
            "Cache-Control": "no-cache" if notice else f"public, max-age={MAX_AGE_SECONDS}",
            "Vary": "Accept-Encoding",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            script = compressed
        return Response(script, media_type="text/javascript", headers=headers)

    async def source(self, _: Request) -> Response:
        """Send the same script as it was written."""
        notice = await run_in_threadpool(self.encode_notice)
        source = _assemble(self._parts(notice), self.download_extensions, notice, self._keeps_query())
        return Response(source, media_type="text/javascript")

    def _keeps_query(self) -> bool:
        """Return whether the terms in force declare the query of a page's address."""
        admission = self.current_admission()
        return bool(admission and "page-query" in admission.rules.maximum_ages)

    def _parts(self, notice: bytes) -> tuple[str, ...]:
        """Return the parts of the script: one file, as a strict page lets no script load another one."""
        admission = self.current_admission()
        can_remember = admission and CookieBasis.UNLESS_REFUSED in admission.rules.tab_storage_lifetimes
        declared = select_script_parts(admission.rules.maximum_ages) if admission else ()
        details = ("begin", *declared, "end") if declared else ()
        return (
            *(("remember",) if can_remember else ()),
            "avowal",
            *(("notice",) if notice else ()),
            *(f"details/{name}" for name in details),
        )


@lru_cache(maxsize=16)
def _assemble(
    parts: tuple[str, ...], download_extensions: tuple[str, ...], notice: bytes, keeps_query: bool
) -> str:
    """Return a script from its parts, with the constants in it filled in."""
    assets = resources.files("avowal.endpoints") / "assets"
    texts = {part: (assets / f"{part}.js").read_text(encoding="utf-8") for part in parts}
    remember = texts.pop("remember", "\n")
    extensions = [extension.lower().lstrip(".") for extension in download_extensions]
    constants = {
        "// REMEMBER\n": remember,
        "/#|DROPPED/": "/#/" if keeps_query else "/[?#]/",
        "ENDINGS": msgspec.json.encode(extensions).decode(),
        "NOTICE": notice.decode(),  # the last one: its texts are not searched for the others
    }
    script = "".join(texts.values())
    for name, value in constants.items():
        script = script.replace(name, value, 1)
    return script


@lru_cache(maxsize=16)
def _minify(
    parts: tuple[str, ...], download_extensions: tuple[str, ...], notice: bytes, keeps_query: bool
) -> tuple[bytes, bytes, str]:
    """Return a script minified, the same compressed by gzip, and its entity tag."""
    text = rjsmin.jsmin(_assemble(parts, download_extensions, notice, keeps_query))
    script = f"/* /avowal.source.js */{text}".encode()
    return script, gzip.compress(script, 9, mtime=0), f'"{sha256(script).hexdigest()[:16]}"'
