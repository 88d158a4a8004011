"""A real browser that goes over a site, page by page, and tells what it met."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from avowal.disclose.cookie_audit import Kind, Met
from avowal.errors import MisuseError, RefusedError

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

REFUSING = {"Sec-GPC": "1", "DNT": "1"}
OBJECTING = """
    Object.defineProperty(navigator, "globalPrivacyControl", {value: true});
    Object.defineProperty(navigator, "doNotTrack", {value: "1"});
"""
SETTLE_MS = 1_500
"""How long a page is looked at, beyond its loading: what it does later is not met."""

LOAD_MS = 30_000
STORAGE = """async () => [
    ...Object.keys(localStorage), ...Object.keys(sessionStorage),
    ...(indexedDB.databases ? (await indexedDB.databases()).map(one => one.name) : []),
]"""
LINKS = "() => [...document.links].map(link => link.href)"


@dataclass
class Visit:
    """A browser's way over a site, from a page of it: its own links are followed, each page once."""

    start: str
    pages_max: int
    refusing: bool
    met: dict[tuple[Kind, str, str], Met] = field(default_factory=dict)
    pages: list[str] = field(default_factory=list)

    def go(self, chromium: str) -> list[Met]:
        """Go, and return what was met, each once.

        Raises MisuseError where there is no browser, and RefusedError where the first page cannot be opened.
        """
        with _context(chromium, refusing=self.refusing) as context:
            page = context.new_page()
            page.on("request", lambda request: self._request(request.url))
            waiting = [self.start]
            while waiting and len(self.pages) < self.pages_max:
                url = waiting.pop(0)
                if url not in self.pages and self._open(page, url):
                    waiting += [link for link in self._links(page) if link not in self.pages]
                    self._look(context, page)
        return sorted(self.met.values(), key=lambda one: (one.kind, one.party, one.name))

    def _open(self, page: "Page", url: str) -> bool:
        from playwright.sync_api import Error

        self.pages.append(url)
        try:
            answer = page.goto(url, timeout=LOAD_MS)
        except Error as error:
            if len(self.pages) == 1:
                said = str(error).splitlines()[0]
                raise RefusedError(
                    f"`{url}` cannot be opened: {said}", "look at the address, and at the site"
                ) from None
            return False
        page.mouse.wheel(0, 10_000)
        page.wait_for_timeout(SETTLE_MS)
        return answer is not None

    def _links(self, page: "Page") -> Iterator[str]:
        for link in page.evaluate(LINKS):
            url = urljoin(page.url, link).partition("#")[0]
            if urlsplit(url).netloc == urlsplit(self.start).netloc and urlsplit(url).scheme in {
                "http",
                "https",
            }:
                yield url

    def _look(self, context: "BrowserContext", page: "Page") -> None:
        for cookie in context.cookies():
            own = _within(self._host, cookie["domain"].lstrip("."))
            lives = cookie["expires"] - time() if cookie["expires"] > 0 else None
            self._meet(Kind.COOKIE, cookie["name"], own=own, seconds=lives)
        for key in page.evaluate(STORAGE):
            self._meet(Kind.STORAGE, key, own=True)

    def _request(self, url: str) -> None:
        host = urlsplit(url).hostname
        if host and urlsplit(url).scheme in {"http", "https", "ws", "wss"}:
            self._meet(Kind.REQUEST, host, own=_within(self._host, host) or _within(host, self._host))

    def _meet(self, kind: Kind, name: str, *, own: bool, seconds: float | None = None) -> None:
        key = kind, name, "first" if own else "third"
        before = self.met.setdefault(key, Met(*key, self.pages[-1], seconds))
        if (seconds or 0) > (before.seconds or 0):
            self.met[key] = Met(*key, before.page, seconds)

    @property
    def _host(self) -> str:
        return urlsplit(self.start).hostname or ""


def _within(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


@contextmanager
def _context(chromium: str, *, refusing: bool) -> "Iterator[BrowserContext]":
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise MisuseError(
            "there is no Playwright to drive a browser with", "`pip install avowal[audit]`"
        ) from None
    more: dict[str, Any] = {"extra_http_headers": REFUSING} if refusing else {}
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.geteuid() != 0)
        except Error:
            hint = "name one with `--chromium`, or install it (`apt install chromium`)"
            raise MisuseError(f"`{chromium}` is no Chromium that can be started", hint) from None
        try:
            context = browser.new_context(**more)
            if refusing:
                context.add_init_script(OBJECTING)
            yield context
        finally:
            browser.close()
