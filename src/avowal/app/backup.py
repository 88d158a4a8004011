"""Make a backup of a folder while it is in use: everything in it is of one moment.

While the store is held, nothing is written into it; while a transaction of the register is open, nothing is written
into that. In between the register, the submitted files and what waits for the store are copied, so that they are of the
moment of the register; then the store, which is of the same moment, as nobody wrote into it.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from avowal.app.session import Session
from avowal.atomic_files import sync_folder
from avowal.clock import utc_now
from avowal.collect.journal import JOURNAL_SUFFIX
from avowal.collect.visitor_key import SALTS_FILE_NAME
from avowal.config import SETTINGS_FILE
from avowal.errors import InvalidInputError, StoreError
from avowal.register.erased_list import ERASED_LIST_FILE, ErasedKind
from avowal.register.ledger_storage import LAST_CHECKPOINT_FILE
from avowal.register.register import REGISTER_FILE, Register
from avowal.register.seal import SEAL_FILE
from avowal.register.submissions import FILES_FOLDER
from avowal.store.duckdb_store import STORE_FILE
from avowal.submissions.encryption import PARTIAL_SUFFIX
from avowal.workspace.layout import JOURNALS_FOLDER, SEGMENTS_FOLDER
from avowal.workspace.messages import HoldStore, ReleaseStore

BACKUP_FORMAT = "avowal backup 1"
MANIFEST_FILE = "backup.json"
DATA, KEYS, POLICY = "data", "keys", "policy"
"""The folders of a backup."""

STATE_FILES = frozenset({SEAL_FILE, LAST_CHECKPOINT_FILE, ERASED_LIST_FILE})
"""Files beside the keys that say how new the data is, or what was erased."""

MADE_FOR_NOW_FILES = frozenset({SALTS_FILE_NAME, SEAL_FILE, LAST_CHECKPOINT_FILE})
"""Files beside the keys that are not copied. Salts would outlive their 48 hours; the others are written to fit."""


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup has."""

    format: str
    made_at: datetime
    sequence: int
    """The number of the seal of the register."""
    entries: int
    """How many entries the ledger has."""
    files: dict[str, str]
    """The SHA-256 of each file, in hexadecimal, by its path; without those of the keys."""
    code: str = ""
    """Authenticates the other fields with the key of the ledger."""

    def encode_statement(self) -> bytes:
        """Return what `code` authenticates."""
        return msgspec.json.encode(msgspec.structs.replace(self, code=""), order="sorted")


@dataclass(frozen=True)
class BackupPlaces:
    """Where a backup is written, under names that are given to it when it is complete."""

    folder: Path
    keys: Path
    """Where its keys are; a folder in `folder` unless they are kept apart."""


def make_backup(session: Session, folder: Path, keys_folder: Path | None = None) -> BackupManifest:
    """Write a backup into a new folder, with its keys in another one if that is given.

    Raises InvalidInputError if a folder exists, and StoreError if the copy took too long.
    """
    unfinished = _unfinished(folder)
    unfinished_keys = _unfinished(keys_folder) if keys_folder else unfinished / KEYS
    for path in filter(None, (folder, keys_folder)):
        _check_absent(path)
    try:
        for path in filter(None, (unfinished, keys_folder and unfinished_keys)):
            path.mkdir(mode=0o700, parents=True)
        unfinished_keys.mkdir(mode=0o700, exist_ok=True)
        manifest = _copy_all(session, BackupPlaces(unfinished, unfinished_keys))
        if keys_folder:
            unfinished_keys.replace(keys_folder)
        unfinished.replace(folder)
    except BaseException:
        for path in (unfinished, unfinished_keys):
            shutil.rmtree(path, ignore_errors=True)
        raise
    for path in filter(None, (folder, keys_folder)):
        sync_folder(path.parent)
    return manifest


def read_manifest(folder: Path) -> BackupManifest | None:
    """Return the manifest of a backup; None if there is none. Raises StoreError if it is damaged."""
    try:
        return msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=BackupManifest)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise backup_damaged_error(f"`{folder / MANIFEST_FILE}`") from None


def find_damaged_file(folder: Path, manifest: BackupManifest) -> str:
    """Return the path of the first file that is missing or not as it was copied; empty if there is none."""
    for name, digest in sorted(manifest.files.items()):
        with suppress(FileNotFoundError):
            if hash_file(folder / name) == digest:
                continue
        return name
    return ""


def backup_damaged_error(name: str) -> StoreError:
    """Return the error of a backup one of whose files is damaged."""
    return StoreError(
        f"{name} of the backup is damaged or missing", "restore another backup", code="backup-damaged"
    )


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _copy_all(session: Session, places: BackupPlaces) -> BackupManifest:
    data, target, register = session.folder.data_folder, places.folder / DATA, session.register
    target.mkdir(mode=0o700)
    _copy_submitted_files(data, target)  # most of them, before anybody has to wait
    register.ledger.sign_checkpoint()
    if not register.erased_list.exists:  # from now on, a missing list was lost
        register.erased_list.add(ErasedKind.VISITOR, [])
    with _hold_store(session):
        with register.database.transaction():
            made_at = utc_now()
            _copy_register(data, target)
            _copy_submitted_files(data, target)
            _copy_waiting_files(data, target, register.stores.noted_journals())
            _copy_keys(session.folder.keys_folder, places.keys)
        for name in (STORE_FILE, f"{STORE_FILE}.wal"):
            with suppress(FileNotFoundError):
                _copy_store_file(data / name, target / name)
    _copy_policy(session, places.folder)
    return _complete(register, places, made_at)


def _complete(register: Register, places: BackupPlaces, made_at: datetime) -> BackupManifest:
    """Write what says how new the copy is, and the manifest; everything is on the disk when this returns."""
    with closing(Register(places.folder / DATA, places.keys)) as copied:
        with copied.database.read() as connection:
            sequence = register.sealer.read(connection).sequence
        note, entries = copied.ledger.last_checkpoint(), copied.ledger.count_entries()
    if note:
        (places.keys / LAST_CHECKPOINT_FILE).write_text(str(note), encoding="utf-8")
    seal_file = places.keys / SEAL_FILE
    seal_file.write_text(register.sealer.encode_published(sequence), encoding="ascii")
    seal_file.chmod(0o600)
    paths = [path for path in sorted(places.folder.rglob("*")) if path.is_file()]
    files = {
        path.relative_to(places.folder).as_posix(): hash_file(path)
        for path in paths
        if places.keys not in path.parents
    }
    manifest = BackupManifest(
        format=BACKUP_FORMAT, made_at=made_at, sequence=sequence, entries=entries, files=files
    )
    code = register.sealer.authenticate(manifest.encode_statement()).hex()
    manifest = msgspec.structs.replace(manifest, code=code)
    (places.folder / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    for path in (*places.folder.rglob("*"), *places.keys.rglob("*"), places.folder, places.keys):
        sync_folder(path)  # a file as well
    return manifest


@contextmanager
def _hold_store(session: Session) -> Iterator[None]:
    """Let nobody write into the store until the block ends. Raises StoreError if that did not last so long."""
    session.call(HoldStore())
    try:
        yield
    except BaseException:
        session.call(ReleaseStore())
        raise
    if not session.call(ReleaseStore()):
        raise StoreError(
            "the copy took too long: the store could not wait until it was complete",
            "write the backup to a faster disk, and copy it on from there",
            code="backup-incomplete",
        )


def _copy_register(data: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(data / REGISTER_FILE)) as source,
        closing(sqlite3.connect(target / REGISTER_FILE)) as copy,
    ):
        source.backup(copy)
    (target / REGISTER_FILE).chmod(0o600)


def _copy_submitted_files(data: Path, target: Path) -> None:
    """Copy the files of submissions, which never change, and remove the copies of those that are gone."""
    source, copies = data / FILES_FOLDER, target / FILES_FOLDER
    if not source.is_dir():
        return
    copies.mkdir(mode=0o700, exist_ok=True)
    for path in source.iterdir():
        if path.suffix != PARTIAL_SUFFIX and not (copies / path.name).exists():
            with suppress(FileNotFoundError):
                _copy_file(path, copies / path.name)
    for path in copies.iterdir():
        if not (source / path.name).exists():
            path.unlink()


def _copy_waiting_files(data: Path, target: Path, noted: set[str]) -> None:
    """Copy segments, and the journals that the register knows. What is loaded meanwhile is in the store, too."""
    for folder in (JOURNALS_FOLDER, SEGMENTS_FOLDER):
        (target / folder).mkdir(mode=0o700)
        for path in (data / folder).iterdir() if (data / folder).is_dir() else ():
            if path.suffix == JOURNAL_SUFFIX and path.stem not in noted:
                continue
            with suppress(FileNotFoundError):
                _copy_file(path, target / folder / path.name)


def _copy_keys(keys_folder: Path, target: Path) -> None:
    for path in keys_folder.iterdir():
        if path.is_file() and path.name not in MADE_FOR_NOW_FILES and not path.name.endswith(".new"):
            _copy_file(path, target / path.name)


def _copy_policy(session: Session, target: Path) -> None:
    """Copy the settings, and the terms and documents as they are in the folder."""
    policy_folder = session.folder.policy_folder
    if policy_folder is None:
        return
    with suppress(FileNotFoundError):
        _copy_file(policy_folder.parent / SETTINGS_FILE, target / SETTINGS_FILE)
    if policy_folder.is_dir():
        shutil.copytree(policy_folder, target / POLICY)


def _copy_file(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _copy_store_file(source: Path, target: Path) -> None:
    """Copy a file of the store, and do not close it: that would end the locks that this process may have of it."""
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", closefd=False) as file, target.open("xb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)
    target.chmod(0o600)


def _check_absent(path: Path) -> None:
    for taken in (path, _unfinished(path)):
        if taken.exists():
            raise InvalidInputError(
                f"`{taken}` already exists",
                "name another folder, or remove this one if no backup is being written to it",
                code="file-exists",
            )


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")
