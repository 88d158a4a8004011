"""Parse durations that are written with their unit."""

import re

_UNITS_US = {
    "d": 86_400e6, "h": 3_600e6, "m": 60e6, "min": 60e6,
    "s": 1e6, "sec": 1e6, "secs": 1e6, "second": 1e6, "seconds": 1e6,
    "ms": 1e3, "msec": 1e3, "millis": 1e3, "milliseconds": 1e3,
    "us": 1.0, "\u00b5s": 1.0, "\u03bcs": 1.0, "usec": 1.0, "micros": 1.0, "microseconds": 1.0,
    "ns": 1e-3, "nsec": 1e-3, "nanos": 1e-3, "nanoseconds": 1e-3,
}  # fmt: skip
_PART = r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z\u00b5\u03bc]+)"
_DURATION = re.compile(rf"(?:PT)?((?:{_PART} ?)+)")
_PARTS = re.compile(_PART)


def parse_duration_text(text: str) -> float | None:
    """Return a duration in microseconds, or None if the text names no unit.

    >>> [parse_duration_text(text) for text in ("0.001115s", "12ms", "1m2.5s", "PT0.25S", "12")]
    [1115.0, 12000.0, 62500000.0, 250000.0, None]
    """
    match = _DURATION.fullmatch(text.strip()[:DURATION_CHARACTERS_MAX])
    if not match:
        return None
    total = 0.0
    for number, unit in _PARTS.findall(match[1]):
        unit_us = _UNITS_US.get(unit.lower())
        if unit_us is None:
            return None
        total += float(number) * unit_us
    return round(total, 6)


DURATION_CHARACTERS_MAX = 40
"""The longest text of a duration, in characters."""
