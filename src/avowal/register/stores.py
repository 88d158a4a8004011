"""The store that belongs to a register: another one, or an older copy, is refused."""

from collections.abc import Collection

from avowal.register.database import Database
from avowal.register.repository import Repository, to_parameters
from avowal.register.seal import RegisterSealer
from avowal.register.statements import load_statements
from avowal.store.interface import StoreVersion

SQL = load_statements("avowal.register", "stores")


class Stores(Repository):
    """Implements StoreRegistry with a register."""

    def __init__(self, database: Database, sealer: RegisterSealer) -> None:
        super().__init__(database)
        self._sealer = sealer

    def known_version(self) -> StoreVersion | None:
        """See StoreRegistry."""
        with self._database.read() as connection:
            row = connection.execute(SQL["select_version"]).fetchone()
        return StoreVersion(*row) if row else None

    def note_version(self, version: StoreVersion) -> None:
        """See StoreRegistry. In a burst of changes only the first one waits for the disk."""
        with self._database.transaction("store") as connection:
            connection.execute(SQL["note_version"], to_parameters(version))

    def replace_version(self, version: StoreVersion) -> None:
        """See StoreRegistry."""
        with self._database.transaction() as connection:
            connection.execute(SQL["replace_version"], to_parameters(version))

    def note_journal(self, name: str) -> None:
        """See StoreRegistry."""
        with self._database.transaction() as connection:
            connection.execute(SQL["note_journal"], {"name": name})

    def noted_journals(self) -> set[str]:
        """See StoreRegistry."""
        with self._database.read() as connection:
            return {name for (name,) in connection.execute(SQL["select_journals"])}

    def forget_journals(self, names: Collection[str]) -> None:
        """See StoreRegistry."""
        if names:
            with self._database.transaction("journals") as connection:
                connection.executemany(SQL["forget_journal"], [{"name": name} for name in names])

    def authenticate(self, data: bytes) -> bytes:
        """See StoreRegistry."""
        return self._sealer.authenticate(data)
