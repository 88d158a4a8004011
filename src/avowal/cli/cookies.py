"""`avowal cookies audit`: what a site leaves in a browser, and whom it has it meet, beside the terms."""

import shutil
from contextlib import closing
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.disclose.browser_crawl import SiteCrawl
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.disclose.cookie_audit import AuditResult, audit_observations, format_lifetime
from avowal.errors import InvalidInputError
from avowal.keep.enforcement import find_version_in_force
from avowal.policy.contract import parse_contract
from avowal.use.formatting import replace_unprintable

app = create_app(is_group=True)

BROWSER_COMMANDS = ("chromium", "chromium-browser", "google-chrome")


@app.callback()
def main() -> None:
    """Look at what the site leaves in browsers."""


@app.command()
def audit(
    start_url: Annotated[
        str, typer.Argument(help="A page of the site; its links to other pages are followed.")
    ],
    max_pages: Annotated[int, typer.Option(min=1, max=1_000, help="How many pages, at most.")] = 20,
    opt_out: Annotated[
        bool, typer.Option("--opt-out", help="As a browser that refuses: with Sec-GPC and DNT.")
    ] = False,
    chromium: Annotated[str, typer.Option(help="The browser; else one that is installed.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Go over a site with a real browser; exit status 1 where it does something that the terms do not declare."""
    if urlsplit(start_url).scheme not in {"http", "https"} or not urlsplit(start_url).hostname:
        raise InvalidInputError(
            f"`{start_url}` is no address of a page",
            "give one such as `https://example.org/`",
            code="invalid-address",
        )
    with closing(open_folder_register(data)) as register:
        version = find_version_in_force(register.versions(), utc_now())
        short = {
            one.name
            for one, _ in find_insufficient_contracts(register, version.compiled_terms, utc_now().date())
        }
        processors = [one for one in register.processors.all() if one.name not in short]
    hosts = [host for one in processors for host in parse_contract(one.contract_text, one.name).hosts]
    found = chromium or next(filter(None, map(shutil.which, BROWSER_COMMANDS)), "chromium")
    visit = SiteCrawl(start_url, max_pages, opt_out)
    judged = audit_observations(visit.run(found), version.compiled_terms, hosts, sends_opt_out=opt_out)
    if as_json:
        print_json(
            {
                "version": version.number,
                "pages": visit.page_urls,
                "observations": [_told(one) for one in judged],
            }
        )
    else:
        _show(judged, visit, version.number)
    if any(one.violation for one in judged):
        raise typer.Exit(1)


def _told(one: AuditResult) -> dict[str, object]:
    met = one.observation
    return {
        "kind": met.kind,
        "name": met.name,
        "party": met.party,
        "page": met.page,
        "lifetime_seconds": met.lifetime_seconds,
        "violation": one.violation,
    }


def _show(judged: list[AuditResult], visit: SiteCrawl, version: int) -> None:
    table = Table(
        "", "what", "name", "party", "lives for", "first on", box=None, pad_edge=False, header_style="dim"
    )
    for one in judged:
        met = one.observation
        lives = "" if met.lifetime_seconds is None else format_lifetime(met.lifetime_seconds)
        table.add_row(
            one.violation or "declared",
            met.kind,
            Text(replace_unprintable(met.name)),
            met.party,
            lives,
            Text(met.page),
        )
    Console(highlight=False).print(table)
    wrong = sum(bool(one.violation) for one in judged)
    print_line(
        f"{len(visit.page_urls)} pages under version {version}: {wrong} of {len(judged)} are not as the terms declare"
    )
