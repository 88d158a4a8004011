"""`avowal policy`: check, show and compare terms, and publish them as versions."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from avowal.app.folder import find_folder, open_folder_register
from avowal.app.session import find_version
from avowal.change.draft import find_terms_path, load_documents, load_draft
from avowal.change.draft_check import ACKNOWLEDGEMENT_LENGTH_MIN, find_placeholders
from avowal.change.publish import VersionDraft
from avowal.cli import (
    policy_adopt,
    policy_history,
    policy_notice,
    policy_page,
    policy_publish,
    policy_record_posting,
    policy_withdraw,
)
from avowal.cli.options import JsonOption, create_app
from avowal.cli.output import print_differences, print_json, print_line
from avowal.cli.text_table import TextTable, create_console
from avowal.policy.bounds import OPERATOR, Cell, CompiledTerms
from avowal.policy.compare import Witness, compare
from avowal.policy.describe import format_ages
from avowal.policy.jurisdiction import NO_ADVICE, Jurisdiction, find_lacks
from avowal.policy.prose_check import ProseCheck, hash_checks
from avowal.policy.terms import Terms, compile_terms, load_terms
from avowal.policy.terms_warnings import find_warnings

app = create_app(is_group=True)
for module in (
    policy_adopt,
    policy_publish,
    policy_withdraw,
    policy_history,
    policy_notice,
    policy_record_posting,
    policy_page,
):
    app.add_typer(module.app)

TermsArgument = Annotated[
    Path | None, typer.Argument(help="The file with the terms; that of the folder unless given.")
]


@app.command()
def check(
    path: TermsArgument = None,
    place: Annotated[
        Jurisdiction | None,
        typer.Option("--for", help="Also list what a site there would still lack; no legal advice."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check the terms and their documents, and warn about what is missing."""
    path = path or find_terms_path(find_folder(None))
    draft = load_draft(path)
    draft.require_documents()
    terms, compiled = draft.terms, compile_terms(draft.terms)
    checks = draft.check_prose()
    findings = [finding for check in checks for finding in check.findings]
    warnings = _list_warnings(draft, checks)
    if as_json:
        print_json(
            {
                "identity": compiled.identity,
                "rules": len(compiled.cells),
                "warnings": [*warnings, *findings],
                "findings": findings,
                "acknowledgement": hash_checks(checks) if findings else "",
                **({"lacks": find_lacks(terms, place)} if place else {}),
            }
        )
        return
    console = create_console()
    console.print(
        f"{path} is valid: {len(compiled.cells)} rules, version {compiled.identity}",
        markup=False,
        soft_wrap=True,
    )
    for warning in [*warnings, *findings]:
        console.print(f"  {warning}", style="yellow", markup=False, soft_wrap=True)
    if findings:
        print_line(
            f"{len(findings)} of these {'is a finding' if len(findings) == 1 else 'are findings'} of the documents: to "
            f"adopt or publish it anyway, give `--acknowledge {hash_checks(checks)[:ACKNOWLEDGEMENT_LENGTH_MIN]}`; the "
            "page will show it"
        )
    if place:
        for lack in find_lacks(terms, place):
            print_line(f"  for {place}: {lack}")
        print_line(NO_ADVICE)


def _list_warnings(draft: VersionDraft, checks: list[ProseCheck]) -> list[str]:
    """Return warnings about terms and documents, besides the findings of the documents."""
    terms = draft.terms
    warnings = find_warnings(terms)
    warnings += [
        f"the document in `{language}` says it was updated on {text.updated_on}, the terms on {terms.updated_on}"
        for language, text in draft.documents.items()
        if text.updated_on not in {None, terms.updated_on}
    ]
    warnings += [omission for check in checks for omission in check.omissions]
    warnings += [f"placeholder: {placeholder}" for placeholder in find_placeholders(draft)]
    return warnings


@app.command()
def show(path: TermsArgument = None, as_json: JsonOption = False) -> None:
    """Show the terms."""
    path = path or find_terms_path(find_folder(None))
    terms = load_terms(path)
    compiled = compile_terms(terms)
    if as_json:
        texts = {language: text.front_matter for language, text in load_documents(path).items()}
        canonical = msgspec.json.decode(compiled.encode_canonical())
        print_json(
            {
                "identity": compiled.identity,
                "updated": terms.updated_on,
                "documents": texts,
                "terms": canonical,
            }
        )
        return
    console = create_console()
    console.print(f"{terms.controller}, {terms.contact}; since {terms.updated_on}", markup=False)
    console.print(f"version {compiled.identity}\n", style="dim", soft_wrap=True)
    _tabulate_collection(compiled).print(console)
    console.print()
    _tabulate_disclosure(compiled).print(console)
    console.print(_describe_other_rules(terms), markup=False)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="The old terms: a file, or the number of a version.")],
    new: Annotated[str, typer.Argument(help="The new terms: a file, or the number of a version.")],
    as_json: JsonOption = False,
    data: Annotated[Path | None, typer.Option(help="The data folder, for the versions.")] = None,
) -> None:
    """Compare two files with terms, or two versions; exit status 1 if the new one protects less anywhere."""
    old_terms, new_terms = (_load_compiled_terms(source, data) for source in (old, new))
    comparison = compare(old_terms, new_terms)
    if as_json:
        print_json(
            {
                "relation": comparison.relation,
                "old": old_terms.identity,
                "new": new_terms.identity,
                "looser": [_witness_to_object(witness) for witness in comparison.looser],
                "stricter": [_witness_to_object(witness) for witness in comparison.stricter],
            }
        )
    else:
        console = create_console()
        console.print(f"{new}, compared with {old}: {comparison.relation}", markup=False, soft_wrap=True)
        print_differences("protects less", comparison.looser, console)
        print_differences("protects more", comparison.stricter, console)
    if not comparison.is_at_least_as_protective:
        raise typer.Exit(1)


def _load_compiled_terms(source: str, data: Path | None) -> CompiledTerms:
    """Return the terms of a file, or of the version with that number if there is no such file."""
    if not source.isdecimal() or Path(source).exists():
        return compile_terms(load_terms(Path(source)))
    with closing(open_folder_register(data)) as register:
        return find_version(register.versions(), int(source)).compiled_terms


def _witness_to_object(witness: Witness) -> dict[str, object]:
    rule = witness.rule._asdict() if isinstance(witness.rule, Cell) else {"duty": witness.rule}
    values = {"was": witness.old_value, "now": witness.new_value}
    return {**rule, **({"precision": witness.precision} if witness.precision else {}), **values}


def _tabulate_collection(compiled: CompiledTerms) -> TextTable:
    table = TextTable("collected", "retention", "purposes")
    rows: dict[tuple[str, str], list[str]] = {}
    for category in compiled.collected_categories:
        key = (
            format_ages(compiled.retention_ages(category)),
            ", ".join(compiled.collection_purposes(category)),
        )
        rows.setdefault(key, []).append(category)
    for (retention, purposes), categories in sorted(rows.items(), key=lambda row: row[1]):
        table.add_row(", ".join(categories), retention, purposes)
    return table


def _tabulate_disclosure(compiled: CompiledTerms) -> TextTable:
    table = TextTable("disclosed", "maximum age", "recipient", "ground")
    rows: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
    for cell, ages in sorted(compiled.cells.items()):
        if cell.recipient != OPERATOR and not cell.cookie_name:
            rows.setdefault((cell.recipient, cell.ground), {})[cell.category, format_ages(ages)] = None
    for (recipient, ground), categories in rows.items():
        table.add_row(
            ", ".join(category for category, _ in categories),
            ", ".join(dict.fromkeys(age for _, age in categories)),
            recipient,
            ground,
        )
    return table


def _describe_other_rules(terms: Terms) -> str:
    lines = [
        f"cookie {cookie.name}: {cookie.basis}, {cookie.max_age}, for {', '.join(cookie.purposes)}"
        for cookie in terms.cookies
    ]
    lines += [
        f"form {form.name}: "
        + ", ".join(f"{name} ({category})" for name, category in form.fields.items())
        + f"; others receive {', '.join(form.needed_categories) or 'nothing'}"
        for form in terms.forms
    ]
    for ground, requirements in sorted(compile_terms(terms).grounds.items()):
        approvals = f"; approvals: {requirements.approvals}" if requirements.approvals else ""
        lines.append(f"disclosed on the ground {ground}: needs {', '.join(requirements.evidence)}{approvals}")
    duties = msgspec.to_builtins(terms.duties)
    lines += ["duties: " + ", ".join(f"{name} {str(value).lower()}" for name, value in duties.items())]
    return "\n".join(["", *lines])
