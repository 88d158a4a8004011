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


@app.command("set")
def set_restrictions(
    channel: Annotated[StatementChannel, typer.Option(help="How it was said.")],
    reference: Annotated[str, typer.Argument(help="As it was told to whoever handed it over.")] = "",
    form: Annotated[str, typer.Option(help="All that came by a form.")] = "",
    visitor: Annotated[str, typer.Option(help="All that a visitor sent, by their key.")] = "",
    keep_until: Annotated[str | None, typer.Option(help="Forget it then; empty: when its terms say.")] = None,
    objects_to: Annotated[
        str | None, typer.Option(help="Purposes that may not use it, in the place of those before; or empty.")
    ] = None,
    automated_decisions: Annotated[
        bool | None,
        typer.Option(
            "--automated-decisions/--no-automated-decisions", help="Whether programs may decide by it."
        ),
    ] = None,
    readers: Annotated[
        str | None, typer.Option(help="Who alone reads it, with commas between; or empty.")
    ] = None,
    recipients: Annotated[
        str | None, typer.Option(help="Who alone may be given it, with commas between; or empty.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where it came from, where not from the person; or empty.")
    ] = None,
    assign_visitor: Annotated[str | None, typer.Option(help="Whose it is, by their key; or empty.")] = None,
    categories: Annotated[
        list[str], typer.Option("--category", help="A field with its category: `message=answer`.")
    ] = [],  # noqa: B006  # typer copies it
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Set what holds for something that was handed over, or for all of a form or a visitor; that is on record."""
    which = _which(reference, form, visitor)
    told = _RestrictionOptions(
        keep_until, objects_to, automated_decisions, readers, recipients, source, assign_visitor, categories
    )
    with open_session(data) as session:
        now, change = utc_now(), _change(session, which, told)
        if not change.settings:
            raise InvalidInputError(
                "nothing is set",
                "give `--keep-until`, `--readers`, or another of its options",
                code="missing-input",
            )
        done = session.register.restrictions.set(which, change, channel, now)
        session.register.ledger.sign_checkpoint()
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


def _change(session: Session, which: SubmissionSelector, told: _RestrictionOptions) -> RestrictionChange:
    """Return what is to hold; whatever was not told is not set."""

    def until(word: str) -> datetime | None:
        at = parse_time(word, session.folder.time_zone, utc_now()) if word else None
        if at and at <= utc_now():
            raise InvalidInputError(
                "`--keep-until` is past", "`avowal submission erase` forgets it now", code="date-in-past"
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
    said = {name: value for name, value in told._asdict().items() if value not in (None, [])}
    return RestrictionChange(**{name: read[name](value) for name, value in said.items()})


def _which(reference: str, form: str, visitor: str) -> SubmissionSelector:
    """Return which submissions are meant. Raises InvalidInputError unless they are named in one way."""
    if sum(map(bool, (reference, form, visitor))) != 1:
        raise InvalidInputError(
            "which are meant is not clear",
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
            f"`{word}` is no visitor's key", "give 16 hexadecimal digits", code="invalid-visitor"
        )
    return word.lower()


def _line(text: str) -> str:
    if not is_printable_line(text, MAX_SOURCE_CHARACTERS):
        raise InvalidInputError(
            f"`--source` is no line of up to {MAX_SOURCE_CHARACTERS} characters",
            "write it shorter",
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


def _categories(session: Session, which: SubmissionSelector, told: list[str]) -> dict[str, str]:
    """Return the categories of fields. Raises RefusedError where one would be used for more, or kept longer."""
    fields, found = dict(word.partition("=")[::2] for word in told), {}
    fitting = [
        word
        for word in load_vocabulary().expand("categories", SUBMISSION_CATEGORY)
        if word not in {SUBMISSION_TIME_CATEGORY, FILE_CATEGORY}
    ]
    bounds = compute_governing_bounds(effective_versions(session.register.versions(), utc_now()))
    for field, category in fields.items():
        if category not in fitting:
            raise InvalidInputError(
                f"`--category {field}={category}` names none",
                f"there are: {', '.join(fitting)}",
                code="invalid-field",
            )
        for version, before in session.register.restrictions.field_categories(which, field):
            if before == FILE_CATEGORY or not bounds[version - 1].is_at_least_as_strict(category, before):
                raise RefusedError(
                    f"version {version} lets `{category}` be used for more than `{before}`, or kept longer",
                    "name a category that is not: what was said when it was handed over holds",
                    code="weaker-category",
                )
        found[field] = category
    return found
