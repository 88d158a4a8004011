"""`avowal submission set`: what holds for what people handed over, beside its form and the terms."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import typer

from avowal.app.session import Session, open_session
from avowal.change.consent import StatementChannel
from avowal.cli.options import DataFolderOption, JsonOption, create_app
from avowal.cli.output import print_json, print_line
from avowal.clock import utc_now
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions
from avowal.keep.visitor_lookup import VISITOR_KEY_PATTERN
from avowal.policy.form import FILE_CATEGORY, SUBMISSION_CATEGORY, SUBMISSION_TIME_CATEGORY
from avowal.policy.vocabulary import expand_words, load_vocabulary
from avowal.register.restrictions import RestrictionChange, SubmissionSelector
from avowal.use.formatting import is_printable_line
from avowal.use.report_request import parse_time

MAX_SOURCE_CHARACTERS = 200

app = create_app()

PurposesOption = Annotated[
    str | None, typer.Option(help="The purposes that may not use it, instead of the former ones; or empty.")
]
AutomatedDecisionsOption = Annotated[
    bool | None,
    typer.Option(
        "--automated-decisions/--no-automated-decisions", help="Whether programs may make decisions from it."
    ),
]


@app.command("set")
def set_restrictions(
    channel: Annotated[StatementChannel, typer.Option(help="How the person said so.")],
    reference: Annotated[str, typer.Argument(help="The reference that the sender received.")] = "",
    form: Annotated[str, typer.Option(help="All submissions of a form.")] = "",
    visitor: Annotated[str, typer.Option(help="All submissions of a visitor, by their key.")] = "",
    keep_until: Annotated[
        str | None, typer.Option(help="When it is deleted; empty: as its terms say.")
    ] = None,
    objects_to: PurposesOption = None,
    automated_decisions: AutomatedDecisionsOption = None,
    readers: Annotated[
        str | None, typer.Option(help="The only readers, separated by commas; or empty.")
    ] = None,
    recipients: Annotated[
        str | None, typer.Option(help="The only recipients, separated by commas; or empty.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Its source, if not the person; or empty.")] = None,
    assign_visitor: Annotated[
        str | None, typer.Option(help="The visitor it belongs to, by their key; or empty.")
    ] = None,
    categories: Annotated[
        list[str], typer.Option("--category", help="A field with its category: `message=answer`.")
    ] = [],  # noqa: B006  # typer copies it
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Restrict a submission, or all of a form or a visitor. The ledger records the restriction."""
    which = _which(reference, form, visitor)
    options = _RestrictionOptions(
        keep_until, objects_to, automated_decisions, readers, recipients, source, assign_visitor, categories
    )
    with open_session(data) as session:
        now, change = utc_now(), _change(session, which, options)
        if not change.settings:
            raise InvalidInputError(
                "no restriction was given",
                "give `--keep-until`, `--readers` or another option",
                code="missing-input",
            )
        done = session.register.restrictions.set(which, change, channel, now)
    if as_json:
        print_json(done)
    else:
        print_line(
            f"set for {done.submissions:,}: {', '.join(done.settings)} (entry {done.entry} of the ledger)"
        )


class _RestrictionOptions(NamedTuple):
    keep_until: str | None
    objected_purposes: str | None
    allows_automated_decisions: bool | None
    allowed_readers: str | None
    allowed_recipients: str | None
    source: str | None
    visitor: str | None
    field_categories: list[str]


def _change(session: Session, which: SubmissionSelector, options: _RestrictionOptions) -> RestrictionChange:
    """Return the restrictions; an option that was not given changes nothing."""

    def until(word: str) -> datetime | None:
        at = parse_time(word, session.folder.time_zone, utc_now()) if word else None
        if at and at <= utc_now():
            raise InvalidInputError(
                "`--keep-until` is past", "`avowal submission erase` deletes it now", code="date-in-past"
            )
        return at

    read: dict[str, Callable[[Any], Any]] = {
        "keep_until": until,
        "objected_purposes": lambda words: tuple(expand_words("purposes", _words(words))),
        "allows_automated_decisions": bool,
        "allowed_readers": lambda words: _readers(session, _words(words)),
        "allowed_recipients": lambda words: tuple(_words(words)),
        "source": _line,
        "visitor": lambda word: _key(word) if word else None,
        "field_categories": lambda words: _categories(session, which, words),
    }
    said = {name: value for name, value in options._asdict().items() if value not in (None, [])}
    return RestrictionChange(**{name: read[name](value) for name, value in said.items()})


def _which(reference: str, form: str, visitor: str) -> SubmissionSelector:
    """Return the selected submissions. Raises InvalidInputError unless they are selected in one way."""
    if sum(map(bool, (reference, form, visitor))) != 1:
        raise InvalidInputError(
            "the submissions are not selected in one way",
            "give a reference, or one of `--form` and `--visitor`",
            code="missing-input",
        )
    if visitor:
        return SubmissionSelector("visitor", _key(visitor))
    return SubmissionSelector("submission", reference) if reference else SubmissionSelector("form", form)


def _words(text: str) -> list[str]:
    return sorted({word.strip() for word in text.split(",") if word.strip()})


def _key(word: str) -> str:
    if not VISITOR_KEY_PATTERN.fullmatch(word.lower()):
        raise InvalidInputError(
            f"`{word}` is not the key of a visitor", "give 16 hexadecimal digits", code="invalid-visitor"
        )
    return word.lower()


def _line(text: str) -> str:
    if not is_printable_line(text, MAX_SOURCE_CHARACTERS):
        raise InvalidInputError(
            f"`--source` is not a line of at most {MAX_SOURCE_CHARACTERS} characters",
            "shorten it",
            code="input-too-long",
        )
    return text


def _readers(session: Session, names: list[str]) -> tuple[str, ...]:
    known = [one.name for one in session.register.readers.all()]
    if wrong := next((name for name in names if name not in known), None):
        raise RefusedError(
            f"there is no reader `{wrong}`",
            f"there are: {', '.join(known) or 'none'}",
            code="reader-not-found",
        )
    return tuple(names)


def _categories(session: Session, which: SubmissionSelector, options: list[str]) -> dict[str, str]:
    """Return the categories of fields. Raises RefusedError if one would be used for more, or kept longer."""
    fields, found = dict(word.partition("=")[::2] for word in options), {}
    fitting = [
        word
        for word in load_vocabulary().expand("categories", SUBMISSION_CATEGORY)
        if word not in {SUBMISSION_TIME_CATEGORY, FILE_CATEGORY}
    ]
    bounds = compute_governing_bounds(effective_versions(session.register.versions(), utc_now()))
    for field, category in fields.items():
        if category not in fitting:
            raise InvalidInputError(
                f"`--category {field}={category}` is not a category of a field",
                f"there are: {', '.join(fitting)}",
                code="invalid-field",
            )
        for version, before in session.register.restrictions.field_categories(which, field):
            if before == FILE_CATEGORY or not bounds[version - 1].is_at_least_as_strict(category, before):
                raise RefusedError(
                    f"version {version} lets `{category}` be used for more than `{before}`, or kept longer",
                    "choose a category that is not: the terms at the time of submission apply",
                    code="weaker-category",
                )
        found[field] = category
    return found
