"""What has to be there before anything is released on a ground, as the terms name it; and how far it goes.

The rules stand in `docs/spec/releases.md` (X3).
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from avowal.errors import DisclosureError, MisuseError
from avowal.policy.form import Form
from avowal.policy.ground import EVIDENCE, Need, needs
from avowal.policy.vocabulary import named_leaves
from avowal.register.register import SqliteRegister, Version
from avowal.register.release_requests import Request, Why
from avowal.submissions.submission import Submission
from avowal.use.formatting import is_line

AUTHORISATION, FUNCTION, RECORDS, DATE = "authorisation", "function", "records", "date"
LOOKED_UP = frozenset({AUTHORISATION, RECORDS})
"""Evidence that nobody writes down: it is in the register, or the rows that are chosen are it."""

REFERRED = (FUNCTION, "case", "reference")
"""Evidence that says where something is found again: `--reference` does."""

TEXT_MAX = 1_000


class Limit(NamedTuple):
    """How far evidence goes."""

    refused: Mapping[str, str]
    """By category, why it does not go there."""
    submission: Submission | None = None
    """The one that it is of; None where it is of no single one."""


def needed(version: Version, ground: str) -> Need:
    """Return what a version's terms need on a ground. Raises DisclosureError where they name no evidence for it."""
    need = needs(version.promised.duties).get(ground)
    if need is None:
        raise DisclosureError(
            f"version {version.number} names no evidence for the ground `{ground}`, so it permits no release",
            f'say so in the terms under [[ground]]: `name = "{ground}"`',
            Why.TERMS,
        )
    return need


def gathered(
    need: Need, given: Mapping[str, str], reference: str, rows: str, now: datetime
) -> dict[str, str]:
    """Return the evidence that somebody gave, by its kind; `reference` is that of the first kind that has one.

    Raises MisuseError where something else is given, and DisclosureError where some is missing, empty or impossible.
    """
    evidence = {kind: text.strip() for kind, text in given.items()}
    referred = next((kind for kind in need.evidence if kind in REFERRED), None)
    if reference and referred:
        evidence.setdefault(referred, reference.strip())
    for kind, text in evidence.items():
        if kind not in need.evidence or kind in LOOKED_UP:
            hint = f"it needs: {', '.join(need.evidence)}"
            raise MisuseError(f"`{kind}` is no evidence that is given for this ground", hint)
        if not is_line(text, TEXT_MAX):
            raise MisuseError(
                f"the evidence `{kind}` is no line of up to {TEXT_MAX} characters", "write it shorter"
            )
    for kind in need.evidence:
        if kind not in LOOKED_UP and not evidence.get(kind):
            how = "--reference TEXT" if kind == referred else f"--evidence {kind}=TEXT"
            raise DisclosureError(
                f"there is no {kind}: {EVIDENCE[kind]}", f"give it with `{how}`", Why.EVIDENCE
            )
    if RECORDS in need.evidence:
        if not rows:
            raise DisclosureError(
                "no records are named that gave rise to it", "choose them with `--rows`", Why.EVIDENCE
            )
        evidence[RECORDS] = rows
    if DATE in evidence:
        _check_date(evidence[DATE], now)
    return evidence


def limit(register: SqliteRegister, forms: Mapping[str, Form], need: Need, request: Request) -> Limit:
    """Return how far the evidence of a request goes. Raises DisclosureError where there is none, or for nothing."""
    refused = dict[str, str]()
    submission = asked_for(register, request.submission) if request.submission else None
    if AUTHORISATION in need.evidence:
        standing = register.authorisations.standing(request.visitor, request.recipient)
        refused |= {
            one: "the visitor did not authorise it" for one in request.categories if one not in standing
        }
        if len(refused) == len(request.categories):
            raise DisclosureError(
                f"that visitor authorised nothing of it for `{request.recipient}`, or took it back",
                "`avowal visitor authorise` records what a visitor authorises",
                Why.EVIDENCE,
            )
    if FUNCTION in need.evidence:
        if request.submission not in {"", request.evidence[FUNCTION]}:
            raise DisclosureError(
                "it is about another submission than it was asked for by", "leave out `--about`", Why.EVIDENCE
            )
        submission = asked_for(register, request.evidence[FUNCTION])
        if request.visitor not in {"", submission.visitor}:
            raise DisclosureError(
                "that visitor did not ask for it", "look at `avowal visitor show`", Why.EVIDENCE
            )
        form = forms.get(submission.form)
        served = {*named_leaves("purposes", form.purposes if form else [])}
        if objected := sorted(served.intersection(submission.objects_to)):
            raise DisclosureError(
                f"whoever asked for it objects to {', '.join(objected)} by now", "", Why.EVIDENCE
            )
        if not submission.open_to(request.recipient):
            raise DisclosureError(
                f"what was asked for is for {', '.join(submission.recipients)} only", "", Why.EVIDENCE
            )
        needs_of = named_leaves("categories", form.needs if form else [])
        why = f"what was asked for by `{submission.form}` does not need it"
        refused |= {one: why for one in request.categories if one not in needs_of}
        if len(refused) == len(request.categories):
            hint = f"`needs` of its [[form]] in the terms: {', '.join(needs_of) or 'nothing'}"
            raise DisclosureError(
                f"what was asked for by `{submission.form}` needs nothing of it", hint, Why.EVIDENCE
            )
    return Limit(refused, submission)


def asked_for(register: SqliteRegister, reference: str) -> Submission:
    """Return the submission that somebody asked for something by. Raises DisclosureError where there is none."""
    found = register.submissions.known(reference)
    if found is None:
        raise DisclosureError(
            f"nobody handed over `{reference}`", "`avowal submission list` tells what was", Why.EVIDENCE
        )
    return found


def _check_date(text: str, now: datetime) -> None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"`{text}` is no date", "write it as `2026-11-22`") from None
    if day > now.date():
        raise DisclosureError(
            f"the instrument is of {day}, which is still to come", "look at its date", Why.EVIDENCE
        )
