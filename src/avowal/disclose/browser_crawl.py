"""Crawls a site in a real browser, and observes its cookies, storage keys and connections."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from avowal.disclose.cookie_audit import Observation, ObservationKind
from avowal.errors import InvalidInputError, RefusedError

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

OPT_OUT_HEADERS = {"Sec-GPC": "1", "DNT": "1"}
OPT_OUT_SCRIPT = """
    Object.defineProperty(navigator, "globalPrivacyControl", {value: true});
    Object.defineProperty(navigator, "doNotTrack", {value: "1"});
"""
PAGE_SETTLE_MS = 1_500
"""How long a page is observed after it has loaded. What it does later is not observed."""

PAGE_LOAD_TIMEOUT_MS = 30_000
STORAGE_KEYS_SCRIPT = """async () => [
    ...Object.keys(localStorage), ...Object.keys(sessionStorage),
    ...(indexedDB.databases ? (await indexedDB.databases()).map(database => database.name) : []),
]"""
PAGE_LINKS_SCRIPT = "() => [...document.links].map(link => link.href)"


@dataclass
class SiteCrawl:
    """A crawl of a site from one of its pages: it follows links within the site, and opens each page once."""

    start_url: str
    pages_max: int
    sends_opt_out: bool
    observations: dict[tuple[ObservationKind, str, str], Observation] = field(default_factory=dict)
    page_urls: list[str] = field(default_factory=list)

    def run(self, chromium_path: str) -> list[Observation]:
        """Crawl the site, and return each observation once.

        Raises InvalidInputError if the browser cannot be started, and RefusedError if the first page cannot be opened.
        """
        with _open_context(chromium_path, sends_opt_out=self.sends_opt_out) as context:
            page = context.new_page()
            page.on("request", lambda request: self._request(request.url))
            waiting = [self.start_url]
            while waiting and len(self.page_urls) < self.pages_max:
                url = waiting.pop(0)
                if url not in self.page_urls and self._open(page, url):
                    waiting += [link for link in self._links(page) if link not in self.page_urls]
                    self._observe_storage(context, page)
        return sorted(self.observations.values(), key=lambda item: (item.kind, item.party, item.name))

    def _open(self, page: "Page", url: str) -> bool:
        from playwright.sync_api import Error

        self.page_urls.append(url)
        try:
            answer = page.goto(url, timeout=PAGE_LOAD_TIMEOUT_MS)
        except Error as error:
            if len(self.page_urls) == 1:
                reason = str(error).splitlines()[0]
                raise RefusedError(
                    f"`{url}` cannot be opened: {reason}",
                    "look at the address, and at the site",
                    code="page-unreachable",
                ) from None
            return False
        page.mouse.wheel(0, 10_000)
        page.wait_for_timeout(PAGE_SETTLE_MS)
        return answer is not None

    def _links(self, page: "Page") -> Iterator[str]:
        for link in page.evaluate(PAGE_LINKS_SCRIPT):
            url = urljoin(page.url, link).partition("#")[0]
            if urlsplit(url).netloc == urlsplit(self.start_url).netloc and urlsplit(url).scheme in {
                "http",
                "https",
            }:
                yield url

    def _observe_storage(self, context: "BrowserContext", page: "Page") -> None:
        for cookie in context.cookies():
            is_own = _is_subdomain(self._host, cookie["domain"].lstrip("."))
            lifetime = cookie["expires"] - time() if cookie["expires"] > 0 else None
            self._add_observation(ObservationKind.COOKIE, cookie["name"], lifetime, is_own=is_own)
        for key in page.evaluate(STORAGE_KEYS_SCRIPT):
            self._add_observation(ObservationKind.STORAGE, key, is_own=True)

    def _request(self, url: str) -> None:
        host = urlsplit(url).hostname
        if host and urlsplit(url).scheme in {"http", "https", "ws", "wss"}:
            is_own = _is_subdomain(self._host, host) or _is_subdomain(host, self._host)
            self._add_observation(ObservationKind.REQUEST, host, is_own=is_own)

    def _add_observation(
        self, kind: ObservationKind, name: str, lifetime_seconds: float | None = None, *, is_own: bool
    ) -> None:
        key = kind, name, "first" if is_own else "third"
        before = self.observations.setdefault(key, Observation(*key, self.page_urls[-1], lifetime_seconds))
        if (lifetime_seconds or 0) > (before.lifetime_seconds or 0):
            self.observations[key] = Observation(*key, before.page, lifetime_seconds)

    @property
    def _host(self) -> str:
        return urlsplit(self.start_url).hostname or ""


def _is_subdomain(host: str, domain: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


@contextmanager
def _open_context(chromium_path: str, *, sends_opt_out: bool) -> "Iterator[BrowserContext]":
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise InvalidInputError(
            "there is no Playwright to drive a browser with",
            "`pip install playwright`",
            code="browser-missing",
        ) from None
    options: dict[str, Any] = {"extra_http_headers": OPT_OUT_HEADERS} if sends_opt_out else {}
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=chromium_path, chromium_sandbox=os.geteuid() != 0
            )
        except Error:
            hint = "name one with `--chromium`, or install it (`apt install chromium`)"
            raise InvalidInputError(
                f"`{chromium_path}` is not a Chromium that can be started", hint, code="browser-missing"
            ) from None
        try:
            context = browser.new_context(**options)
            if sends_opt_out:
                context.add_init_script(OPT_OUT_SCRIPT)
            yield context
        finally:
            browser.close()
