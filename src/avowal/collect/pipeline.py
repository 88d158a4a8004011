"""The way in: the one list of steps that every line of a log goes through, from text to a record on the disk."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from avowal.collect.admission import ADMITTED, Promise, admit
from avowal.collect.country import Countries
from avowal.collect.device import Devices
from avowal.collect.request_kind import Kinds
from avowal.collect.segment import DeadLetter
from avowal.collect.visitor_key import Salts, add_keys, event_day
from avowal.logs.drop_reason import FUTURE_TOLERANCE, Fate, Reason
from avowal.logs.formats import Reader
from avowal.logs.log_file import LINE_BYTES_MAX, Block

SHAPE_MAX = 120
"""Longest shape of a dead letter, in characters."""


@dataclass
class Batch:
    """The lines of one block on their way: what they are by now, and those that were left behind, with their reason.

    Every line is in one of the two, at each moment.
    """

    now: datetime
    lines: pl.Series
    records: pl.DataFrame = field(default_factory=pl.DataFrame)
    left: list[pl.DataFrame] = field(default_factory=list)
    late: int = 0
    early: int = 0

    def leave(self, lines: pl.DataFrame) -> None:
        """Leave lines behind: a frame of `line` and `reason`."""
        if len(lines):
            self.left.append(lines.select(pl.col("line").cast(pl.UInt32), pl.col("reason").cast(pl.String)))


@dataclass(frozen=True)
class Taken:
    """What became of a block: the records that the terms let in, and an account of all its lines."""

    records: pl.DataFrame
    lines: int
    requests: int
    bots: int
    late: int
    early: int
    dropped: dict[str, int]
    dead_letters: list[DeadLetter]

    @property
    def left(self) -> Counter[str]:
        """How many lines became no record, by reason."""
        return Counter(self.dropped) + Counter(letter.reason for letter in self.dead_letters)


@dataclass
class Way:
    """The way in for one log: its reader, the terms it is read under, and the rules of its site."""

    reader: Reader
    promises: Callable[[datetime], Sequence[Promise]]
    """Tells which versions have taken effect by a moment, the first of them first."""
    kinds: Kinds
    salts: Salts
    zone: ZoneInfo
    day_turns_at: time
    host: str
    devices: Devices
    countries: Countries | None = None
    """None where there is no database of countries: no country is known then."""

    def take(self, block: Block, now: datetime) -> Taken:
        """Lead the lines of a block through every step."""
        batch = Batch(now, block.lines())
        for step in STEPS:
            step(self, batch)
        return _account(batch, block)


def screen(way: Way, batch: Batch) -> None:
    """Leave what is no line of text: blank, too long, binary."""
    text = pl.col("text")
    reason = (
        pl.when(text.str.len_bytes() > LINE_BYTES_MAX)
        .then(pl.lit(Reason.TOO_LONG.value))
        .when(text.str.contains("\0", literal=True))
        .then(pl.lit(Reason.NOT_TEXT.value))
        .when(text.str.strip_chars_start().str.len_bytes() == 0)
        .then(pl.lit(Reason.BLANK.value))
    )
    lines = (
        batch.lines.str.strip_chars_start("\0") if batch.lines.str.starts_with("\0").any() else batch.lines
    )
    judged = lines.alias("text").to_frame().with_row_index("line")
    judged = judged.with_columns(reason=reason)
    batch.records = judged
    if judged["reason"].null_count() < len(judged):
        batch.leave(judged.filter(pl.col("reason").is_not_null()))
        batch.records = judged.filter(pl.col("reason").is_null())


def read(way: Way, batch: Batch) -> None:
    """Read each line as a request; leave those that cannot be read, even tolerantly."""
    reading = way.reader.read(batch.records["text"])
    numbers = batch.records["line"]
    batch.leave(reading.rest.with_columns(line=numbers.gather(reading.rest["line"])))
    batch.records = reading.requests.with_columns(line=numbers.gather(reading.requests["line"]))


def judge_time(way: Way, batch: Batch) -> None:
    """Leave what has not happened yet: its age could not be known."""
    future = pl.col("time") > batch.now + FUTURE_TOLERANCE
    batch.leave(batch.records.filter(future).with_columns(reason=pl.lit(Reason.IN_THE_FUTURE.value)))
    batch.records = batch.records.filter(~future)


def tell_kind(way: Way, batch: Batch) -> None:
    """Tell views, downloads, uploads and parts of pages apart."""
    batch.records = batch.records.with_columns(
        request_kind=way.kinds.tell(batch.records), host=pl.col("host").fill_null(way.host).replace("", None)
    )


def tell_device(way: Way, batch: Batch) -> None:
    """Read browser, operating system, device and robot from the user agent."""
    batch.records = way.devices.tell(batch.records)


def tell_visitor(way: Way, batch: Batch) -> None:
    """Give each visitor's requests of one day their key."""
    dated = batch.records.with_columns(event_day=event_day(pl.col("time"), way.zone, way.day_turns_at))
    salts, late = way.salts.of(dated["event_day"].unique().to_list(), batch.now)
    batch.late = len(dated.filter(pl.col("event_day").is_in(sorted(late))))
    batch.records = add_keys(dated, salts)


def tell_country(way: Way, batch: Batch) -> None:
    """Look up the country of each address, where some version lets it in."""
    wanted = any(
        "country" in promise.kept or "country" in promise.kept.get("ip-address", {})
        for promise in way.promises(batch.now)
    )
    known = way.countries.tell(batch.records["address"]) if wanted and way.countries else None
    batch.records = batch.records.with_columns(
        country=pl.lit(None, dtype=pl.String) if known is None else known
    )


def let_in(way: Way, batch: Batch) -> None:
    """Cut each record to what the version in force at its time lets in; leave the rest.

    What is older than the first version binds to that (G1), and is counted.
    """
    promises = way.promises(batch.now)
    admitted = []
    for promise in promises:
        since = promise.since if promise is not promises[0] else datetime.min
        bound = batch.records
        if len(promises) > 1:
            bound = bound.filter(pl.col("time").is_between(since, promise.until, closed="left"))
        records, left = admit(bound, promise, batch.now)
        admitted.append(records)
        batch.leave(left)
    batch.records = pl.concat(admitted)
    batch.early = len(batch.records.filter(pl.col("request_time") < promises[0].since))


STEPS: tuple[Callable[[Way, Batch], None], ...] = (
    screen,
    read,
    judge_time,
    tell_kind,
    tell_device,
    tell_visitor,
    tell_country,
    let_in,
)
"""In this order. Each works on `batch.records`, and leaves lines behind only with a reason."""


def _account(batch: Batch, block: Block) -> Taken:
    left = (
        pl.concat(batch.left) if batch.left else pl.DataFrame(schema={"line": pl.UInt32, "reason": pl.String})
    )
    counts = Counter(dict(left["reason"].value_counts().iter_rows()))
    dropped = {reason: count for reason, count in counts.items() if Reason(reason).fate is Fate.DROPPED}
    dead = [
        DeadLetter(offset, length, Reason.TOO_LONG.value, "") for offset, length in block.too_long
    ] + _dead_letters(left.filter(~pl.col("reason").is_in(list(dropped))), batch.lines, block)
    return Taken(
        records=batch.records.select(ADMITTED.names()),
        lines=len(batch.lines) + len(block.too_long),
        requests=len(batch.records),
        bots=batch.records["bot"].count(),
        late=batch.late,
        early=batch.early,
        dropped=dropped,
        dead_letters=dead,
    )


def _dead_letters(left: pl.DataFrame, lines: pl.Series, block: Block) -> list[DeadLetter]:
    if left.is_empty():
        return []
    left = left.sort("line")
    places = block.places(lines)[left["line"]].rows()
    texts = lines.gather(left["line"])
    return [
        DeadLetter(offset, length, reason, shape(text))
        for (offset, length), reason, text in zip(places, left["reason"], texts, strict=True)
    ]


def shape(line: str) -> str:
    """Tell a line's form and nothing of what it says: runs of letters as `a`, of digits as `9`, others as they are.

    >>> shape('192.0.2.7 - - [02/Jan/2026] "GET /secret?id=7')
    '9.9.9.9 - - [9/a/9] "a /a?a=9'
    """
    plain = re.sub(r"[^\W\d_]+|[^\x00-\x7f]+", "a", line[: 8 * SHAPE_MAX])
    return re.sub(r"\d+", "9", re.sub(r"[\x00-\x1f\x7f]", ".", plain))[:SHAPE_MAX]
