"""The way in: the one list of steps that every line of a log goes through, from text to a record on the disk."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from avowal.collect.admission import ADMITTED_SCHEMA, AdmissionRules, admit_records
from avowal.collect.country import CountryDatabase
from avowal.collect.device import DeviceParser
from avowal.collect.request_kind import RequestKindRules
from avowal.collect.segment import UnparsableLine
from avowal.collect.visitor_key import SaltFile, add_visitor_ids, event_day
from avowal.logs.drop_reason import DropReason, LineOutcome
from avowal.logs.formats import LogParser
from avowal.logs.log_file import LINE_BYTES_MAX, LogBlock

FUTURE_TOLERANCE = timedelta(days=1)
"""How far the clock of a log may run ahead of ours: more than any two time zones differ."""

SHAPE_CHARACTERS_MAX = 120
"""Longest shape of a dead letter, in characters."""


@dataclass
class LineBatch:
    """The lines of one block on their way: what they are by now, and those that were left behind, with their reason.

    Every line is in one of the two, at each moment.
    """

    now: datetime
    lines: pl.Series
    records: pl.DataFrame = field(default_factory=pl.DataFrame)
    drops: list[pl.DataFrame] = field(default_factory=list)
    late_requests: int = 0
    early_requests: int = 0

    def drop(self, lines: pl.DataFrame) -> None:
        """Leave lines behind: a frame of `line` and `reason`."""
        if len(lines):
            self.drops.append(lines.select(pl.col("line").cast(pl.UInt32), pl.col("reason").cast(pl.String)))


@dataclass(frozen=True)
class BatchResult:
    """What became of a block: the records that the terms let in, and an account of all its lines."""

    records: pl.DataFrame
    lines: int
    requests: int
    bots: int
    late_requests: int
    early_requests: int
    dropped: dict[str, int]
    unparsable_lines: list[UnparsableLine]

    @property
    def drop_reasons(self) -> Counter[str]:
        """How many lines became no record, by reason."""
        return Counter(self.dropped) + Counter(letter.reason for letter in self.unparsable_lines)


@dataclass
class Pipeline:
    """The way in for one log: its reader, the terms it is read under, and the rules of its site."""

    parser: LogParser
    admission_rules: Callable[[datetime], Sequence[AdmissionRules]]
    """Tells which versions have taken effect by a moment, the first of them first."""
    kind_rules: RequestKindRules
    salts: SaltFile
    zone: ZoneInfo
    day_start: time
    default_host: str
    device_parser: DeviceParser
    country_database: CountryDatabase | None = None
    """None where there is no database of countries: no country is known then."""

    def process(self, block: LogBlock, now: datetime) -> BatchResult:
        """Lead the lines of a block through every step."""
        batch = LineBatch(now, block.split_lines())
        for step in PIPELINE_STEPS:
            step(self, batch)
        return _account(batch, block)


def drop_non_text(pipeline: Pipeline, batch: LineBatch) -> None:
    """Leave what is no line of text: blank, too long, binary."""
    text = pl.col("text")
    reason = (
        pl.when(text.str.len_bytes() > LINE_BYTES_MAX)
        .then(pl.lit(DropReason.TOO_LONG.value))
        .when(text.str.contains("\0", literal=True))
        .then(pl.lit(DropReason.NOT_TEXT.value))
        .when(text.str.strip_chars_start().str.len_bytes() == 0)
        .then(pl.lit(DropReason.BLANK.value))
    )
    lines = (
        batch.lines.str.strip_chars_start("\0") if batch.lines.str.starts_with("\0").any() else batch.lines
    )
    judged = lines.alias("text").to_frame().with_row_index("line")
    judged = judged.with_columns(reason=reason)
    batch.records = judged
    if judged["reason"].null_count() < len(judged):
        batch.drop(judged.filter(pl.col("reason").is_not_null()))
        batch.records = judged.filter(pl.col("reason").is_null())


def parse_lines(pipeline: Pipeline, batch: LineBatch) -> None:
    """Read each line as a request; leave those that cannot be read, even tolerantly."""
    reading = pipeline.parser.parse(batch.records["text"])
    numbers = batch.records["line"]
    batch.drop(reading.drops.with_columns(line=numbers.gather(reading.drops["line"])))
    batch.records = reading.requests.with_columns(line=numbers.gather(reading.requests["line"]))


def drop_future_requests(pipeline: Pipeline, batch: LineBatch) -> None:
    """Leave what has not happened yet: its age could not be known."""
    future = pl.col("time") > batch.now + FUTURE_TOLERANCE
    batch.drop(batch.records.filter(future).with_columns(reason=pl.lit(DropReason.IN_THE_FUTURE.value)))
    batch.records = batch.records.filter(~future)


def add_request_kind(pipeline: Pipeline, batch: LineBatch) -> None:
    """Tell views, downloads, uploads and parts of pages apart."""
    batch.records = batch.records.with_columns(
        request_kind=pipeline.kind_rules.classify_requests(batch.records),
        host=pl.col("host").fill_null(pipeline.default_host).replace("", None),
    )


def add_device(pipeline: Pipeline, batch: LineBatch) -> None:
    """Read browser, operating system, device and robot from the user agent."""
    batch.records = pipeline.device_parser.add_device_columns(batch.records)


def add_visitor(pipeline: Pipeline, batch: LineBatch) -> None:
    """Give each visitor's requests of one day their key."""
    dated = batch.records.with_columns(event_day=event_day(pl.col("time"), pipeline.zone, pipeline.day_start))
    salts, late = pipeline.salts.load_or_create(dated["event_day"].unique().to_list(), batch.now)
    batch.late_requests = len(dated.filter(pl.col("event_day").is_in(sorted(late))))
    batch.records = add_visitor_ids(dated, salts)


def add_country(pipeline: Pipeline, batch: LineBatch) -> None:
    """Look up the country of each address, where some version lets it in."""
    wanted = any(
        "country" in promise.maximum_ages or "country" in promise.maximum_ages.get("ip-address", {})
        for promise in pipeline.admission_rules(batch.now)
    )
    known = (
        pipeline.country_database.find_countries(batch.records["address"])
        if wanted and pipeline.country_database
        else None
    )
    batch.records = batch.records.with_columns(
        country=pl.lit(None, dtype=pl.String) if known is None else known
    )


def apply_admission_rules(pipeline: Pipeline, batch: LineBatch) -> None:
    """Cut each record to what the version in force at its time lets in; leave the rest.

    What is older than the first version binds to that (G1), and is counted.
    """
    promises = pipeline.admission_rules(batch.now)
    admitted = []
    for promise in promises:
        since = promise.effective_from if promise is not promises[0] else datetime.min
        bound = batch.records
        if len(promises) > 1:
            bound = bound.filter(pl.col("time").is_between(since, promise.effective_until, closed="left"))
        records, left = admit_records(bound, promise, batch.now)
        admitted.append(records)
        batch.drop(left)
    batch.records = pl.concat(admitted)
    batch.early_requests = len(batch.records.filter(pl.col("request_time") < promises[0].effective_from))


PIPELINE_STEPS: tuple[Callable[[Pipeline, LineBatch], None], ...] = (
    drop_non_text,
    parse_lines,
    drop_future_requests,
    add_request_kind,
    add_device,
    add_visitor,
    add_country,
    apply_admission_rules,
)
"""In this order. Each works on `batch.records`, and leaves lines behind only with a reason."""


def _account(batch: LineBatch, block: LogBlock) -> BatchResult:
    left = (
        pl.concat(batch.drops)
        if batch.drops
        else pl.DataFrame(schema={"line": pl.UInt32, "reason": pl.String})
    )
    counts = Counter(dict(left["reason"].value_counts().iter_rows()))
    dropped = {
        reason: count for reason, count in counts.items() if DropReason(reason).outcome is LineOutcome.DROPPED
    }
    dead = [
        UnparsableLine(offset, length, DropReason.TOO_LONG.value, "")
        for offset, length in block.oversized_lines
    ] + _dead_letters(left.filter(~pl.col("reason").is_in(list(dropped))), batch.lines, block)
    return BatchResult(
        records=batch.records.select(ADMITTED_SCHEMA.names()),
        lines=len(batch.lines) + len(block.oversized_lines),
        requests=len(batch.records),
        bots=batch.records["bot"].count(),
        late_requests=batch.late_requests,
        early_requests=batch.early_requests,
        dropped=dropped,
        unparsable_lines=dead,
    )


def _dead_letters(left: pl.DataFrame, lines: pl.Series, block: LogBlock) -> list[UnparsableLine]:
    if left.is_empty():
        return []
    left = left.sort("line")
    places = block.locate_lines(lines)[left["line"]].rows()
    texts = lines.gather(left["line"])
    return [
        UnparsableLine(offset, length, reason, extract_shape(text))
        for (offset, length), reason, text in zip(places, left["reason"], texts, strict=True)
    ]


def extract_shape(line: str) -> str:
    """Tell a line's form and nothing of what it says: runs of letters as `a`, of digits as `9`, others as they are.

    >>> shape('192.0.2.7 - - [02/Jan/2026] "GET /secret?id=7')
    '9.9.9.9 - - [9/a/9] "a /a?a=9'
    """
    plain = re.sub(r"[^\W\d_]+|[^\x00-\x7f]+", "a", line[: 8 * SHAPE_CHARACTERS_MAX])
    return re.sub(r"\d+", "9", re.sub(r"[\x00-\x1f\x7f]", ".", plain))[:SHAPE_CHARACTERS_MAX]
