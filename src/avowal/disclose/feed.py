"""The feeds of processors: pages of the records that a processor may have, and of those that it must delete.

The rules are in `docs/spec/processors.md` (P7 to P11).
"""

import hmac
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from avowal.clock import utc_now
from avowal.disclose.contract_check import compare_contract
from avowal.disclose.extract import OldestValues
from avowal.errors import DisclosureError
from avowal.keep.enforcement import find_version_in_force
from avowal.ledger.entry import hash_text
from avowal.ledger.release_entry import AgeReach
from avowal.policy.bounds import OWN_USE, PROCESSOR, AgeByPrecision, Bounds, Cell, merge_longest_ages
from avowal.policy.compare import compare, meet
from avowal.policy.contract import Contract, compile_contract, parse_contract, select_processor_bounds
from avowal.register.feeds import FeedPage, FeedPosition
from avowal.register.processors import Processor
from avowal.register.register import Register, Version
from avowal.register.release_requests import RefusalReason
from avowal.store.columns import NUMBERED_RELATIONS, RELATIONS, VISITOR_KEY_COLUMNS
from avowal.store.interface import ResultTable, Store
from avowal.submissions.submission import new_reference
from avowal.use.purpose_view import PurposeView

PAGE_RECORDS_MAX = 5_000
"""The most records of a page."""

SERVICE_PURPOSE = "service"
"""The one purpose of a processor's view: it stands for all purposes of its service."""


class FeedRequest(msgspec.Struct, frozen=True):
    """A request for the next page of a processor's feed, after a position."""

    processor: str
    position: FeedPosition
    records_max: int = PAGE_RECORDS_MAX


class FeedRecord(msgspec.Struct, frozen=True):
    """A record that a processor may have: its values, and until when it may keep each one (None is unlimited)."""

    relation: str
    record_number: int
    values: dict[str, Any]
    keep_until: dict[str, datetime | None]


class FeedBatch(msgspec.Struct, frozen=True):
    """What the store has for a page."""

    records: list[FeedRecord]
    deletions: list[tuple[str, int]]
    """The relation and number of each record that the processor may not have any longer."""
    position: FeedPosition
    """The position after the page."""
    has_more: bool
    age_reach: list[AgeReach]


class RecordLine(msgspec.Struct, frozen=True, tag_field="kind", tag="record"):
    """A new or changed record, under the identifier by which the processor knows it."""

    id: str
    relation: str
    values: dict[str, Any]
    keep_until: dict[str, datetime | None]


class DeleteLine(msgspec.Struct, frozen=True, tag_field="kind", tag="delete"):
    """Records that the processor must delete."""

    ids: list[str]


class DeleteAllLine(msgspec.Struct, frozen=True, tag_field="kind", tag="delete-all"):
    """The processor must delete everything; the feed begins again."""


class ExpiredLine(msgspec.Struct, frozen=True, tag_field="kind", tag="expired"):
    """Everything that had to be deleted before a moment (UTC) must be deleted by now."""

    before: datetime


class PageLine(msgspec.Struct, frozen=True, tag_field="kind", tag="page"):
    """The last line: the reference after which the next page comes, and whether there is one already."""

    after: str
    has_more: bool


FeedLine = RecordLine | DeleteLine | DeleteAllLine | ExpiredLine | PageLine
"""A line of a page. `docs/reference.md` describes the kinds."""


class FeedResponse(NamedTuple):
    """A page as a processor gets it, in JSON Lines."""

    lines: list[bytes]
    page: FeedPage
    has_content: bool
    """Whether the page is new. If not, it repeats the reference of the page before."""
    has_more: bool


def find_overdue_processors(register: Register, now: datetime) -> dict[str, datetime]:
    """Return the processors that did not acknowledge in time that they deleted what they must.

    Each comes with the time of the last page that it acknowledged, or of the first page that it was given.
    """
    overdue = {}
    for processor in register.processors.all():
        name, feeds = processor.name, register.feeds
        last_sign = feeds.acknowledged_until(name) or feeds.first_provided_at(name)
        contract = parse_contract(processor.contract_text, f"processors/{name}.toml")
        if last_sign and (now - last_sign).total_seconds() > contract.deletion_seconds:
            overdue[name] = last_sign
    return overdue


def compute_feed_bounds(governing_bounds: Sequence[Bounds], contract: Contract) -> list[Bounds]:
    """Return the bounds of a processor for each governing number: what both terms and contract permit.

    All purposes of its service are one purpose, which may have what any of them may have (P7). Of records whose terms
    the contract does not protect as much as, it may have nothing (P12).
    """
    contract_bounds = compile_contract(contract)
    granted = [select_processor_bounds(bounds, contract.service_purposes) for bounds in governing_bounds]
    return [
        _merge_service_purposes(meet(bounds, contract_bounds))
        if compare(bounds, contract_bounds).is_at_least_as_protective
        else Bounds({}, bounds.duties)
        for bounds in granted
    ]


def _merge_service_purposes(bounds: Bounds) -> Bounds:
    cells: dict[Cell, AgeByPrecision] = {}
    for cell, ages in bounds.cells.items():
        if (cell.recipient, cell.ground) == (PROCESSOR, OWN_USE):
            merged = Cell(cell.category, SERVICE_PURPOSE, PROCESSOR, OWN_USE)
            cells[merged] = merge_longest_ages(cells.get(merged, {}), ages)
    return Bounds(cells, bounds.duties)


def read_feed_batch(
    store: Store, governing_bounds: Sequence[Bounds], contract: Contract, request: FeedRequest, now: datetime
) -> FeedBatch:
    """Return what the store has for a page: records that are new or changed since a position, and deletions."""
    bounds = compute_feed_bounds(governing_bounds, contract)
    view = PurposeView(store, bounds, SERVICE_PURPOSE, now, "", PROCESSOR, OWN_USE)
    position, records_max = request.position, request.records_max
    last_numbers = {
        str(name): int(last)
        for name, last in store.query("SELECT relation, last_number FROM record_numbers", {}).rows
    }
    if not position.last_record_numbers:  # a new feed starts with the records as they are now
        ((last,),) = store.query("SELECT coalesce(max(change_number), 0) FROM record_changes", {}).rows
        position = msgspec.structs.replace(
            position, last_change_number=max(last, position.last_change_number)
        )
    changes = store.query(
        "SELECT change_number, relation, record_number FROM record_changes "
        "WHERE change_number > $after ORDER BY change_number LIMIT $limit",
        {"after": position.last_change_number, "limit": records_max},
    ).rows
    oldest, new_records = OldestValues(bounds, now), list[FeedRecord]()
    reached = dict(position.last_record_numbers)
    for name in NUMBERED_RELATIONS:
        after, remaining = reached.get(name, 0), records_max - len(new_records)
        if remaining:
            table = view.read_records_between(name, after, last_numbers[name], remaining)
            records, records_oldest = _build_records(view, name, table)
            new_records += records
            oldest.merge(records_oldest)
            reached[name] = records[-1].record_number if len(records) == remaining else last_numbers[name]
    changed = {
        (name, number) for _, name, number in changes if number <= position.last_record_numbers.get(name, 0)
    }
    changed_records = list[FeedRecord]()
    for name in NUMBERED_RELATIONS:
        if numbers := sorted(number for relation, number in changed if relation == name):
            records, records_oldest = _build_records(view, name, view.read_records_numbered(name, numbers))
            changed_records += records
            oldest.merge(records_oldest)
    deletions = changed - {(record.relation, record.record_number) for record in changed_records}
    return FeedBatch(
        records=new_records + changed_records,
        deletions=sorted(deletions),
        position=msgspec.structs.replace(
            position,
            last_record_numbers=reached,
            last_change_number=changes[-1][0] if changes else position.last_change_number,
        ),
        has_more=len(changes) == records_max or len(new_records) >= records_max,
        age_reach=oldest.to_age_reach(),
    )


def _build_records(
    view: PurposeView, relation: str, table: ResultTable
) -> tuple[list[FeedRecord], OldestValues]:
    """Return records of a relation as the processor may have them, and their ages."""
    columns = RELATIONS[relation].columns
    records, oldest = list[FeedRecord](), OldestValues(view.governing_bounds, view.now)
    for row in table.to_dicts():
        number, governing, moment = (row.pop(column) for column in ("record_number", "governing", "moment"))
        values = {
            column: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for column, value in row.items()
            if value is not None
        }
        values |= {key: f"{values[key]:016x}" for key in VISITOR_KEY_COLUMNS if key in values}
        keep_until = {}
        for column in values:
            form, keep_until[column] = view.find_finest_form(columns[column], governing, moment)
            oldest.add(form, governing, moment)
        records.append(FeedRecord(relation, number, values, keep_until))
    return records, oldest


@dataclass(frozen=True)
class FeedProvider:
    """Provides processors with the pages of their feeds."""

    register: Register
    read_batch: Callable[[FeedRequest], FeedBatch]
    """Reads from the store; see `read_feed_batch`."""
    identifier_key: bytes
    """The key of the identifiers of records. Each processor gets different identifiers for the same records."""

    def provide_page(
        self,
        processor_name: str,
        after_reference: str,
        records_max: int = PAGE_RECORDS_MAX,
        *,
        acknowledge: bool = True,
        before_recording: Callable[[FeedResponse], object] = lambda _: None,
    ) -> FeedResponse:
        """Return the page after another one, which this acknowledges; it is recorded before it is returned.

        `before_recording` is called with the page before it is recorded. Raises DisclosureError if the contract is not
        sufficient, and RefusedError if the processor was never given a page with that reference.
        """
        now = utc_now()
        version = find_version_in_force(self.register.versions(), now)
        processor, _ = self.find_contract(processor_name, version, now)
        feeds, agreement_hash = self.register.feeds, hash_text(processor.contract_text + version.identity)
        position, today = feeds.position(processor_name, after_reference), f"{now.date()}"
        if after_reference and acknowledge:
            feeds.acknowledge(processor_name, after_reference, now)
        lines = list[FeedLine]()
        is_outdated = position.agreement_hash != agreement_hash
        if is_outdated or feeds.is_before_acknowledged(processor_name, after_reference):
            if after_reference:
                lines.append(DeleteAllLine())
            position = FeedPosition(agreement_hash, {}, 0, today)
        elif position.last_expiry_day < today:
            lines.append(ExpiredLine(datetime.combine(now.date(), time.min, UTC)))
            position = msgspec.structs.replace(position, last_expiry_day=today)
        batch = self.read_batch(FeedRequest(processor_name, position, min(records_max, PAGE_RECORDS_MAX)))
        lines += [self._build_record_line(processor_name, record) for record in batch.records]
        if batch.deletions:
            lines.append(DeleteLine([self._identify(processor_name, *record) for record in batch.deletions]))
        response = _build_response(processor, version, lines, batch, after_reference, now)
        if response.has_content:
            before_recording(response)
            feeds.record_page(response.page, batch.age_reach)
        return response

    def find_contract(
        self, processor_name: str, version: Version, now: datetime
    ) -> tuple[Processor, Contract]:
        """Return a processor and its contract. Raises DisclosureError if there is none, or it is not sufficient."""
        processors = {processor.name: processor for processor in self.register.processors.all()}
        if processor_name not in processors:
            raise DisclosureError(
                f"there is no processor `{processor_name}`",
                "`avowal processor add` adds one",
                RefusalReason.RECIPIENT,
                code="processor-not-found",
            )
        processor = processors[processor_name]
        contract = parse_contract(processor.contract_text, f"processors/{processor_name}.toml")
        comparison = compare_contract(contract, version.compiled_terms, now.date())
        if not comparison.is_sufficient:
            sentences = (reason.sentence for reason in comparison.reasons)
            reason = next(sentences, "it protects less than the version in force")
            raise DisclosureError(
                f"the feed of `{processor_name}` has stopped: {reason}",
                f"`avowal processor check {processor_name}` lists all reasons",
                RefusalReason.TERMS,
                code="contract-insufficient",
            )
        return processor, contract

    def _build_record_line(self, processor_name: str, record: FeedRecord) -> RecordLine:
        identifier = self._identify(processor_name, record.relation, record.record_number)
        keep_until = {column: end and end.replace(tzinfo=UTC) for column, end in record.keep_until.items()}
        return RecordLine(identifier, record.relation, record.values, keep_until)

    def _identify(self, processor_name: str, relation: str, record_number: int) -> str:
        """Return the identifier by which a processor knows a record: 16 hexadecimal digits."""
        text = f"{processor_name} {relation} {record_number}"
        return hmac.digest(self.identifier_key, text.encode(), sha256)[:8].hex()


def _build_response(
    processor: Processor,
    version: Version,
    lines: Sequence[FeedLine],
    batch: FeedBatch,
    after_reference: str,
    now: datetime,
) -> FeedResponse:
    """Return a page of lines. Without content, it repeats the reference of the page before."""
    has_content = bool(lines) or batch.has_more
    page = FeedPage(
        processor=processor.name,
        reference=new_reference() if has_content else after_reference,
        contract_hash=hash_text(processor.contract_text),
        version=version.number,
        position=batch.position,
        records=dict(Counter(record.relation for record in batch.records)),
        deletions=len(batch.deletions),
        provided_at=now,
    )
    last_line = PageLine(page.reference, batch.has_more)
    encoded = [msgspec.json.encode(line) for line in (*lines, last_line)]
    return FeedResponse(encoded, page, has_content, batch.has_more)
