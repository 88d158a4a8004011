"""`avowal visitor authorise`: record that a visitor authorises a disclosure."""

from typing import Annotated

import msgspec
import typer

from avowal.app.owner_requests import FindVisitorRecords
from avowal.app.session import Session, open_session
from avowal.change.consent import StatementChannel
from avowal.cli.options import (
    DataFolderOption,
    JsonOption,
    VisitorArgument,
    VisitorPeriodOption,
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
"""The ground of what a person authorised."""

app = create_app()


@app.command("authorise")
def authorise(
    subject: VisitorArgument,
    recipient: Annotated[str, typer.Option(help="Who may receive the data.")],
    channel: Annotated[StatementChannel, typer.Option(help="How the person said so.")],
    categories: Annotated[
        str, typer.Option(help="The categories, separated by commas; a parent stands for all below it.")
    ] = "",
    reference: Annotated[str, typer.Option(help="Where the statement of the visitor is filed.")] = "",
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="The visitor withdraws the whole authorisation.")
    ] = False,
    since: VisitorPeriodOption = "",
    until: VisitorPeriodOption = "",
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
        held = session.call(FindVisitorRecords(session.parse_visitor(subject, since, until)))
        authorisations = session.register.authorisations
        if withdraw and not authorisations.current_by_category(held.key, recipient):
            raise RefusedError(
                f"that visitor authorised nothing for `{recipient}`",
                "look at `avowal visitor show`",
                code="authorisation-not-found",
            )
        leaves = [] if withdraw else _leaves(categories, session)
        word = Authorisation(held.key, recipient, not withdraw, leaves, channel, reference, utc_now())
        recorded = authorisations.record(word)
    if as_json:
        print_json(msgspec.to_builtins(recorded))
    else:
        did = "took back what it authorised" if withdraw else f"authorised {', '.join(leaves)}"
        print_line(
            f"visitor {recorded.visitor} {did} for `{recipient}` (entry {recorded.entry} of the ledger)"
        )


def _leaves(categories: str, session: Session) -> list[str]:
    """Return the categories, each of which the terms in force let somebody have whom a person authorised."""
    leaves = parse_categories(categories)
    version = find_version_in_force(session.register.versions(), utc_now())
    may = {cell.category for cell in version.compiled_terms.cells if cell.ground == AUTHORISED_GROUND}
    if missing := [leaf for leaf in leaves if leaf not in may]:
        raise RefusedError(
            f"version {version.number} lets nobody have `{missing[0]}`, whoever authorises it",
            f"it lets them have: {', '.join(sorted(may)) or 'nothing'}",
            code="not-permitted",
        )
    return leaves
