"""The entry of a restored backup: what the ledger says of the one that it takes the place of."""

from datetime import datetime

import msgspec


class BackupRestored(msgspec.Struct, frozen=True, tag="backup-restored", tag_field="kind"):
    """An older copy of the data was restored. Its number is how many entries the copy had."""

    sequence: int
    """The number of the seal of the register in the copy (L10)."""
    last_sequence: int
    """The last number that was published beside the key; that of the copy if none was."""
    last_entries: int
    """How many entries the last checkpoint beside the key covered; those of the copy if there was none."""
    last_root: str
    """The root of that checkpoint, in hexadecimal; empty if there was none."""
    listed_erasures: int
    """How many visitors, script views and submissions were erased since the copy, as far as that is known; what the
    copy has of them is erased again."""
    made_at: datetime | None
    """When the backup was made; None for a copy that Avowal did not make."""
    at: datetime
