"""`avowal submission`: what people handed over, by a form or in another way."""

import mimetypes
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from avowal.app.folder import open_folder_register
from avowal.app.session import Session, open_session
from avowal.atomic_files import create_file
from avowal.change.consent import StatementChannel
from avowal.change.draft import load_forms
from avowal.cli import submission_set
from avowal.cli.options import DataFolderOption, JsonOption, ReaderOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions, find_version_in_force
from avowal.keep.visitor_lookup import VISITOR_KEY_PATTERN
from avowal.key_files import FILE_NAME_KEY_FILE, read_or_create_secret
from avowal.policy.bounds import OPERATOR
from avowal.policy.form import Form
from avowal.policy.vocabulary import expand_words, load_vocabulary
from avowal.register.objections import Objection
from avowal.register.restrictions import SubmissionSelector
from avowal.submissions.access import SubmissionAccess
from avowal.submissions.encryption import CHUNK_BYTES, IncomingFile
from avowal.submissions.form_upload import TEXT_BYTES_MAX, FormUpload, SubmissionRejected
from avowal.submissions.submission import Submission, new_reference
from avowal.use.formatting import replace_unprintable
from avowal.use.report_request import parse_time

app = create_app(is_group=True)
app.add_typer(submission_set.app)

SubmissionReferenceArgument = Annotated[str, typer.Argument(help="The reference that the sender received.")]


@app.command()
def add(
    form: Annotated[str, typer.Argument(help="The form that it belongs to.")],
    channel: Annotated[StatementChannel, typer.Option(help="How it arrived.")],
    fields: Annotated[list[str], typer.Option("--field", help="A field with its value: `email=…`.")] = [],  # noqa: B006  # typer copies it
    files: Annotated[list[str], typer.Option("--file", help="A field with its file: `cv=cv.pdf`.")] = [],  # noqa: B006  # the same
    received_at: Annotated[str, typer.Option(help="When it arrived; now unless given.")] = "",
    visitor: Annotated[str, typer.Option(help="The key of the visitor, if known.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record what arrived by e-mail, by telephone or in another way, under the version then in force."""
    if visitor and not VISITOR_KEY_PATTERN.fullmatch(visitor.lower()):
        raise InvalidInputError(
            f"`{visitor}` is not the key of a visitor",
            "give 16 hexadecimal digits, or leave it out",
            code="invalid-visitor",
        )
    with open_session(data, adopt_terms=True) as session:
        declared = _form(session, form)
        moment = parse_time(received_at, session.folder.time_zone, utc_now()) if received_at else utc_now()
        if moment > utc_now():
            raise InvalidInputError(
                "`--received-at` is in the future", "give the time when it arrived", code="date-in-future"
            )
        version = find_version_in_force(session.register.versions(), moment)
        if missing := declared.find_uncollected_categories(version.compiled_terms.collected_categories):
            raise RefusedError(
                f"version {version.number}, which was in force, does not collect `{missing[0]}`",
                "publish terms that collect it first",
                code="not-collected",
            )
        folder, named = (
            session.register.submissions.folder,
            read_or_create_secret(session.folder.keys_folder / FILE_NAME_KEY_FILE),
        )
        with FormUpload(declared, partial(IncomingFile, folder, named)) as handed:
            try:
                _fill(handed, fields, files)
                given = handed.collect_inputs()
            except SubmissionRejected as error:
                raise InvalidInputError(error.message, error.hint, code="invalid-field") from None
            of = visitor.lower() or None
            recorded = Submission(new_reference(), form, channel, of, version.number, moment, utc_now())
            session.register.submissions.record(recorded, given)
    if as_json:
        print_json(recorded)
    else:
        Console(highlight=False).print(f"recorded: {recorded.reference}", markup=False)


@app.command("list")
def list_submissions(
    since: Annotated[str, typer.Option(help="The beginning of the period.")] = "",
    until: Annotated[str, typer.Option(help="The end of the period; a date is included whole.")] = "",
    form: Annotated[str, typer.Option(help="Those of one form; needs --purpose.")] = "",
    visitor: Annotated[str, typer.Option(help="Those of one visitor; needs --purpose.")] = "",
    purpose: Annotated[
        str, typer.Option(help="What the data is used for, such as `requested-service`.")
    ] = "",
    reader: ReaderOption = OPERATOR,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """List submissions, without their content."""
    if bool(purpose) is not bool(form) ^ bool(visitor):
        raise InvalidInputError(
            "`--purpose` needs one of `--form` and `--visitor`, and they need it",
            "give `--purpose` with one of them, or none of the three",
            code="conflicting-options",
        )
    with open_session(data) as session:
        zone, now = session.folder.time_zone, utc_now()
        first = parse_time(since, zone, now) if since else datetime.min
        last = parse_time(until, zone, now, is_end=True) if until else datetime.max
        if purpose:
            which = (
                SubmissionSelector("form", form) if form else SubmissionSelector("visitor", visitor.lower())
            )
            access = SubmissionAccess(
                reader,
                _purpose(purpose),
                compute_governing_bounds(effective_versions(session.register.versions(), now)),
            )
            told = session.register.restrictions.read_submissions(which, access, now)
            found = [one for one in told if first <= one.submitted_at < last]
        else:
            found = session.register.submissions.in_period(first, last)
    if as_json:
        print_json({"submissions": found})
        return
    table = Table("reference", "form", "channel", "submitted (UTC)", "version")
    for one in found:
        table.add_row(
            one.reference, one.form, one.channel, f"{one.submitted_at:%Y-%m-%d %H:%M}", str(one.version)
        )
    Console(highlight=False).print(table)


@app.command()
def show(
    reference: SubmissionReferenceArgument,
    purpose: Annotated[str, typer.Option(help="What the data is used for, such as `requested-service`.")],
    reader: ReaderOption = OPERATOR,
    file: Annotated[str, typer.Option(help="The field whose file is written.")] = "",
    output: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Show a submission as far as one purpose may see it. The access is recorded in the ledger first."""
    if bool(file) is not bool(output):
        raise InvalidInputError(
            "`--file` and `--output` need each other",
            "give both",
            code="missing-input",
        )
    _purpose(purpose)
    with open_session(data) as session:
        register, now = session.register, utc_now()
        access = SubmissionAccess(
            reader, purpose, compute_governing_bounds(effective_versions(register.versions(), now))
        )
        one, opened = register.submissions.read(reference, access, now, file)
        if output:
            with create_file(output) as writing:
                writing.writelines(
                    register.submissions.decrypt_file(
                        one, file, lambda category: access.max_age(category, one.version)
                    )
                )
    if as_json:
        print_json({"submission": one, "purpose": purpose, "fields": opened})
        return
    table = Table("field", "category", "value")
    for answer in opened:
        table.add_row(answer.field, answer.category, Text(_plain(answer.value)))
    Console(highlight=False).print(table)


@app.command("object")
def record_objection(
    reference: SubmissionReferenceArgument,
    purposes: Annotated[
        str, typer.Option(help="The purposes, separated by commas; a parent stands for all below it.")
    ],
    channel: Annotated[StatementChannel, typer.Option(help="How the person said so.")],
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The person withdraws the objection.")] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that the sender objects to purposes, or withdraws the objection."""
    leaves = expand_words("purposes", [word.strip() for word in purposes.split(",")])
    with closing(open_folder_register(data)) as register:
        one = register.submissions.get(reference)
        if withdraw and not set(leaves).intersection(one.objected_purposes):
            raise RefusedError(
                f"there is no objection to {', '.join(leaves)}",
                "check the reference and the purposes",
                code="objection-not-found",
            )
        objection = Objection(one.reference, not withdraw, leaves, channel, utc_now())
        recorded = register.objections.record(objection)
    if as_json:
        print_json(recorded)
    else:
        action = "no longer objects" if withdraw else "objects"
        print_line(
            f"the sender of {reference} {action} to {', '.join(leaves)} (entry {recorded.entry} of the ledger)"
        )


@app.command()
def correct(
    reference: SubmissionReferenceArgument,
    fields: Annotated[list[str], typer.Option("--field", help="A field with its value: `email=…`.")],
    channel: Annotated[StatementChannel, typer.Option(help="How the person said so.")],
    data: DataFolderOption = None,
) -> None:
    """Correct fields of a submission. The former values are deleted."""
    values = dict(word.partition("=")[::2] for word in fields)
    if wrong := [word for word in fields if "=" not in word]:
        raise InvalidInputError(
            f"`--field {wrong[0]}` has no value", "write it as `email=…`", code="invalid-field"
        )
    if sum(len(value.encode()) for value in values.values()) > TEXT_BYTES_MAX:
        raise InvalidInputError(
            "the submission is too long",
            f"a submission has at most {TEXT_BYTES_MAX // 1024} KiB besides its files",
            code="input-too-long",
        )
    with open_session(data) as session:
        register = session.register
        entry = register.submissions.correct(reference, values, channel, utc_now())
    print_line(f"corrected: {', '.join(values)} of {reference} (entry {entry} of the ledger)")


@app.command()
def erase(reference: SubmissionReferenceArgument, data: DataFolderOption = None) -> None:
    """Erase a submission and its files. The ledger records the erasure, and nothing that identifies the submission."""
    with open_session(data) as session:
        session.register.erasures.erase_submissions(SubmissionSelector("submission", reference), utc_now())
        session.register.submissions.delete_orphans()
    Console(highlight=False).print(f"erased: {reference}", markup=False)


@app.command("rotate-key")
def rotate_key(data: DataFolderOption = None) -> None:
    """Encrypt all submissions with a new key, and delete the old one. A server can keep running."""
    with open_session(data) as session:
        values = session.register.submissions.rotate_key()
    Console(highlight=False).print(f"{values:,} values are encrypted with a new key; the old key was deleted")


def _purpose(word: str) -> str:
    if word not in load_vocabulary().purposes:
        raise InvalidInputError(
            f"`{word}` is not a purpose",
            load_vocabulary().suggest_word("purposes", word),
            code="unknown-name",
        )
    return word


def _form(session: Session, name: str) -> Form:
    forms = load_forms(session.folder)
    if name not in forms:
        known = ", ".join(forms) or "none"
        raise InvalidInputError(
            f"the terms declare no form `{name}`", f"the forms are: {known}", code="unknown-form"
        )
    return forms[name]


def _fill(handed: FormUpload, fields: list[str], files: list[str]) -> None:
    for told in fields:
        name, equals, value = told.partition("=")
        if not equals or name not in handed.form.fields or name in handed.form.file_fields:
            fitting = ", ".join(name for name in handed.form.fields if name not in handed.form.file_fields)
            raise InvalidInputError(
                f"`--field {name}` is not a field of the form with a value",
                f"the fields are: {fitting}",
                code="invalid-field",
            )
        handed.count_text_bytes(len(value.encode()))
        handed.add_text(name, value)
    for told in files:
        name, _, path = told.partition("=")
        kind = mimetypes.guess_type(path)[0] or ""
        with Path(path).open("rb") as source:
            file = handed.begin_file(name, Path(path).name, kind)
            while data := source.read(CHUNK_BYTES):
                file.write(data)
            file.finish()


def _plain(value: Any) -> str:
    told = (
        f"{value['name']} ({value['type']}, {value['size']:,} bytes)"
        if isinstance(value, dict)
        else str(value)
    )
    return "\n".join(map(replace_unprintable, told.split("\n")))
