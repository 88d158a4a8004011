"""How fast the visitor's own page opens in a browser, beside the same page as a file that is merely served.

    python benchmarks/visitor.py [--looks 10000] [--turns 9]

Needs Chromium (`apt install chromium`). The visitor has a look and a view for each; opening ends with the load event.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from serving import AGENT, AVOWAL, PORTS, SETTINGS, kept, running

NAME = "visitorvisitorvisitors"
HEADERS = {"User-Agent": AGENT, "X-Forwarded-For": "198.51.100.7", "Cookie": f"__Host-avowal={NAME}"}
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def fill(port: int, looks: int) -> None:
    """Look at pages of the site, again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(looks):
        event = {
            "script_view_token": f"{number:06d}-look-of-a-visitor",
            "url": f"https://site.example/p/{number % 100}",
        }
        connection.request("POST", "/collect", json.dumps(event), HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 202:  # noqa: PLR2004  # kept
            sys.exit(f"a look was answered {answer.status}")


def saved(folder: Path, port: int) -> bytes:
    """Return the page as the server gives it, once all looks are views."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/privacy/me", headers=HEADERS)
        page = connection.getresponse().read()
        looks, views = kept(folder)
        if looks == views:
            return page
        time.sleep(1)


def opened(page: Page, address: str, turns: int) -> float:
    """Return the median of how long a page takes to be loaded, in milliseconds."""
    found = []
    for _ in range(turns):
        page.goto(address)
        found.append(float(page.evaluate(LOADED)))
    return median(found)


def main() -> None:
    """Fill a folder, and open both pages in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--looks", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=9)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [AVOWAL, "init", ".", "--example", "unless-refused"], cwd=folder, check=True, capture_output=True
        )
        (folder / "avowal.toml").write_text(SETTINGS)
        plain = (sys.executable, "-m", "http.server", str(PORTS[0]), "--bind", "127.0.0.1")
        ours = (AVOWAL, "serve", "--port", str(PORTS[1]))
        with running(folder, PORTS[1], *ours), running(folder, PORTS[0], *plain):
            fill(PORTS[1], wanted.looks)
            page = saved(folder, PORTS[1])
            (folder / "page.html").write_bytes(page)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=["--no-sandbox"]
                )
                context = browser.new_context()
                cookie = {
                    "name": "__Host-avowal",
                    "value": NAME,
                    "domain": "127.0.0.1",
                    "path": "/",
                    "secure": True,
                }
                context.add_cookies([cookie])  # type: ignore[list-item]  # as Playwright has it
                view = context.new_page()
                opened(view, "about:blank", 1)
                took, bare = (
                    opened(view, f"http://127.0.0.1:{port}/{path}", wanted.turns)
                    for port, path in ((PORTS[1], "privacy/me"), (PORTS[0], "page.html"))
                )
                browser.close()
        print(
            f"{wanted.looks:,} looks and as many views, {len(page) / 1e3:,.0f} kB: opened in {took:.0f} ms; "
            f"the same as a file in {bare:.0f} ms: ratio {took / bare:.2f}"
        )


if __name__ == "__main__":
    main()
