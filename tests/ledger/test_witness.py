"""An exported ledger, looked at with nothing but its files and its key: every change of a file is found and named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from avowal.errors import ProofError
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.witness import ExportFileReader, find_export_errors
from avowal.register.register import Register
from support.errors import raises_code
from support.ledgers import append_withdrawals

SIZE = 700
EARLIER = 300


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verifier, SignedNote]:
    """Export a ledger of some tiles; returns its folder, its key, and an earlier checkpoint."""
    folder = tmp_path_factory.mktemp("ledger")
    register = Register(folder / "data", folder / "keys")
    append_withdrawals(register, 0, EARLIER)
    earlier = register.ledger.sign_checkpoint()
    append_withdrawals(register, EARLIER, SIZE)
    register.ledger.export(folder / "static")
    verifier = register.ledger.signer.verifier
    register.close()
    assert earlier
    return folder / "static", verifier, earlier


def reading(folder: Path) -> ExportFileReader:
    def files(name: str) -> bytes | None:
        return (folder / name).read_bytes() if (folder / name).exists() else None

    return files


def test_what_was_exported_holds(exported: tuple[Path, Verifier, SignedNote]) -> None:
    """Entries, tiles, the checkpoint, and an earlier one that somebody kept."""
    folder, verifier, earlier = exported
    assert list(find_export_errors(reading(folder), verifier, [earlier])) == []


def test_a_byte_of_any_file_is_found(exported: tuple[Path, Verifier, SignedNote], tmp_path: Path) -> None:
    """Whichever file is changed or gone is named, or the root that does not hold any more."""
    folder, verifier, _ = exported
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(names) > 6
    for name in names:
        for change in (None, 0, -1):
            copy = tmp_path / "copy"
            shutil.copytree(folder, copy)
            data = bytearray((copy / name).read_bytes())
            if change is None:
                (copy / name).unlink()
            else:
                data[change] ^= 1
                (copy / name).write_bytes(data)
            try:
                found = list(find_export_errors(reading(copy), verifier))
            except ProofError as error:
                found = [error.message]
            assert found, f"{name} {change}"
            if "entries" not in str(name):
                assert any(str(name) in one or "checkpoint" in one or "signed" in one for one in found), found
            shutil.rmtree(copy)


def other_ledger(folder: Path) -> None:
    """Put another ledger in its place, whole and well signed."""
    register = Register(folder / "other", folder / "other.keys")
    append_withdrawals(register, 1, 20)
    shutil.rmtree(folder / "tile")
    register.ledger.export(folder)
    register.close()


def shorter(folder: Path) -> None:
    (folder / "checkpoint").unlink()


@pytest.mark.parametrize(
    ("change", "code"), [(other_ledger, "signature-invalid"), (shorter, "checkpoint-missing")]
)
def test_another_ledger_is_refused(
    exported: tuple[Path, Verifier, SignedNote],
    tmp_path: Path,
    change: Callable[[Path], None],
    code: str,
) -> None:
    """One that this key did not sign, and one without a checkpoint."""
    folder, verifier, _ = exported
    shutil.copytree(folder, tmp_path / "copy")
    change(tmp_path / "copy")
    with raises_code(code):
        list(find_export_errors(reading(tmp_path / "copy"), verifier))


def test_a_ledger_that_did_not_only_grow_is_found(tmp_path: Path) -> None:
    """One with the same key, and other entries than those of a checkpoint that somebody kept, or fewer."""
    keys = tmp_path / "keys"
    first = Register(tmp_path / "first", keys)
    append_withdrawals(first, 0, 9)
    held = first.ledger.sign_checkpoint()
    assert held
    for start, end, said in ((1, 20, "was changed"), (0, 5, "the last ones are gone")):
        second = Register(tmp_path / f"second {end}", keys)
        append_withdrawals(second, start, end)
        second.ledger.export(tmp_path / f"static {end}")
        (found,) = find_export_errors(
            reading(tmp_path / f"static {end}"), second.ledger.signer.verifier, [held]
        )
        assert said in found
        second.close()
    first.close()
