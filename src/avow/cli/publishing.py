"""`avow policy adopt`, `publish`, `withdraw` and `history`: which version holds, and since when."""

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from avow.change.notice import notices
from avow.change.publish import Outcome, Published, adopt, publish
from avow.change.publish import withdraw as take_back
from avow.cli.policy import AsJson, print_json, show_differences
from avow.cli.session import draft, find_folder, now, terms_path
from avow.errors import RefusedError
from avow.keep.duckdb import FILE as STORE
from avow.keep.register import SqliteRegister, Version, open_register
from avow.policy.document import parse_document
from avow.policy.page import Change, Shown, html, linked_data
from avow.policy.tell import differences
from avow.policy.terms import parse_terms
from avow.policy.vocabulary import vocabulary

Data = Annotated[Path | None, typer.Option(help="The data folder.")]


def adopt_terms(as_json: AsJson = False, data: Data = None) -> None:
    """Take the folder's terms into force as the first version, as of the past date that they bear."""
    folder = find_folder(data)
    with closing(_register(data)) as register:
        version = adopt(register, draft(terms_path(folder)), now())
    if as_json:
        print_json(_as_object(version))
    else:
        _say(f"version 1 ({version.identity}) is in force since {version.effective_at:%Y-%m-%d}")


def publish_terms(
    accept_witnesses: Annotated[
        bool, typer.Option("--accept-witnesses", help="Publish although it protects less in what is listed.")
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Publish the folder's terms as the next version, from the day that they bear; or better wording of the last."""
    folder = find_folder(data)
    with closing(_register(data)) as register:
        done = publish(register, draft(terms_path(folder)), now(), accept_witnesses=accept_witnesses)
    if as_json:
        looser = [line.sentence for line in differences(done.comparison.looser)]
        stricter = [line.sentence for line in differences(done.comparison.stricter)]
        told = {"relation": done.comparison.relation, "looser": looser, "stricter": stricter}
        print_json({"outcome": done.outcome, **_as_object(done.version), **told})
        return
    _say(_sentence(done))
    console = Console(highlight=False)
    show_differences("protects less: not for what was collected before", done.comparison.looser, console)
    show_differences("protects more: also for what was collected before", done.comparison.stricter, console)


def withdraw(
    number: Annotated[int, typer.Argument(help="The version's number.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Take back the last version before it takes effect."""
    with closing(_register(data)) as register:
        version = next((one for one in register.versions() if one.number == number), None)
        take_back(register, number, now())
    if as_json and version:
        print_json({"outcome": "withdrawn", **_as_object(version)})
    else:
        _say(f"version {number} was withdrawn, and does not take effect")


def history(as_json: AsJson = False, data: Data = None) -> None:
    """Show every version, since when it holds, and in which languages its document is there."""
    with closing(_register(data)) as register:
        versions = register.versions()
        languages = [[page.language for page in register.pages(one.number)] for one in versions]
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
        scheduled = " (scheduled)" if version.effective_at > now() else ""
        since = f"{version.effective_at:%Y-%m-%d %H:%M}{scheduled}"
        published = f"{version.published_at:%Y-%m-%d %H:%M}"
        table.add_row(str(version.number), since, published, ", ".join(spoken), version.identity[:16])
    Console(highlight=False).print(table if versions else "no version is in force yet: `avow policy adopt`")


def notice(as_json: AsJson = False, data: Data = None) -> None:
    """Show the notice of each version: what changes, and from which to which day it is displayed."""
    with closing(_register(data)) as register:
        found = notices(register.versions())
    today = now().date()
    if as_json:
        print_json([{**asdict(one), "displayed": one.displayed(today)} for one in found])
        return
    for one in found:
        state = "displayed now" if one.displayed(today) else "not displayed now"
        _say(f"version {one.version}, from {one.effective_at:%Y-%m-%d %H:%M} UTC: {one.relation} ({state})")
        _say(f"  displayed from {one.first_day} to {one.last_day}")
        for title, sentences in (
            ("only from then on", one.looser),
            ("also for what was before", one.stricter),
        ):
            for sentence in sentences:
                _say(f"  {title}: {sentence}")
    if not found:
        _say("there is no notice: no version has followed on the first one")


def page(
    to: Annotated[Path, typer.Option(help="The folder to write to; made if it is not there.")] = Path("page"),
    number: Annotated[
        int, typer.Option("--version", min=0, help="The version; the one in force unless given.")
    ] = 0,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Write a version's pages: HTML and Jekyll in each language; its terms as JSON, and as JSON-LD of W3C DPV."""
    with closing(_register(data)) as register:
        versions = register.versions()
        shown = _chosen(versions, number)
        documents = register.pages(shown.number)
    terms = parse_terms(shown.terms, f"the terms of version {shown.number}")
    words = vocabulary(terms.vocabulary)
    of = Shown(shown.number, shown.identity, shown.effective_at, shown.promised)
    linked = msgspec.json.encode(linked_data(of, terms.controller, words))
    files = {"terms.json": shown.canonical, "terms.jsonld": msgspec.json.format(linked, indent=2).decode()}
    for kept in documents:
        document = parse_document(kept.text, f"the document of version {shown.number}")
        files[f"privacy.{kept.language}.html"] = html(of, document, words, _changes(versions, shown.number))
        files[f"privacy.{kept.language}.md"] = kept.text
    to.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (to / name).write_bytes(text.encode())
    if as_json:
        print_json({"version": shown.number, "files": [str(to / name) for name in files]})
    else:
        _say(f"version {shown.number}: wrote {', '.join(files)} to {to}")


def _chosen(versions: list[Version], number: int) -> Version:
    """Return the version of a number; the one in force for 0. Raises RefusedError where there is none."""
    fitting = [one for one in versions if one.number == number or (number == 0 and one.effective_at <= now())]
    if not fitting:
        raise RefusedError("there is no such version", "`avow policy history` tells which there are")
    return fitting[-1]


def _changes(versions: list[Version], last: int) -> list[Change]:
    """Return what is told of each version up to one, the newest first."""
    told = {one.version: one for one in notices(versions[:last])}
    changes = []
    for one in reversed(versions[:last]):
        found, since = told.get(one.number), f"{one.effective_at:%Y-%m-%d}"
        if found:
            changes.append(Change(one.number, since, found.relation.value, found.looser, found.stricter))
        else:
            changes.append(Change(one.number, since, "", [], []))
    return changes


def _register(data: Path | None) -> SqliteRegister:
    folder = find_folder(data)
    return open_register(folder.data, folder.keys, store=STORE)


def _say(sentence: str) -> None:
    Console(highlight=False).print(sentence, markup=False, soft_wrap=True)


def _sentence(done: Published) -> str:
    version = done.version
    if done.outcome is Outcome.UNCHANGED:
        return f"these are the terms and documents of version {version.number}: nothing is to be published"
    if done.outcome is Outcome.CORRECTED:
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
