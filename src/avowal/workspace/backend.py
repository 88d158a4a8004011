"""A data folder that is open, as everybody uses it: who owns it makes no difference (`owner.py`)."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from avowal.collect.segment import DeadLetter, Segment
from avowal.errors import SourceError
from avowal.store.interface import Counts, Known, Loaded


class House(Protocol):
    """A data folder that is open, in this process or through the one that owns it."""

    owned: bool

    def ask(self, question: str, argument: Any = None) -> Any:
        """Put a question to the store; returns builtins (lists, dictionaries, strings, numbers).

        Raises the AvowalError that the owner raised, and StoreError where the owner is gone.
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


class Holder(Protocol):
    """Who claims logs: the owner, or a conversation with a guest."""

    def gone(self) -> bool:
        """Whether it will read no more, so that its claims are about to be released."""
        ...


@dataclass
class Claims:
    """Who is reading which log, so that no two processes read the same one."""

    _of: dict[str, Holder] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, log: str, holder: Holder) -> None:
        """Give a log to a holder; raises SourceError where another reads it.

        Waits where the other has gone and what it left is still being loaded: an import that was killed can be
        given again at once. Who has gone itself waits for nobody: two such could wait for each other.
        """
        with self._changed:
            while (other := self._of.setdefault(log, holder)) is not holder:
                if holder.gone() or not other.gone():
                    raise SourceError(
                        "this log is being read by another import or `avowal follow` at this moment",
                        "wait until that is done, or stop it",
                    )
                self._changed.wait()

    def of(self, holder: Holder) -> set[str]:
        """Return the logs that a holder has."""
        with self._changed:
            return {log for log, other in self._of.items() if other is holder}

    def release(self, holder: Holder) -> None:
        """Take back all that a holder has."""
        with self._changed:
            self._of = {log: other for log, other in self._of.items() if other is not holder}
            self._changed.notify_all()
