"""Processors, in the register: each with the contract that it was added with."""

from datetime import datetime

import msgspec
import sqlalchemy as sa

from avowal.errors import RefusedError
from avowal.ledger.entry import ProcessorAdded, ProcessorRemoved, hash_text
from avowal.register.ledger_storage import append_entries
from avowal.register.repository import Repository
from avowal.register.tables import PROCESSORS


class Processor(msgspec.Struct, frozen=True):
    """A third party that works for the operator. Times are UTC."""

    name: str
    contract_text: str
    """The text of its contract."""
    version_identity: str
    """The version that it was compared with."""
    recorded_at: datetime
    entry: int = -1
    """The number of its entry in the ledger."""


class Processors(Repository):
    """The processors of a register: whatever is recorded last of a name holds."""

    def all(self) -> list[Processor]:
        """Return the processors that there are, by name."""
        columns = [PROCESSORS.c[name] for name in Processor.__struct_fields__]
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).order_by(PROCESSORS.c.processor)).all()
        last = {row.name: Processor(*row) for row in rows}
        return [last[name] for name in sorted(last) if last[name].contract_text]

    def contract_texts(self) -> list[str]:
        """Return the text of every contract that there ever was."""
        with self._engine.connect() as connection:
            return list(connection.execute(sa.select(PROCESSORS.c.contract_text).distinct()).scalars())

    def add(self, name: str, contract_text: str, version_identity: str, now: datetime) -> Processor:
        """Record a contract, with its entry in the ledger."""
        with self._write_transaction() as connection:
            entry = append_entries(
                connection, [ProcessorAdded(name, hash_text(contract_text), version_identity, now)]
            )
            added = Processor(name, contract_text, version_identity, now, entry)
            connection.execute(sa.insert(PROCESSORS).values(msgspec.structs.asdict(added)))
        return added

    def remove(self, name: str, now: datetime) -> None:
        """Record that a processor works for the operator no more. Raises RefusedError where there is none."""
        if name not in {one.name for one in self.all()}:
            raise RefusedError(
                f"there is no processor `{name}`",
                "`avowal processor list` tells which there are",
                code="processor-not-found",
            )
        with self._write_transaction() as connection:
            entry = append_entries(connection, [ProcessorRemoved(name, now)])
            row = {
                "name": name,
                "contract_text": "",
                "version_identity": "",
                "recorded_at": now,
                "entry": entry,
            }
            connection.execute(sa.insert(PROCESSORS).values(row))
