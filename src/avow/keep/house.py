"""A data folder that is open, as everybody uses it: who owns it makes no difference (`owner.py`)."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from avow.collect.segment import DeadLetter, Segment
from avow.errors import SourceError
from avow.keep.store import Counts, Known, Loaded


class House(Protocol):
    """A data folder that is open, in this process or through the one that owns it."""

    owned: bool

    def ask(self, question: str, argument: Any = None) -> Any:
        """Put a question to the store; returns builtins (lists, dictionaries, strings, numbers).

        Raises the AvowError that the owner raised, and StoreError where the owner is gone.
        """
        ...

    def load(self, segments: Sequence[Segment]) -> list[Loaded]:
        """Load segments, as Store does."""
        ...

    def close(self) -> None:
        """Let go of the folder."""
        ...


def known(house: House) -> list[Known]:
    """Return every log that was read before."""
    return msgspec.convert(house.ask("known"), list[Known])


def claim(house: House, log: str) -> None:
    """Keep others from reading the same log until this house is closed. Raises SourceError where one does."""
    house.ask("claim", log)


def dead_letters(house: House, source: str) -> list[DeadLetter]:
    """Return where the lines of a log are that could not be read."""
    return msgspec.convert(house.ask("dead_letters", source), list[DeadLetter])


def counts(house: House) -> Counts:
    """Return how much is kept."""
    return msgspec.convert(house.ask("counts"), Counts)


@dataclass
class Claims:
    """Who is reading which log, so that no two processes read the same one."""

    _of: dict[str, object] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, log: str, holder: object) -> None:
        """Give a log to a holder; raises SourceError where another has it."""
        with self._lock:
            if self._of.setdefault(log, holder) is not holder:
                raise SourceError(
                    "this log is being read by another import or `avow follow` at this moment",
                    "wait until that is done, or stop it",
                )

    def of(self, holder: object) -> set[str]:
        """Return the logs that a holder has."""
        with self._lock:
            return {log for log, other in self._of.items() if other is holder}

    def release(self, holder: object) -> None:
        """Take back all that a holder has."""
        with self._lock:
            self._of = {log: other for log, other in self._of.items() if other is not holder}
