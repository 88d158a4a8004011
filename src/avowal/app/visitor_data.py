"""What is told of one visitor, and done for them: for the operator's commands, and for the visitor's own page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from avowal.app.requests import (
    ApplyConsents,
    EraseScriptViews,
    EraseVisitor,
    FindScriptViews,
    FindVisitorRecords,
    SummarizeVisitor,
)
from avowal.app.session import Session
from avowal.change.consent import (
    ConsentChoice,
    ConsentStatement,
    StatementChannel,
    find_consent_choices,
    prepare_consent,
    prepare_withdrawal,
    record_consent,
)
from avowal.change.consent_receipt import build_consent_receipt as consent_receipt
from avowal.clock import utc_now
from avowal.errors import RefusedError
from avowal.keep.enforcement import compute_governing_bounds, effective_versions, find_version_in_force
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.language import find_language as spoken_in
from avowal.policy.terms import parse_terms
from avowal.register.authorisations import Authorisation
from avowal.register.erasures import make_erasure_receipt as erasure_receipt
from avowal.register.readers import RecordedAccess
from avowal.register.releases import Release
from avowal.store.columns import RELATIONS, VISITOR_KEY_COLUMNS
from avowal.submissions.access import SUBJECT_ACCESS_PURPOSE

VISITOR_PAGE_PATH = "/privacy/me"
"""Where it is; the ledger has it as what was asked, and as where a consent is found again."""

EXPORT_SCHEMA = "avowal visitor export 1"
UNNAMED_READER = "reader"
READER_ROLES = frozenset({OPERATOR, VISITOR})
"""Who reads under no name of their own."""


def export_lines(session: Session, visitor_key: str, *, for_visitor: bool = False) -> Iterator[bytes]:
    """Yield the lines of an export: one that tells what it is, then one for each record."""
    yield _first_line(summarize_visitor(session, visitor_key, for_visitor=for_visitor))
    for relation in RELATIONS:
        for page in session.read_visitor_pages(visitor_key, relation):
            yield from _lines(relation, page.to_dicts())


def _first_line(told: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"schema": EXPORT_SCHEMA, **told}) + b"\n"


def _lines(relation: str, records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for record_of in records:
        keys = {name: f"{record_of[name]:016x}" for name in VISITOR_KEY_COLUMNS if record_of.get(name)}
        yield msgspec.json.encode({"relation": relation, **record_of, **keys}) + b"\n"


def record_access(session: Session, record_count: int, question: str, reader: str = OPERATOR) -> None:
    """Record, before anything is told, that somebody looked at what is held of a visitor."""
    version = len(effective_versions(session.register.versions(), utc_now()))
    session.register.readers.record_access(
        reader, SUBJECT_ACCESS_PURPOSE, version, record_count, question, utc_now()
    )
    session.register.ledger.sign_checkpoint()


def summarize_visitor(session: Session, visitor_key: str, *, for_visitor: bool = False) -> dict[str, Any]:
    """Return how much is held of a visitor, under which versions, and what they consented to.

    `own` is for themselves: then readers have no names.
    """
    held = {
        name: msgspec.to_builtins(summary)
        for name, summary in session.call(SummarizeVisitor(visitor_key)).items()
    }
    register, now = session.register, utc_now()
    consents = [
        {
            "version": one.version,
            "given": one.given,
            "language": one.language,
            "channel": one.channel,
            "recorded_at": one.recorded_at,
            "entry": one.entry,
        }
        for one in register.consents.for_visitor(visitor_key)
    ]
    return {
        "visitor": visitor_key,
        "held": held,
        "submissions": _handed_over(session, visitor_key),
        "consents": consents,
        "authorisations": [_authorised(one) for one in register.authorisations.for_visitor(visitor_key)],
        "readings_since": _readings(session, held, own=for_visitor),
        "released": [
            _released(session, visitor_key, one) for one in register.releases.for_visitor(visitor_key, now)
        ],
    }


def summarize_script_views(session: Session, script_views: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the same of the looks of one tab alone, which lead to no visitor, as the visitor is told of it."""
    times = [look["view_time"] for look in script_views]
    nothing: dict[str, Any] = {"records": 0, "first": None, "last": None, "versions": []}
    versions = sorted({look["version"] for look in script_views})
    held = dict.fromkeys(RELATIONS, nothing)
    held["script_views"] = {
        "records": len(script_views),
        "first": min(times),
        "last": max(times),
        "versions": versions,
    }
    lists = {name: list[Any]() for name in ("submissions", "consents", "authorisations", "released")}
    return {"visitor": "", "held": held, **lists, "readings_since": _readings(session, held, own=True)}


def _readings(at_work: Session, held: Mapping[str, Any], *, own: bool) -> list[RecordedAccess]:
    """Return who read of single visitors since the first record that is held."""
    since = min((of["first"] for of in held.values() if of["first"]), default=utc_now().isoformat())
    readings = at_work.register.readers.accesses_since(datetime.fromisoformat(since))
    if own:
        readings = [
            one if one.reader in READER_ROLES else replace(one, reader=UNNAMED_READER) for one in readings
        ]
    return readings


def _released(at_work: Session, key: str, one: Release) -> dict[str, Any]:
    """Return a release, with what proves to the visitor that it is on record."""
    register = at_work.register
    told = {
        name: value for name, value in msgspec.structs.asdict(one).items() if name in VISITOR_RELEASE_FIELDS
    }
    return {**told, "receipt": register.releases.make_receipt(register.ledger, key, one)}


VISITOR_RELEASE_FIELDS = frozenset(Release.__struct_fields__) - {"manifest_hash", "sealed_until"}
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
    bounds = compute_governing_bounds(effective_versions(at_work.register.versions(), utc_now()))
    told = []
    for one in submissions.in_period(datetime.min, datetime.max, key):
        kept = bounds[one.version - 1].retention_ages
        fields = submissions.decrypt_values(one, lambda category, kept=kept: kept(category).get("full", 0))  # type: ignore[misc]  # bound at once
        told.append(
            {
                **msgspec.structs.asdict(one),
                "fields": [msgspec.structs.asdict(field) for field in fields],
            }
        )
        for name in ("visitor", "allowed_readers"):
            told[-1].pop(name)
    return told


class VisitorPageData(msgspec.Struct, frozen=True):
    """What a visitor's page shows: values of JSON only."""

    summary: dict[str, Any]
    records: dict[str, list[dict[str, Any]]]
    """The first records of each relation."""
    controller: str
    languages: tuple[str, ...]
    """The languages of the policy in force."""


class TabPageData(msgspec.Struct, frozen=True):
    """What the page of one tab shows: values of JSON only."""

    summary: dict[str, Any]
    records: list[dict[str, Any]]
    """The script views."""


SHOWN_RECORDS_MAX = 1_000
"""How many records of each relation a visitor's page shows; an export has all of them."""


def read_visitor_page(session: Session, summary: dict[str, Any]) -> VisitorPageData:
    """Return what the page of a visitor shows, from their summary."""
    records = {}
    for relation in RELATIONS:
        pages = session.read_visitor_pages(summary["visitor"], relation)
        rows = (record for page in pages for record in page.to_dicts())
        records[relation] = list(islice(rows, SHOWN_RECORDS_MAX))
    terms = parse_terms(
        find_version_in_force(session.register.versions(), utc_now()).terms_text, "the terms in force"
    )
    return VisitorPageData(msgspec.to_builtins(summary), records, terms.controller, tuple(terms.languages))


@dataclass(frozen=True)
class VisitorDataAccess:
    """Reads and changes a visitor's data for the visitor: records are found by the visitor's key."""

    session: Session

    def read_page(self, key: str) -> VisitorPageData | None:
        """Return what the visitor's page shows; None if nothing is stored."""
        summary = summarize_visitor(self.session, key, for_visitor=True)
        has_records = any(extent["records"] for extent in summary["held"].values())
        others = ("submissions", "consents", "authorisations", "released")
        if not has_records and not any(summary[name] for name in others):
            return None
        return read_visitor_page(self.session, summary)

    def find_consent_choices(self, key: str, language: str) -> list[ConsentChoice]:
        """Return the versions that the visitor may consent to, or whose consent they may withdraw."""
        return find_consent_choices(self.session.register, self._held(key), utc_now(), spoken_in(language))

    def record_access(self, key: str) -> None:
        """Record that the visitor looked at what is held."""
        record_access(self.session, self._held(key).record_count, VISITOR_PAGE_PATH, VISITOR)

    def export_lines(self, key: str) -> Iterator[bytes]:
        """Yield an export."""
        return export_lines(self.session, key, for_visitor=True)

    def erase(self, key: str) -> dict[str, Any]:
        """Erase all of it; returns the receipt."""
        return erasure_receipt(self.session.register.ledger, self.session.call(EraseVisitor(key)))

    def decide_consent(self, key: str, identity: str, language: str, *, given: bool) -> None:
        """Record a consent to a version, or that it is taken back.

        Raises RefusedError where the visitor has not that to decide.
        """
        register, now = self.session.register, utc_now()
        fitting = [
            one
            for one in self.find_consent_choices(key, language)
            if (one.identity, one.is_given) == (identity, not given)
        ]
        if not fitting:
            raise RefusedError(
                "there is nothing to decide on that version",
                "look at your page again",
                code="consent-not-needed",
            )
        number = fitting[0].version
        languages = [page.language for page in register.documents(number)]
        word = ConsentStatement(
            StatementChannel.PAGE, VISITOR_PAGE_PATH, language if language in languages else languages[0]
        )
        if given:
            said = prepare_consent(register, self._held(key), number, word, now)
        else:
            said = prepare_withdrawal(register, key, number, word, now)
        record_consent(register, said)
        self.session.call(ApplyConsents())

    def find_receipt(self, key: str, entry: int) -> dict[str, Any] | None:
        """Return the receipt of an entry that is about the visitor; None where there is none."""
        register = self.session.register
        for consent in register.consents.for_visitor(key):
            if consent.entry == entry:
                return consent_receipt(register, consent)
        for release in register.releases.for_visitor(key, utc_now()):
            if release.entry == entry:
                return register.releases.make_receipt(register.ledger, key, release)
        return None

    def read_tab(self, script_view_ids: Sequence[int]) -> TabPageData | None:
        """Return what the page of one tab shows; None if none of its script views is stored."""
        records = self._tab_views(script_view_ids)
        if not records:
            return None
        return TabPageData(msgspec.to_builtins(summarize_script_views(self.session, records)), records)

    def record_tab_access(self, script_view_ids: Sequence[int]) -> None:
        """Record that the visitor looked at these."""
        record_access(self.session, len(self._tab_views(script_view_ids)), VISITOR_PAGE_PATH, VISITOR)

    def export_tab(self, script_view_ids: Sequence[int]) -> bytes:
        """Return an export of them; empty where none is held."""
        records = self._tab_views(script_view_ids)
        first = [_first_line(summarize_script_views(self.session, records))] if records else []
        return b"".join([*first, *_lines("script_views", records)])

    def erase_tab(self, script_view_ids: Sequence[int]) -> dict[str, Any]:
        """Erase them; returns the receipt. Raises RefusedError where none is held."""
        return erasure_receipt(
            self.session.register.ledger, self.session.call(EraseScriptViews(list(script_view_ids)))
        )

    def _tab_views(self, script_view_ids: Sequence[int]) -> list[dict[str, Any]]:
        return self.session.call(FindScriptViews(list(script_view_ids))).to_dicts()

    def _held(self, key: str) -> VisitorRecords:
        return self.session.call(FindVisitorRecords(VisitorSelector(key)))
