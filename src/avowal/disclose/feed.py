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
from avowal.disclose.contract_check import standing, version_in_force
from avowal.disclose.extract import Far
from avowal.errors import DisclosureError
from avowal.ledger.entry import Reached, hashed
from avowal.policy.bounds import OWN_USE, PROCESSOR, Bounds, Cell, longer
from avowal.policy.compare import meet
from avowal.policy.contract import Contract, compile_contract, granted, parse_contract
from avowal.register.feeds import Page, State
from avowal.register.processors import Processor
from avowal.register.register import SqliteRegister, Version
from avowal.register.release_requests import Why
from avowal.store.columns import KEYS, NUMBERED, RELATIONS
from avowal.store.interface import Store
from avowal.submissions.submission import new_reference
from avowal.use.purpose_view import Reading

ROWS_MAX = 5_000
"""The most records of a page."""

SERVICE = "service"
"""The one purpose of a processor's reading: any of those that its service is for."""


class Wanted(msgspec.Struct, frozen=True):
    """What is wanted for a page: of a processor by its name, after what it has."""

    processor: str
    state: State
    limit: int = ROWS_MAX


class Told(msgspec.Struct, frozen=True):
    """A record as a processor may have it: its values, and until when it may keep each; None is for ever."""

    relation: str
    record: int
    values: dict[str, Any]
    keep_until: dict[str, datetime | None]


class Batch(msgspec.Struct, frozen=True):
    """What the store has for a page."""

    told: list[Told]
    gone: list[tuple[str, int]]
    """Records by relation and number that it may not have any more."""
    state: State
    more: bool
    reached: list[Reached]


class Given(NamedTuple):
    """A page as it is handed over: JSON Lines, the last of which says how to go on."""

    lines: list[bytes]
    page: Page
    new: bool
    """Whether there is anything in it: else it is the page before once more."""
    more: bool


def overdue(register: SqliteRegister, now: datetime) -> dict[str, datetime]:
    """Return the processors that have not said in time that they deleted what they were told to.

    Each comes with the time of the last page that it acknowledged, or of the first that it was given.
    """
    found = {}
    for one in register.processors.all():
        heard = register.feeds.heard(one.name) or register.feeds.began(one.name)
        allowed = parse_contract(one.contract, f"processors/{one.name}.toml").deletes_seconds
        if heard and (now - heard).total_seconds() > allowed:
            found[one.name] = heard
    return found


def bounds_of(governed: Sequence[Bounds], contract: Contract) -> list[Bounds]:
    """Return what a processor may have of what each governing number governs: what terms and contract both permit.

    Its purposes are one: whatever any of them may have (P7).
    """
    own = compile_contract(contract)
    return [_as_service(meet(granted(bounds, contract.purposes), own)) for bounds in governed]


def _as_service(bounds: Bounds) -> Bounds:
    cells: dict[Cell, Any] = {}
    for cell, ages in bounds.cells.items():
        if (cell.recipient, cell.ground) == (PROCESSOR, OWN_USE):
            one = Cell(cell.category, SERVICE, PROCESSOR, OWN_USE)
            cells[one] = longer(cells.get(one, {}), ages)
    return Bounds(cells, bounds.duties)


def batch(
    store: Store, governed: Sequence[Bounds], contract: Contract, wanted: Wanted, now: datetime
) -> Batch:
    """Return what the store has for a page: records that came in since, those that changed, and those that went."""
    bounds = bounds_of(governed, contract)
    reading = Reading(store, bounds, SERVICE, now, "", PROCESSOR, OWN_USE)
    state, told, reached, far = wanted.state, list[Told](), dict(wanted.state.records), Far(bounds, now)
    numbered = {
        str(name): int(last) for name, last in store.query("SELECT relation, last FROM numbered", {}).rows
    }
    if not state.records:  # whoever begins has everything as it is now
        ((last,),) = store.query("SELECT coalesce(max(change), 0) FROM changed", {}).rows
        state = msgspec.structs.replace(state, change=max(last, state.change))
    changes = store.query(
        "SELECT change, relation, record FROM changed WHERE change > $after ORDER BY change LIMIT $limit",
        {"after": state.change, "limit": wanted.limit},
    ).rows
    for name in NUMBERED:
        after, left = state.records.get(name, 0), wanted.limit - len(told)
        if left:
            found = _told(reading, name, f"record > {after} AND record <= {numbered[name]}", left, far)
            told += found
            reached[name] = found[-1].record if len(found) == left else numbered[name]
    of = {(name, record) for _, name, record in changes if record <= state.records.get(name, 0)}
    again = [
        one
        for name in NUMBERED
        if (numbers := sorted(record for relation, record in of if relation == name))
        for one in _told(reading, name, f"record IN ({', '.join(map(str, numbers))})", len(numbers), far)
    ]
    gone = sorted(of - {(one.relation, one.record) for one in again})
    change = changes[-1][0] if changes else state.change
    more = len(changes) == wanted.limit or len(told) >= wanted.limit
    state = msgspec.structs.replace(state, records=reached, change=change)
    return Batch(told + again, gone, state, more, far.told())


def _told(reading: Reading, name: str, which: str, limit: int, far: Far) -> list[Told]:
    """Return the records of a relation that a processor may have, of those that some SQL chooses."""
    found, forms = reading.store.query(reading.of_records(name, which, limit), {}), RELATIONS[name].columns
    told = []
    for row in found.records():
        record, governing, moment = (row.pop(column) for column in ("record", "governing", "moment"))
        values = {
            column: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for column, value in row.items()
            if value is not None
        }
        values |= {key: f"{values[key]:016x}" for key in KEYS if key in values}
        limits = {}
        for column in values:
            form, limits[column] = reading.form_of(forms[column], governing, moment)
            far.add(form, governing, moment)
        told.append(Told(name, record, values, limits))
    return told


@dataclass(frozen=True)
class Feeding:
    """Gives processors their pages."""

    register: SqliteRegister
    batch: Callable[[Wanted], Batch]
    """Asks the store; see `batch`."""
    key: bytes
    """Makes the identifiers of records: each processor has others."""

    def give(
        self,
        name: str,
        after: str,
        limit: int = ROWS_MAX,
        *,
        acknowledges: bool = True,
        before: Callable[[Given], object] = lambda _: None,
    ) -> Given:
        """Give a processor what came after a page, which is acknowledged by that; it is on record before it is given.

        `before` has the page before it is on record: whoever put it down can tell later whether it was given.
        Raises DisclosureError where its contract falls short, and RefusedError where it was given no such page.
        """
        now, version = utc_now(), version_in_force(self.register)
        processor, _ = self.standing(name, version, now)
        feeds, agreed = self.register.feeds, hashed(processor.contract + version.identity)
        state, lines = feeds.state(name, after), list[dict[str, Any]]()
        if after and acknowledges:
            feeds.acknowledge(name, after, now)
        if state.agreed != agreed or feeds.is_before(name, after):
            if after:
                lines.append({"kind": "all-gone"})
            state = State(agreed, {}, 0, f"{now.date()}")
        elif state.day < f"{now.date()}":
            lines.append({"kind": "expired", "before": datetime.combine(now.date(), time.min, UTC)})
            state = msgspec.structs.replace(state, day=f"{now.date()}")
        found = self.batch(Wanted(name, state, min(limit, ROWS_MAX)))
        lines += [self._line(name, one) for one in found.told]
        if found.gone:
            lines.append({"kind": "gone", "ids": [self._id(name, *one) for one in found.gone]})
        given = _page(processor, version, lines, found, after, now)
        if given.new:
            before(given)
            feeds.record(given.page, found.reached)
            self.register.ledger.sign()
        return given

    def standing(self, name: str, version: Version, now: datetime) -> tuple[Processor, Contract]:
        """Return a processor with its contract. Raises DisclosureError where there is none, or it falls short."""
        processor = next((one for one in self.register.processors.all() if one.name == name), None)
        if processor is None:
            raise DisclosureError(
                f"there is no processor `{name}`", "`avowal processor add` makes one", Why.RECIPIENT
            )
        contract = parse_contract(processor.contract, f"processors/{name}.toml")
        found = standing(contract, version.promised, now.date())
        if not found.holds:
            why = found.reasons[0] if found.reasons else "it protects less than the version in force"
            raise DisclosureError(
                f"the feed of `{name}` has stopped: {why}",
                f"`avowal processor check {name}` tells all",
                Why.TERMS,
            )
        return processor, contract

    def _line(self, name: str, one: Told) -> dict[str, Any]:
        until = {column: end and end.replace(tzinfo=UTC) for column, end in one.keep_until.items()}
        told = {"kind": "record", "id": self._id(name, one.relation, one.record), "relation": one.relation}
        return {**told, "values": one.values, "keep_until": until}

    def _id(self, name: str, relation: str, record: int) -> str:
        """Return the identifier by which a processor knows a record."""
        return hmac.digest(self.key, f"{name} {relation} {record}".encode(), sha256)[:8].hex()


def _page(
    processor: Processor,
    version: Version,
    lines: list[dict[str, Any]],
    found: Batch,
    after: str,
    now: datetime,
) -> Given:
    """Return a page; where there is nothing in it, it is the one before once more."""
    counts = {relation: sum(one.relation == relation for one in found.told) for relation in NUMBERED}
    records = {relation: count for relation, count in counts.items() if count}
    new = bool(lines) or found.more
    name, agreed, reference = processor.name, hashed(processor.contract), new_reference() if new else after
    page = Page(name, reference, agreed, version.number, found.state, records, len(found.gone), now)
    lines.append({"kind": "page", "after": reference, "more": found.more})
    return Given([msgspec.json.encode(line) for line in lines], page, new, found.more)
