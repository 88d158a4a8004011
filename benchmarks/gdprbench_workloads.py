"""The workloads of GDPRBench: what is done, with which values, and what each read should return."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, NamedTuple

PURPOSE = "requested-service"
OTHERS = ("abuse", "availability", "content", "performance", "third-party-service")
BITS = [tuple(word for bit, word in enumerate(OTHERS) if number >> bit & 1) for number in range(32)]
LISTS: dict[str, list[Any]] = {
    "form": [f"purpose{number}" for number in range(25)],
    "keep_until": [30, *range(10_000, 24_001, 2_000), 1_000_000],
    "visitor": [f"{number:015x}1" for number in range(10_000)],
    "objected_purposes": [(*BITS[n % 32], PURPOSE) if n % 10 == 0 else BITS[n % 32] for n in range(100)],
    "allows_automated_decisions": [True, False],
    "allowed_readers": [("processor", f"reader{number}") for number in range(10)],
    "allowed_recipients": [(f"recipient{number}",) for number in range(10)],
    "source": [f"source{number}" for number in range(10)],
    "category": ["answer", "email-address", "message", "person-name", "postal-address", "telephone-number"],
}
"""The values of each metadata. Of every hundred, ten object to the purpose that all of it is read for."""

SETTABLE = [name for name in LISTS if name != "form"]
WORKLOADS = {
    "controller": ("uniform", {"update_meta": 50, "delete_user": 25, "insert": 25}),
    "customer": (
        "zipfian",
        {"read": 20, "read_user": 20, "update": 20, "update_user": 20, "delete": 20},
    ),
    "processor": ("uniform", {"read": 20, "read_purpose": 40, "read_user": 40}),
    "regulator": ("zipfian", {"read_user": 50, "log": 50}),
}
ZIPF = 0.99
LOG_MAX = 1000
TICK = timedelta(milliseconds=10)
BEGINS = datetime(2026, 1, 1)  # noqa: DTZ001  # UTC, as the register keeps times


def deterministic(number: int, name: str) -> Any:
    """Return what a record has of a metadata."""
    return LISTS[name][number % len(LISTS[name])]


def data(number: int, turn: int = 0) -> str:
    """Return what a record says: 100 bytes."""
    return (f"{number}-{turn} " * 50)[:100]


class Operation(NamedTuple):
    """What is done, at which moment."""

    kind: str
    number: int
    """Of the record that it is about, or whose purpose or user it is about."""
    name: str
    """The metadata that is set."""
    length: int
    """How much of the log is read."""
    at: datetime


def operations(workload: str, records: int, count: int, seed: int) -> Iterator[Operation]:
    """Yield the operations of a workload: the same for all stores."""
    chance = random.Random(seed)  # a benchmark
    distribution, mix = WORKLOADS[workload]
    places = list(range(records))
    chance.shuffle(places)
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, records + 1)))
    kinds = chance.choices(list(mix), list(mix.values()), k=count)
    fresh = records
    for turn, drawn in enumerate(kinds):
        number = (
            chance.choices(places, cum_weights=weights)[0]
            if distribution == "zipfian"
            else chance.randrange(records)
        )
        if drawn == "insert":
            number, fresh = fresh, fresh + 1
        kind = chance.choice(["update_purpose", "update_user"]) if drawn == "update_meta" else drawn
        name, length = chance.choice(SETTABLE), chance.randint(1, LOG_MAX)
        yield Operation(kind, number, name, length, BEGINS + timedelta(hours=1) + turn * TICK)


def told(number: int) -> dict[str, Any]:
    """Return all metadata of a record as it is loaded."""
    found = {name: deterministic(number, name) for name in LISTS}
    return {**found, "keep_until": BEGINS + timedelta(seconds=found["keep_until"])}


def value(one: Operation) -> Any:
    """Return what is set by an operation."""
    found = deterministic(one.number, one.name)
    return one.at + timedelta(seconds=found) if one.name == "keep_until" else found


class Model:
    """What every read should return, kept in memory; `enforced` as Avowal reads, else as plain stores do."""

    def __init__(self, records: int, *, enforced: bool) -> None:
        self.enforced = enforced
        self.rows = {number: {**told(number), "data": data(number)} for number in range(records)}
        self.by: dict[str, dict[str, set[int]]] = {"form": defaultdict(set), "visitor": defaultdict(set)}
        for number, row in self.rows.items():
            for name, of in self.by.items():
                of[row[name]].add(number)

    def do(self, one: Operation, *, processor: bool) -> Any:
        """Do an operation; returns the numbers of what should be read, or one with all that is known of it."""
        if one.kind.startswith("read"):
            return self.read(one, processor=processor)
        row = self.rows.get(one.number)
        match one.kind:
            case "insert":
                self.rows[one.number] = {**told(one.number), "data": data(one.number)}
                for name, of in self.by.items():
                    of[self.rows[one.number][name]].add(one.number)
            case "update" if row:
                row["data"] = data(one.number, 1)
            case "update_purpose" | "update_user":
                for number in list(self.chosen(one)):
                    self.put(number, one)
            case "delete" if row:
                self.drop(one.number)
            case "delete_user":
                for number in list(self.chosen(one)):
                    self.drop(number)
        return None

    def read(self, one: Operation, *, processor: bool) -> Any:
        """Return what should be read."""
        if one.kind != "read":
            return {
                number
                for number in self.chosen(one)
                if self.sees(self.rows[number], one, processor=processor)
            }
        row = self.rows.get(one.number)
        over = self.enforced and row and row["keep_until"] <= one.at
        return row if row and not over and self.sees(row, one, processor=processor) else None

    def chosen(self, one: Operation) -> set[int]:
        """Return the numbers of the records of a purpose or a user."""
        name = "form" if one.kind.endswith("purpose") else "visitor"
        return self.by[name][deterministic(one.number, name)]

    def sees(self, row: dict[str, Any], one: Operation, *, processor: bool) -> bool:
        """Return whether a record should be read."""
        allowed = PURPOSE not in row["objected_purposes"] and row["keep_until"] > one.at
        return allowed or not processor or not self.enforced

    def put(self, number: int, one: Operation) -> None:
        """Set a metadata of a record."""
        row = self.rows[number]
        if one.name == "visitor":
            self.by["visitor"][row["visitor"]].discard(number)
            self.by["visitor"][value(one)].add(number)
        row[one.name] = value(one)

    def drop(self, number: int) -> None:
        """Delete a record."""
        row = self.rows.pop(number)
        for name, of in self.by.items():
            of[row[name]].discard(number)
