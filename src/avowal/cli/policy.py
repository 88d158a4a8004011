"""`avowal policy`: what is promised."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from avowal.app.session import chosen, find_folder, open_versions
from avowal.change.draft import documents, terms_path
from avowal.errors import TermsError
from avowal.policy.bounds import OPERATOR, OWN_USE, Cell, Compiled
from avowal.policy.compare import Witness, compare
from avowal.policy.describe import differences, lasting_by_precision
from avowal.policy.ground import needs
from avowal.policy.prose_check import differing
from avowal.policy.terms import Terms, compile_terms, load_terms, warnings
from avowal.policy.vocabulary import named_leaves

app = typer.Typer(help="What is promised: check it, show it.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Where = Annotated[Path | None, typer.Argument(help="A file of terms; the folder's unless given.")]


@app.command()
def check(where: Where = None, as_json: AsJson = False) -> None:
    """Check the terms and their documents, and name what they leave undone."""
    path = where or terms_path(find_folder(None))
    terms = load_terms(path)
    compiled = compile_terms(terms)
    texts = documents(path)
    missing = [language for language in terms.languages if language not in texts]
    if missing:
        raise TermsError(
            f"{path}: there is no document in `{missing[0]}`", f"put one beside it, with `lang: {missing[0]}`"
        )
    found = warnings(terms)
    found += [
        f"the document in `{language}` says it was updated on {text.updated}, the terms on {terms.updated}"
        for language, text in texts.items()
        if text.updated not in {None, terms.updated}
    ]
    found += [sentence for text in texts.values() for sentence in differing(text, compiled)]
    if as_json:
        print_json({"identity": compiled.identity, "cells": len(compiled.cells), "warnings": found})
        return
    console = Console(highlight=False)
    console.print(
        f"{path} checks: {len(compiled.cells)} cells, version {compiled.identity}",
        markup=False,
        soft_wrap=True,
    )
    for warning in found:
        console.print(f"  {warning}", style="yellow", markup=False, soft_wrap=True)


@app.command()
def show(where: Where = None, as_json: AsJson = False) -> None:
    """Show what the terms promise."""
    path = where or terms_path(find_folder(None))
    terms = load_terms(path)
    compiled = compile_terms(terms)
    if as_json:
        texts = {language: text.front_matter for language, text in documents(path).items()}
        canonical = msgspec.json.decode(compiled.canonical())
        print_json(
            {"identity": compiled.identity, "updated": terms.updated, "documents": texts, "terms": canonical}
        )
        return
    console = Console(highlight=False)
    console.print(f"{terms.controller}, {terms.contact}; since {terms.updated}", markup=False)
    console.print(f"version {compiled.identity}\n", style="dim", soft_wrap=True)
    console.print(_collected(compiled))
    console.print(_disclosed(compiled))
    console.print(_beside(terms), markup=False)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A file of terms, or a version's number.")],
    new: Annotated[str, typer.Argument(help="What would take its place; the same.")],
    as_json: AsJson = False,
    data: Annotated[Path | None, typer.Option(help="The data folder, for versions.")] = None,
) -> None:
    """Compare two files of terms, or versions; exit status 1 where the new one protects less in anything."""
    versions = [_promised(word, data) for word in (old, new)]
    found = compare(*versions)
    if as_json:
        print_json(
            {
                "relation": found.relation,
                "old": versions[0].identity,
                "new": versions[1].identity,
                "looser": [_as_object(witness) for witness in found.looser],
                "stricter": [_as_object(witness) for witness in found.stricter],
            }
        )
    else:
        console = Console(highlight=False)
        console.print(f"{new}, beside {old}: {found.relation}", markup=False, soft_wrap=True)
        show_differences("protects less", found.looser, console)
        show_differences("protects more", found.stricter, console)
    if not found.protects:
        raise typer.Exit(1)


def _promised(word: str, data: Path | None) -> Compiled:
    """Return what a file of terms promises, or a version."""
    if not word.isdecimal() or Path(word).exists():
        return compile_terms(load_terms(Path(word)))
    with closing(open_versions(data)) as register:
        return chosen(register.versions(), int(word)).promised


def _as_object(witness: Witness) -> dict[str, object]:
    about = witness.about._asdict() if isinstance(witness.about, Cell) else {"duty": witness.about}
    ages = {"was": witness.was, "now": witness.now}
    return {**about, **({"precision": witness.precision} if witness.precision else {}), **ages}


def show_differences(title: str, witnesses: Sequence[Witness], console: Console) -> None:
    """Show differences as a table that a lawyer can read; nothing where there are none."""
    if not witnesses:
        return
    console.print(f"\n{title}", style="bold")
    table = Table("what", "for", "by or to", "was", "is", box=None, pad_edge=False, header_style="dim")
    for line in differences(witnesses):
        to = line.recipient if line.ground in {"", OWN_USE} else f"{line.recipient} ({line.ground})"
        table.add_row(line.about(), ", ".join(line.purposes), to, *line.ages())
    console.print(table)


def named_categories(text: str) -> list[str]:
    """Return the categories that an option names, with commas between, by themselves or by a parent.

    Raises MisuseError where one is no category.
    """
    return named_leaves("categories", [word.strip() for word in text.split(",")])


def say(sentence: str) -> None:
    """Print a sentence as it is, in one line."""
    Console(highlight=False).print(sentence, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as JSON for people and machines."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def _collected(compiled: Compiled) -> Table:
    table = Table("collected", "kept", "for", box=None, pad_edge=False, header_style="bold")
    rows: dict[tuple[str, str], list[str]] = {}
    for category in compiled.categories:
        key = lasting_by_precision(compiled.kept(category)), ", ".join(compiled.purposes(category))
        rows.setdefault(key, []).append(category)
    for (kept, purposes), categories in sorted(rows.items(), key=lambda row: row[1]):
        table.add_row(", ".join(categories), kept, purposes)
    return table


def _disclosed(compiled: Compiled) -> Table:
    table = Table(
        "\ndisclosed", "\nup to", "\nto", "\non the ground", box=None, pad_edge=False, header_style="bold"
    )
    rows: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for cell, ages in sorted(compiled.cells.items()):
        if cell.recipient != OPERATOR and not cell.cookie:
            rows.setdefault((cell.recipient, cell.ground), {})[cell.category, lasting_by_precision(ages)] = (
                None
            )
    for (recipient, ground), told in rows.items():
        table.add_row(
            ", ".join(category for category, _ in told),
            ", ".join(dict.fromkeys(age for _, age in told)),
            recipient,
            ground,
        )
    return table


def _beside(terms: Terms) -> str:
    lines = [
        f"cookie {cookie.name}: {cookie.basis}, {cookie.keep}, for {', '.join(cookie.purposes)}"
        for cookie in terms.cookie
    ]
    lines += [
        f"form {form.name}: " + ", ".join(f"{name} ({category})" for name, category in form.fields.items())
        for form in terms.form
    ]
    for ground, need in needs(compile_terms(terms).duties).items():
        approved = f"; approvals: {need.approvals}" if need.approvals else ""
        lines.append(f"disclosed on the ground {ground}: needs {', '.join(need.evidence)}{approved}")
    owed = msgspec.to_builtins(terms.duties)
    lines += ["duties: " + ", ".join(f"{name} {str(value).lower()}" for name, value in owed.items())]
    return "\n".join(["", *lines])
