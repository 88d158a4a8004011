"""The notice of a new version, on every page of the site: by the script, or as a part of pages without one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from avow.clock import utc_now
from avow.collect.client import Proxies
from avow.config import Site
from avow.keep.notices import Notice, Showing
from avow.keep.register import Register
from avow.policy.language import direction, language
from avow.policy.page import rendered
from avow.web.policy import PATH, chosen
from avow.web.refusal import error
from avow.web.sender import sender

PLACE = "every page with the script"
"""Where the ledger says that the script showed it."""

STYLE = (resources.files("avow.web") / "templates" / "notice.css").read_text(encoding="utf-8")


class Words(msgspec.Struct, frozen=True):
    """A notice in one language, as it is shown."""

    lang: str
    dir: str
    label: str
    text: str
    read: str
    close: str
    link: str
    """What differs, from where the script is."""


@dataclass
class Noticing:
    """Shows the notice of the newest version that has one to display."""

    site: Site
    register: Register
    proxies: Proxies
    sign: Callable[[], object]
    """Signs the ledger."""
    _shown: int = 0
    """Of which version is known that it was recorded."""

    def routes(self) -> list[Route]:
        """Return the addresses of what is not of the script."""
        return [
            Route(f"{PATH}notice", self.part, methods=["GET"]),
            Route("/notice/{version:int}", self.shown, methods=["POST"]),
        ]

    def words(self, now: datetime) -> tuple[int, dict[str, Words]]:
        """Return the version whose notice is to be displayed, with its words by language; 0 where there is none."""
        displayed = [one for one in self.register.notices.all() if one.displayed(now.date())]
        newest = max((one.version for one in displayed), default=0)
        days = {one.number: one.effective_at for one in self.register.versions()}
        return newest, {one.language: _words(one, days[newest]) for one in displayed if one.version == newest}

    def told(self) -> bytes:
        """Return what the script is to show, as JSON; empty where that is nothing."""
        version, words = self.words(utc_now())
        if not version:
            return b""
        first = not self._recorded(version)
        return msgspec.json.encode({"version": version, "first": first, "style": STYLE, "words": words})

    async def part(self, request: Request) -> Response:
        """Give the notice as a part of a page, for servers that put it in; nothing where there is none."""
        version, words = await run_in_threadpool(self.words, utc_now())
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
        if not version:
            return Response(b"", headers=headers, media_type="text/html")
        asked = request.query_params.get("lang") or request.headers.get("accept-language", "")
        tag = chosen(asked, list(words))
        page = rendered("notice.html", tag, room="avow.web", words=words[tag], base="/")
        return Response(page, headers=headers, media_type="text/html")

    async def shown(self, request: Request) -> Response:
        """Record that a page of the site showed the notice, the first time that one did."""
        by = sender(self.proxies, request.scope)
        origin = by.header(b"origin").partition("://")[2]
        if not by.is_own and origin not in {self.site.host, *self.site.hosts} - {""}:
            return error(403, "this comes from no page of the site", "set `site.host`, or send it from there")
        version, _ = await run_in_threadpool(self.words, utc_now())
        if request.path_params["version"] != version:
            return error(404, "no notice of this version is to be displayed", "load the script anew")
        await run_in_threadpool(self._record, version)
        return Response(status_code=204)

    def _recorded(self, version: int) -> bool:
        if self._shown != version:
            known = any(
                one.version == version and not one.attested for one in self.register.notices.showings()
            )
            self._shown = version if known else self._shown
        return self._shown == version

    def _record(self, version: int) -> None:
        if not self._recorded(version):
            self.register.notices.shown(Showing(version, PLACE, attested=False, recorded_at=utc_now()))
            self.sign()


def _words(notice: Notice, effective_at: datetime) -> Words:
    spoken = language(notice.language)
    day = spoken.day(effective_at.date())
    about = spoken.say("Version {number}, in force from {day}.", number=notice.version, day=day)
    beside = spoken.say("Beside the one before: {relation}.", relation=notice.relation)
    return Words(
        notice.language,
        direction(notice.language),
        spoken.say("The privacy policy changes"),
        f"{spoken.say('The privacy policy changes')}: {about} {beside}",
        spoken.say("What changes"),
        spoken.say("Close"),
        f"{PATH.removeprefix('/')}changes/{notice.version - 1}..{notice.version}?lang={notice.language}",
    )
