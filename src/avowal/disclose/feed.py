"""What a processor is given: its reading, page by page, and what it has to delete; nothing where it falls short.

The rules stand in `docs/spec/processors.md` (P7 to P11).
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from avowal.clock import utc_now
from avowal.disclose.contract_check import compare_contract
from avowal.disclose.extract import OldestByCell
from avowal.errors import DisclosureError
from avowal.keep.enforcement import find_version_in_force
from avowal.ledger.entry import AgeReach, hash_text
from avowal.policy.bounds import OWN_USE, PROCESSOR, Bounds, Cell, max_ages
from avowal.policy.compare import meet
from avowal.policy.contract import Contract, compile_contract, parse_contract, select_processor_bounds
from avowal.register.feeds import FeedPage, FeedPosition
from avowal.register.processors import Processor
from avowal.register.register import SqliteRegister, Version
from avowal.register.release_requests import RefusalReason
from avowal.store.columns import NUMBERED_RELATIONS, RELATIONS, VISITOR_KEY_COLUMNS
from avowal.store.interface import Store
from avowal.submissions.submission import new_reference
from avowal.use.purpose_view import PurposeView

PAGE_RECORDS_MAX = 5_000
"""The most records of a page."""

SERVICE_PURPOSE = "service"
"""The one purpose of a processor's reading: any of those that its service is for."""


class FeedRequest(msgspec.Struct, frozen=True):
    """What is wanted for a page: of a processor by its name, after what it has."""

    processor: str
    state: FeedPosition
    records_max: int = PAGE_RECORDS_MAX


class FeedRecord(msgspec.Struct, frozen=True):
    """A record as a processor may have it: its values, and until when it may keep each; None is for ever."""

    relation: str
    record_number: int
    values: dict[str, Any]
    keep_until: dict[str, datetime | None]


class FeedBatch(msgspec.Struct, frozen=True):
    """What the store has for a page."""

    records: list[FeedRecord]
    deletions: list[tuple[str, int]]
    """Records by relation and number that it may not have any more."""
    state: FeedPosition
    has_more: bool
    age_reach: list[AgeReach]


class FeedResponse(NamedTuple):
    """A page as it is handed over: JSON Lines, the last of which says how to go on."""

    lines: list[bytes]
    page: FeedPage
    has_content: bool
    """Whether there is anything in it: else it is the page before once more."""
    has_more: bool


def find_overdue_processors(register: SqliteRegister, now: datetime) -> dict[str, datetime]:
    """Return the processors that have not said in time that they deleted what they were told to.

    Each comes with the time of the last page that it acknowledged, or of the first that it was given.
    """
    found = {}
    for one in register.processors.all():
        heard = register.feeds.acknowledged_until(one.name) or register.feeds.first_provided_at(one.name)
        allowed = parse_contract(one.contract_text, f"processors/{one.name}.toml").deletion_seconds
        if heard and (now - heard).total_seconds() > allowed:
            found[one.name] = heard
    return found


def compute_feed_bounds(governing_bounds: Sequence[Bounds], contract: Contract) -> list[Bounds]:
    """Return what a processor may have of what each governing number governs: what terms and contract both permit.

    Its purposes are one: whatever any of them may have (P7).
    """
    own = compile_contract(contract)
    return [
        _merge_service_purposes(meet(select_processor_bounds(bounds, contract.service_purposes), own))
        for bounds in governing_bounds
    ]


def _merge_service_purposes(bounds: Bounds) -> Bounds:
    cells: dict[Cell, Any] = {}
    for cell, ages in bounds.cells.items():
        if (cell.recipient, cell.ground) == (PROCESSOR, OWN_USE):
            one = Cell(cell.category, SERVICE_PURPOSE, PROCESSOR, OWN_USE)
            cells[one] = max_ages(cells.get(one, {}), ages)
    return Bounds(cells, bounds.duties)


def read_feed_batch(
    store: Store, governing_bounds: Sequence[Bounds], contract: Contract, request: FeedRequest, now: datetime
) -> FeedBatch:
    """Return what the store has for a page: records that came in since, those that changed, and those that went."""
    bounds = compute_feed_bounds(governing_bounds, contract)
    reading = PurposeView(store, bounds, SERVICE_PURPOSE, now, "", PROCESSOR, OWN_USE)
    state, told, reached, far = (
        request.state,
        list[FeedRecord](),
        dict(request.state.last_record_numbers),
        OldestByCell(bounds, now),
    )
    numbered = {
        str(name): int(last)
        for name, last in store.query("SELECT relation, last_number FROM record_numbers", {}).rows
    }
    if not state.last_record_numbers:  # whoever begins has everything as it is now
        ((last,),) = store.query("SELECT coalesce(max(change_number), 0) FROM record_changes", {}).rows
        state = msgspec.structs.replace(state, last_change_number=max(last, state.last_change_number))
    changes = store.query(
        "SELECT change_number, relation, record_number FROM record_changes "
        "WHERE change_number > $after ORDER BY change_number LIMIT $limit",
        {"after": state.last_change_number, "limit": request.records_max},
    ).rows
    for name in NUMBERED_RELATIONS:
        after, left = state.last_record_numbers.get(name, 0), request.records_max - len(told)
        if left:
            found = _read_records(
                reading, name, f"record_number > {after} AND record_number <= {numbered[name]}", left, far
            )
            told += found
            reached[name] = found[-1].record_number if len(found) == left else numbered[name]
    of = {(name, record) for _, name, record in changes if record <= state.last_record_numbers.get(name, 0)}
    again = [
        one
        for name in NUMBERED_RELATIONS
        if (numbers := sorted(record for relation, record in of if relation == name))
        for one in _read_records(
            reading, name, f"record_number IN ({', '.join(map(str, numbers))})", len(numbers), far
        )
    ]
    gone = sorted(of - {(one.relation, one.record_number) for one in again})
    change = changes[-1][0] if changes else state.last_change_number
    more = len(changes) == request.records_max or len(told) >= request.records_max
    state = msgspec.structs.replace(state, last_record_numbers=reached, last_change_number=change)
    return FeedBatch(told + again, gone, state, more, far.to_age_reach())


def _read_records(
    reading: PurposeView, name: str, which: str, limit: int, far: OldestByCell
) -> list[FeedRecord]:
    """Return the records of a relation that a processor may have, of those that some SQL chooses."""
    found, forms = (
        reading.store.query(reading.select_records_sql(name, which, limit), {}),
        RELATIONS[name].columns,
    )
    told = []
    for row in found.to_dicts():
        record, governing, moment = (row.pop(column) for column in ("record_number", "governing", "moment"))
        values = {
            column: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for column, value in row.items()
            if value is not None
        }
        values |= {key: f"{values[key]:016x}" for key in VISITOR_KEY_COLUMNS if key in values}
        limits = {}
        for column in values:
            form, limits[column] = reading.find_finest_form(forms[column], governing, moment)
            far.add(form, governing, moment)
        told.append(FeedRecord(name, record, values, limits))
    return told


@dataclass(frozen=True)
class FeedProvider:
    """Gives processors their pages."""

    register: SqliteRegister
    read_batch: Callable[[FeedRequest], FeedBatch]
    """Asks the store; see `batch`."""
    identifier_key: bytes
    """Makes the identifiers of records: each processor has others."""

    def provide_page(
        self,
        processor_name: str,
        after_reference: str,
        records_max: int = PAGE_RECORDS_MAX,
        *,
        acknowledge: bool = True,
        before_recording: Callable[[FeedResponse], object] = lambda _: None,
    ) -> FeedResponse:
        """Give a processor what came after a page, which is acknowledged by that; it is on record before it is given.

        `before` has the page before it is on record: whoever put it down can tell later whether it was given.
        Raises DisclosureError where its contract falls short, and RefusedError where it was given no such page.
        """
        now, version = utc_now(), find_version_in_force(self.register.versions(), utc_now())
        processor, _ = self.find_contract(processor_name, version, now)
        feeds, agreed = self.register.feeds, hash_text(processor.contract_text + version.identity)
        state, lines = feeds.position(processor_name, after_reference), list[dict[str, Any]]()
        if after_reference and acknowledge:
            feeds.acknowledge(processor_name, after_reference, now)
        if state.agreement_hash != agreed or feeds.is_before_acknowledged(processor_name, after_reference):
            if after_reference:
                lines.append({"kind": "all-gone"})
            state = FeedPosition(agreed, {}, 0, f"{now.date()}")
        elif state.last_expiry_day < f"{now.date()}":
            lines.append({"kind": "expired", "before": datetime.combine(now.date(), time.min, UTC)})
            state = msgspec.structs.replace(state, last_expiry_day=f"{now.date()}")
        found = self.read_batch(FeedRequest(processor_name, state, min(records_max, PAGE_RECORDS_MAX)))
        lines += [self._line(processor_name, one) for one in found.records]
        if found.deletions:
            lines.append({"kind": "gone", "ids": [self._id(processor_name, *one) for one in found.deletions]})
        given = _build_page(processor, version, lines, found, after_reference, now)
        if given.has_content:
            before_recording(given)
            feeds.record_page(given.page, found.age_reach)
            self.register.ledger.sign_checkpoint()
        return given

    def find_contract(
        self, processor_name: str, version: Version, now: datetime
    ) -> tuple[Processor, Contract]:
        """Return a processor with its contract. Raises DisclosureError where there is none, or it falls short."""
        processor = next((one for one in self.register.processors.all() if one.name == processor_name), None)
        if processor is None:
            raise DisclosureError(
                f"there is no processor `{processor_name}`",
                "`avowal processor add` makes one",
                RefusalReason.RECIPIENT,
                code="processor-not-found",
            )
        contract = parse_contract(processor.contract_text, f"processors/{processor_name}.toml")
        found = compare_contract(contract, version.compiled_terms, now.date())
        if not found.is_sufficient:
            why = found.reasons[0] if found.reasons else "it protects less than the version in force"
            raise DisclosureError(
                f"the feed of `{processor_name}` has stopped: {why}",
                f"`avowal processor check {processor_name}` tells all",
                RefusalReason.TERMS,
                code="contract-insufficient",
            )
        return processor, contract

    def _line(self, name: str, one: FeedRecord) -> dict[str, Any]:
        until = {column: end and end.replace(tzinfo=UTC) for column, end in one.keep_until.items()}
        told = {
            "kind": "record",
            "id": self._id(name, one.relation, one.record_number),
            "relation": one.relation,
        }
        return {**told, "values": one.values, "keep_until": until}

    def _id(self, name: str, relation: str, record: int) -> str:
        """Return the identifier by which a processor knows a record."""
        return hmac.digest(self.identifier_key, f"{name} {relation} {record}".encode(), sha256)[:8].hex()


def _build_page(
    processor: Processor,
    version: Version,
    lines: list[dict[str, Any]],
    found: FeedBatch,
    after: str,
    now: datetime,
) -> FeedResponse:
    """Return a page; where there is nothing in it, it is the one before once more."""
    counts = {
        relation: sum(one.relation == relation for one in found.records) for relation in NUMBERED_RELATIONS
    }
    records = {relation: count for relation, count in counts.items() if count}
    new = bool(lines) or found.has_more
    name, agreed, reference = (
        processor.name,
        hash_text(processor.contract_text),
        new_reference() if new else after,
    )
    page = FeedPage(name, reference, agreed, version.number, found.state, records, len(found.deletions), now)
    lines.append({"kind": "page", "after": reference, "more": found.has_more})
    return FeedResponse([msgspec.json.encode(line) for line in lines], page, new, found.has_more)
