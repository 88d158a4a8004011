"""Turn lines of a log into admitted records, in one list of steps."""

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
from avowal.collect.line_counts import MISSING_FIELD_COSTS, LineCounts
from avowal.collect.request_kind import RequestKindRules
from avowal.collect.segment import MemorySegment, SegmentMetadata, SegmentOrigin, UnparsableLine
from avowal.collect.visitor_key import SaltFile, add_visitor_ids, visitor_day_expression
from avowal.logs.drop_reason import DROPPED_REASONS, DropReason
from avowal.logs.formats import LogParser
from avowal.logs.log_file import LINE_BYTES_MAX, LogBlock

FUTURE_TOLERANCE = timedelta(days=1)
"""How far the clock of a log may run ahead of ours: more than any two time zones differ."""

SHAPE_CHARACTERS_MAX = 120
"""The longest shape of an unparsable line, in characters."""


@dataclass(frozen=True)
class BatchResult:
    """The admitted records of a block, and what became of all its lines."""

    records: pl.DataFrame
    counts: LineCounts
    unparsable_lines: list[UnparsableLine]

    def to_segment(self, origin: SegmentOrigin, *, provisional: bool = False) -> MemorySegment:
        """Return the segment of the block. `provisional` is that of the block."""
        metadata = SegmentMetadata(origin, self.counts, self.unparsable_lines, provisional)
        return MemorySegment(metadata, self.records)


@dataclass(frozen=True)
class StepResult:
    """What a step of the pipeline returns: each record of its input is in `records` or its line is in `drops`."""

    records: pl.DataFrame
    drops: pl.DataFrame | None = None
    """`line` and `reason` of the lines that the step dropped."""
    late_requests: int = 0
    """Requests of a day whose salt was destroyed before."""
    early_requests: int = 0
    """Requests that are older than the first version of the terms."""
    known_fields: dict[str, int] = field(default_factory=dict)
    """How many records have each field of `MISSING_FIELD_COSTS`."""


@dataclass
class Pipeline:
    """Turns the lines of one log into admitted records: the log's parser, the terms, and the rules of the site."""

    parser: LogParser
    admission_rules: Callable[[datetime], Sequence[AdmissionRules]]
    """Returns the rules of the versions that have taken effect by a time, the first version first."""
    kind_rules: RequestKindRules
    salts: SaltFile
    zone: ZoneInfo
    day_start: time
    default_host: str
    device_parser: DeviceParser
    country_database: CountryDatabase | None = None
    """If it is None, no country is known."""

    def process(self, block: LogBlock, now: datetime) -> BatchResult:
        """Take the lines of a block through every step."""
        lines = block.split_lines()
        records = lines.alias("text").to_frame().with_row_index("line")
        all_drops, late_requests, early_requests = [NO_DROPS], 0, 0
        known_fields: dict[str, int] = {}
        for step in PIPELINE_STEPS:
            result = step(self, records, now)
            records = result.records
            known_fields |= result.known_fields
            late_requests += result.late_requests
            early_requests += result.early_requests
            if result.drops is not None:
                all_drops.append(result.drops.select(pl.col("line").cast(pl.UInt32), "reason"))
        drops = pl.concat(all_drops)
        unparsable_lines = [
            UnparsableLine(offset, length, DropReason.TOO_LONG.value, "")
            for offset, length in block.oversized_lines
        ] + _locate_unparsable_lines(drops, lines, block)
        dropped = drops.filter(IS_DROPPED)
        counts = LineCounts(
            lines=len(lines) + len(block.oversized_lines),
            requests=len(records),
            bot_requests=records["bot"].count(),
            late_requests=late_requests,
            early_requests=early_requests,
            known_fields=known_fields,
            dropped=dict(dropped["reason"].value_counts().iter_rows()),
            unparsable=dict(Counter(line.reason for line in unparsable_lines)),
        )
        return BatchResult(records.select(ADMITTED_SCHEMA.names()), counts, unparsable_lines)


IS_DROPPED = pl.col("reason").is_in(sorted(reason.value for reason in DROPPED_REASONS))
NO_DROPS = pl.DataFrame(schema={"line": pl.UInt32, "reason": pl.String})


def drop_non_text(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Drop lines that are not text: blank, too long, or with null characters."""
    text = pl.col("text")
    if records["text"].str.starts_with("\0").any():
        records = records.with_columns(text.str.strip_chars_start("\0"))
    reason = (
        pl.when(text.str.len_bytes() > LINE_BYTES_MAX)
        .then(pl.lit(DropReason.TOO_LONG.value))
        .when(text.str.contains("\0", literal=True))
        .then(pl.lit(DropReason.NOT_TEXT.value))
        .when(text.str.strip_chars_start().str.len_bytes() == 0)
        .then(pl.lit(DropReason.BLANK.value))
    )
    records = records.with_columns(reason=reason)
    if records["reason"].null_count() == len(records):
        return StepResult(records)
    has_reason = pl.col("reason").is_not_null()
    return StepResult(records.filter(~has_reason), records.filter(has_reason))


def parse_lines(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Parse each line as a request, and drop the lines that are not requests or cannot be parsed."""
    result = pipeline.parser.parse(records["text"])
    lines = records["line"]
    known = {name: result.requests[name].count() for name in MISSING_FIELD_COSTS}
    return StepResult(
        result.requests.with_columns(line=lines.gather(result.requests["line"])),
        result.drops.with_columns(line=lines.gather(result.drops["line"])),
        known_fields={name: count for name, count in known.items() if count},
    )


def drop_future_requests(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Drop requests from far in the future. One of a clock that is ahead of ours gets the time at which it is read.

    So no record is younger than it is by our clock, and none belongs to a version that is not in force yet (G1).
    """
    is_future = pl.col("time") > now + FUTURE_TOLERANCE
    drops = records.filter(is_future).with_columns(reason=pl.lit(DropReason.IN_THE_FUTURE.value))
    latest = pl.lit(now, dtype=pl.Datetime("us"))
    past = records.filter(~is_future).with_columns(time=pl.min_horizontal("time", latest))
    return StepResult(past, drops)


def add_request_kind(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Add the kind of each request, and the site's host if the log has no host."""
    return StepResult(
        records.with_columns(
            request_kind=pipeline.kind_rules.classify_requests(records),
            host=pl.col("host").fill_null(pipeline.default_host).replace("", None),
        )
    )


def add_device(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Add browser, operating system, device and bot from the user agent."""
    return StepResult(pipeline.device_parser.add_device_columns(records))


def add_visitor(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Add the visitor's key of the day."""
    day = visitor_day_expression(pl.col("time"), pipeline.zone, pipeline.day_start)
    records = records.with_columns(visitor_day=day)
    salts, late_days = pipeline.salts.load_or_create(records["visitor_day"].unique().to_list(), now)
    late_requests = len(records.filter(pl.col("visitor_day").is_in(sorted(late_days))))
    return StepResult(add_visitor_ids(records, salts), late_requests=late_requests)


def add_country(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Add the country of each address, if a version of the terms permits it."""
    is_permitted = any(
        "country" in rules.maximum_ages or "country" in rules.maximum_ages.get("ip-address", {})
        for rules in pipeline.admission_rules(now)
    )
    if is_permitted and pipeline.country_database:
        countries = pipeline.country_database.find_countries(records["address"])
        return StepResult(records.with_columns(country=countries))
    return StepResult(records.with_columns(country=pl.lit(None, dtype=pl.String)))


def apply_admission_rules(pipeline: Pipeline, records: pl.DataFrame, now: datetime) -> StepResult:
    """Reduce each record to what the version in force at its time permits, and drop the others.

    A record that is older than the first version is bound to the first version (rule G1), and is counted as early.
    """
    versions = pipeline.admission_rules(now)
    if not versions:
        not_declared = records.select("line", reason=pl.lit(DropReason.NOT_DECLARED.value))
        return StepResult(ADMITTED_SCHEMA.to_frame(), not_declared)
    admitted, drops = [], []
    for rules in versions:
        bound = records
        if len(versions) > 1:
            bound = records.filter(
                (pl.col("time") >= rules.effective_from if rules is not versions[0] else True),
                (pl.col("time") < rules.effective_until if rules is not versions[-1] else True),
            )
        admitted_records, dropped_lines = admit_records(bound, rules, now)
        admitted.append(admitted_records)
        drops.append(dropped_lines)
    all_admitted = pl.concat(admitted)
    is_early = pl.col("request_time") < versions[0].effective_from
    return StepResult(all_admitted, pl.concat(drops), early_requests=len(all_admitted.filter(is_early)))


PIPELINE_STEPS: tuple[Callable[[Pipeline, pl.DataFrame, datetime], StepResult], ...] = (
    drop_non_text,
    parse_lines,
    drop_future_requests,
    add_request_kind,
    add_device,
    add_visitor,
    add_country,
    apply_admission_rules,
)
"""The steps, in order. The first one gets a frame of `line` and `text`."""


def _locate_unparsable_lines(drops: pl.DataFrame, lines: pl.Series, block: LogBlock) -> list[UnparsableLine]:
    drops = drops.filter(~IS_DROPPED).sort("line")
    if drops.is_empty():
        return []
    positions = block.locate_lines(lines)[drops["line"]].rows()
    texts = lines.gather(drops["line"])
    return [
        UnparsableLine(offset, length, reason, extract_shape(text))
        for (offset, length), reason, text in zip(positions, drops["reason"], texts, strict=True)
    ]


def extract_shape(line: str) -> str:
    """Return the shape of a line without its content: runs of letters become `a`, runs of digits become `9`.

    >>> extract_shape('192.0.2.7 - - [02/Jan/2026] "GET /secret?id=7')
    '9.9.9.9 - - [9/a/9] "a /a?a=9'
    """
    plain = re.sub(r"[^\W\d_]+|[^\x00-\x7f]+", "a", line[: 8 * SHAPE_CHARACTERS_MAX])
    return re.sub(r"\d+", "9", re.sub(r"[\x00-\x1f\x7f]", ".", plain))[:SHAPE_CHARACTERS_MAX]
