"""What a command works with: the folder, its terms, and the house, opened once and closed in order."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from avowal.change.draft import begin, forms_of, terms_path
from avowal.clock import utc_now
from avowal.collect.admission import Promise
from avowal.collect.visitor_key import SALTS, Salts
from avowal.config import SCRIPT, Folder, locate
from avowal.disclose.extract import Asked as ReleaseAsked
from avowal.disclose.extract import Extent, extent
from avowal.disclose.feed import Batch, Feeding, Wanted, batch
from avowal.disclose.workflow import Desk
from avowal.errors import ProofError, RefusedError
from avowal.keep.enforcement import Steward, governs, in_force, promises
from avowal.keep.visitor_lookup import Held, Subject, held
from avowal.key_files import FEED_KEY, secret
from avowal.ledger.entry import Entry, Reached
from avowal.ledger.note import Note
from avowal.policy.contract import parse_contract
from avowal.policy.terms import compile_terms, load_terms
from avowal.register.erasures import Erasure
from avowal.register.register import SqliteRegister, Version, open_register
from avowal.store.duckdb_store import FILE as STORE
from avowal.store.interface import Removed, Rules, Settled, Store, Table
from avowal.store.load_state import statements
from avowal.use.own_query import Asked, Query, ask
from avowal.use.purpose_view import Reading
from avowal.use.report_request import Question
from avowal.use.reports import REPORTS, Answer, answer
from avowal.verify.folder import RAISED, RECORDS, STRANGE, findings, of_raised, of_records
from avowal.verify.last_result import record
from avowal.verify.permissions import findings as done
from avowal.verify.schema import STORED, unlike_register, unlike_store
from avowal.workspace.server import Guest, Handler, Owner, open_house

BY_DEFAULT = (
    "no avowal.toml here or above: using the default terms (`avowal init .` makes your own to change)"
)
"""Told to whoever collects without having made a folder."""


def find_folder(data: Path | None) -> Folder:
    """Find the folder that a command works in, from where it was called."""
    return locate(Path.cwd(), data, os.environ)


@dataclass(frozen=True)
class Session:
    """A folder at work under its versions."""

    folder: Folder
    register: SqliteRegister
    house: Owner | Guest

    def promises(self, moment: datetime) -> list[Promise]:
        """Return what admission needs of each version that has taken effect."""
        return promises(tuple(in_force(self.register.versions(), moment)))

    def derive(self) -> None:
        """Make views and visits of what came in."""
        self.house.ask("derive")

    def ask(self, question: Question) -> Answer:
        """Answer a question, here or by the process that owns the folder."""
        return msgspec.convert(self.house.ask("report", question), Answer)

    def query(self, query: Query) -> Asked:
        """Ask somebody's own question. Raises QueryError where it may not be asked."""
        return msgspec.convert(self.house.ask("query", query), Asked)

    def held(self, subject: Subject) -> Held:
        """Find a visitor's records. Raises RefusedError where an address does not lead to one visitor."""
        return msgspec.convert(self.house.ask("held", subject), Held, strict=False)

    def extent(self, asked: ReleaseAsked) -> Extent:
        """Cut what is asked to be released of a visitor to what may be."""
        tables, refused, whose, apart, reached = self.house.ask("extent", asked)
        return Extent(
            msgspec.convert(tables, dict[str, Table]),
            refused,
            whose,
            apart,
            reached=msgspec.convert(reached, list[Reached]),
        )

    @property
    def desk(self) -> Desk:
        """Where releases are asked for, approved and made."""
        return Desk(self.register, partial(forms_of, self.folder), self.held, self.extent)

    @property
    def feeding(self) -> Feeding:
        """Where processors are given their pages."""

        def of(wanted: Wanted) -> Batch:
            return msgspec.convert(self.house.ask("feed", wanted), Batch)

        return Feeding(self.register, of, secret(self.folder.keys / FEED_KEY))

    def kept_since(self, moment: datetime) -> int:
        """Return how many requests and looks are kept since a moment."""
        return int(self.house.ask("kept", moment))

    def prove(self, checked: Counter[str], told: list[Entry], notes: Sequence[Note] = ()) -> list[str]:
        """Return what does not hold of the folder, and record that; `told` gets the ledger's entries."""
        found = of_register(self.register, notes, told) or self.verify_records(checked)
        record(self.folder.data, utc_now(), len(told), holds=not found)
        return found

    def settle(self) -> None:
        """Have consents and withdrawals that were recorded raise and restore what is stored."""
        self.house.ask("settle")

    def summary(self, key: str) -> list[dict[str, Any]]:
        """Return, for each relation, how much is held of a visitor, from when to when, and under which versions."""
        return list(self.house.ask("summary", key))

    def pages(self, key: str, relation: str) -> Iterator[Table]:
        """Yield everything that is held of a visitor in a relation, page by page."""
        after = -1
        while True:
            found = msgspec.convert(
                self.house.ask("page", {"key": key, "relation": relation, "after": after}), Table
            )
            if not found.rows:
                return
            yield Table(found.columns[1:], [row[1:] for row in found.rows])
            after = found.rows[-1][0]

    def looks(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Return the looks of some numbers, as far as they are held."""
        return list(self.house.ask("looks", list(numbers)))

    def erase_looks(self, numbers: Sequence[int]) -> Erasure:
        """Erase looks of some numbers. Raises RefusedError where none is held."""
        return msgspec.convert(self.house.ask("erase_looks", list(numbers)), Erasure)

    def erase(self, key: str) -> Erasure:
        """Erase a visitor."""
        return msgspec.convert(self.house.ask("erase", key), Erasure)

    def retain(self) -> list[Removed]:
        """Take away what may not be kept any more; returns what was."""
        return msgspec.convert(self.house.ask("retain"), list[Removed])

    def verify_records(self, checked: Counter[str]) -> list[str]:
        """Return what does not hold of what is stored, nor of what governs it; `checked` gets counts."""
        rows, columns = self.house.ask("records"), self.house.ask("schema")
        checked["records"] = sum(row["records"] for row in rows)
        checked["columns"] = len(columns)
        found = [*unlike_store(columns), *of_records(self.register.versions(), rows)]
        raised = self.register.consents.raised(Settled(), utc_now()).governing
        found += of_raised(raised, self.house.ask("raised"))
        beyond = msgspec.convert(self.house.ask("beyond"), list[Removed])
        return found + [
            f"{one.records:,} {one.relation} of version {one.version} hold `{one.category}` beyond its time "
            "(`avowal retain`)"
            for one in beyond
        ]


def of_register(register: SqliteRegister, notes: Sequence[Note], told: list[Entry]) -> list[str]:
    """Return what does not hold of the ledger and of the register; `told` gets the ledger's entries."""
    found, last = list[str](), register.ledger.last_seen()  # before the rest, which may have grown beyond it
    try:
        with register.still() as seen:
            found.extend(findings(seen, last, notes, told))
            if not found:
                found.extend(done(seen, told))
    except ProofError as error:
        found.append(error.message)
    except STRANGE as error:
        found.append(f"the register holds what was never written so ({type(error).__name__})")
    return [*found, *unlike_register(register)]


def open_versions(data: Path | None, *, check: bool = True) -> SqliteRegister:
    """Open the register of the folder that a command works in; raises as `open_register` does."""
    folder = find_folder(data)
    return open_register(folder.data, folder.keys, store=STORE, check=check)


def chosen(versions: list[Version], number: int) -> Version:
    """Return the version of a number; the one in force for 0. Raises RefusedError where there is none."""
    fitting = [
        one for one in versions if one.number == number or (number == 0 and one.effective_at <= utc_now())
    ]
    if not fitting:
        raise RefusedError("there is no such version", "`avowal policy history` tells which there are")
    return fitting[-1]


@contextmanager
def session(data: Path | None, *, collecting: bool = False) -> Iterator[Session]:
    """Open the folder, and close it at the end.

    Whoever begins to collect where no version is in force yet adopts the folder's terms; whoever merely looks does not.
    Raises SettingsError and TermsError where its files do not check.
    """
    folder = find_folder(data)
    with closing(open_register(folder.data, folder.keys, store=STORE)) as register:
        if collecting:
            begin(register, folder)
        Salts(folder.keys / SALTS).destroy_old(utc_now())
        house = open_house(folder, _handlers(register, folder))
        try:
            if isinstance(house, Owner) and (
                house.pending or house.store.made_by() not in {None, _rules(folder)}
            ):
                house.ask("derive")
            yield Session(folder, register, house)
        finally:
            house.close()


def about_terms(at_work: Session) -> list[str]:
    """Say what an operator would not expect of the terms that are collected under."""
    if at_work.folder.policy is None:
        return [BY_DEFAULT]
    compiled, last = compile_terms(load_terms(terms_path(at_work.folder))), at_work.register.versions()[-1]
    if compiled.identity == last.identity:
        return []
    sentence = (
        f"the terms in the folder ({compiled.identity[:8]}…) are a draft: what holds is version {last.number} "
        f"({last.identity[:8]}…), until `avowal policy publish`"
    )
    return [sentence]


def _rules(folder: Folder) -> Rules:
    collect = folder.settings.collect
    return Rules(collect.visit_gap_minutes, collect.views_from == SCRIPT)


def _handlers(register: SqliteRegister, folder: Folder) -> dict[str, Handler]:
    """Return what the owner of the folder answers; whatever reads what is stored settles it first."""
    steward = Steward(register, _rules(folder))

    def settled(answering: Handler) -> Handler:
        def answer_settled(store: Store, argument: Any) -> Any:
            steward.settle(store, utc_now())
            return answering(store, argument)

        return answer_settled

    return {
        "derive": lambda store, _: steward.derive(store, utc_now()),
        "report": settled(partial(_report, register)),
        "query": settled(partial(_query, register, folder)),
        "records": settled(lambda store, _: store.query(RECORDS, {}).records()),
        "schema": lambda store, _: store.query(STORED, {}).rows,
        "raised": settled(lambda store, _: store.query(RAISED, {}).records()),
        "held": settled(partial(_held, register)),
        "feed": settled(partial(_feed, register)),
        "extent": settled(partial(_extent, register)),
        "kept": _kept,
        "retain": lambda store, _: steward.retain(store, utc_now()),
        "beyond": lambda store, _: steward.beyond(store, utc_now()),
        "summary": settled(_summary),
        "page": settled(_page),
        "looks": settled(
            lambda store, looks: store.query(statements("subject_tab"), {"looks": looks}).records()
        ),
        "erase_looks": lambda store, looks: steward.erase_looks(store, looks, utc_now()),
        "erase": lambda store, key: steward.erase(store, key, utc_now()),
        "settle": lambda store, _: steward.settle(store, utc_now()),
    }


def _report(register: SqliteRegister, store: Store, argument: Any) -> Answer:
    question = msgspec.convert(argument, Question)
    purpose = REPORTS[question.report].purpose
    register.readers.check(question.reader, purpose)
    found = answer(partial(_reading, register, store), question)
    register.readers.count(question.reader, purpose, utc_now())
    return found


def _query(register: SqliteRegister, folder: Folder, store: Store, argument: Any) -> Asked:
    """Answer somebody's own question; what it tells of single visitors is recorded before it is given."""
    query, limits = msgspec.convert(argument, Query), folder.settings.use
    register.readers.check(query.reader, query.purpose)
    reading = _reading(register, store, query.purpose)
    asked = ask(reading, query, limits.query_rows, limits.query_seconds)
    if asked.answer is None:
        return asked
    if asked.single:
        rows, version = len(asked.answer.rows), len(reading.governs)
        register.readers.record(query.reader, query.purpose, version, rows, query.sql, utc_now())
        register.ledger.sign()
    else:
        register.readers.count(query.reader, query.purpose, utc_now())
    return asked


def _reading(register: SqliteRegister, store: Store, purpose: str) -> Reading:
    """Return what a purpose may see now."""
    moment = utc_now()
    versions = in_force(register.versions(), moment)
    return Reading(store, governs(versions), purpose, moment, versions[-1].identity if versions else "")


def _kept(store: Store, argument: Any) -> int:
    now = utc_now()
    found = Reading(store, (), "", now).kept(msgspec.convert(argument, datetime), now)
    return int(found.records()[0]["kept"])


def _summary(store: Store, key: Any) -> list[dict[str, Any]]:
    return store.query(statements("subject_summary"), {"visitor": int(key, 16)}).records()


def _page(store: Store, argument: Any) -> Table:
    values = {"visitor": int(argument["key"], 16), "after": argument["after"], "limit": PAGE_ROWS}
    return store.query(statements(f"subject_{argument['relation']}"), values)


PAGE_ROWS = 5_000
"""How many records of a visitor are told at once: bounds the memory that an export takes."""


def _extent(register: SqliteRegister, store: Store, argument: Any) -> list[Any]:
    now = utc_now()
    asked = msgspec.convert(argument, ReleaseAsked)
    found = extent(store, governs(in_force(register.versions(), now)), asked, now)
    return [found.tables, found.refused, found.whose, found.apart, found.reached]


def _feed(register: SqliteRegister, store: Store, argument: Any) -> Batch:
    wanted, now = msgspec.convert(argument, Wanted), utc_now()
    contracts = {one.name: one.contract for one in register.processors.all()}
    contract = parse_contract(contracts[wanted.processor], f"processors/{wanted.processor}.toml")
    return batch(store, governs(in_force(register.versions(), now)), contract, wanted, now)


def _held(register: SqliteRegister, store: Store, argument: Any) -> Held:
    governing = governs(in_force(register.versions(), utc_now()))
    return held(store, msgspec.convert(argument, Subject), governing, utc_now())
