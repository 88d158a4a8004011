"""What holds for submissions, beside what was last said of it: nobody set it without a record (R11)."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from avowal.ledger.entry import Entry, ObjectionRaised, ObjectionWithdrawn, RestrictionsChanged, find_entry
from avowal.register.register import SqliteRegister
from avowal.register.repository import format_time
from avowal.submissions.submission import Submission, to_column_value

DEFAULTS = {
    field.name: to_column_value(field.default)
    for field in msgspec.structs.fields(Submission)
    if field.default is not msgspec.NODEFAULT
}
"""What holds for a submission of which nothing was said."""

RESTRICTIONS_QUERY = "SELECT entry, selector_kind, selector_value, settings FROM restrictions ORDER BY entry"
OBJECTIONS_QUERY = "SELECT entry, submission FROM objection_subjects ORDER BY entry"
SUBMISSIONS_QUERY = f"SELECT reference, form, visitor, recorded_at, {', '.join(DEFAULTS)} FROM submissions"  # noqa: S608  # our own names

LastSettings = dict[tuple[str, str], dict[str, tuple[int, str, Any]]]
"""Of which submissions, and of each setting: the last entry of it, its moment, and what was set."""


def find_restriction_mismatches(register: SqliteRegister, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield of how many submissions something holds that nobody is on record to have said."""
    with register.database.driver_connection() as database:
        last: LastSettings = defaultdict(dict)
        for number, which, value, told in database.execute(RESTRICTIONS_QUERY):
            if isinstance(one := find_entry(entries, number), RestrictionsChanged):
                settings = msgspec.json.decode(told)
                at = format_time(one.at)
                last[which, value] |= {name: (number, at, told) for name, told in settings.items()}
        said = defaultdict(list)
        for number, reference in database.execute(OBJECTIONS_QUERY):
            if isinstance(one := find_entry(entries, number), ObjectionRaised):
                said[reference].append((number, not isinstance(one, ObjectionWithdrawn), {*one.purposes}))
        wrong = 0
        for reference, form, visitor, recorded_at, *values in database.execute(SUBMISSIONS_QUERY):
            told = [
                last.get(key, {}) for key in (("submission", reference), ("form", form), ("visitor", visitor))
            ]
            found = dict(zip(DEFAULTS, values, strict=True))
            if not any("visitor" in one for one in told):  # else nobody knows whose it was before
                wrong += _compute_expected_settings(told, recorded_at, said[reference]) != found
    if wrong:
        yield f"{wrong:,} submissions are read, kept or given otherwise than anybody is on record to have said"


def _compute_expected_settings(
    told: list[dict[str, tuple[int, str, Any]]], recorded_at: str, said: list[tuple[int, bool, set[str]]]
) -> dict[str, Any]:
    """Return what should hold for a submission that was there from a moment on."""
    expected = {}
    for name, default in DEFAULTS.items():
        set_since = [one[name] for one in told if name in one and one[name][1] >= recorded_at]
        entry, _, value = max(set_since, default=(-1, "", default))
        if name == "objected_purposes":
            purposes = set(msgspec.json.decode(value))
            for number, given, more in said:
                if number > entry:
                    purposes = purposes | more if given else purposes - more
            value = to_column_value(tuple(sorted(purposes)))
        expected[name] = value
    return expected
