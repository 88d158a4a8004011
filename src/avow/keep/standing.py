"""What holds for submissions, beside what was last said of it: nobody set it without a record (R11)."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from avow.keep.database import driver
from avow.keep.register import SqliteRegister
from avow.keep.submission import Submission, kept

DEFAULTS = {
    field.name: kept(field.default)
    for field in msgspec.structs.fields(Submission)
    if field.default is not msgspec.NODEFAULT
}
"""What holds for a submission of which nothing was said."""

HANDLED = "SELECT which, value, told, entry, recorded_at FROM handled JOIN handlings USING (handling) ORDER BY entry"
SAID = "SELECT submission, given, purposes, entry FROM objecting JOIN objections USING (objection) ORDER BY entry"
THERE = f"SELECT reference, form, visitor, recorded_at, {', '.join(DEFAULTS)} FROM submissions"  # noqa: S608  # our own names

Last = dict[tuple[str, str], dict[str, tuple[int, str, Any]]]
"""Of which submissions, and of each setting: the last entry of it, its moment, and what was set."""


def unlike(register: SqliteRegister) -> Iterator[str]:
    """Yield of how many submissions something holds that nobody is on record to have said."""
    with register.engine.connect() as connection:
        database = driver(connection)
        last: Last = defaultdict(dict)
        for which, value, told, entry, at in database.execute(HANDLED):
            settings = msgspec.json.decode(told)
            last[which, value] |= {name: (entry, at, told) for name, told in settings.items()}
        said = defaultdict(list)
        for reference, given, purposes, entry in database.execute(SAID):
            said[reference].append((entry, given, set(msgspec.json.decode(purposes))))
        wrong = 0
        for reference, form, visitor, recorded_at, *values in database.execute(THERE):
            told = [
                last.get(key, {}) for key in (("submission", reference), ("form", form), ("visitor", visitor))
            ]
            found = dict(zip(DEFAULTS, values, strict=True))
            if not any("visitor" in one for one in told):  # else nobody knows whose it was before
                wrong += _expected(told, recorded_at, said[reference]) != found
    if wrong:
        yield f"{wrong:,} submissions are read, kept or given otherwise than anybody is on record to have said"


def _expected(
    told: list[dict[str, tuple[int, str, Any]]], recorded_at: str, said: list[tuple[int, bool, set[str]]]
) -> dict[str, Any]:
    """Return what should hold for a submission that was there from a moment on."""
    expected = {}
    for name, default in DEFAULTS.items():
        set_since = [one[name] for one in told if name in one and one[name][1] >= recorded_at]
        entry, _, value = max(set_since, default=(-1, "", default))
        if name == "objects_to":
            purposes = set(msgspec.json.decode(value))
            for number, given, more in said:
                if number > entry:
                    purposes = purposes | more if given else purposes - more
            value = kept(tuple(sorted(purposes)))
        expected[name] = value
    return expected
