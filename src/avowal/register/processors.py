"""Processors, each with the contract that it was added with."""

from datetime import datetime

import msgspec

from avowal.errors import RefusedError
from avowal.ledger.entry import ProcessorAdded, ProcessorRemoved, hash_text
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository, parse_time, to_parameters
from avowal.register.statements import load_statements

SQL = load_statements("avowal.register", "processors")


class Processor(msgspec.Struct, frozen=True):
    """A third party that processes data for the operator. Times are UTC."""

    name: str
    contract_text: str
    """Empty if it was removed."""
    version_identity: str
    """The version that the contract was compared with."""
    recorded_at: datetime
    entry: int | None = None
    """The number of its entry in the ledger; None if it is not recorded yet."""


class Processors(Repository):
    """The processors of a register; the last record of each name counts."""

    def all(self) -> list[Processor]:
        """Return the processors that work for the operator now, by name."""
        with self._database.read() as connection:
            rows = connection.execute(SQL["select_processors"]).fetchall()
        last = {
            name: Processor(name, text, identity, parse_time(recorded_at), entry)
            for name, text, identity, recorded_at, entry in rows
        }
        return [last[name] for name in sorted(last) if last[name].contract_text]

    def contract_texts(self) -> list[str]:
        """Return the text of every contract that was ever recorded; empty texts are removals."""
        with self._database.read() as connection:
            return [text for (text,) in connection.execute(SQL["select_contract_texts"])]

    def add(self, name: str, contract_text: str, version_identity: str, now: datetime) -> Processor:
        """Record a contract, with its entry in the ledger."""
        added = Processor(name, contract_text, version_identity, now)
        return self._record(added, ProcessorAdded(name, hash_text(contract_text), version_identity, now))

    def remove(self, name: str, now: datetime) -> None:
        """Record that a processor was removed. Raises RefusedError if there is none of that name."""
        if name not in {processor.name for processor in self.all()}:
            raise RefusedError(
                f"there is no processor `{name}`",
                "`avowal processor list` lists the processors",
                code="processor-not-found",
            )
        self._record(Processor(name, "", "", now), ProcessorRemoved(name, now))

    def _record(self, processor: Processor, entry: ProcessorAdded | ProcessorRemoved) -> Processor:
        with self._database.transaction() as connection:
            number = append_entries(connection, [entry])
            processor = msgspec.structs.replace(processor, entry=number)
            connection.execute(SQL["insert_processor"], to_parameters(processor))
        return processor
