"""`avowal policy adopt`, `publish`, `withdraw` and `history`: which version holds, and since when."""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from avowal.app.folder import find_folder, open_folder_register
from avowal.change.draft import find_terms_path, load_draft
from avowal.change.publish import PublishOutcome, PublishResult, adopt_first_version, publish_version
from avowal.change.publish import withdraw_version as take_back
from avowal.cli.policy import JsonOption, print_differences, print_json, print_line
from avowal.cli.processor import print_contract_result
from avowal.clock import utc_now
from avowal.disclose.contract_check import find_insufficient_contracts
from avowal.policy.describe import describe_witnesses
from avowal.register.notices import Notice, NoticeDisplay
from avowal.register.register import Version

DataFolderOption = Annotated[Path | None, typer.Option(help="The data folder.")]


def adopt_terms(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Take the folder's terms into force as the first version, as of the past date that they bear."""
    folder = find_folder(data)
    with closing(open_folder_register(data)) as register:
        version = adopt_first_version(register, load_draft(find_terms_path(folder)), utc_now())
    if as_json:
        print_json(_as_object(version))
    else:
        print_line(f"version 1 ({version.identity}) is in force since {version.effective_at:%Y-%m-%d}")


def publish_terms(
    accept_witnesses: Annotated[
        bool, typer.Option("--accept-witnesses", help="Publish although it protects less in what is listed.")
    ] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Publish the folder's terms as the next version, from the day that they bear; or better wording of the last."""
    folder = find_folder(data)
    with closing(open_folder_register(data)) as register:
        done = publish_version(
            register, load_draft(find_terms_path(folder)), utc_now(), accept_witnesses=accept_witnesses
        )
        short = find_insufficient_contracts(
            register, done.version.compiled_terms, done.version.effective_at.date()
        )
    if as_json:
        looser, stricter = map(describe_witnesses, (done.comparison.looser, done.comparison.stricter))
        told = {"relation": done.comparison.relation, "looser": looser, "stricter": stricter}
        names = [one.name for one, _ in short]
        print_json({"outcome": done.outcome, **_as_object(done.version), **told, "processors_short": names})
        return
    print_line(_sentence(done))
    console = Console(highlight=False)
    print_differences("protects less: not for what was collected before", done.comparison.looser, console)
    print_differences("protects more: also for what was collected before", done.comparison.stricter, console)
    for one, found in short:
        print_contract_result(one.name, found, f"version {done.version.number}")


def withdraw(
    number: Annotated[int, typer.Argument(help="The version's number.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Take back the last version before it takes effect."""
    with closing(open_folder_register(data)) as register:
        version = next((one for one in register.versions() if one.number == number), None)
        take_back(register, number, utc_now())
    if as_json and version:
        print_json({"outcome": "withdrawn", **_as_object(version)})
    else:
        print_line(f"version {number} was withdrawn, and does not take effect")


def history(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Show every version, since when it holds, and in which languages its document is there."""
    with closing(open_folder_register(data)) as register:
        versions = register.versions()
        languages = [[page.language for page in register.documents(one.number)] for one in versions]
    if as_json:
        print_json(
            [
                {**_as_object(version), "documents": spoken}
                for version, spoken in zip(versions, languages, strict=True)
            ]
        )
        return
    table = Table(
        "version", "holds from (UTC)", "published (UTC)", "documents", "identity", box=None, pad_edge=False
    )
    for version, spoken in zip(versions, languages, strict=True):
        scheduled = " (scheduled)" if version.effective_at > utc_now() else ""
        since = f"{version.effective_at:%Y-%m-%d %H:%M}{scheduled}"
        published = f"{version.published_at:%Y-%m-%d %H:%M}"
        table.add_row(str(version.number), since, published, ", ".join(spoken), version.identity[:16])
    Console(highlight=False).print(table if versions else "no version is in force yet: `avowal policy adopt`")


def notice(
    language: Annotated[str, typer.Option(help="Show this language; else the first that each has.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Show the notice of each version: what changes, from which to which day it is displayed, and where it was."""
    with closing(open_folder_register(data)) as register:
        found, showings = register.notices.all(), register.notices.displays()
    today, versions = utc_now().date(), dict[int, list[Notice]]()
    for one in found:
        versions.setdefault(one.version, []).append(one)
    if as_json:
        print_json([_notice_object(told, showings, today) for told in versions.values()])
        return
    for told in versions.values():
        one = next((one for one in told if one.language == language), told[0])
        state = "displayed now" if one.is_displayed(today) else "not displayed now"
        print_line(f"version {one.version}: {one.relation}")
        print_line(f"  displayed from {one.first_day} to {one.last_day} ({state})")
        for title, sentences in (
            ("only for what is collected from then on", one.looser),
            ("also for what was collected before", one.stricter),
        ):
            for sentence in sentences:
                print_line(f"  {title}: {sentence}")
        for showing in showings:
            if showing.version == one.version:
                print_line(
                    f"  shown since {showing.recorded_at:%Y-%m-%d %H:%M} UTC, by your word: {showing.location}"
                )
    if not found:
        print_line("there is no notice: no version has followed on the first one")


def posted(
    number: Annotated[int, typer.Argument(help="The version's number.")],
    where: Annotated[str, typer.Option(help="Where everybody sees it: a page's address, say.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that you posted a version's notice where everybody sees it. The ledger has it as your word."""
    showing = NoticeDisplay(number, where, attested_by_operator=True, recorded_at=utc_now())
    with closing(open_folder_register(data)) as register:
        register.notices.record_display(showing)
        register.ledger.sign_checkpoint()
    if as_json:
        print_json(showing)
    else:
        print_line(f"it is recorded that you posted the notice of version {number}: {where}")


def _notice_object(told: list[Notice], showings: list[NoticeDisplay], today: date) -> dict[str, Any]:
    one = told[0]
    return {
        "version": one.version,
        "first_day": one.first_day,
        "last_day": one.last_day,
        "displayed": one.is_displayed(today),
        "languages": {
            one.language: {"relation": one.relation, "looser": one.looser, "stricter": one.stricter}
            for one in told
        },
        "shown": [showing for showing in showings if showing.version == one.version],
    }


def _sentence(done: PublishResult) -> str:
    version = done.version
    if done.outcome is PublishOutcome.UNCHANGED:
        return f"these are the terms and documents of version {version.number}: nothing is to be published"
    if done.outcome is PublishOutcome.CORRECTED:
        return f"the terms are those of version {version.number}: its corrected documents were recorded"
    since = f"{version.effective_at:%Y-%m-%d %H:%M} UTC"
    relation = done.comparison.relation
    return f"version {version.number} ({version.identity}) was published, and holds from {since}: {relation}"


def _as_object(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "identity": version.identity,
        "effective_at": version.effective_at,
        "published_at": version.published_at,
    }
