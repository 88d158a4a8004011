"""`avowal submission`: manage what people sent by a form or in another way."""

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from avowal.app.folder import open_folder_register
from avowal.app.session import open_session
from avowal.app.submission_records import (
    ReceivedSubmission,
    create_listing_access,
    create_submission_access,
    find_submissions,
    record_received_submission,
)
from avowal.app.submission_restrictions import parse_visitor_key
from avowal.atomic_files import create_file
from avowal.change.consent import StatementChannel
from avowal.cli import submission_set
from avowal.cli.options import (
    ChannelOption,
    DataFolderOption,
    JsonOption,
    ReaderOption,
    create_app,
    parse_assignments,
)
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import TextTable, create_console
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.policy.bounds import OPERATOR
from avowal.policy.vocabulary import expand_words
from avowal.register.objections import Objection
from avowal.register.restrictions import SubmissionSelector
from avowal.submissions.form_upload import TEXT_BYTES_MAX
from avowal.use.formatting import replace_unprintable
from avowal.use.report_request import parse_time

app = create_app(is_group=True)
app.add_typer(submission_set.app)

SubmissionReferenceArgument = Annotated[str, typer.Argument(help="The reference that the sender received.")]


@app.command()
def add(
    form: Annotated[str, typer.Argument(help="The form that the submission belongs to.")],
    channel: Annotated[StatementChannel, typer.Option(help="The channel by which it arrived.")],
    fields: Annotated[
        list[str], typer.Option("--field", help="A field with its value, as in `email=…`; can be repeated.")
    ] = [],  # noqa: B006  # typer copies it
    files: Annotated[
        list[str], typer.Option("--file", help="A field with its file, as in `cv=cv.pdf`; can be repeated.")
    ] = [],  # noqa: B006  # the same
    received_at: Annotated[str, typer.Option(help="The time of its arrival; now unless given.")] = "",
    visitor: Annotated[str, typer.Option(help="The key of the visitor who sent it, if known.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record what arrived by e-mail, by telephone or in another way, under the version then in force."""
    visitor_key = parse_visitor_key(visitor) if visitor else None
    texts = parse_assignments("--field", fields)
    file_paths = [(name, Path(path)) for name, path in parse_assignments("--file", files)]
    with open_session(data, adopt_terms=True) as session:
        now = utc_now()
        moment = parse_time(received_at, session.folder.time_zone, now) if received_at else now
        received = ReceivedSubmission(form, channel, visitor_key, moment, texts, file_paths)
        submission = record_received_submission(session, received, now)
    if as_json:
        print_json(submission)
    else:
        create_console().print(f"recorded: {submission.reference}", markup=False)


@app.command("list")
def list_submissions(
    since: Annotated[str, typer.Option(help="The beginning of the period.")] = "",
    until: Annotated[str, typer.Option(help="The end of the period; a date is included.")] = "",
    form: Annotated[str, typer.Option(help="The form whose submissions are listed; needs --purpose.")] = "",
    visitor: Annotated[
        str, typer.Option(help="The key of the visitor whose submissions are listed; needs --purpose.")
    ] = "",
    purpose: Annotated[
        str, typer.Option(help="The purpose for which the data is used, such as `requested-service`.")
    ] = "",
    reader: ReaderOption = OPERATOR,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """List submissions, without their content."""
    if bool(purpose) is not bool(form) ^ bool(visitor):
        raise InvalidInputError(
            "`--purpose` and one of `--form` and `--visitor` need each other",
            "give `--purpose` with one of them, or none of the three",
            code="conflicting-options",
        )
    with open_session(data) as session:
        zone, now = session.folder.time_zone, utc_now()
        period = (
            parse_time(since, zone, now) if since else datetime.min,
            parse_time(until, zone, now, is_end=True) if until else datetime.max,
        )
        if purpose:
            selector = (
                SubmissionSelector("form", form)
                if form
                else SubmissionSelector("visitor", parse_visitor_key(visitor))
            )
            access = create_submission_access(session, reader, purpose, now)
            submissions = find_submissions(session, selector, access, period, now)
        else:
            access = create_listing_access(session, now)
            submissions = session.register.submissions.in_period(*period)
        described = [access.describe(submission, now) for submission in submissions]
    if as_json:
        print_json({"submissions": described})
        return
    table = TextTable("reference", "form", "channel", "submitted (UTC)", "version", numbers=["version"])
    for shown in described:
        moment = shown["submitted_at"]
        table.add_row(
            shown["reference"],
            shown["form"],
            shown["channel"],
            f"{moment:%Y-%m-%d %H:%M}" if moment else "",
            str(shown["version"]),
        )
    table.print(create_console())


@app.command()
def show(
    reference: SubmissionReferenceArgument,
    purpose: Annotated[
        str, typer.Option(help="The purpose for which the data is used, such as `requested-service`.")
    ],
    reader: ReaderOption = OPERATOR,
    file: Annotated[str, typer.Option(help="The field whose file is written to --output.")] = "",
    output: Annotated[Path | None, typer.Option(help="The file to write the content of --file to.")] = None,
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
    with open_session(data) as session:
        submissions, now = session.register.submissions, utc_now()
        access = create_submission_access(session, reader, purpose, now)
        submission, values = submissions.read(reference, access, now, file)
        if output:
            with create_file(output) as output_file:
                output_file.writelines(
                    submissions.decrypt_file(
                        submission, file, lambda category: access.max_age(category, submission.version)
                    )
                )
    if as_json:
        print_json({"submission": access.describe(submission, now), "purpose": purpose, "fields": values})
        return
    table = TextTable("field", "category", "value")
    for value in values:
        table.add_row(value.field, value.category, _format_value(value.value))
    table.print(create_console())


@app.command("object")
def record_objection(
    reference: SubmissionReferenceArgument,
    purposes: Annotated[
        str, typer.Option(help="The purposes, separated by commas; a parent stands for all below it.")
    ],
    channel: ChannelOption,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="The person withdraws the objection.")] = False,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that the sender objects to purposes, or withdraws the objection."""
    leaves = expand_words("purposes", [purpose.strip() for purpose in purposes.split(",")])
    with closing(open_folder_register(data)) as register:
        submission = register.submissions.get(reference)
        if withdraw and not set(leaves).intersection(submission.objected_purposes):
            raise RefusedError(
                f"there is no objection to {', '.join(leaves)}",
                "check the reference and the purposes",
                code="objection-not-found",
            )
        objection = Objection(submission.reference, not withdraw, leaves, channel, utc_now())
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
    fields: Annotated[
        list[str], typer.Option("--field", help="A field with its value, as in `email=…`; can be repeated.")
    ],
    channel: ChannelOption,
    data: DataFolderOption = None,
) -> None:
    """Correct fields of a submission. The former values are deleted."""
    values = dict(parse_assignments("--field", fields))
    if sum(len(value.encode()) for value in values.values()) > TEXT_BYTES_MAX:
        raise InvalidInputError(
            "the submission is too long",
            f"a submission has at most {TEXT_BYTES_MAX // 1024} KiB besides its files",
            code="input-too-long",
        )
    with open_session(data) as session:
        entry = session.register.submissions.correct(reference, values, channel, utc_now())
    print_line(f"corrected: {', '.join(values)} of {reference} (entry {entry} of the ledger)")


@app.command()
def erase(reference: SubmissionReferenceArgument, data: DataFolderOption = None) -> None:
    """Erase a submission and its files. The ledger records the erasure, and nothing that identifies the submission."""
    with open_session(data) as session:
        session.register.erasures.erase_submissions(SubmissionSelector("submission", reference), utc_now())
        session.register.submissions.delete_orphans()
    create_console().print(f"erased: {reference}", markup=False)


@app.command("rotate-key")
def rotate_key(data: DataFolderOption = None) -> None:
    """Encrypt all submissions with a new key, and delete the old one. A server can keep running."""
    with open_session(data) as session:
        values = session.register.submissions.rotate_key()
    create_console().print(f"{values:,} values are encrypted with a new key; the old key was deleted")


def _format_value(value: Any) -> str:
    """Return a value as printable text; a file is described by its name, type and size."""
    text = (
        f"{value['name']} ({value['type']}, {value['size']:,} bytes)"
        if isinstance(value, dict)
        else str(value)
    )
    return "\n".join(map(replace_unprintable, text.split("\n")))
