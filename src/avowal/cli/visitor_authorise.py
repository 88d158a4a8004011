"""`avowal visitor authorise`: record that a visitor authorises a disclosure."""

from typing import Annotated

import msgspec
import typer

from avowal.app.owner_requests import FindVisitorRecords
from avowal.app.session import Session, open_session
from avowal.cli.options import (
    ChannelOption,
    DataFolderOption,
    JsonOption,
    VisitorArgument,
    VisitorSinceOption,
    VisitorUntilOption,
    create_app,
    parse_categories,
)
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.disclose.request import check_line
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import find_version_in_force
from avowal.register.authorisations import Authorisation

AUTHORISED_GROUND = "authorised"
"""The ground of releases that the visitor authorised."""

app = create_app()


@app.command("authorise")
def authorise(
    subject: VisitorArgument,
    recipient: Annotated[str, typer.Option(help="The recipient who may receive the data.")],
    channel: ChannelOption,
    categories: Annotated[
        str, typer.Option(help="The categories, separated by commas; a parent stands for all below it.")
    ] = "",
    reference: Annotated[str, typer.Option(help="The file reference of the visitor's statement.")] = "",
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="The visitor withdraws the whole authorisation.")
    ] = False,
    since: VisitorSinceOption = "",
    until: VisitorUntilOption = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Record that a visitor authorises a disclosure to a recipient, or withdraws the authorisation."""
    if not recipient.strip():
        raise InvalidInputError("`--recipient` is empty", "give the recipient", code="missing-input")
    for text in (recipient, reference):
        check_line(text)
    if bool(categories) is withdraw:
        raise InvalidInputError(
            "`--categories` and `--withdraw` exclude each other, and one is needed",
            "give one of them",
            code="conflicting-options",
        )
    with open_session(data) as session:
        records = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        authorisations = session.register.authorisations
        if withdraw and not authorisations.current_by_category(records.key, recipient):
            raise RefusedError(
                f"that visitor authorised nothing for `{recipient}`",
                "`avowal visitor show` lists the authorisations",
                code="authorisation-not-found",
            )
        leaves = [] if withdraw else _parse_authorisable_categories(categories, session)
        authorisation = Authorisation(
            records.key, recipient, not withdraw, leaves, channel, reference, utc_now()
        )
        recorded = authorisations.record(authorisation)
    if as_json:
        print_json(msgspec.to_builtins(recorded))
    else:
        action = "withdrew the authorisation" if withdraw else f"authorised {', '.join(leaves)}"
        print_line(
            f"visitor {recorded.visitor} {action} for `{recipient}` (entry {recorded.entry} of the ledger)"
        )


def _parse_authorisable_categories(text: str, session: Session) -> list[str]:
    """Return the categories in a list separated by commas.

    Raises RefusedError if the terms in force do not permit the release of one of them to an authorised recipient.
    """
    categories = parse_categories(text)
    version = find_version_in_force(session.register.versions(), utc_now())
    permitted = {cell.category for cell in version.compiled_terms.cells if cell.ground == AUTHORISED_GROUND}
    if missing := [category for category in categories if category not in permitted]:
        raise RefusedError(
            f"version {version.number} permits no release of `{missing[0]}`, even if authorised",
            f"it permits: {', '.join(sorted(permitted)) or 'nothing'}",
            code="not-permitted",
        )
    return categories
