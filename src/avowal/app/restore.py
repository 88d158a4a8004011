"""Restore a backup, and record that in the ledger.

An older copy of the data is refused by every command, as changes are missing that were made since, such as erasures.
A restore is the one way to take it back: it appends an entry that says from which moment to which, erases again what
was erased since, deletes what is past its retention period, and only then gives the data its place. Until then it is in
a folder of its own, where no other command looks, so a restore that was interrupted is given again.
"""

import shutil
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from hmac import compare_digest
from pathlib import Path

import msgspec

from avowal.app.backup import (
    DATA,
    KEYS,
    MANIFEST_FILE,
    POLICY,
    STATE_FILES,
    BackupManifest,
    backup_damaged_error,
    find_damaged_file,
    read_manifest,
)
from avowal.app.folder import find_folder
from avowal.app.owner_requests import EnforceRetention, EraseScriptViews, EraseVisitor
from avowal.app.session import Session, open_session_of
from avowal.app.verification import verify_open_folder
from avowal.atomic_files import replace_file, replace_text, sync_folder
from avowal.clock import utc_now
from avowal.collect.visitor_key import SALTS_FILE_NAME
from avowal.config import SETTINGS_FILE, Folder
from avowal.errors import InvalidInputError, RefusedError
from avowal.ledger.checkpoint import Checkpoint
from avowal.ledger.entry import decode_entry
from avowal.ledger.note import SignedNote
from avowal.ledger.restore_entry import BackupRestored
from avowal.register.erased_list import LISTED_DAYS, ErasedKind, ErasedList
from avowal.register.ledger_storage import LAST_CHECKPOINT_FILE, LEDGER_KEY_FILE
from avowal.register.register import REGISTER_FILE, Register, record_restored_backup
from avowal.register.restrictions import SubmissionSelector
from avowal.register.seal import SEAL_FILE
from avowal.sql_files import read_sql
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.visitor_sql import list_visitors
from avowal.submissions.encryption import SUBMISSION_KEYS_FILE
from avowal.verify.verification import Finding
from avowal.workspace.layout import LOCK_FILE, SOCKET_FILE
from avowal.workspace.server import FolderServer

BEFORE_FILE = "restore.json"
"""What was beside the keys before a restore, until it is complete."""

NOT_COPIED = frozenset({LOCK_FILE, SOCKET_FILE, "spill", f"{REGISTER_FILE}-shm"})


class StateBefore(msgspec.Struct, frozen=True):
    """What the keys say of the data that the backup takes the place of."""

    sequence: int
    checkpoint: str
    """The last checkpoint; empty if there is none."""


class RestoreResult(msgspec.Struct, frozen=True):
    """What a restore did."""

    entry: BackupRestored
    entry_number: int
    """How many entries the ledger of the backup had."""
    knows_erasures: bool
    """Whether the list of what was erased is there and may be newer than the backup."""
    erased_again: int
    """How many visitors, script views and submissions were erased again."""
    expired_records: int
    """How many records were deleted or made coarser, as they were past their retention period."""
    findings: list[Finding]
    """What a verification of the restored folder found."""


@dataclass(frozen=True)
class Backup:
    """A backup, or a plain copy of a data folder."""

    data: Path
    keys: Path | None
    """None if the copy has no keys: those of the folder are used."""
    manifest: BackupManifest | None


def restore_backup(path: Path, keys: Path | None, data_folder: Path | None) -> RestoreResult:
    """Restore a backup, or a copy of a data folder, into the folder that a command works in.

    Keys and settings that the folder has are kept. Raises RefusedError if the folder has data, or the backup is of
    another ledger, and StoreError if the backup is damaged.
    """
    backup = _open_backup(path, keys)
    if backup.manifest and data_folder is None and not _has_settings():
        _copy_settings(path)
    folder = find_folder(data_folder)
    _check_empty(folder.data_folder)
    _copy_missing_keys(backup, folder.keys_folder)
    staging = folder.data_folder.with_name(f"{folder.data_folder.name}.restoring")
    shutil.rmtree(staging, ignore_errors=True)
    _copy_data(backup.data, staging)
    staged = replace(folder, data_folder=staging)
    before = _remember_state(folder.keys_folder)
    entry, number, codes = _record(staged, backup, before)
    with open_session_of(staged) as session:
        _store_of(session).renew_identity()
        knows_erasures = session.register.erased_list.exists and before.sequence > entry.sequence
        erased_again = _erase_again(session, codes)
        removed = session.call(EnforceRetention())
        findings = verify_open_folder(session).findings
    with suppress(FileNotFoundError):
        folder.data_folder.rmdir()
    staging.replace(folder.data_folder)
    sync_folder(folder.data_folder.parent)
    (folder.keys_folder / BEFORE_FILE).unlink(missing_ok=True)
    expired = sum(records.record_count for records in removed)
    return RestoreResult(entry, number, knows_erasures, erased_again, expired, list(findings))


def _open_backup(path: Path, keys: Path | None) -> Backup:
    if not path.is_dir():
        raise InvalidInputError(
            f"there is no folder `{path}`", "name a backup, or a copy of a data folder", code="file-missing"
        )
    if (path / REGISTER_FILE).exists():
        return Backup(path, keys, None)
    manifest = read_manifest(path)
    if manifest is None:
        raise InvalidInputError(
            f"`{path}` is not a backup",
            "name a folder that `avowal backup` wrote, or a copy of a data folder",
            code="not-a-backup",
        )
    own_keys = path / KEYS
    return Backup(path / DATA, keys or (own_keys if own_keys.is_dir() else None), manifest)


def _check_empty(data_folder: Path) -> None:
    if data_folder.exists() and any(data_folder.iterdir()):
        raise RefusedError(
            f"`{data_folder}` is not empty",
            f"stop what runs in it, move it to `{data_folder}.old`, and give the command again; delete that folder as "
            "soon as you can, because nothing in it is deleted on time",
            code="folder-not-empty",
        )


def _check_age(register: Register, backup: Backup) -> None:
    """Raise RefusedError if what was erased since a backup is not listed any more."""
    _, bodies = register.ledger.last_entries(1)
    newest = [decode_entry(body).at for body in bodies]
    made_at = backup.manifest.made_at if backup.manifest else max(newest, default=datetime.min)
    if made_at < utc_now() - timedelta(LISTED_DAYS):
        raise RefusedError(
            f"the backup is older than {LISTED_DAYS} days: what was erased since is not listed any more",
            "restore a newer one",
            code="backup-too-old",
        )


def _has_settings() -> bool:
    return any((folder / SETTINGS_FILE).is_file() for folder in (Path.cwd(), *Path.cwd().parents))


def _copy_settings(backup: Path) -> None:
    """Copy settings, terms and documents into the working directory, which has none."""
    with suppress(FileNotFoundError):
        shutil.copyfile(backup / SETTINGS_FILE, SETTINGS_FILE)
    if (backup / POLICY).is_dir() and not Path(POLICY).exists():
        shutil.copytree(backup / POLICY, POLICY)


def _copy_missing_keys(backup: Backup, keys_folder: Path) -> None:
    """Copy the keys that the folder lacks; the state of one that it has is its own.

    Raises RefusedError if it has another key of the same name.
    """
    if backup.keys is None:
        return
    is_new = not (keys_folder / LEDGER_KEY_FILE).exists()
    keys_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for source in sorted(backup.keys.iterdir()):
        target = keys_folder / source.name
        if source.name == SALTS_FILE_NAME or (source.name in STATE_FILES and not is_new):
            continue
        if not target.exists():
            _write_key(target, source.read_bytes())
        elif target.name == SUBMISSION_KEYS_FILE:
            _add_lines(target, source)
        elif source.name not in STATE_FILES and target.read_bytes() != source.read_bytes():
            raise RefusedError(
                f"`{target}` is another key than that of the backup",
                "the backup is of another folder; restore it into an empty one",
                code="backup-mismatch",
            )


def _write_key(target: Path, content: bytes) -> None:
    """Write a key, which only its owner can read; it is on the disk when this returns."""
    unfinished = target.with_name(f"{target.name}.new")
    with replace_file(target, unfinished, private=True) as file:
        file.write(content)


def _add_lines(target: Path, source: Path) -> None:
    """Add the keys of submissions that were rotated since, with which those of the backup are encrypted."""
    lines = target.read_text(encoding="ascii").split()
    older = [line for line in source.read_text(encoding="ascii").split() if line not in lines]
    replace_text(target, "\n".join([*lines, *older]), private=True)


def _copy_data(data: Path, staging: Path) -> None:
    staging.mkdir(mode=0o700, parents=True)
    for source in data.iterdir():
        if source.name in NOT_COPIED:
            continue
        if source.is_dir():
            shutil.copytree(source, staging / source.name)
        else:
            shutil.copyfile(source, staging / source.name)
    for path in staging.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        sync_folder(path)


def _remember_state(keys_folder: Path) -> StateBefore:
    """Return what the keys said before the restore began, also if it was interrupted."""
    path = keys_folder / BEFORE_FILE
    with suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=StateBefore)
    checkpoint = keys_folder / LAST_CHECKPOINT_FILE
    note = checkpoint.read_text(encoding="utf-8") if checkpoint.exists() else ""
    seal_file = keys_folder / SEAL_FILE
    sequence = int(seal_file.read_text(encoding="ascii").split()[0]) if seal_file.exists() else 0
    state = StateBefore(sequence, note)
    replace_text(path, msgspec.json.encode(state).decode(), private=True)
    return state


def _record(staged: Folder, backup: Backup, before: StateBefore) -> tuple[BackupRestored, int, set[str]]:
    """Append the entry of the restore; returns it with its number and the codes of what was erased since.

    Raises StoreError or ProofError if the backup is damaged, or was changed without Avowal.
    """
    with closing(Register(staged.data_folder, staged.keys_folder)) as register:
        sequence = _check_backup(register, backup)
        _check_age(register, backup)
        last = Checkpoint.parse(SignedNote.parse(before.checkpoint).text) if before.checkpoint else None
        codes = register.erased_list.codes_since(sequence)
        entry = BackupRestored(
            sequence=sequence,
            last_sequence=max(before.sequence, sequence),
            last_entries=last.size if last else register.ledger.count_entries(),
            last_root=last.root.hex() if last else "",
            listed_erasures=len(codes),
            made_at=backup.manifest.made_at if backup.manifest else None,
            at=utc_now(),
        )
        return entry, record_restored_backup(register, entry), codes


def _check_backup(register: Register, backup: Backup) -> int:
    """Check that a backup is as Avowal wrote it; returns the number of the seal of its register."""
    if manifest := backup.manifest:
        code = register.sealer.authenticate(manifest.encode_statement()).hex()
        if not compare_digest(code.encode(), manifest.code.encode()):
            raise backup_damaged_error(f"`{MANIFEST_FILE}`")
        if name := find_damaged_file(backup.data.parent, manifest):
            raise backup_damaged_error(f"`{name}`")
    with register.database.read() as connection:
        seal = register.sealer.read(connection)
        changed = list(register.sealer.find_changed_tables(connection, seal))
    if changed:
        raise backup_damaged_error(f"the table `{changed[0]}` of the register")
    with register.snapshot() as snapshot:
        for error in snapshot.ledger.find_errors():
            raise backup_damaged_error(f"the ledger ({error})")
    return seal.sequence


def _store_of(session: Session) -> DuckDBStore:
    assert isinstance(session.backend, FolderServer)  # noqa: S101  # nobody else knows the folder
    return session.backend.store


def _erase_again(session: Session, codes: set[str]) -> int:
    """Erase what the backup has of visitors, script views and submissions with these codes; returns how many."""
    if not codes:
        return 0
    store, register = _store_of(session), session.register
    listed = partial(_find_listed, register.erased_list, codes)
    keys = {f"{visitor_id:016x}" for (visitor_id,) in store.query(list_visitors(), {}).rows}
    visitors = listed(ErasedKind.VISITOR, keys | set(register.erasures.known_visitors()))
    for key in visitors:
        session.call(EraseVisitor(key))
    rows = store.query(read_sql("store", "known_script_views"), {}).rows
    script_views = listed(ErasedKind.SCRIPT_VIEW, {str(script_view_id) for (script_view_id,) in rows})
    if script_views:
        session.call(EraseScriptViews([int(script_view_id) for script_view_id in script_views]))
    submissions = listed(ErasedKind.SUBMISSION, set(register.erasures.known_submissions()))
    for reference in submissions:
        register.erasures.erase_submissions(SubmissionSelector("submission", reference), utc_now())
    register.submissions.delete_orphans()
    return len(visitors) + len(script_views) + len(submissions)


def _find_listed(erased_list: ErasedList, codes: set[str], kind: ErasedKind, names: set[str]) -> list[str]:
    return sorted(name for name in names if erased_list.code(kind, name) in codes)
