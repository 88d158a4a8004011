"""A part of the register, which reads and writes tables of its own."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa


class Part:
    """Reads by `_engine`; `_write` gives a connection in a transaction of the register."""

    def __init__(self, engine: sa.Engine, write: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self._engine = engine
        self._write = write

    def _leave_nothing(self) -> None:
        """Leave nothing of what was deleted in the log of writes either, where readers let that be done now."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
