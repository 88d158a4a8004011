"""Recognise a visitor's requests of one day without a cookie.

The visitor key is a keyed hash of host, address and user agent, with a salt of the site and the visitor day.
Without the salt nobody can get from a key to these values, or to the key of another day. The salt is destroyed 48
hours after its first use; after that, not even the operator can.
"""

import fcntl
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from avowal.atomic_files import replace_file
from avowal.errors import StoreError
from avowal.logs.distinct_values import index_first_occurrences
from avowal.private_files import open_private, read_private
from avowal.strict import JSON_ERRORS

SALTS_FILE_NAME = "salts.json"
"""The name of the file with the salts, in the keys folder."""

SALT_BYTES = 32
SALT_LIFETIME = timedelta(hours=48)
"""The time from the first use of a salt until it is destroyed."""

VISITOR_KEY_BYTES = 8
"""The length of a visitor key. Among a million visitors of one day, two share a key with odds of 1 in 18 million.

Daily keys are even. Keys made from a cookie, which last longer, are odd (`cookie.py`).
"""


def visitor_day_expression(moment: pl.Expr, zone: ZoneInfo, starts_at: time) -> pl.Expr:
    """Return the visitor day of UTC times: the date in the site's time zone, with days that start at `starts_at`."""
    local = moment.dt.replace_time_zone("UTC").dt.convert_time_zone(zone.key).dt.replace_time_zone(None)
    return (local - timedelta(hours=starts_at.hour, minutes=starts_at.minute)).dt.date()


def compute_visitor_day(moment: datetime, zone: ZoneInfo, starts_at: time) -> date:
    """Return the visitor day of one UTC time."""
    local = moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return (local - timedelta(hours=starts_at.hour, minutes=starts_at.minute)).date()


class Salt(msgspec.Struct, frozen=True):
    """The salt of a day. `secret` is empty after it was destroyed."""

    first_used_at: datetime
    secret: bytes


@dataclass(frozen=True)
class SaltFile:
    """The salts of a folder, in one file.

    A salt is on disk before it is used, so that a process that is killed and restarted makes the same keys. Several
    processes can share the file: a lock file beside it keeps them apart.
    """

    path: Path

    def load_or_create(self, days: Iterable[date], now: datetime) -> tuple[dict[date, bytes], set[date]]:
        """Return the salt of each day, and the days whose earlier salt was destroyed. Create missing salts.

        Expired salts are destroyed first; only their days remain.
        Raises StoreError if the file cannot be read: a new one would silently split every visitor in two.
        """
        with self._open_locked() as salts:
            is_changed = _destroy_expired(salts, now)
            late = set()
            for day in days:
                history = salts.setdefault(day.isoformat(), [])
                if not (history and history[-1].secret):
                    history.append(Salt(now, secrets.token_bytes(SALT_BYTES)))
                    is_changed = True
                if len(history) > 1:
                    late.add(day)
            if is_changed:
                self._write(salts)
            return {day: salts[day.isoformat()][-1].secret for day in days}, late

    def days(self) -> set[date]:
        """Return the days whose salt is not destroyed. Raises StoreError if the file cannot be read."""
        if not self.path.exists():
            return set()
        with self._open_locked() as salts:
            return {
                date.fromisoformat(day) for day, history in salts.items() if history and history[-1].secret
            }

    def destroy_expired(self, now: datetime) -> None:
        """Destroy expired salts. Call this regularly, also if no requests arrive."""
        if not self.path.exists():
            return
        with self._open_locked() as salts:
            if _destroy_expired(salts, now):
                self._write(salts)

    @contextmanager
    def _open_locked(self) -> Iterator[dict[str, list[Salt]]]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(open_private(self.path.with_suffix(".lock"), flags), "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.path.exists():
                yield {}
                return
            try:
                yield msgspec.json.decode(read_private(self.path), type=dict[str, list[Salt]])
            except (*JSON_ERRORS, OSError) as error:
                raise StoreError(
                    f"cannot read `{self.path}` ({type(error).__name__})",
                    "restore it from a backup; or move it away, and visitors of its days get new keys",
                    code="key-damaged",
                ) from None

    def _write(self, salts: dict[str, list[Salt]]) -> None:
        """Replace the file, and overwrite the bytes of the old one with zeros."""
        unfinished = self.path.with_suffix(".new")  # the lock keeps other writers away from this name
        with ExitStack() as exit_stack:
            old = exit_stack.enter_context(self.path.open("r+b")) if self.path.exists() else None
            with replace_file(self.path, unfinished, private=True) as file:
                file.write(msgspec.json.encode(salts))
            if old:
                old.write(bytes(os.fstat(old.fileno()).st_size))
                old.flush()
                os.fsync(old.fileno())


def _destroy_expired(salts: dict[str, list[Salt]], now: datetime) -> bool:
    is_changed = False
    for history in salts.values():
        if history and history[-1].secret and now - history[-1].first_used_at >= SALT_LIFETIME:
            history[-1] = Salt(history[-1].first_used_at, b"")
            is_changed = True
    return is_changed


VISITOR_TRAITS = (
    pl.lit(""),
    pl.col("host").fill_null(""),
    pl.col("address"),
    pl.col("user_agent").fill_null(""),
)


def add_visitor_ids(requests: pl.DataFrame, salts_by_day: Mapping[date, bytes]) -> pl.DataFrame:
    """Add `visitor_id` to `requests`, from its `visitor_day`, `host`, `address` and `user_agent`.

    The key is null if there is no address.
    """
    keyed_hashes = {
        day: blake2b(key=salt, digest_size=VISITOR_KEY_BYTES) for day, salt in salts_by_day.items()
    }
    traits = requests.select("visitor_day", "host", "address", "user_agent")
    seed = secrets.randbits(64)  # random, so that nobody can provoke a collision with another visitor
    hashes = traits.to_struct().hash(seed).set(traits["address"].is_null(), None)
    first, indexes = index_first_occurrences(hashes)
    visitors = traits[first].select("visitor_day", text=pl.concat_str(*VISITOR_TRAITS, separator="\0"))
    keys = []
    for day, text in zip(*visitors.to_dict(as_series=False).values(), strict=True):
        key = keyed_hashes[day].copy()
        key.update(text.encode())
        keys.append(key.digest())
    numbers = pl.Series(struct.unpack(f"<{len(keys)}Q", b"".join(keys)), dtype=pl.UInt64)
    return requests.with_columns(visitor_id=(numbers - numbers % 2).gather(indexes))


def compute_daily_key(salt: bytes, host: str, address: str, user_agent: str) -> int:
    """Return the key that `add_visitor_ids` gives a visitor on the day of the salt."""
    traits = f"\0{host}\0{address}\0{user_agent}".encode()
    return int.from_bytes(blake2b(traits, key=salt, digest_size=VISITOR_KEY_BYTES).digest(), "little") & ~1
