"""What a command works with: the folder, its terms, and the house, opened once and closed in order."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from avow import strict
from avow.change.publish import Draft, adopt
from avow.collect.admit import Ages, Promise
from avow.collect.visitor import Salts
from avow.config import Folder, locate
from avow.errors import RefusedError, TermsError
from avow.keep.duckdb import FILE as STORE
from avow.keep.load import SALTS
from avow.keep.owner import House, open_house
from avow.keep.register import SqliteRegister, Version, open_register
from avow.keep.store import Cutoffs, Store
from avow.keep.verify import RECORDS, of_records
from avow.policy.compare import governed
from avow.policy.document import Document, load_document
from avow.policy.terms import compile_terms, load_terms
from avow.use.question import Question
from avow.use.reports import Answer, answer

BY_DEFAULT = (
    "no avow.toml here or above: the terms that come with Avow hold (`avow init .` makes your own to change)"
)
"""Told to whoever collects without having made a folder."""

TERMS_FILE = "terms.toml"


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
    """A folder at work under its versions."""

    folder: Folder
    register: SqliteRegister
    house: House

    def promises(self, moment: datetime) -> list[Promise]:
        """Return what admission needs of each version that has taken effect."""
        return promises(tuple(in_force(self.register, moment)))

    def cutoffs(self) -> Cutoffs:
        """Return, for each governing number, the oldest event of each derived category that may be kept now."""
        governs = governed([version.promised for version in in_force(self.register, now())])

        def since(category: str) -> list[datetime]:
            return [_oldest(bounds.kept(category)) for bounds in governs]

        return Cutoffs(
            since("view-time"), since("view-duration"), since("visit-time"), since("visit-duration")
        )

    def ask(self, question: Question) -> Answer:
        """Answer a question, here or by the process that owns the folder."""
        return msgspec.convert(self.house.ask("report", question), Answer)

    def verify_records(self) -> list[str]:
        """Return what does not hold of the versions that records bear."""
        return list(of_records(self.register.versions(), self.house.ask("records")))


def in_force(register: SqliteRegister, moment: datetime) -> list[Version]:
    """Return the versions that have taken effect by a moment."""
    return [version for version in register.versions() if version.effective_at <= moment]


@lru_cache(maxsize=8)
def promises(versions: tuple[Version, ...]) -> list[Promise]:
    """Return what admission needs of versions: of each, what governs its records by now."""
    governs = governed([version.promised for version in versions])
    ends = [*(version.effective_at for version in versions[1:]), datetime.max]
    return [
        Promise(
            version.number,
            {name: bounds.kept(name) for name in bounds.categories},
            version.effective_at,
            until,
        )
        for version, bounds, until in zip(versions, governs, ends, strict=True)
    ]


def _oldest(ages: Ages) -> datetime:
    if "full" not in ages:
        return datetime.max
    age = ages["full"]
    return datetime.min if age is None else now() - timedelta(seconds=age)


@contextmanager
def session(data: Path | None, *, collecting: bool = False) -> Iterator[Session]:
    """Open the folder, and close it at the end.

    Whoever begins to collect where no version is in force yet adopts the folder's terms; whoever merely looks does not.
    Raises SettingsError and TermsError where its files do not check.
    """
    folder = find_folder(data)
    with closing(open_register(folder.data, folder.keys, store=STORE)) as register:
        if collecting and not register.versions():
            _begin(register, folder)
        Salts(folder.keys / SALTS).destroy_old(now())
        house = open_house(folder, {"report": partial(_report, register), "records": _records})
        try:
            yield Session(folder, register, house)
        finally:
            house.close()


def _begin(register: SqliteRegister, folder: Folder) -> None:
    """Adopt the folder's terms as the first version, unless another process does so at this moment."""
    try:
        adopt(register, draft(terms_path(folder)), now())
    except RefusedError:
        if not register.versions():
            raise


def draft(path: Path) -> Draft:
    """Read terms and the documents beside them, as they would be promised."""
    return Draft(load_terms(path), strict.read_text(path, TermsError), documents(path))


def documents(terms_file: Path) -> dict[str, Document]:
    """Return the documents beside a file of terms, by language. Raises TermsError where one does not check."""
    found: dict[str, Document] = {}
    for path in sorted(terms_file.parent.glob("*.md")):
        document = load_document(path)
        if document.language in found:
            raise TermsError(
                f"{path}: there are two documents in `{document.language}`", "keep one for each language"
            )
        found[document.language] = document
    return found


def about_terms(at_work: Session) -> list[str]:
    """Say what an operator would not expect of the terms that are collected under."""
    if at_work.folder.policy is None:
        return [BY_DEFAULT]
    compiled, last = compile_terms(load_terms(terms_path(at_work.folder))), at_work.register.versions()[-1]
    if compiled.identity == last.identity:
        return []
    sentence = (
        f"the terms in the folder ({compiled.identity[:8]}…) are a draft: what holds is version {last.number} "
        f"({last.identity[:8]}…), until `avow policy publish`"
    )
    return [sentence]


def _records(store: Store, _: object) -> list[dict[str, Any]]:
    return store.query(RECORDS, {}).records()


def _report(register: SqliteRegister, store: Store, argument: Any) -> Answer:
    governs = governed([version.promised for version in in_force(register, now())])
    return answer(store, msgspec.convert(argument, Question), governs, now())
