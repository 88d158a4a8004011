"""Requests for releases as people enter them, and the checks that need nothing but the terms."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from avowal.disclose.evidence import LINE_CHARACTERS_MAX
from avowal.errors import DisclosureError, InvalidInputError, QueryError
from avowal.policy.bounds import OWN_USE
from avowal.policy.ground import EvidenceKind, GroundRequirements
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Version
from avowal.register.release_requests import RefusalReason
from avowal.submissions.submission import REFERENCE_PATTERN
from avowal.use.formatting import is_printable_line
from avowal.use.selection_list import join_selections, parse_row_selections

SEALED_GROUND = "instrument"
"""The only ground on which a release may be under seal (X9)."""

EXPIRY_DAYS_DEFAULT = 30
EXPIRY_DAYS_MAX = 3650


class ReleaseInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for a release as a person enters it: the options of `avowal disclose`, the JSON of `POST /releases`.

    `ground`, `categories` and `recipient_kind` are words of the vocabulary; the first two may be parents.
    """

    ground: str
    recipient: str
    categories: list[str]
    recipient_kind: str = ""
    """May be empty if the terms permit only one kind of recipient on the ground."""
    recipient_contact: str = ""
    subject: str = ""
    """A visitor's key, a cookie's identifier, an address, or the reference of a submission; empty for chosen rows."""
    since: str = ""
    """With `until`, the period in which the visitor had the address."""
    until: str = ""
    row_filter: str = ""
    evidence_reference: str = ""
    """The text for the first kind of evidence that is a reference; see REFERENCE_EVIDENCE."""
    evidence: dict[str, str] = {}
    expires_days: int = EXPIRY_DAYS_DEFAULT
    sealed_until: str = ""
    dry_run: bool = False
    """Whether to return what would be released, and record nothing."""

    @property
    def submission_reference(self) -> str:
        """The subject, if it is the reference of a submission; else empty."""
        return self.subject if REFERENCE_PATTERN.fullmatch(self.subject) else ""


def parse_ground(name: str) -> str:
    """Return the ground that a word stands for; of a parent, its first child. Raises InvalidInputError if unknown."""
    words = load_vocabulary()
    leaves = words.expand("grounds", name)
    if not leaves or name == OWN_USE:
        raise InvalidInputError(
            f"`{name}` is not one of the grounds", words.suggest_word("grounds", name), code="unknown-name"
        )
    return leaves[0]


def find_recipient_kind(version: Version, ground: str, recipient_kind: str) -> str:
    """Return the kind of the recipient: the one that is given, or the only one that the terms permit on a ground.

    Raises DisclosureError if the terms do not permit that kind, and InvalidInputError if the vocabulary does not have
    it, or if none is given although the terms permit several.
    """
    permitted = sorted({cell.recipient for cell in version.compiled_terms.cells if cell.ground == ground})
    words = load_vocabulary()
    if recipient_kind and not words.expand("recipients", recipient_kind):
        raise InvalidInputError(
            f"`{recipient_kind}` is not one of the recipients",
            words.suggest_word("recipients", recipient_kind),
            code="unknown-name",
        )
    if not permitted or recipient_kind not in {"", *permitted}:
        raise DisclosureError(
            f"the terms permit no release to {recipient_kind or 'anybody'} on the ground `{ground}`",
            f"they permit: {', '.join(permitted) or 'nobody'}",
            RefusalReason.RECIPIENT,
            code="recipient-not-permitted",
        )
    if not recipient_kind and len(permitted) > 1:
        raise InvalidInputError(
            "the terms permit several kinds of recipients on this ground",
            f"name one with `--recipient-kind`: {', '.join(permitted)}",
            code="recipient-ambiguous",
        )
    return recipient_kind or permitted[0]


def check_line(text: str) -> None:
    """Raise InvalidInputError if a text is too long, or is not a line that a terminal can show."""
    if not is_printable_line(text, LINE_CHARACTERS_MAX):
        raise InvalidInputError(
            f"the text is not a line of up to {LINE_CHARACTERS_MAX:,} characters",
            "write it shorter",
            code="input-too-long",
        )


def check_release_input(
    release_input: ReleaseInput,
    requirements: GroundRequirements,
    sealed_until: datetime | None,
    now: datetime,
) -> None:
    """Raise InvalidInputError if the input is incomplete, or does not fit what the ground requires."""
    if not release_input.recipient.strip():
        raise InvalidInputError("`--recipient` is empty", "name who receives it", code="missing-input")
    for text in (release_input.recipient, release_input.recipient_contact, release_input.row_filter):
        check_line(text)
    evidence = {*requirements.evidence}
    if release_input.row_filter and evidence & {EvidenceKind.AUTHORISATION, EvidenceKind.FUNCTION}:
        raise InvalidInputError(
            "on this ground a release is of one person", "name them with `--subject`", code="missing-input"
        )
    if not (release_input.subject or release_input.row_filter or EvidenceKind.FUNCTION in evidence):
        raise InvalidInputError(
            "a release is about a visitor, or of rows", "give `--subject` or `--rows`", code="missing-input"
        )
    if release_input.submission_reference and release_input.row_filter:
        raise InvalidInputError(
            "a submission has no rows", "give one of `--subject` and `--rows`", code="conflicting-options"
        )
    if not 1 <= release_input.expires_days <= EXPIRY_DAYS_MAX:
        raise InvalidInputError(
            "a release has to expire after a day at the earliest, and not too late",
            f"give 1 to {EXPIRY_DAYS_MAX} days",
            code="invalid-expiry",
        )
    if sealed_until:
        _check_seal(sealed_until, parse_ground(release_input.ground), now)


def _check_seal(sealed_until: datetime, ground: str, now: datetime) -> None:
    """Raise InvalidInputError if the ground permits no seal, or the seal does not end in time.

    Which ground permits a seal is the same under all terms, so that no later version permits one for older records.
    """
    if ground != SEALED_GROUND:
        raise InvalidInputError(
            "only a release that a legal instrument requires can be under seal",
            "leave out `--sealed-until`: the visitor is told of this release",
            code="seal-not-permitted",
        )
    if not now < sealed_until <= now + timedelta(days=EXPIRY_DAYS_MAX):
        raise InvalidInputError(
            "the end of the seal is not in the permitted period",
            f"give a date within the next {EXPIRY_DAYS_MAX} days",
            code="invalid-time",
        )


def normalize_row_filter(text: str) -> str:
    """Return a choice of rows as it is run and recorded; empty if there is none.

    Raises DisclosureError if it is none that may be run.
    """
    if not text.strip():
        return ""
    with refusing_queries():
        return join_selections(parse_row_selections(text))


@contextmanager
def refusing_queries() -> Iterator[None]:
    """Raise DisclosureError for each QueryError that is raised inside."""
    try:
        yield
    except QueryError as error:
        raise DisclosureError(error.message, error.hint, RefusalReason.TERMS, code=error.code) from None
