"""Telling a visitor's requests from another's without a cookie: a key that lives as long as its day's salt.

The key is a keyed hash of what a request shows of itself (host, address, user agent) under a salt of its site and
event-day. Nobody can go back from the key to these, nor from one day's key to the next day's, and once the salt is
destroyed, 48 hours after its first use, not even the operator can.
"""

import fcntl
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import polars as pl

from avowal.atomic_files import sync_folder
from avowal.errors import StoreError
from avowal.logs.distinct_values import index_first_occurrences

SALTS_FILE_NAME = "salts.json"
"""The file of the salts, beside the keys."""

SALT_BYTES = 32
SALT_LIFETIME = timedelta(hours=48)
"""How long a salt lives after its first use."""

VISITOR_KEY_BYTES = 8
"""Length of a visitor key. Within one event-day a million visitors share a key with odds of 1 in 18 million.

The keys of a day are even; those of cookies, which last for more than a day, are odd (`cookie.py`).
"""


def event_day(moment: pl.Expr, zone: ZoneInfo, starts_at: time) -> pl.Expr:
    """Return the event-day of a UTC moment: the site's date, where the day turns at `turns_at` instead of midnight."""
    local = moment.dt.replace_time_zone("UTC").dt.convert_time_zone(zone.key).dt.replace_time_zone(None)
    return (local - timedelta(hours=starts_at.hour, minutes=starts_at.minute)).dt.date()


def compute_visitor_day(moment: datetime, zone: ZoneInfo, starts_at: time) -> date:
    """Return the same of one moment."""
    local = moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
    return (local - timedelta(hours=starts_at.hour, minutes=starts_at.minute)).date()


class Salt(msgspec.Struct, frozen=True):
    """A day's salt: its bytes while it lives, none after."""

    first_used: datetime
    secret: bytes


@dataclass(frozen=True)
class SaltFile:
    """The salts of a folder, in one file under `keys/`.

    Durable before use: a key is made only with a salt that is on the disk, so that a process killed and started
    again makes the same keys. Several processes may share the file; a lock beside it puts them in order.
    """

    path: Path

    def load_or_create(self, days: Iterable[date], now: datetime) -> tuple[dict[date, bytes], set[date]]:
        """Return the salt of each day, making those that are missing, and the days whose earlier salt is gone.

        Whatever has lived its time is destroyed first, and leaves only its day behind.
        Raises StoreError where the file cannot be read: a new one would silently split every visitor in two.
        """
        with self._held() as salts:
            changed = _destroy_old(salts, now)
            late = set()
            for day in days:
                history = salts.setdefault(day.isoformat(), [])
                if not (history and history[-1].secret):
                    history.append(Salt(now, secrets.token_bytes(SALT_BYTES)))
                    changed = True
                if len(history) > 1:
                    late.add(day)
            if changed:
                self._write(salts)
            return {day: salts[day.isoformat()][-1].secret for day in days}, late

    def destroy_expired(self, now: datetime) -> None:
        """Destroy the salts that have lived their time: to be called now and then, also when nothing comes in."""
        if not self.path.exists():
            return
        with self._held() as salts:
            if _destroy_old(salts, now):
                self._write(salts)

    @contextmanager
    def _held(self) -> Iterator[dict[str, list[Salt]]]:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.path.exists():
                yield {}
                return
            try:
                yield msgspec.json.decode(self.path.read_bytes(), type=dict[str, list[Salt]])
            except (msgspec.DecodeError, OSError) as error:
                raise StoreError(
                    f"`{self.path}` cannot be read ({type(error).__name__})",
                    "put it back from before; or move it away: visitors of its days are then told apart anew",
                    code="key-damaged",
                ) from None

    def _write(self, salts: dict[str, list[Salt]]) -> None:
        """Put a new file in the old one's place, and blank the old one's bytes."""
        written = self.path.with_suffix(".new")
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(salts))
            file.flush()
            os.fsync(file.fileno())
        old = self.path.open("r+b") if self.path.exists() else None
        written.replace(self.path)
        sync_folder(self.path.parent)
        if old:
            with old:
                old.write(bytes(os.fstat(old.fileno()).st_size))
                old.flush()
                os.fsync(old.fileno())


def _destroy_old(salts: dict[str, list[Salt]], now: datetime) -> bool:
    changed = False
    for history in salts.values():
        if history and history[-1].secret and now - history[-1].first_used >= SALT_LIFETIME:
            history[-1] = Salt(history[-1].first_used, b"")
            changed = True
    return changed


VISITOR_TRAITS = (
    pl.lit(""),
    pl.col("host").fill_null(""),
    pl.col("address"),
    pl.col("user_agent").fill_null(""),
)


def add_visitor_ids(requests: pl.DataFrame, salts_by_day: Mapping[date, bytes]) -> pl.DataFrame:
    """Add `visitor_id` to `requests`, from its `event_day`, `host`, `address` and `user_agent`.

    Without an address there is nothing to tell visitors apart by: null.
    """
    begun = {day: blake2b(key=salt, digest_size=VISITOR_KEY_BYTES) for day, salt in salts_by_day.items()}
    told = requests.select("event_day", "host", "address", "user_agent")
    seed = secrets.randbits(64)  # drawn anew, so that nobody can aim at the hash of another visitor
    first, place = index_first_occurrences(told.to_struct().hash(seed).set(told["address"].is_null(), None))
    visitors = told[first].select("event_day", shown=pl.concat_str(*VISITOR_TRAITS, separator="\0"))
    keys = []
    for day, shown in zip(*visitors.to_dict(as_series=False).values(), strict=True):
        key = begun[day].copy()
        key.update(shown.encode())
        keys.append(key.digest())
    numbers = pl.Series(struct.unpack(f"<{len(keys)}Q", b"".join(keys)), dtype=pl.UInt64)
    return requests.with_columns(visitor_id=(numbers - numbers % 2).gather(place))


def compute_daily_key(salt: bytes, host: str, address: str, user_agent: str) -> int:
    """Return the key that `add_keys` gives a visitor on the day of a salt."""
    told = f"\0{host}\0{address}\0{user_agent}".encode()
    return int.from_bytes(blake2b(told, key=salt, digest_size=VISITOR_KEY_BYTES).digest(), "little") & ~1
