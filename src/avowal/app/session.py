"""What a command works with: the folder, its terms, and the house, opened once and closed in order."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from avowal.change.draft import adopt_first_version_if_none, find_terms_path, load_forms
from avowal.clock import utc_now
from avowal.collect.admission import AdmissionRules
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import VIEW_SOURCE_SCRIPT, Folder, locate_folder
from avowal.disclose.extract import Extract, extract_records
from avowal.disclose.extract import ExtractRequest as ReleaseAsked
from avowal.disclose.feed import FeedBatch, FeedProvider, FeedRequest, read_feed_batch
from avowal.disclose.workflow import ReleaseWorkflow
from avowal.errors import ProofError, RefusedError
from avowal.keep.enforcement import (
    PolicyEnforcer,
    build_admission_rules,
    compute_governing_bounds,
    effective_versions,
)
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector, find_visitor_records
from avowal.key_files import FEED_KEY_FILE, read_or_create_secret
from avowal.ledger.entry import AgeReach, Entry
from avowal.ledger.note import SignedNote
from avowal.policy.contract import parse_contract
from avowal.policy.terms import compile_terms, load_terms
from avowal.register.erasures import Erasure
from avowal.register.register import SqliteRegister, Version, open_register
from avowal.store.duckdb_store import STORE_FILE as STORE
from avowal.store.interface import ConsentCursor, RemovedRecords, ResultTable, Store, VisitRules
from avowal.store.load_state import read_sql
from avowal.use.own_query import QueryResult, SqlQuery, run_sql_query
from avowal.use.purpose_view import PurposeView
from avowal.use.report_request import ReportRequest
from avowal.use.reports import REPORTS, ReportResult, run_report
from avowal.verify.folder import (
    CONSENT_GOVERNING_QUERY,
    MALFORMED_REGISTER_ERRORS,
    RECORD_VERSIONS_QUERY,
    find_consent_violations,
    find_record_violations,
    find_register_violations,
)
from avowal.verify.last_result import record_result
from avowal.verify.permissions import find_permission_violations as done
from avowal.verify.schema import (
    STORE_SCHEMA_QUERY,
    find_register_schema_mismatches,
    find_store_schema_mismatches,
)
from avowal.workspace.server import FolderClient, FolderServer, OperationHandler, open_backend

DEFAULT_TERMS_MESSAGE = (
    "no avowal.toml here or above: using the default terms (`avowal init .` makes your own to change)"
)
"""Told to whoever collects without having made a folder."""


def find_folder(data_folder: Path | None) -> Folder:
    """Find the folder that a command works in, from where it was called."""
    return locate_folder(Path.cwd(), data_folder, os.environ)


@dataclass(frozen=True)
class Session:
    """A folder at work under its versions."""

    folder: Folder
    register: SqliteRegister
    backend: FolderServer | FolderClient

    def admission_rules(self, moment: datetime) -> list[AdmissionRules]:
        """Return what admission needs of each version that has taken effect."""
        return build_admission_rules(tuple(effective_versions(self.register.versions(), moment)))

    def derive_views(self) -> None:
        """Make views and visits of what came in."""
        self.backend.call("derive")

    def run_report(self, question: ReportRequest) -> ReportResult:
        """Answer a question, here or by the process that owns the folder."""
        return msgspec.convert(self.backend.call("report", question), ReportResult)

    def run_query(self, query: SqlQuery) -> QueryResult:
        """Ask somebody's own question. Raises QueryError where it may not be asked."""
        return msgspec.convert(self.backend.call("query", query), QueryResult)

    def find_visitor_records(self, subject: VisitorSelector) -> VisitorRecords:
        """Find a visitor's records. Raises RefusedError where an address does not lead to one visitor."""
        return msgspec.convert(self.backend.call("held", subject), VisitorRecords, strict=False)

    def find_release_extent(self, request: ReleaseAsked) -> Extract:
        """Cut what is asked to be released of a visitor to what may be."""
        tables, refused, whose, apart, reached = self.backend.call("extent", request)
        return Extract(
            msgspec.convert(tables, dict[str, ResultTable]),
            refused,
            whose,
            apart,
            age_reach=msgspec.convert(reached, list[AgeReach]),
        )

    @property
    def release_workflow(self) -> ReleaseWorkflow:
        """Where releases are asked for, approved and made."""
        return ReleaseWorkflow(
            self.register,
            partial(load_forms, self.folder),
            self.find_visitor_records,
            self.find_release_extent,
        )

    @property
    def processor_feed(self) -> FeedProvider:
        """Where processors are given their pages."""

        def of(wanted: FeedRequest) -> FeedBatch:
            return msgspec.convert(self.backend.call("feed", wanted), FeedBatch)

        return FeedProvider(self.register, of, read_or_create_secret(self.folder.keys_folder / FEED_KEY_FILE))

    def count_records_since(self, moment: datetime) -> int:
        """Return how many requests and looks are kept since a moment."""
        return int(self.backend.call("kept", moment))

    def verify_folder(
        self, checked_counts: Counter[str], entries: list[Entry], notes: Sequence[SignedNote] = ()
    ) -> list[str]:
        """Return what does not hold of the folder, and record that; `told` gets the ledger's entries."""
        found = verify_register(self.register, notes, entries) or self.verify_records(checked_counts)
        record_result(self.folder.data_folder, utc_now(), len(entries), passed=not found)
        return found

    def apply_consents(self) -> None:
        """Have consents and withdrawals that were recorded raise and restore what is stored."""
        self.backend.call("settle")

    def summarize_visitor(self, visitor_key: str) -> list[dict[str, Any]]:
        """Return, for each relation, how much is held of a visitor, from when to when, and under which versions."""
        return list(self.backend.call("summary", visitor_key))

    def read_visitor_pages(self, visitor_key: str, relation: str) -> Iterator[ResultTable]:
        """Yield everything that is held of a visitor in a relation, page by page."""
        after = -1
        while True:
            found = msgspec.convert(
                self.backend.call("page", {"key": visitor_key, "relation": relation, "after": after}),
                ResultTable,
            )
            if not found.rows:
                return
            yield ResultTable(found.columns[1:], [row[1:] for row in found.rows])
            after = found.rows[-1][0]

    def find_script_views(self, script_view_ids: Sequence[int]) -> list[dict[str, Any]]:
        """Return the looks of some numbers, as far as they are held."""
        return list(self.backend.call("looks", list(script_view_ids)))

    def erase_script_views(self, script_view_ids: Sequence[int]) -> Erasure:
        """Erase looks of some numbers. Raises RefusedError where none is held."""
        return msgspec.convert(self.backend.call("erase_looks", list(script_view_ids)), Erasure)

    def erase_visitor(self, visitor_key: str) -> Erasure:
        """Erase a visitor."""
        return msgspec.convert(self.backend.call("erase", visitor_key), Erasure)

    def enforce_retention(self) -> list[RemovedRecords]:
        """Take away what may not be kept any more; returns what was."""
        return msgspec.convert(self.backend.call("retain"), list[RemovedRecords])

    def verify_records(self, checked_counts: Counter[str]) -> list[str]:
        """Return what does not hold of what is stored, nor of what governs it; `checked` gets counts."""
        rows, columns = self.backend.call("records"), self.backend.call("schema")
        checked_counts["records"] = sum(row["records"] for row in rows)
        checked_counts["columns"] = len(columns)
        found = [
            *find_store_schema_mismatches(columns),
            *find_record_violations(self.register.versions(), rows),
        ]
        raised = self.register.consents.compute_governing_update(
            ConsentCursor(), utc_now()
        ).governing_by_visitor
        found += find_consent_violations(raised, self.backend.call("raised"))
        beyond = msgspec.convert(self.backend.call("beyond"), list[RemovedRecords])
        return found + [
            f"{one.records:,} {one.relation} of version {one.version} hold `{one.category}` beyond its time "
            "(`avowal retain`)"
            for one in beyond
        ]


def verify_register(register: SqliteRegister, notes: Sequence[SignedNote], entries: list[Entry]) -> list[str]:
    """Return what does not hold of the ledger and of the register; `told` gets the ledger's entries."""
    found, last = (
        list[str](),
        register.ledger.last_checkpoint_beside_key(),
    )  # before the rest, which may have grown beyond it
    try:
        with register.snapshot() as seen:
            found.extend(find_register_violations(seen, last, notes, entries))
            if not found:
                found.extend(done(seen, entries))
    except ProofError as error:
        found.append(error.message)
    except MALFORMED_REGISTER_ERRORS as error:
        found.append(f"the register holds what was never written so ({type(error).__name__})")
    return [*found, *find_register_schema_mismatches(register)]


def open_folder_register(data_folder: Path | None, *, check: bool = True) -> SqliteRegister:
    """Open the register of the folder that a command works in; raises as `open_register` does."""
    folder = find_folder(data_folder)
    return open_register(folder.data_folder, folder.keys_folder, store_file=STORE, check_ledger=check)


def find_version(versions: list[Version], number: int) -> Version:
    """Return the version of a number; the one in force for 0. Raises RefusedError where there is none."""
    now = utc_now()
    fitting = [one for one in versions if one.number == number or (number == 0 and one.effective_at <= now)]
    if not fitting:
        hint = "`avowal policy history` lists the versions"
        raise RefusedError("there is no such version", hint, code="version-not-found")
    return fitting[-1]


@contextmanager
def session(data_folder: Path | None, *, adopt_terms: bool = False) -> Iterator[Session]:
    """Open the folder, and close it at the end.

    Whoever begins to collect where no version is in force yet adopts the folder's terms; whoever merely looks does not.
    Raises SettingsError and TermsError where its files do not check.
    """
    folder = find_folder(data_folder)
    with closing(open_register(folder.data_folder, folder.keys_folder, store_file=STORE)) as register:
        if adopt_terms:
            adopt_first_version_if_none(register, folder)
        SaltFile(folder.keys_folder / SALTS_FILE_NAME).destroy_expired(utc_now())
        house = open_backend(folder, _handlers(register, folder))
        try:
            if isinstance(house, FolderServer) and (
                house.needs_derivation or house.store.applied_visit_rules() not in {None, _rules(folder)}
            ):
                house.call("derive")
            yield Session(folder, register, house)
        finally:
            house.close()


def describe_terms_in_use(session: Session) -> list[str]:
    """Say what an operator would not expect of the terms that are collected under."""
    if session.folder.policy_folder is None:
        return [DEFAULT_TERMS_MESSAGE]
    compiled = compile_terms(load_terms(find_terms_path(session.folder)))
    last = session.register.versions()[-1]
    if compiled.identity == last.identity:
        return []
    sentence = (
        f"the terms in the folder ({compiled.identity[:8]}…) are a draft: what holds is version {last.number} "
        f"({last.identity[:8]}…), until `avowal policy publish`"
    )
    return [sentence]


def _rules(folder: Folder) -> VisitRules:
    collect = folder.settings.collect
    return VisitRules(collect.visit_gap_minutes, collect.views_from == VIEW_SOURCE_SCRIPT)


def _handlers(register: SqliteRegister, folder: Folder) -> dict[str, OperationHandler]:
    """Return what the owner of the folder answers; whatever reads what is stored settles it first."""
    steward = PolicyEnforcer(register, _rules(folder))

    def settled(answering: OperationHandler) -> OperationHandler:
        def answer_settled(store: Store, argument: Any) -> Any:
            steward.apply_consents(store, utc_now())
            return answering(store, argument)

        return answer_settled

    return {
        "derive": lambda store, _: steward.derive_visits(store, utc_now()),
        "report": settled(partial(_report, register)),
        "query": settled(partial(_query, register, folder)),
        "records": settled(lambda store, _: store.query(RECORD_VERSIONS_QUERY, {}).to_dicts()),
        "schema": lambda store, _: store.query(STORE_SCHEMA_QUERY, {}).rows,
        "raised": settled(lambda store, _: store.query(CONSENT_GOVERNING_QUERY, {}).to_dicts()),
        "held": settled(partial(_held, register)),
        "feed": settled(partial(_feed, register)),
        "extent": settled(partial(_extent, register)),
        "kept": _kept,
        "retain": lambda store, _: steward.enforce_retention(store, utc_now()),
        "beyond": lambda store, _: steward.find_overdue_records(store, utc_now()),
        "summary": settled(_summary),
        "page": settled(_page),
        "looks": settled(
            lambda store, looks: store.query(read_sql("subject_tab"), {"looks": looks}).to_dicts()
        ),
        "erase_looks": lambda store, looks: steward.erase_script_views(store, looks, utc_now()),
        "erase": lambda store, key: steward.erase_visitor(store, key, utc_now()),
        "settle": lambda store, _: steward.apply_consents(store, utc_now()),
    }


def _report(register: SqliteRegister, store: Store, argument: Any) -> ReportResult:
    question = msgspec.convert(argument, ReportRequest)
    purpose = REPORTS[question.report].purpose
    register.readers.check_purpose(question.reader, purpose)
    found = run_report(partial(_reading, register, store), question)
    register.readers.count_access(question.reader, purpose, utc_now())
    return found


def _query(register: SqliteRegister, folder: Folder, store: Store, argument: Any) -> QueryResult:
    """Answer somebody's own question; what it tells of single visitors is recorded before it is given."""
    query, limits = msgspec.convert(argument, SqlQuery), folder.settings.use
    register.readers.check_purpose(query.reader, query.purpose)
    reading = _reading(register, store, query.purpose)
    asked = run_sql_query(reading, query, limits.query_rows, limits.query_seconds)
    if asked.table is None:
        return asked
    if asked.reveals_individuals:
        rows, version = len(asked.table.rows), len(reading.governing_bounds)
        register.readers.record_access(query.reader, query.purpose, version, rows, query.sql, utc_now())
        register.ledger.sign_checkpoint()
    else:
        register.readers.count_access(query.reader, query.purpose, utc_now())
    return asked


def _reading(register: SqliteRegister, store: Store, purpose: str) -> PurposeView:
    """Return what a purpose may see now."""
    moment = utc_now()
    versions = effective_versions(register.versions(), moment)
    return PurposeView(
        store, compute_governing_bounds(versions), purpose, moment, versions[-1].identity if versions else ""
    )


def _kept(store: Store, argument: Any) -> int:
    now = utc_now()
    found = PurposeView(store, (), "", now).stored_counts(msgspec.convert(argument, datetime), now)
    return int(found.to_dicts()[0]["kept"])


def _summary(store: Store, key: Any) -> list[dict[str, Any]]:
    return store.query(read_sql("subject_summary"), {"visitor": int(key, 16)}).to_dicts()


def _page(store: Store, argument: Any) -> ResultTable:
    values = {"visitor": int(argument["key"], 16), "after": argument["after"], "limit": VISITOR_PAGE_ROWS}
    return store.query(read_sql(f"subject_{argument['relation']}"), values)


VISITOR_PAGE_ROWS = 5_000
"""How many records of a visitor are told at once: bounds the memory that an export takes."""


def _extent(register: SqliteRegister, store: Store, argument: Any) -> list[Any]:
    now = utc_now()
    asked = msgspec.convert(argument, ReleaseAsked)
    found = extract_records(
        store, compute_governing_bounds(effective_versions(register.versions(), now)), asked, now
    )
    return [found.tables, found.refused_categories, found.visitor_keys, found.is_selective, found.age_reach]


def _feed(register: SqliteRegister, store: Store, argument: Any) -> FeedBatch:
    wanted, now = msgspec.convert(argument, FeedRequest), utc_now()
    contracts = {one.name: one.contract for one in register.processors.all()}
    contract = parse_contract(contracts[wanted.processor], f"processors/{wanted.processor}.toml")
    return read_feed_batch(
        store, compute_governing_bounds(effective_versions(register.versions(), now)), contract, wanted, now
    )


def _held(register: SqliteRegister, store: Store, argument: Any) -> VisitorRecords:
    governing = compute_governing_bounds(effective_versions(register.versions(), utc_now()))
    return find_visitor_records(store, msgspec.convert(argument, VisitorSelector), governing, utc_now())
