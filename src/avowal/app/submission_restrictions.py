"""Build the change that restricts submissions, from the values that a person gave."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import UNSET, UnsetType

from avowal.app.session import Session
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import find_governing_bounds
from avowal.keep.visitor_lookup import VISITOR_KEY_PATTERN
from avowal.policy.form import FILE_CATEGORY, SUBMISSION_CATEGORY, SUBMISSION_TIME_CATEGORY
from avowal.policy.vocabulary import expand_words, load_vocabulary
from avowal.register.restrictions import RestrictionChange, SubmissionSelector
from avowal.use.formatting import is_printable_line
from avowal.use.report_request import parse_time

SOURCE_CHARACTERS_MAX = 200


@dataclass(frozen=True)
class RestrictionInput:
    """Restrictions as a person gave them. What is None stays as it is; an empty value removes a restriction."""

    keep_until: str | None = None
    """A time, in the time zone of the site unless it names one."""
    objected_purposes: Sequence[str] | None = None
    allows_automated_decisions: bool | None = None
    allowed_readers: Sequence[str] | None = None
    allowed_recipients: Sequence[str] | None = None
    source: str | None = None
    visitor: str | None = None
    """The key of a visitor."""
    field_categories: Sequence[tuple[str, str]] = ()
    """Fields, each with its new category."""


def build_restriction_change(
    session: Session, selector: SubmissionSelector, choices: RestrictionInput, now: datetime
) -> RestrictionChange:
    """Return the change to the selected submissions.

    Raises InvalidInputError if nothing or something invalid is given. Raises RefusedError if there is no such reader,
    or a field would be used for more, or kept longer, in its new category.
    """
    change = RestrictionChange(
        keep_until=UNSET
        if choices.keep_until is None
        else _parse_keep_until(session, choices.keep_until, now),
        objected_purposes=_expand_purposes(choices.objected_purposes),
        allows_automated_decisions=(
            UNSET if choices.allows_automated_decisions is None else choices.allows_automated_decisions
        ),
        allowed_readers=_check_readers(session, choices.allowed_readers),
        allowed_recipients=UNSET if choices.allowed_recipients is None else tuple(choices.allowed_recipients),
        source=UNSET if choices.source is None else _check_source(choices.source),
        visitor=UNSET
        if choices.visitor is None
        else parse_visitor_key(choices.visitor)
        if choices.visitor
        else None,
        field_categories=(
            _check_categories(session, selector, dict(choices.field_categories), now)
            if choices.field_categories
            else UNSET
        ),
    )
    if not change.settings:
        raise InvalidInputError(
            "no restriction was given",
            "give `--keep-until`, `--readers` or another option",
            code="missing-input",
        )
    return change


def parse_visitor_key(text: str) -> str:
    """Return the key of a visitor in lower case. Raises InvalidInputError if the text is not one."""
    if not VISITOR_KEY_PATTERN.fullmatch(text.lower()):
        raise InvalidInputError(
            f"`{text}` is not the key of a visitor", "give 16 hexadecimal digits", code="invalid-visitor"
        )
    return text.lower()


def _parse_keep_until(session: Session, text: str, now: datetime) -> datetime | None:
    moment = parse_time(text, session.folder.time_zone, now) if text else None
    if moment and moment <= now:
        raise InvalidInputError(
            "the end of the retention is in the past",
            "`avowal submission erase` deletes the submission now",
            code="date-in-past",
        )
    return moment


def _expand_purposes(purposes: Sequence[str] | None) -> tuple[str, ...] | UnsetType:
    return UNSET if purposes is None else tuple(expand_words("purposes", list(purposes)))


def _check_readers(session: Session, names: Sequence[str] | None) -> tuple[str, ...] | UnsetType:
    if names is None:
        return UNSET
    reader_names = [reader.name for reader in session.register.readers.all()]
    if unknown := [name for name in names if name not in reader_names]:
        raise RefusedError(
            f"there is no reader `{unknown[0]}`",
            f"the readers are: {', '.join(reader_names) or 'none'}",
            code="reader-not-found",
        )
    return tuple(names)


def _check_source(text: str) -> str:
    if not is_printable_line(text, SOURCE_CHARACTERS_MAX):
        raise InvalidInputError(
            f"the source is not a line of at most {SOURCE_CHARACTERS_MAX} characters",
            "shorten it",
            code="input-too-long",
        )
    return text


def _check_categories(
    session: Session, selector: SubmissionSelector, categories: dict[str, str], now: datetime
) -> dict[str, str]:
    """Return the categories of fields.

    Raises RefusedError if the terms of a submission let a field be used for more, or kept longer, in its new category.
    """
    field_categories = [
        category
        for category in load_vocabulary().expand("categories", SUBMISSION_CATEGORY)
        if category not in {SUBMISSION_TIME_CATEGORY, FILE_CATEGORY}
    ]
    bounds = find_governing_bounds(session.register.versions(), now)
    for field, category in categories.items():
        if category not in field_categories:
            raise InvalidInputError(
                f"`{category}` is not a category of a field",
                f"the categories are: {', '.join(field_categories)}",
                code="invalid-field",
            )
        for version, former in session.register.restrictions.field_categories(selector, field):
            if former == FILE_CATEGORY or not bounds[version - 1].is_at_least_as_strict(category, former):
                raise RefusedError(
                    f"version {version} lets `{category}` be used for more than `{former}`, or kept longer",
                    "choose a stricter category: the terms at the time of submission apply",
                    code="weaker-category",
                )
    return categories
