"""What is told of one visitor, and done for them: for the operator's commands, and for the visitor's own page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from avowal.app.session import Session, chosen
from avowal.change.consent import Choice, Means, Word, choices, giving, record, taking_back
from avowal.change.consent_receipt import receipt as consent_receipt
from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.keep.enforcement import governs, in_force
from avowal.keep.visitor_lookup import Held, Subject
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.language import language as spoken_in
from avowal.policy.terms import parse_terms
from avowal.register.authorisations import Authorisation
from avowal.register.erasures import receipt as erasure_receipt
from avowal.register.readers import SingleReading
from avowal.register.releases import Release
from avowal.store.columns import KEYS, RELATIONS
from avowal.submissions.access import MAY_SEE

PLACE = "/privacy/me"
"""Where it is; the ledger has it as what was asked, and as where a consent is found again."""

EXPORT = "avowal visitor export 1"
READER = "reader"
ROLES = frozenset({OPERATOR, VISITOR})
"""Who reads under no name of their own."""


def exported(at_work: Session, key: str, *, own: bool = False) -> Iterator[bytes]:
    """Yield the lines of an export: one that tells what it is, then one for each record."""
    yield _first_line(summary(at_work, key, own=own))
    for relation in RELATIONS:
        for page in at_work.pages(key, relation):
            yield from _lines(relation, page.records())


def _first_line(told: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"schema": EXPORT, **told}) + b"\n"


def _lines(relation: str, records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for record_of in records:
        keys = {name: f"{record_of[name]:016x}" for name in KEYS if record_of.get(name)}
        yield msgspec.json.encode({"relation": relation, **record_of, **keys}) + b"\n"


def leave_trace(at_work: Session, rows: int, asked: str, reader: str = OPERATOR) -> None:
    """Record, before anything is told, that somebody looked at what is held of a visitor."""
    version = len(in_force(at_work.register.versions(), utc_now()))
    at_work.register.readers.record(reader, MAY_SEE, version, rows, asked, utc_now())
    at_work.register.ledger.sign()


def summary(at_work: Session, key: str, *, own: bool = False) -> dict[str, Any]:
    """Return how much is held of a visitor, under which versions, and what they consented to.

    `own` is for themselves: then readers have no names.
    """
    told = {row.pop("relation"): row for row in at_work.summary(key)}
    held = {name: told[name] for name in RELATIONS}
    register, now = at_work.register, utc_now()
    consents = [
        {
            "version": one.version,
            "given": one.given,
            "language": one.language,
            "means": one.means,
            "recorded_at": one.recorded_at,
            "entry": one.entry,
        }
        for one in register.consents.of(key)
    ]
    return {
        "visitor": key,
        "held": held,
        "submissions": _handed_over(at_work, key),
        "consents": consents,
        "authorisations": [_authorised(one) for one in register.authorisations.of(key)],
        "readings_since": _readings(at_work, held, own=own),
        "released": [_released(at_work, key, one) for one in register.releases.of(key, now)],
    }


def summary_of(at_work: Session, looks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the same of the looks of one tab alone, which lead to no visitor, as the visitor is told of it."""
    times = [look["view_time"] for look in looks]
    nothing: dict[str, Any] = {"records": 0, "first": None, "last": None, "versions": []}
    versions = sorted({look["version"] for look in looks})
    held = dict.fromkeys(RELATIONS, nothing)
    held["looks"] = {"records": len(looks), "first": min(times), "last": max(times), "versions": versions}
    lists = {name: list[Any]() for name in ("submissions", "consents", "authorisations", "released")}
    return {"visitor": "", "held": held, **lists, "readings_since": _readings(at_work, held, own=True)}


def _readings(at_work: Session, held: Mapping[str, Any], *, own: bool) -> list[SingleReading]:
    """Return who read of single visitors since the first record that is held."""
    since = min((of["first"] for of in held.values() if of["first"]), default=utc_now().isoformat())
    readings = at_work.register.readers.readings(datetime.fromisoformat(since))
    if own:
        readings = [one if one.name in ROLES else replace(one, name=READER) for one in readings]
    return readings


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


def page_of(
    at_work: Session, told: dict[str, Any], language: str, decisions: list[Choice] | None = None
) -> str:
    """Return the page of what is held of a visitor; `decisions` are for themselves, who may take them."""
    from avowal.web.policy_pages import in_languages
    from avowal.web.visitor_page import SHOWN_MAX, html  # as everything of pages: when one is wanted

    records = {}
    for name in RELATIONS:
        found = (record_of for page in at_work.pages(told["visitor"], name) for record_of in page.records())
        records[name] = list(islice(found, SHOWN_MAX))
    terms = parse_terms(chosen(at_work.register.versions(), 0).terms, "the terms in force")
    languages = [] if decisions is None else in_languages(PLACE, terms.languages)
    return html(msgspec.to_builtins(told), records, terms.controller, language, decisions, languages)


@dataclass(frozen=True)
class Persons:
    """What is told of visitors on their own page, and done for them there; see `avowal.web.visitor_routes.Persons`."""

    at_work: Session

    def page(self, key: str, language: str) -> str:
        """Return the page of what is held; empty where that is nothing."""
        told = summary(self.at_work, key, own=True)
        there = any(of["records"] for of in told["held"].values())
        others = told["submissions"] or told["consents"] or told["authorisations"] or told["released"]
        if not there and not others:
            return ""
        return page_of(self.at_work, told, language, self._choices(key, language))

    def trace(self, key: str) -> None:
        """Record that the visitor looked at what is held."""
        leave_trace(self.at_work, self._held(key).count, PLACE, VISITOR)

    def lines(self, key: str) -> Iterator[bytes]:
        """Yield an export."""
        return exported(self.at_work, key, own=True)

    def erase(self, key: str) -> dict[str, Any]:
        """Erase all of it; returns the receipt."""
        return erasure_receipt(self.at_work.register.ledger, self.at_work.erase(key))

    def decide(self, key: str, identity: str, language: str, *, given: bool) -> None:
        """Record a consent to a version, or that it is taken back.

        Raises RefusedError where the visitor has not that to decide.
        """
        register, now = self.at_work.register, utc_now()
        fitting = [
            one for one in self._choices(key, language) if (one.identity, one.given) == (identity, not given)
        ]
        if not fitting:
            raise RefusedError("there is nothing to decide on that version", "look at your page again")
        number = fitting[0].version
        languages = [page.language for page in register.pages(number)]
        word = Word(Means.PAGE, PLACE, language if language in languages else languages[0])
        if given:
            said = giving(register, self._held(key), number, word, now)
        else:
            said = taking_back(register, key, number, word, now)
        record(register, said)
        self.at_work.settle()

    def receipt(self, key: str, entry: int) -> dict[str, Any] | None:
        """Return the receipt of an entry that is about the visitor; None where there is none."""
        register = self.at_work.register
        for consent in register.consents.of(key):
            if consent.entry == entry:
                return consent_receipt(register, consent)
        for release in register.releases.of(key, utc_now()):
            if release.entry == entry:
                return register.releases.receipt(register.ledger, key, release)
        return None

    def tab_page(self, looks: Sequence[int], views: str, language: str) -> str:
        """Return the page of the looks of one tab, which hands them on as `views`; empty where none is held."""
        from avowal.web.visitor_page import tab  # as everything of pages: when one is wanted

        records = self.at_work.looks(looks)
        told = msgspec.to_builtins(summary_of(self.at_work, records)) if records else None
        return tab(told, records, views, language) if told else ""

    def tab_trace(self, looks: Sequence[int]) -> None:
        """Record that the visitor looked at these."""
        leave_trace(self.at_work, len(self.at_work.looks(looks)), PLACE, VISITOR)

    def tab_export(self, looks: Sequence[int]) -> bytes:
        """Return an export of them; empty where none is held."""
        records = self.at_work.looks(looks)
        first = [_first_line(summary_of(self.at_work, records))] if records else []
        return b"".join([*first, *_lines("looks", records)])

    def tab_erase(self, looks: Sequence[int]) -> dict[str, Any]:
        """Erase them; returns the receipt. Raises RefusedError where none is held."""
        return erasure_receipt(self.at_work.register.ledger, self.at_work.erase_looks(looks))

    def _choices(self, key: str, language: str) -> list[Choice]:
        return choices(self.at_work.register, self._held(key), utc_now(), spoken_in(language))

    def _held(self, key: str) -> Held:
        return self.at_work.held(Subject(key))
