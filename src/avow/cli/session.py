"""What a command works with: the folder, its terms, and the house, opened once and closed in order."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from avow.collect.admit import Ages, Promise
from avow.collect.visitor import Salts
from avow.config import Folder, locate
from avow.keep.load import SALTS
from avow.keep.owner import Handler, House, open_house
from avow.keep.store import Cutoffs, Store
from avow.policy.bounds import Compiled
from avow.policy.terms import compile_terms, load_terms
from avow.use.question import Question
from avow.use.reports import Answer, answer

BY_DEFAULT = (
    "no avow.toml here or above: the terms that come with Avow hold (`avow init .` makes your own to change)"
)
"""Told to whoever collects without having made a folder."""

TERMS_FILE = "terms.toml"
FIRST_VERSION = 1


def now() -> datetime:
    """Return the time, in UTC and without a zone, as the store keeps times."""
    return datetime.now(UTC).replace(tzinfo=None)


def find_folder(data: Path | None) -> Folder:
    """Find the folder that a command works in, from where it was called."""
    return locate(Path.cwd(), data, os.environ)


def terms_path(folder: Folder) -> Path:
    """Return where the folder's terms are: those that come with Avow where no folder was made."""
    if folder.policy is not None:
        return folder.policy / TERMS_FILE
    return Path(str(resources.files("avow.policy") / "defaults" / TERMS_FILE))


@dataclass(frozen=True)
class Session:
    """A folder at work under its terms."""

    folder: Folder
    compiled: Compiled
    since: date
    """The day from which the terms hold."""
    house: House

    def promise(self) -> Promise:
        """Return what admission needs of the terms."""
        kept = {name: self.compiled.kept(name) for name in self.compiled.categories}
        return Promise(FIRST_VERSION, kept, datetime.combine(self.since, time.min))

    def cutoffs(self) -> Cutoffs:
        """Return the oldest event of each derived category that the terms let be kept now."""
        return Cutoffs(
            view_time=_oldest(self.compiled.kept("view-time")),
            view_duration=_oldest(self.compiled.kept("view-duration")),
            visit_time=_oldest(self.compiled.kept("visit-time")),
            visit_duration=_oldest(self.compiled.kept("visit-duration")),
        )

    def ask(self, question: Question) -> Answer:
        """Answer a question, here or by the process that owns the folder."""
        return msgspec.convert(self.house.ask("report", question), Answer)


def _oldest(ages: Ages) -> datetime:
    if "full" not in ages:
        return datetime.max
    age = ages["full"]
    return datetime.min if age is None else now() - timedelta(seconds=age)


@contextmanager
def session(data: Path | None, *, collecting: bool = False) -> Iterator[Session]:
    """Open the folder, and close it at the end.

    Whoever begins to collect takes the folder's terms into force; whoever merely looks does not.

    Raises SettingsError and TermsError where its files do not check, StoreError where another version of the terms
    is in force.
    """
    folder = find_folder(data)
    terms = load_terms(terms_path(folder))
    compiled = compile_terms(terms)
    Salts(folder.keys / SALTS).destroy_old(now())
    in_force = _Adoption(compiled.identity, compiled.canonical().decode(), terms.updated)
    house = open_house(folder, HANDLERS | {"report": partial(_report, compiled)})
    try:
        house.ask("adopt" if collecting else "agree", in_force)
        yield Session(folder, compiled, terms.updated, house)
    finally:
        house.close()


class _Adoption(msgspec.Struct, frozen=True):
    terms_hash: str
    canonical: str
    effective_from: date


def _adopt(store: Store, argument: Any) -> int:
    adoption = msgspec.convert(argument, _Adoption)
    return store.adopt(adoption.terms_hash, adoption.canonical, adoption.effective_from)


HANDLERS: dict[str, Handler] = {
    "adopt": _adopt,
    "agree": lambda store, argument: store.agree(argument["terms_hash"]),
}


def _report(compiled: Compiled, store: Store, argument: Any) -> Answer:
    return answer(store, msgspec.convert(argument, Question), compiled, now())
