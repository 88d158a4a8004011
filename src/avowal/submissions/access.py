"""Who may read submissions, for which purpose, and until when (R9 to R11 in `docs/spec/readings.md`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from avowal.errors import RefusedError
from avowal.policy.bounds import OPERATOR, OWN_USE, Age, Bounds, Cell
from avowal.policy.form import SUBMISSION_TIME_CATEGORY
from avowal.register.repository import format_time
from avowal.submissions.submission import Submission, find_key_precision

SUBJECT_ACCESS_PURPOSE = "may-see"
"""The purpose of an access that the data subject requested, named after the duty to grant it."""

ANY_TIME, NEVER = "", "~"
"""Texts that sort before and after every time of a column."""


class SubmissionAccess(msgspec.Struct, frozen=True):
    """Access to submissions by one reader for one purpose, under the bounds that govern each version."""

    reader: str
    purpose: str
    governing_bounds: Sequence[Bounds]

    @property
    def burst_key(self) -> tuple[str, str]:
        """The key of the burst of transactions that share one wait for the disk (R12)."""
        return self.reader, self.purpose

    def max_age(self, category: str, version: int, precision: str = "full") -> Age:
        """Return the greatest age at which a category may be shown; None if at any age, 0 if never."""
        bounds = self.governing_bounds[version - 1]
        if self.is_unrestricted:
            return bounds.retention_ages(category).get(precision, 0)
        return bounds.max_age(Cell(category, self.purpose, OPERATOR, OWN_USE), precision)

    def may_show(self, submission: Submission, category: str, now: datetime) -> bool:
        """Return whether a category of a submission may still be shown."""
        return is_within_age(submission, self.max_age(category, submission.version), now)

    def describe(self, submission: Submission, now: datetime) -> dict[str, Any]:
        """Return what may be shown of a submission besides its values: its times and its visitor, or null for them."""
        shown = msgspec.structs.asdict(submission)
        if not self.may_show(submission, SUBMISSION_TIME_CATEGORY, now):
            shown |= {"submitted_at": None, "recorded_at": None}
        precision = find_key_precision(submission.visitor) if submission.visitor else ""
        age = self.max_age("visitor-id", submission.version, precision)
        if not is_within_age(submission, age, now):
            shown["visitor"] = None
        return shown

    def check_readable(self, submission: Submission, *, reader_is_automated: bool) -> None:
        """Raise RefusedError if a submission may not be read by this reader for this purpose."""
        if self.is_unrestricted:
            return
        if self.purpose in submission.objected_purposes:
            raise RefusedError(
                f"the person who submitted it objects to {self.purpose}",
                "`avowal submission object --withdraw` withdraws the objection",
                code="subject-objects",
            )
        if submission.allowed_readers and self.reader not in submission.allowed_readers:
            raise RefusedError(
                f"only {', '.join(submission.allowed_readers)} may read it",
                "name the reader with `--as`, or ask one of them",
                code="reader-not-permitted",
            )
        if reader_is_automated and not submission.allows_automated_decisions:
            raise RefusedError(
                "no program may decide by it",
                "let a person read it: one whom `avowal user add` made without `--automated`",
                code="automation-not-permitted",
            )

    @property
    def is_unrestricted(self) -> bool:
        """Whether every submission may be read, because its data subject requested it."""
        return self.purpose == SUBJECT_ACCESS_PURPOSE

    def parameters(self, now: datetime, *, reader_is_automated: bool) -> dict[str, Any]:
        """Return the parameters of the statement `select_readable`: what `check_readable` and `may_show` allow."""
        return {
            "oldest_shown": self._oldest_times(SUBMISSION_TIME_CATEGORY, now),
            "oldest_visitors": self._oldest_times("visitor-id", now),
            "now": format_time(now),
            "purpose": msgspec.json.encode(self.purpose).decode(),
            "reader": msgspec.json.encode(self.reader).decode(),
            "reader_is_automated": reader_is_automated,
        }

    def _oldest_times(self, category: str, now: datetime) -> str:
        """Return the earliest time at which a category may be shown, as a JSON list with the version as its index."""
        times = [NEVER]
        for version in range(1, len(self.governing_bounds) + 1):
            age = self.max_age(category, version)
            if age is None:
                times.append(ANY_TIME)
            else:
                times.append(format_time(now - timedelta(seconds=age)) if age else NEVER)
        return msgspec.json.encode(times).decode()


def is_within_age(submission: Submission, age: Age, now: datetime) -> bool:
    """Return whether a submission may still be shown if it may be shown up to an age."""
    if submission.is_expired(now) or age == 0:
        return False
    return age is None or submission.submitted_at >= now - timedelta(seconds=age)
