"""`avowal submission set`: restrict the use of submissions beyond their form and the terms."""

from typing import Annotated

import typer

from avowal.app.session import open_session
from avowal.app.submission_restrictions import (
    RestrictionInput,
    build_restriction_change,
    parse_visitor_key,
)
from avowal.cli.options import ChannelOption, DataFolderOption, JsonOption, create_app, parse_assignments
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.errors import InvalidInputError
from avowal.register.restrictions import SubmissionSelector

app = create_app()

PurposesOption = Annotated[
    str | None,
    typer.Option(help="The purposes that are objected to, separated by commas; empty for none."),
]
AutomatedDecisionsOption = Annotated[
    bool | None,
    typer.Option(
        "--automated-decisions/--no-automated-decisions",
        help="Whether programs may make decisions from the submission.",
    ),
]
SourceOption = Annotated[
    str | None, typer.Option(help="The source, if it is not the person; empty if it is.")
]
FieldCategoryOption = Annotated[
    list[str], typer.Option("--category", help="A field with its new category, as in `message=answer`.")
]


@app.command("set")
def set_restrictions(
    channel: ChannelOption,
    reference: Annotated[str, typer.Argument(help="The reference that the sender received.")] = "",
    form: Annotated[str, typer.Option(help="The form whose submissions are all restricted.")] = "",
    visitor: Annotated[
        str, typer.Option(help="The key of the visitor whose submissions are all restricted.")
    ] = "",
    keep_until: Annotated[
        str | None, typer.Option(help="The time of deletion; empty for that of the terms.")
    ] = None,
    objects_to: PurposesOption = None,
    automated_decisions: AutomatedDecisionsOption = None,
    readers: Annotated[
        str | None, typer.Option(help="The only permitted readers, separated by commas; empty for all.")
    ] = None,
    recipients: Annotated[
        str | None, typer.Option(help="The only permitted recipients, separated by commas; empty for all.")
    ] = None,
    source: SourceOption = None,
    assign_visitor: Annotated[
        str | None, typer.Option(help="The key of the visitor to assign it to; empty for nobody.")
    ] = None,
    categories: FieldCategoryOption = [],  # noqa: B006  # typer copies it
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Restrict a submission, or all of a form or a visitor. The ledger records the restriction."""
    selector = _select_submissions(reference, form, visitor)
    given = RestrictionInput(
        keep_until,
        _split_names(objects_to),
        automated_decisions,
        _split_names(readers),
        _split_names(recipients),
        source,
        assign_visitor,
        parse_assignments("--category", categories),
    )
    with open_session(data) as session:
        now = utc_now()
        change = build_restriction_change(session, selector, given, now)
        record = session.register.restrictions.set(selector, change, channel, now)
    if as_json:
        print_json(record)
    else:
        print_line(
            f"set for {record.submissions:,} submissions: {', '.join(record.settings)} "
            f"(entry {record.entry} of the ledger)"
        )


def _select_submissions(reference: str, form: str, visitor: str) -> SubmissionSelector:
    """Return the selected submissions. Raises InvalidInputError unless they are selected in one way."""
    if sum(map(bool, (reference, form, visitor))) != 1:
        raise InvalidInputError(
            "the submissions are not selected in one way",
            "give a reference, or one of `--form` and `--visitor`",
            code="missing-input",
        )
    if visitor:
        return SubmissionSelector("visitor", parse_visitor_key(visitor))
    return SubmissionSelector("submission", reference) if reference else SubmissionSelector("form", form)


def _split_names(text: str | None) -> list[str] | None:
    """Return the sorted names in a list separated by commas; None if the option was not given."""
    return None if text is None else sorted({name.strip() for name in text.split(",") if name.strip()})
