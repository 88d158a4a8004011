"""What is told of one visitor, and done for them: for the operator's commands, and for the visitor's own page."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from avow.cli.session import Session, chosen
from avow.clock import utc_now
from avow.keep.access import MAY_SEE
from avow.keep.authorisations import Authorisation
from avow.keep.cut import KEYS, RELATIONS
from avow.keep.governing import governs, in_force
from avow.keep.releases import Release
from avow.keep.subject import Held
from avow.policy.bounds import OPERATOR, VISITOR
from avow.policy.terms import parse_terms

EXPORT = "avow visitor export 1"
READER = "reader"
ROLES = frozenset({OPERATOR, VISITOR})
"""Who reads under no name of their own."""


def exported(at_work: Session, key: str, *, own: bool = False) -> Iterator[bytes]:
    """Yield the lines of an export: one that tells what it is, then one for each record."""
    yield msgspec.json.encode({"schema": EXPORT, **summary(at_work, key, own=own)}) + b"\n"
    for relation in RELATIONS:
        for page in at_work.pages(key, relation):
            for record_of in page.records():
                keys = {name: f"{record_of[name]:016x}" for name in KEYS if record_of.get(name)}
                yield msgspec.json.encode({"relation": relation, **record_of, **keys}) + b"\n"


def leave_trace(at_work: Session, held: Held, asked: str, reader: str = OPERATOR) -> None:
    """Record, before anything is told, that somebody looked at what is held of a visitor."""
    rows, version = sum(held.records.values()), len(in_force(at_work.register.versions(), utc_now()))
    at_work.register.readers.record(reader, MAY_SEE, version, rows, asked, utc_now())
    at_work.register.ledger.sign()


def summary(at_work: Session, key: str, *, own: bool = False) -> dict[str, Any]:
    """Return how much is held of a visitor, under which versions, and what they consented to.

    `own` is for themselves: then readers have no names.
    """
    told = {row.pop("relation"): row for row in at_work.summary(key)}
    held = {name: told[name] for name in RELATIONS}
    consents = [
        {
            "version": one.version,
            "given": one.given,
            "language": one.language,
            "means": one.means,
            "recorded_at": one.recorded_at,
            "entry": one.entry,
        }
        for one in at_work.register.consents.of(key)
    ]
    since = min((of["first"] for of in held.values() if of["first"]), default=utc_now().isoformat())
    readings = at_work.register.readers.readings(datetime.fromisoformat(since))
    if own:
        readings = [one if one.name in ROLES else replace(one, name=READER) for one in readings]
    return {
        "visitor": key,
        "held": held,
        "submissions": _handed_over(at_work, key),
        "consents": consents,
        "authorisations": [_authorised(one) for one in at_work.register.authorisations.of(key)],
        "readings_since": readings,
        "released": [_released(at_work, key, one) for one in at_work.register.releases.of(key, utc_now())],
    }


def _released(at_work: Session, key: str, one: Release) -> dict[str, Any]:
    """Return a release, with what proves to the visitor that it is on record."""
    register = at_work.register
    told = {name: value for name, value in msgspec.structs.asdict(one).items() if name in SHOWN}
    return {**told, "receipt": register.releases.receipt(register.ledger, key, one)}


SHOWN = frozenset(Release.__struct_fields__) - {"manifest", "sealed_until"}
"""What a visitor is told of a release."""


def _authorised(one: Authorisation) -> dict[str, Any]:
    return {
        name: value
        for name, value in msgspec.structs.asdict(one).items()
        if name not in {"visitor", "reference"}
    }


def _handed_over(at_work: Session, key: str) -> list[dict[str, Any]]:
    """Return what a visitor handed over, opened: all of it that may be kept."""
    submissions = at_work.register.submissions
    bounds = governs(in_force(at_work.register.versions(), utc_now()))
    told = []
    for one in submissions.all(datetime.min, datetime.max, key):
        kept = bounds[one.version - 1].kept
        fields = submissions.opened(one, lambda category, kept=kept: kept(category).get("full", 0))  # type: ignore[misc]  # bound at once
        told.append(
            {
                **msgspec.structs.asdict(one),
                "fields": [msgspec.structs.asdict(field) for field in fields],
            }
        )
        for name in ("visitor", "readers"):
            told[-1].pop(name)
    return told


def page_of(at_work: Session, told: dict[str, Any], language: str, *, own: bool = False) -> str:
    """Return the page of what is held of a visitor; `own` is for themselves."""
    from avow.web.person import SHOWN_MAX, html  # as everything of pages: when one is wanted

    records = {}
    for name in RELATIONS:
        found = (record_of for page in at_work.pages(told["visitor"], name) for record_of in page.records())
        records[name] = list(islice(found, SHOWN_MAX))
    terms = parse_terms(chosen(at_work.register.versions(), 0).terms, "the terms in force")
    return html(msgspec.to_builtins(told), records, terms.controller, language, own=own)
