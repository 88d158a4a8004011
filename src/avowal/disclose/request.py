"""What somebody asks to be released, in their own words, and whether that is a request at all."""

from datetime import datetime, timedelta

import msgspec

from avowal.disclose.evidence import AUTHORISATION, FUNCTION, TEXT_MAX
from avowal.errors import DisclosureError, MisuseError
from avowal.keep.visitor_lookup import Subject
from avowal.policy.bounds import OPERATOR, OWN_USE
from avowal.policy.ground import Need
from avowal.policy.vocabulary import vocabulary
from avowal.register.register import Version
from avowal.register.release_requests import Why
from avowal.use.formatting import is_line

EXPIRES_DAYS = 30
EXPIRES_MAX = 3650
INSTRUMENT = "instrument"
"""The evidence that a seal stands on."""


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for, in their own words."""

    ground: str
    to: str
    categories: list[str]
    kind: str = ""
    """Of the recipient; empty where the ground has one kind alone."""
    contact: str = ""
    about: Subject | None = None
    submission: str = ""
    rows: str = ""
    reference: str = ""
    evidence: dict[str, str] = {}
    expires_days: int = EXPIRES_DAYS
    sealed_until: datetime | None = None
    by: str = OPERATOR


def named_ground(word: str) -> str:
    """Return the ground that a word stands for: of a parent, the first one beneath it. Raises MisuseError if none."""
    words = vocabulary()
    leaves = words.leaves("grounds", word)
    if not leaves or word == OWN_USE:
        raise MisuseError(f"`{word}` is none of the grounds", words.nearest("grounds", word))
    return leaves[0]


def kind_of(version: Version, words: Words) -> str:
    """Return the kind of the recipient. Raises DisclosureError where the terms let none of it have anything."""
    kinds = sorted({cell.recipient for cell in version.promised.cells if cell.ground == words.ground})
    known = vocabulary()
    if words.kind and not known.leaves("recipients", words.kind):
        raise MisuseError(
            f"`{words.kind}` is none of the recipients", known.nearest("recipients", words.kind)
        )
    if not kinds or words.kind not in {"", *kinds}:
        raise DisclosureError(
            f"the terms let no {words.kind or 'other'} have anything on the ground `{words.ground}`",
            f"they let: {', '.join(kinds) or 'nobody'}",
            Why.RECIPIENT,
        )
    if not words.kind and len(kinds) > 1:
        raise MisuseError(
            "the terms know several kinds of recipients for this ground",
            f"name one with `--kind`: {', '.join(kinds)}",
        )
    return words.kind or kinds[0]


def check_line(text: str) -> None:
    """Raise MisuseError where a text is no line that a terminal can show, or too long."""
    if not is_line(text, TEXT_MAX):
        raise MisuseError(f"that is no line of up to {TEXT_MAX:,} characters", "write it shorter")


def check(words: Words, need: Need, now: datetime) -> None:
    """Check what is asked for by itself. Raises MisuseError where it is no request."""
    if not words.to.strip():
        raise MisuseError("`--to` is empty", "name who receives it")
    for text in (words.to, words.contact, words.rows):
        check_line(text)
    personal = {AUTHORISATION, FUNCTION} & {*need.evidence}
    if personal and words.rows:
        raise MisuseError("on this ground a release is of one person", "name them with `--about`")
    if not (words.about or words.submission or words.rows or FUNCTION in need.evidence):
        raise MisuseError("a release is about a visitor, or of rows", "give `--about` or `--rows`")
    if words.submission and words.rows:
        raise MisuseError("a submission has no rows", "give one of `--about` and `--rows`")
    if not 1 <= words.expires_days <= EXPIRES_MAX:
        raise MisuseError("it expires too late, or at once", f"give 1 to {EXPIRES_MAX} days")
    if words.sealed_until:
        _check_seal(words.sealed_until, need, now)


def _check_seal(until: datetime, need: Need, now: datetime) -> None:
    """Check that a seal may be, and ends."""
    if INSTRUMENT not in need.evidence:
        raise MisuseError("only what an instrument requires can be under seal", "the visitor is told of it")
    if not now < until <= now + timedelta(days=EXPIRES_MAX):
        raise MisuseError("a seal ends on a day to come", f"give a date of the next {EXPIRES_MAX} days")
