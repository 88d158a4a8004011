"""Whoever collects sees each version from the moment at which it takes effect."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from avowal.app.folder import find_admission_rules
from avowal.clock import utc_now
from avowal.collect.admission import AdmissionRules
from avowal.register.register import Register
from avowal.server.current_admission import CurrentAdmission
from support.moved_clock import moved_clock
from support.versions import START, policy_version, published_document


def test_a_scheduled_version_takes_effect_although_nothing_is_written(tmp_path: Path) -> None:
    """A server admits under a scheduled version from its first moment, without any change of the register."""
    register = Register(tmp_path, tmp_path / "keys")
    for number in (1, 2, 3):
        register.publish(policy_version(number, 10 * number), [published_document()])
    current = CurrentAdmission(lambda: 1, lambda moment: find_admission_rules(register, moment))
    with moved_clock(START) as clock:
        numbers = []
        for _ in range(4):
            admission = current()
            numbers.append(admission and admission.rules.version)
            clock.advance(days=10)
    assert numbers == [None, 1, 2, 3]
    register.close()


def test_whoever_collects_waits_for_a_publication(tmp_path: Path) -> None:
    """A version that is being published is seen by all who read the clock after the time from which it is in force."""
    register = Register(tmp_path, tmp_path / "keys")
    register.publish(policy_version(1), [published_document()])
    started, seen = threading.Event(), list[Sequence[AdmissionRules]]()

    def collect() -> None:
        now = utc_now()
        started.set()
        seen.append(find_admission_rules(register, now))

    thread = threading.Thread(target=collect)
    with register.publication_lock():
        effective_at = utc_now()
        thread.start()
        started.wait()
        days = (effective_at - START) / timedelta(days=1)
        register.publish(policy_version(2, days), [published_document()])
    thread.join()
    assert [rules.version for rules in seen[0]] == [1, 2]
    assert seen[0][0].effective_until == seen[0][1].effective_from <= datetime.max
    register.close()
