"""What somebody asks to be released, in their own words, and whether that is a request at all."""

from datetime import datetime, timedelta

import msgspec

from avowal.disclose.evidence import AUTHORISATION_EVIDENCE, FUNCTION_EVIDENCE, LINE_CHARACTERS_MAX
from avowal.errors import DisclosureError, InvalidInputError
from avowal.keep.visitor_lookup import VisitorSelector
from avowal.policy.bounds import OPERATOR, OWN_USE
from avowal.policy.ground import GroundRequirements
from avowal.policy.vocabulary import load_vocabulary
from avowal.register.register import Version
from avowal.register.release_requests import RefusalReason
from avowal.use.formatting import is_printable_line

EXPIRY_DAYS_DEFAULT = 30
EXPIRY_DAYS_MAX = 3650
INSTRUMENT_EVIDENCE = "instrument"
"""The evidence that a seal stands on."""


class ReleaseInput(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for, in their own words."""

    ground: str
    recipient: str
    categories: list[str]
    recipient_kind: str = ""
    """Of the recipient; empty where the ground has one kind alone."""
    contact: str = ""
    visitor_selector: VisitorSelector | None = None
    submission_reference: str = ""
    row_filter: str = ""
    evidence_reference: str = ""
    evidence: dict[str, str] = {}
    expires_days: int = EXPIRY_DAYS_DEFAULT
    sealed_until: datetime | None = None
    requester: str = OPERATOR


def parse_ground(word: str) -> str:
    """Return the ground that a word stands for; of a parent, its first child. Raises InvalidInputError if unknown."""
    words = load_vocabulary()
    leaves = words.expand("grounds", word)
    if not leaves or word == OWN_USE:
        raise InvalidInputError(
            f"`{word}` is none of the grounds", words.suggest_word("grounds", word), code="unknown-name"
        )
    return leaves[0]


def find_recipient_kind(version: Version, release_input: ReleaseInput) -> str:
    """Return the kind of the recipient. Raises DisclosureError where the terms let none of it have anything."""
    kinds = sorted(
        {cell.recipient for cell in version.compiled_terms.cells if cell.ground == release_input.ground}
    )
    known = load_vocabulary()
    if release_input.recipient_kind and not known.expand("recipients", release_input.recipient_kind):
        raise InvalidInputError(
            f"`{release_input.recipient_kind}` is none of the recipients",
            known.suggest_word("recipients", release_input.recipient_kind),
            code="unknown-name",
        )
    if not kinds or release_input.recipient_kind not in {"", *kinds}:
        raise DisclosureError(
            f"the terms let no {release_input.recipient_kind or 'other'} have anything on the ground "
            f"`{release_input.ground}`",
            f"they let: {', '.join(kinds) or 'nobody'}",
            RefusalReason.RECIPIENT,
            code="recipient-not-permitted",
        )
    if not release_input.recipient_kind and len(kinds) > 1:
        raise InvalidInputError(
            "the terms know several kinds of recipients for this ground",
            f"name one with `--kind`: {', '.join(kinds)}",
            code="recipient-ambiguous",
        )
    return release_input.recipient_kind or kinds[0]


def check_line(text: str) -> None:
    """Raise InvalidInputError where a text is no line that a terminal can show, or too long."""
    if not is_printable_line(text, LINE_CHARACTERS_MAX):
        raise InvalidInputError(
            f"that is no line of up to {LINE_CHARACTERS_MAX:,} characters",
            "write it shorter",
            code="input-too-long",
        )


def check_release_input(release_input: ReleaseInput, requirements: GroundRequirements, now: datetime) -> None:
    """Check what is asked for by itself. Raises InvalidInputError where it is no request."""
    if not release_input.recipient.strip():
        raise InvalidInputError("`--to` is empty", "name who receives it", code="missing-input")
    for text in (release_input.recipient, release_input.contact, release_input.row_filter):
        check_line(text)
    personal = {AUTHORISATION_EVIDENCE, FUNCTION_EVIDENCE} & {*requirements.evidence}
    if personal and release_input.row_filter:
        raise InvalidInputError(
            "on this ground a release is of one person", "name them with `--about`", code="missing-input"
        )
    if not (
        release_input.visitor_selector
        or release_input.submission_reference
        or release_input.row_filter
        or FUNCTION_EVIDENCE in requirements.evidence
    ):
        raise InvalidInputError(
            "a release is about a visitor, or of rows", "give `--about` or `--rows`", code="missing-input"
        )
    if release_input.submission_reference and release_input.row_filter:
        raise InvalidInputError(
            "a submission has no rows", "give one of `--about` and `--rows`", code="conflicting-options"
        )
    if not 1 <= release_input.expires_days <= EXPIRY_DAYS_MAX:
        raise InvalidInputError(
            "it expires too late, or at once", f"give 1 to {EXPIRY_DAYS_MAX} days", code="invalid-expiry"
        )
    if release_input.sealed_until:
        _check_seal(release_input.sealed_until, requirements, now)


def _check_seal(until: datetime, need: GroundRequirements, now: datetime) -> None:
    """Check that a seal may be, and ends."""
    if INSTRUMENT_EVIDENCE not in need.evidence:
        raise InvalidInputError(
            "only what an instrument requires can be under seal",
            "the visitor is told of it",
            code="seal-not-permitted",
        )
    if not now < until <= now + timedelta(days=EXPIRY_DAYS_MAX):
        raise InvalidInputError(
            "a seal ends on a day to come",
            f"give a date of the next {EXPIRY_DAYS_MAX} days",
            code="invalid-time",
        )
