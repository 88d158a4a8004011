"""`avowal policy page`: write the policy as files that any web server can serve."""

from collections.abc import Iterator
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from avowal.app.folder import open_folder_register
from avowal.app.session import find_version
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.policy.document import Document
from avowal.policy.history import render_changes, render_history
from avowal.policy.page import PageLinks, build_json_ld, render_policy_page
from avowal.policy.terms import parse_terms
from avowal.policy.vocabulary import Vocabulary, load_vocabulary
from avowal.register.register import Version
from avowal.web.disclosures import render_disclosures_page
from avowal.web.policy_pages import parse_documents, to_page_version

app = create_app()


@app.command("page")
def write_pages(
    output_folder: Annotated[
        Path, typer.Option(help="The folder to write to; it is created if needed.")
    ] = Path("page"),
    number: Annotated[
        int, typer.Option("--version", min=0, help="The number of the version; that in force unless given.")
    ] = 0,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Write the pages of a version in each language, as HTML and Jekyll, and its terms as JSON and JSON-LD."""
    with closing(open_folder_register(data)) as register:
        versions = register.versions()
        last = find_version(versions, number)
        versions = versions[: last.number]
        documents = {one.number: parse_documents(register, one) for one in versions}
        terms = parse_terms(last.terms_text, f"the terms of version {last.number}")
        told = {
            f"disclosures.{language}.html": render_disclosures_page(
                register, last.compiled_terms, terms.controller, language
            )
            for language in documents[last.number]
        }
    words = load_vocabulary(terms.vocabulary)
    linked = msgspec.json.encode(build_json_ld(to_page_version(last), terms.controller, words))
    files = {
        **told,
        "terms.json": last.canonical_terms,
        "terms.jsonld": msgspec.json.format(linked, indent=2).decode(),
    }
    for language in documents[last.number]:
        files |= _pages(
            language,
            versions,
            {of: found[language] for of, found in documents.items() if language in found},
            words,
        )
    output_folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (output_folder / name).write_bytes(text.encode())
    if as_json:
        print_json({"version": last.number, "files": [str(output_folder / name) for name in files]})
    else:
        print_line(f"version {last.number}: wrote {', '.join(files)} to {output_folder}")


def _pages(
    language: str, versions: list[Version], documents: dict[int, Document], words: Vocabulary
) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file in one language; `documents` are those of the versions that have it."""
    shown = [to_page_version(one) for one in versions]
    document, index = documents[shown[-1].number], f"history.{language}.html"
    yield (
        f"privacy.{language}.html",
        render_policy_page(
            shown[-1], document, words, shown, PageLinks(index, f"disclosures.{language}.html", "terms.json")
        ),
    )
    yield f"privacy.{language}.md", document.text
    pairs = {}
    for old, new in combinations(shown, 2):
        if {old.number, new.number} <= documents.keys():
            name = f"changes.{old.number}..{new.number}.{language}.html"
            pairs[old.number, new.number] = name
            yield name, render_changes(old, new, (documents[old.number], documents[new.number]), index)
    yield index, render_history(shown, document, pairs, utc_now())
