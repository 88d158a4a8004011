"""The requests about what is stored: each with its parameters, the type of its answer, and how the owner answers it."""

from datetime import datetime
from functools import partial
from typing import ClassVar

import msgspec

from avowal.app.owner import FolderOwner, OwnerRequest
from avowal.app.shared_address import FindSharedAddressDay
from avowal.app.view_requests import CountViewSources, ListScriptHosts
from avowal.app.visitor_requests import ReadVisitorPage, SummarizeVisitor
from avowal.clock import utc_now
from avowal.collect.visitor_key import SALTS_FILE_NAME, SaltFile
from avowal.config import parse_size
from avowal.disclose.evidence import narrow_to_evidence
from avowal.disclose.extract import Extract, extract_records
from avowal.disclose.feed import FeedBatch, FeedRequest, read_feed_batch
from avowal.errors import QueryError
from avowal.keep.address_lookup import (
    AddressPeriod,
    AddressRecords,
    ErasureConfirmation,
    find_address_records,
    list_visitor_days,
)
from avowal.keep.visitor_lookup import VisitorRecords, VisitorSelector, find_visitor_records
from avowal.policy.contract import parse_contract
from avowal.register.erasures import Erasure
from avowal.register.release_requests import ReleaseRequest
from avowal.sql_files import read_sql
from avowal.store.interface import OverdueRecords, RemovedRecords, ResultTable
from avowal.store.query_process import QueryLimits
from avowal.use.own_query import QueryResult, SqlQuery, is_revealing, run_sql_query
from avowal.use.purpose_view import HiddenColumns, PurposeView
from avowal.use.report_request import ReportRequest
from avowal.use.reports import REPORTS, ReportResult, run_report
from avowal.verify.checks import verify_store
from avowal.verify.journals import check_journals
from avowal.verify.verification import Verification
from avowal.workspace.messages import AnyRequest


class DeriveViews(OwnerRequest[None], frozen=True):
    """Apply consents, and derive views and visits from what was loaded."""

    needs_consents: ClassVar[bool] = False

    def answer(self, owner: FolderOwner) -> None:
        """See OwnerRequest."""
        owner.derive_views()


class ApplyConsents(OwnerRequest[None], frozen=True):
    """Apply recorded consents and withdrawals to what is stored."""

    def answer(self, owner: FolderOwner) -> None:
        """See OwnerRequest. Nothing is left to do after the consents are applied."""


class RunReport(OwnerRequest[ReportResult], frozen=True):
    """Run a report. Its reader's access is counted, and recorded in the ledger once an hour for each purpose.

    Raises RefusedError if the reader does not have that purpose.
    """

    request: ReportRequest

    def answer(self, owner: FolderOwner) -> ReportResult:
        """See OwnerRequest."""
        reader, purpose = self.request.reader, REPORTS[self.request.report].purpose
        owner.register.readers.check_purpose(reader, purpose)
        view = owner.purpose_view(purpose)
        result = run_report(lambda _: view, self.request)
        rows = sum(len(table.rows) for table in result.tables.values())
        owner.register.readers.record_report(reader, purpose, view.last_version, rows, utc_now())
        tables = {name: table.to_plain() for name, table in result.tables.items()}
        return msgspec.structs.replace(result, tables=tables)


class RunQuery(OwnerRequest[QueryResult], frozen=True):
    """Run a reader's own SQL. An access to single visitors is recorded in the ledger before it is answered.

    Raises QueryError if the SQL is not allowed or fails, and RefusedError if the reader does not have its purpose.
    """

    query: SqlQuery

    def answer(self, owner: FolderOwner) -> QueryResult:
        """See OwnerRequest. An error that may tell something about a visitor is recorded, too."""
        query, settings, readers = self.query, owner.folder.settings, owner.register.readers
        readers.check_purpose(query.reader, query.purpose)
        view = owner.purpose_view(query.purpose)
        record = partial(readers.record_access, query.reader, query.purpose, view.last_version)
        limits = QueryLimits(
            settings.query.timeout_seconds, settings.query.max_rows, parse_size(settings.query.memory_limit)
        )
        hidden = HiddenColumns.create(settings.site.timezone, owner.folder.day_start)
        try:
            result = run_sql_query(view, query, limits, hidden)
        except QueryError as error:
            if is_revealing(error):
                record(0, query.sql, utc_now())
            raise
        if result.table is None:
            return result
        if result.reveals_individuals:
            record(len(result.table.rows), query.sql, utc_now())
        else:
            readers.count_access(query.reader, query.purpose, utc_now())
        return result


class CountRecordsSince(OwnerRequest[int], frozen=True):
    """Return how many requests and script views since a moment (UTC) are stored."""

    needs_consents: ClassVar[bool] = False
    since: datetime

    def answer(self, owner: FolderOwner) -> int:
        """See OwnerRequest."""
        now = utc_now()
        (counts,) = PurposeView(owner.store, (), "", now).stored_counts(self.since, now).to_dicts()
        return int(counts["stored_rows"])


class FindVisitorRecords(OwnerRequest[VisitorRecords], frozen=True):
    """Find a visitor's records. Raises RefusedError if an address does not lead to exactly one visitor."""

    needs_arrivals: ClassVar[bool] = True
    selector: VisitorSelector

    def answer(self, owner: FolderOwner) -> VisitorRecords:
        """See OwnerRequest."""
        now = utc_now()
        return find_visitor_records(owner.store, self.selector, owner.governing_bounds(now), now)


class FindAddressRecords(OwnerRequest[AddressRecords], frozen=True):
    """Find which visitors had an address in a period, day by day. Raises RefusedError if none is known."""

    needs_arrivals: ClassVar[bool] = True
    period: AddressPeriod

    def answer(self, owner: FolderOwner) -> AddressRecords:
        """See OwnerRequest."""
        return _find_address_records(owner, self.period, utc_now())


def _find_address_records(owner: FolderOwner, period: AddressPeriod, now: datetime) -> AddressRecords:
    folder, register = owner.folder, owner.register
    salt_days = SaltFile(folder.keys_folder / SALTS_FILE_NAME).days()
    days = list_visitor_days(period, folder.time_zone, folder.day_start, salt_days)

    def find_statements(key: str) -> list[datetime]:
        submissions = register.submissions.in_period(datetime.min, datetime.max, key)
        return [
            *(submission.submitted_at for submission in submissions),
            *(consent.recorded_at for consent in register.consents.for_visitor(key)),
            *(authorisation.recorded_at for authorisation in register.authorisations.for_visitor(key)),
        ]

    return find_address_records(owner.store, period, owner.governing_bounds(now), days, find_statements, now)


class FindScriptViews(OwnerRequest[ResultTable], frozen=True):
    """Return the script views with these ids that are stored."""

    needs_arrivals: ClassVar[bool] = True
    script_view_ids: list[int]

    def answer(self, owner: FolderOwner) -> ResultTable:
        """See OwnerRequest."""
        return owner.store.query(
            read_sql("store", "visitor_tab_views"), {"script_view_ids": self.script_view_ids}
        ).to_plain()


class EraseVisitor(OwnerRequest[Erasure], frozen=True):
    """Erase everything of a visitor."""

    needs_arrivals: ClassVar[bool] = True
    changes_data: ClassVar[bool] = True
    needs_consents: ClassVar[bool] = False
    visitor_key: str

    def answer(self, owner: FolderOwner) -> Erasure:
        """See OwnerRequest."""
        return owner.enforcer.erase_visitor(owner.store, self.visitor_key, utc_now())


class EraseAddress(OwnerRequest[Erasure], frozen=True):
    """Erase the visitors who had an address in a period: those who had it alone, or all of them.

    Raises RefusedError if that is not what the operator confirms.
    """

    needs_arrivals: ClassVar[bool] = True
    changes_data: ClassVar[bool] = True
    period: AddressPeriod
    confirmation: ErasureConfirmation

    def answer(self, owner: FolderOwner) -> Erasure:
        """See OwnerRequest."""
        now = utc_now()
        records = _find_address_records(owner, self.period, now)
        keys = self.confirmation.check(records)
        coverage = records.to_coverage(includes_others=bool(self.confirmation.others_code))
        return owner.enforcer.erase_visitors(owner.store, keys, now, coverage)


class EraseScriptViews(OwnerRequest[Erasure], frozen=True):
    """Erase the script views with these ids. Raises RefusedError if none of them is stored."""

    needs_arrivals: ClassVar[bool] = True
    changes_data: ClassVar[bool] = True
    needs_consents: ClassVar[bool] = False
    script_view_ids: list[int]

    def answer(self, owner: FolderOwner) -> Erasure:
        """See OwnerRequest."""
        return owner.enforcer.erase_script_views(owner.store, self.script_view_ids, utc_now())


class CompactStore(OwnerRequest[bool], frozen=True):
    """Rewrite the store's file if it still holds bytes of deleted data; returns whether it was rewritten."""

    needs_consents: ClassVar[bool] = False

    def answer(self, owner: FolderOwner) -> bool:
        """See OwnerRequest."""
        return owner.store.compact()


class EnforceRetention(OwnerRequest[list[RemovedRecords]], frozen=True):
    """Remove what may not be kept any longer; returns what was removed."""

    needs_arrivals: ClassVar[bool] = True
    changes_data: ClassVar[bool] = True
    needs_consents: ClassVar[bool] = False

    def answer(self, owner: FolderOwner) -> list[RemovedRecords]:
        """See OwnerRequest."""
        return owner.enforcer.enforce_retention(owner.store, utc_now())


class ExtractRelease(OwnerRequest[Extract], frozen=True):
    """Extract what a release may hold of what is stored.

    Raises QueryError if rows may not be selected that way, or are too many.
    """

    needs_arrivals: ClassVar[bool] = True
    request: ReleaseRequest

    def answer(self, owner: FolderOwner) -> Extract:
        """See OwnerRequest."""
        now = utc_now()
        bounds = narrow_to_evidence(owner.register, owner.governing_bounds(now), self.request)
        extract = extract_records(owner.store, bounds, self.request, now)
        tables = {name: table.to_plain() for name, table in extract.tables.items()}
        return msgspec.structs.replace(extract, tables=tables)


class ReadFeedBatch(OwnerRequest[FeedBatch], frozen=True):
    """Return what the store has for the next page of a processor's feed."""

    request: FeedRequest

    def answer(self, owner: FolderOwner) -> FeedBatch:
        """See OwnerRequest."""
        now, name = utc_now(), self.request.processor
        (text,) = (
            processor.contract_text for processor in owner.register.processors.all() if processor.name == name
        )
        contract = parse_contract(text, f"processors/{name}.toml")
        return read_feed_batch(owner.store, owner.governing_bounds(now), contract, self.request, now)


class VerifyStore(OwnerRequest[Verification], frozen=True):
    """Verify what is stored: its schema, seal, versions, consents and ages."""

    needs_consents: ClassVar[bool] = False
    """They are applied once the schema is verified."""

    def answer(self, owner: FolderOwner) -> Verification:
        """See OwnerRequest. Raises StoreError if the store is damaged."""
        now = utc_now()

        def find_overdue() -> list[OverdueRecords]:
            owner.enforcer.apply_consents(owner.store, now)
            return owner.enforcer.find_overdue_records(owner.store, now)

        verification = verify_store(owner.store, owner.register, find_overdue, now)
        if any(finding.code == "store-schema-mismatch" for finding in verification.findings):
            return verification
        journals = check_journals(owner.folder.data_folder, owner.store, owner.register.stores)
        return Verification([*verification.findings, *journals], checked=verification.checked)


REQUEST_TYPES: tuple[type[AnyRequest], ...] = (
    DeriveViews,
    ApplyConsents,
    RunReport,
    RunQuery,
    CountRecordsSince,
    FindSharedAddressDay,
    CountViewSources,
    ListScriptHosts,
    FindVisitorRecords,
    FindAddressRecords,
    SummarizeVisitor,
    ReadVisitorPage,
    FindScriptViews,
    EraseVisitor,
    EraseAddress,
    EraseScriptViews,
    CompactStore,
    EnforceRetention,
    ExtractRelease,
    ReadFeedBatch,
    VerifyStore,
)
"""Every request about what is stored."""
