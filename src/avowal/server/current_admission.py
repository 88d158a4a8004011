"""The admission rules in force at each moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from avowal.clock import utc_now
from avowal.collect.admission import AdmissionRules
from avowal.collect.event_admission import EventAdmission


@dataclass
class CurrentAdmission:
    """Returns the admission of the version in force: a version binds from the moment that it is published."""

    read_register_revision: Callable[[], int]
    """Returns a number that changes when the register does."""
    read_admission_rules: Callable[[datetime], Sequence[AdmissionRules]]
    """Returns the rules of the versions that have taken effect by a moment, the one in force last."""
    find_country: Callable[[str], str | None] | None = None
    _admission: EventAdmission | None = None
    _rules: Sequence[AdmissionRules] = ()
    """The rules of the admission, whose caches stay while these are the same."""
    _revision: int = -1
    _valid_until: datetime = datetime.min

    def __call__(self) -> EventAdmission | None:
        """Return the current admission; None if no version is in force.

        A version that is published later takes effect after the call.
        """
        now, revision = utc_now(), self.read_register_revision()
        if revision != self._revision or not now < self._valid_until:
            rules = self.read_admission_rules(now)
            if rules != self._rules:
                self._admission = EventAdmission(rules, self.find_country) if rules else None
                self._rules = rules
            self._revision = revision
            self._valid_until = rules[-1].effective_until if rules else now
        return self._admission
