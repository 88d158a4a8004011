"""Check that the settings of submissions match the ledger (R11 in `docs/spec/readings.md`)."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from avowal.ledger.entry import ObjectionRaised, ObjectionWithdrawn, RestrictionsChanged, find_entry
from avowal.register.repository import format_time, to_column_value
from avowal.submissions.submission import Submission
from avowal.verify.fact import read_rows
from avowal.verify.register_state import RegisterState
from avowal.verify.verification import Finding

DEFAULTS = {
    field.name: to_column_value(field.default)
    for field in msgspec.structs.fields(Submission)
    if field.default is not msgspec.NODEFAULT
}
"""The settings of a submission that nobody changed, in the order of the statement `submissions`."""

LastSettings = dict[tuple[str, str], dict[str, tuple[int, str, Any]]]
"""By the kind and value of a selector, and by setting: the last entry, its time, and the value."""


def check_submission_settings(state: RegisterState) -> Iterator[Finding]:
    """Compare the settings of each submission with those that its restrictions and objections give it."""
    entries = state.entries
    last: LastSettings = defaultdict(dict)
    for number, _, selector_kind, selector_value, encoded in read_rows(state.register, "restrictions"):
        if isinstance(entry := find_entry(entries, number), RestrictionsChanged):
            at = format_time(entry.at)
            changed = {name: (number, at, value) for name, value in msgspec.json.decode(encoded).items()}
            last[selector_kind, selector_value] |= changed
    objections = defaultdict(list)
    for number, _, reference in read_rows(state.register, "objection_subjects"):
        if isinstance(entry := find_entry(entries, number), ObjectionRaised | ObjectionWithdrawn):
            is_raised = isinstance(entry, ObjectionRaised)
            objections[reference].append((number, is_raised, {*entry.purposes}))
    mismatches = 0
    for reference, form, visitor, recorded_at, *values in read_rows(state.register, "submissions"):
        selectors = (("submission", reference), ("form", form), ("visitor", visitor))
        changes = [last.get(selector, {}) for selector in selectors]
        actual = dict(zip(DEFAULTS, values, strict=True))
        if not any("visitor" in change for change in changes):  # else its previous visitor is unknown
            mismatches += _compute_expected_settings(changes, recorded_at, objections[reference]) != actual
    if mismatches:
        sentence = f"{mismatches:,} submissions have settings that the ledger does not record"
        yield Finding("submission-settings-mismatch", sentence)


def _compute_expected_settings(
    changes: list[dict[str, tuple[int, str, Any]]],
    recorded_at: str,
    objections: list[tuple[int, bool, set[str]]],
) -> dict[str, Any]:
    """Return the settings that a submission should have; only changes since it was recorded apply to it."""
    expected = {}
    for name, default in DEFAULTS.items():
        set_since = [change[name] for change in changes if name in change and change[name][1] >= recorded_at]
        entry, _, value = max(set_since, default=(-1, "", default))
        if name == "objected_purposes":
            purposes = set(msgspec.json.decode(value))
            for number, is_raised, named in objections:
                if number > entry:
                    purposes = purposes | named if is_raised else purposes - named
            value = to_column_value(tuple(sorted(purposes)))
        expected[name] = value
    return expected
