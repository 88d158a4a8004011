"""Record submissions that arrived in another way than by the site's own forms, and find submissions for a purpose."""

import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from avowal.app.session import Session
from avowal.change.consent import StatementChannel
from avowal.errors import InvalidInputError, RefusedError
from avowal.keep.enforcement import (
    find_governing_bounds,
    find_version_in_force,
    oldest_permitted_time,
)
from avowal.key_files import FILE_NAME_KEY_FILE, read_or_create_secret
from avowal.policy.bounds import OPERATOR, Bounds
from avowal.policy.form import SUBMISSION_TIME_CATEGORY, Form
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Version
from avowal.register.restrictions import SubmissionSelector
from avowal.submissions.access import SUBJECT_ACCESS_PURPOSE, SubmissionAccess
from avowal.submissions.encryption import CHUNK_BYTES, IncomingFile
from avowal.submissions.form_upload import FormUpload, SubmissionRejected
from avowal.submissions.submission import Submission, find_key_precision, new_reference


@dataclass(frozen=True)
class ReceivedSubmission:
    """A submission that arrived by e-mail, by telephone or in another way."""

    form: str
    """The name of the form that it belongs to."""
    channel: StatementChannel
    visitor: str | None
    """The key of the visitor who sent it, if it is known."""
    submitted_at: datetime
    texts: Sequence[tuple[str, str]]
    """Fields with their values."""
    files: Sequence[tuple[str, Path]]
    """Fields with their files."""


def record_received_submission(session: Session, received: ReceivedSubmission, now: datetime) -> Submission:
    """Record a submission under the version that was in force when it arrived, and return it.

    Raises InvalidInputError if that version declares no such form or field, or `submitted_at` is in the future. Raises
    RefusedError if it, or a later one in force, does not collect a category of the form, or lets a value be kept for a
    shorter time than has passed since.
    """
    if received.submitted_at > now:
        raise InvalidInputError(
            "the time of arrival is in the future", "give the time when it arrived", code="date-in-future"
        )
    register = session.register
    register.await_publication()
    versions = register.versions()
    version = find_version_in_force(versions, received.submitted_at)
    form = _find_form(version, received.form)
    bounds = find_governing_bounds(versions, now)[version.number - 1]
    if missing := form.find_uncollected_categories(bounds.collected_categories):
        raise RefusedError(
            f"version {version.number}, which was in force, or a later one, does not collect `{missing[0]}`",
            "publish terms that collect it first",
            code="not-collected",
        )
    file_name_key = read_or_create_secret(session.folder.keys_folder / FILE_NAME_KEY_FILE)
    with FormUpload(form, partial(IncomingFile, register.submissions.folder, file_name_key)) as upload:
        try:
            _add_texts(upload, received.texts)
            _add_files(upload, received.files)
            inputs = upload.collect_inputs()
        except SubmissionRejected as error:
            raise InvalidInputError(error.message, error.hint, code="invalid-field") from None
        _check_ages(bounds, received.submitted_at, [field_input.category for field_input in inputs], now)
        submission = Submission(
            new_reference(),
            received.form,
            received.channel,
            received.visitor if _may_keep_visitor(bounds, received, now) else None,
            version.number,
            received.submitted_at,
            now,
        )
        register.submissions.record(submission, inputs)
    return submission


def _may_keep_visitor(bounds: Bounds, received: ReceivedSubmission, now: datetime) -> bool:
    """Return whether the visitor's key may be kept with a submission that arrived earlier."""
    if received.visitor is None:
        return False
    ages = bounds.retention_ages("visitor-id")
    return received.submitted_at >= oldest_permitted_time(ages, now, find_key_precision(received.visitor))


def _check_ages(bounds: Bounds, submitted_at: datetime, categories: Sequence[str], now: datetime) -> None:
    """Raise RefusedError if something of a submission may not be kept for as long as has passed since it arrived."""
    for category in (SUBMISSION_TIME_CATEGORY, *categories):
        if submitted_at < oldest_permitted_time(bounds.retention_ages(category), now):
            raise RefusedError(
                f"`{category}` may not be kept for as long as has passed since the submission arrived",
                "record it without that, or not at all",
                code="not-collected",
            )


def find_submissions(
    session: Session,
    selector: SubmissionSelector,
    access: SubmissionAccess,
    period: tuple[datetime, datetime],
    now: datetime,
) -> list[Submission]:
    """Return the selected submissions from the first and before the second time of the period.

    The access is recorded first. Raises RefusedError if the reader may not read for the purpose.
    """
    since, until = period
    submissions = session.register.restrictions.read_submissions(selector, access, now)
    return [submission for submission in submissions if since <= submission.submitted_at < until]


def create_submission_access(session: Session, reader: str, purpose: str, now: datetime) -> SubmissionAccess:
    """Return the access of a reader for a purpose. Raises InvalidInputError if there is no such purpose."""
    vocabulary = load_vocabulary()
    if purpose not in vocabulary.purposes:
        raise InvalidInputError(
            f"`{purpose}` is not a purpose",
            vocabulary.suggest_word("purposes", purpose),
            code="unknown-name",
        )
    return SubmissionAccess(reader, purpose, find_governing_bounds(session.register.versions(), now))


def create_listing_access(session: Session, now: datetime) -> SubmissionAccess:
    """Return the access by which the operator lists submissions: to what any purpose may keep of them."""
    bounds = find_governing_bounds(session.register.versions(), now)
    return SubmissionAccess(OPERATOR, SUBJECT_ACCESS_PURPOSE, bounds)


def _find_form(version: Version, name: str) -> Form:
    forms = version.forms
    if name not in forms:
        known = ", ".join(forms) or "none"
        raise InvalidInputError(
            f"version {version.number} declares no form `{name}`",
            f"its forms are: {known}; `avowal policy publish` publishes the terms in the folder",
            code="unknown-form",
        )
    return forms[name]


def _add_texts(upload: FormUpload, texts: Sequence[tuple[str, str]]) -> None:
    """Add fields to an upload. Raises InvalidInputError if the form has no such field with a text."""
    text_fields = [name for name in upload.form.fields if name not in upload.form.file_fields]
    for name, text in texts:
        if name not in text_fields:
            raise InvalidInputError(
                f"`{name}` is not a field of the form with a value",
                f"the fields are: {', '.join(text_fields)}",
                code="invalid-field",
            )
        upload.count_text_bytes(len(text.encode()))
        upload.add_text(name, text)


def _add_files(upload: FormUpload, files: Sequence[tuple[str, Path]]) -> None:
    """Read files into an upload. Raises OSError if one cannot be read."""
    for name, path in files:
        media_type = mimetypes.guess_type(path)[0] or ""
        with path.open("rb") as source:
            file = upload.begin_file(name, path.name, media_type)
            while data := source.read(CHUNK_BYTES):
                file.write(data)
            file.finish()
