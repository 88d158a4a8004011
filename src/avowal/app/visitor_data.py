"""Show, export and erase a visitor's data: for the operator's commands, and for the visitor's own page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from avowal.app.owner_requests import (
    ApplyConsents,
    EraseScriptViews,
    EraseVisitor,
    FindScriptViews,
    FindVisitorRecords,
)
from avowal.app.session import Session
from avowal.app.visitor_summary import VisitorSummary, summarize_script_views, summarize_visitor
from avowal.base_path import address
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
from avowal.keep.enforcement import effective_versions, find_version_in_force
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector
from avowal.policy.bounds import OPERATOR, VISITOR
from avowal.policy.language import find_language
from avowal.register.erasures import Erasure
from avowal.register.erasures import make_erasure_receipt as erasure_receipt
from avowal.store.columns import RELATIONS, VISITOR_KEY_COLUMNS
from avowal.submissions.access import SUBJECT_ACCESS_PURPOSE

VISITOR_PAGE_PATH = "/privacy/me"
"""The path of the visitor's own page; the ledger records it with accesses and consents."""

EXPORT_SCHEMA = "avowal visitor export 1"


def export_lines(session: Session, keys: Sequence[str], summary: VisitorSummary) -> Iterator[bytes]:
    """Yield the lines of an export: the summary of the visitors with these keys, then one line for each record."""
    yield _first_line(summary)
    for relation in RELATIONS:
        for page in session.read_visitor_pages(keys, relation):
            yield from _lines(relation, page.to_dicts())


def _first_line(summary: VisitorSummary) -> bytes:
    return msgspec.json.encode({"schema": EXPORT_SCHEMA, **msgspec.structs.asdict(summary)}) + b"\n"


def _lines(relation: str, records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for record in records:
        keys = {name: f"{record[name]:016x}" for name in VISITOR_KEY_COLUMNS if record.get(name)}
        yield msgspec.json.encode({"relation": relation, **record, **keys}) + b"\n"


def record_access(session: Session, record_count: int, question: str, reader: str = OPERATOR) -> None:
    """Record in the ledger that somebody sees what is stored of a visitor; call it before anything is shown."""
    version = len(effective_versions(session.register.versions(), utc_now()))
    session.register.readers.record_access(
        reader, SUBJECT_ACCESS_PURPOSE, version, record_count, question, utc_now()
    )


class VisitorPageData(msgspec.Struct, frozen=True):
    """What a visitor's page shows; records have JSON values only."""

    summary: VisitorSummary
    records: dict[str, list[dict[str, Any]]]
    """The first records of each relation."""
    controller: str
    languages: tuple[str, ...]
    """The languages of the policy in force."""


class TabPageData(msgspec.Struct, frozen=True):
    """What the page of one tab shows; records have JSON values only."""

    summary: VisitorSummary
    records: list[dict[str, Any]]
    """The script views."""


SHOWN_RECORDS_MAX = 1_000
"""How many records of each relation a visitor's page shows; an export has all of them."""


def read_visitor_page(session: Session, keys: Sequence[str], summary: VisitorSummary) -> VisitorPageData:
    """Return what the page of the visitors with these keys shows, from their summary."""
    records = {}
    for relation in RELATIONS:
        pages = session.read_visitor_pages(keys, relation)
        rows = (record for page in pages for record in page.to_dicts())
        records[relation] = list(islice(rows, SHOWN_RECORDS_MAX))
    terms = find_version_in_force(session.register.versions(), utc_now()).terms
    return VisitorPageData(summary, records, terms.controller, tuple(terms.languages))


@dataclass(frozen=True)
class VisitorDataAccess:
    """Reads and changes a visitor's data for the visitor: records are found by the visitor's key."""

    session: Session

    def read_page(self, key: str) -> VisitorPageData | None:
        """Return what the visitor's page shows; None if nothing is stored."""
        summary = summarize_visitor(self.session, key, for_visitor=True)
        if summary.is_empty:
            return None
        return read_visitor_page(self.session, [key], summary)

    def find_consent_choices(self, key: str, language: str) -> list[ConsentChoice]:
        """Return the versions that the visitor may consent to, or whose consent they may withdraw."""
        return find_consent_choices(
            self.session.register, self._records(key), utc_now(), find_language(language)
        )

    def record_access(self, key: str) -> None:
        """Record that the visitor sees what is stored of them."""
        record_access(self.session, self._records(key).record_count, VISITOR_PAGE_PATH, VISITOR)

    def is_held(self, key: str) -> bool:
        """Return whether anything is stored of the visitor."""
        return not summarize_visitor(self.session, key, for_visitor=True).is_empty

    def export_lines(self, key: str) -> Iterator[bytes]:
        """Yield an export."""
        summary = summarize_visitor(self.session, key, for_visitor=True)
        yield from export_lines(self.session, [key], summary)

    def erase(self, key: str) -> tuple[dict[str, Any], int]:
        """Erase everything of the visitor; returns the receipt, and the number of its entry in the ledger.

        Raises RefusedError if nothing is stored.
        """
        return self._make_receipt(self.session.call(EraseVisitor(key)))

    def _make_receipt(self, erasure: Erasure) -> tuple[dict[str, Any], int]:
        return erasure_receipt(self.session.register.ledger, erasure), erasure.entry

    def decide_consent(self, key: str, identity: str, language: str, *, given: bool) -> int | None:
        """Record a consent to a version, or its withdrawal; returns the number of its entry in the ledger.

        Raises RefusedError if the visitor has no such choice.
        """
        register, now = self.session.register, utc_now()
        fitting = [
            choice
            for choice in self.find_consent_choices(key, language)
            if (choice.identity, choice.is_given) == (identity, not given)
        ]
        if not fitting:
            raise RefusedError(
                "there is nothing to decide on that version",
                "look at your page again",
                code="consent-not-needed",
            )
        number = fitting[0].version
        languages = [page.language for page in register.documents(number)]
        statement = ConsentStatement(
            StatementChannel.PAGE,
            address(VISITOR_PAGE_PATH),
            language if language in languages else languages[0],
        )
        if given:
            consent = prepare_consent(register, self._records(key), number, statement, now)
        else:
            consent = prepare_withdrawal(register, key, number, statement, now)
        recorded = record_consent(register, consent)
        self.session.call(ApplyConsents())
        return recorded.entry

    def find_receipt(self, key: str, entry: int) -> dict[str, Any] | None:
        """Return the receipt of an entry about the visitor; None if there is none."""
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
        return TabPageData(summarize_script_views(self.session, records), records)

    def record_tab_access(self, script_view_ids: Sequence[int]) -> None:
        """Record that the visitor sees these script views."""
        record_access(self.session, len(self._tab_views(script_view_ids)), VISITOR_PAGE_PATH, VISITOR)

    def export_tab(self, script_view_ids: Sequence[int]) -> bytes:
        """Return an export of these script views; empty if none is stored."""
        records = self._tab_views(script_view_ids)
        first = [_first_line(summarize_script_views(self.session, records))] if records else []
        return b"".join([*first, *_lines("script_views", records)])

    def erase_tab(self, script_view_ids: Sequence[int]) -> tuple[dict[str, Any], int]:
        """Erase these script views, as `erase` does. Raises RefusedError if none is stored."""
        return self._make_receipt(self.session.call(EraseScriptViews(list(script_view_ids))))

    def _tab_views(self, script_view_ids: Sequence[int]) -> list[dict[str, Any]]:
        return self.session.call(FindScriptViews(list(script_view_ids))).to_dicts()

    def _records(self, key: str) -> VisitorRecords:
        return self.session.call(FindVisitorRecords(VisitorSelector(key)))
