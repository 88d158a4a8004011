"""`avowal cookies audit`: compare the cookies, storage and connections of a site with its terms."""

import shutil
from contextlib import closing
from typing import Annotated
from urllib.parse import urlsplit

import typer

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import TextTable, create_console
from avowal.clock import utc_now
from avowal.disclose.browser_crawl import SiteCrawl
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.disclose.cookie_audit import AuditResult, audit_observations, format_lifetime
from avowal.errors import InvalidInputError
from avowal.keep.enforcement import find_version_in_force
from avowal.policy.contract import parse_contract

app = create_app(is_group=True)

BROWSER_COMMANDS = ("chromium", "chromium-browser", "google-chrome")


@app.callback()
def main() -> None:
    """Compare what the site leaves in browsers with the policy."""


@app.command()
def audit(
    start_url: Annotated[
        str, typer.Argument(help="A page of the site; its links to other pages are followed.")
    ],
    max_pages: Annotated[int, typer.Option(min=1, max=1_000, help="The maximum number of pages.")] = 20,
    opt_out: Annotated[
        bool, typer.Option("--opt-out", help="Send the opt-out signals Sec-GPC and DNT.")
    ] = False,
    chromium: Annotated[str, typer.Option(help="The browser to run; an installed one unless given.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Visit a site with a real browser; exit status 1 if it does something that the terms do not declare."""
    if urlsplit(start_url).scheme not in {"http", "https"} or not urlsplit(start_url).hostname:
        raise InvalidInputError(
            f"`{start_url}` is not the address of a page",
            "give an address such as `https://example.org/`",
            code="invalid-address",
        )
    with closing(open_folder_register(data)) as register:
        version = find_version_in_force(register.versions(), utc_now())
        insufficient = {
            processor.name
            for processor, _ in find_insufficient_contracts(
                register, version.compiled_terms, utc_now().date()
            )
        }
        processors = [
            processor for processor in register.processors.all() if processor.name not in insufficient
        ]
    hosts = [
        host
        for processor in processors
        for host in parse_contract(processor.contract_text, processor.name).hosts
    ]
    browser = chromium or next(filter(None, map(shutil.which, BROWSER_COMMANDS)), "chromium")
    crawl = SiteCrawl(start_url, max_pages, opt_out)
    results = audit_observations(crawl.run(browser), version.compiled_terms, hosts, sends_opt_out=opt_out)
    if as_json:
        print_json(
            {
                "version": version.number,
                "pages": crawl.page_urls,
                "observations": [_result_to_object(result) for result in results],
            }
        )
    else:
        _print_results(results, crawl, version.number)
    if any(result.violation for result in results):
        raise typer.Exit(1)


def _result_to_object(result: AuditResult) -> dict[str, object]:
    observation = result.observation
    return {
        "kind": observation.kind,
        "name": observation.name,
        "party": observation.party,
        "page": observation.page,
        "lifetime_seconds": observation.lifetime_seconds,
        "violation": result.violation,
    }


def _print_results(results: list[AuditResult], crawl: SiteCrawl, version: int) -> None:
    table = TextTable("", "what", "name", "party", "lifetime", "first page")
    for result in results:
        observation = result.observation
        lifetime = (
            "" if observation.lifetime_seconds is None else format_lifetime(observation.lifetime_seconds)
        )
        table.add_row(
            result.violation or "declared",
            observation.kind,
            observation.name,
            observation.party,
            lifetime,
            observation.page,
        )
    table.print(create_console(), style="dim")
    violations = sum(bool(result.violation) for result in results)
    print_line(
        f"{len(crawl.page_urls)} pages under version {version}: {violations} of {len(results)} differ from the terms"
    )
