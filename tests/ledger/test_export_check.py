"""Checks of an exported ledger with only its files and its key: every change of a file is found."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from avowal.errors import ProofError
from avowal.ledger.export_check import ExportFileReader, find_export_errors
from avowal.ledger.note import SignedNote, Verifier
from avowal.register.register import Register
from support.errors import raises_code
from support.ledgers import append_withdrawals

SIZE = 700
EARLIER = 300


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verifier, SignedNote]:
    """Export a ledger of several tiles; returns its folder, its key, and an earlier checkpoint."""
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


def read_from(folder: Path) -> ExportFileReader:
    def read_file(name: str) -> bytes | None:
        return (folder / name).read_bytes() if (folder / name).exists() else None

    return read_file


def test_an_exported_ledger_has_no_errors(exported: tuple[Path, Verifier, SignedNote]) -> None:
    """An exported ledger passes, also when compared with a checkpoint that was saved earlier."""
    folder, verifier, earlier = exported
    assert list(find_export_errors(read_from(folder), verifier, [earlier])) == []


def test_a_change_of_any_file_is_found(exported: tuple[Path, Verifier, SignedNote], tmp_path: Path) -> None:
    """A changed or missing file is named, or the root that no longer matches is reported."""
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
                errors = list(find_export_errors(read_from(copy), verifier))
            except ProofError as error:
                errors = [error.message]
            assert errors, f"{name} {change}"
            if "entries" not in str(name):
                assert any(
                    str(name) in text or "checkpoint" in text or "signed" in text for text in errors
                ), errors
            shutil.rmtree(copy)


def test_a_file_that_is_no_tile_of_the_ledger_is_found(
    exported: tuple[Path, Verifier, SignedNote], tmp_path: Path
) -> None:
    """Tiles of earlier exports belong to the ledger; other files, and changed tiles of earlier exports, do not."""
    folder, verifier, _ = exported
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    earlier, other = "tile/0/001.p/44", "tile/0/forged"
    (copy / earlier).parent.mkdir(exist_ok=True)
    (copy / earlier).write_bytes((copy / "tile/0/001").read_bytes()[: 44 * 32])
    assert list(find_export_errors(read_from(copy), verifier, (), [earlier, "tile/0/001"])) == []
    (copy / earlier).write_bytes(bytes(44 * 32))
    (copy / other).write_bytes(b"")
    errors = list(find_export_errors(read_from(copy), verifier, (), [earlier, other]))
    assert len(errors) == 2
    assert earlier in errors[0]
    assert other in errors[1]


def replace_ledger(folder: Path) -> None:
    """Replace the ledger with a complete, signed one of another key."""
    register = Register(folder / "other", folder / "other.keys")
    append_withdrawals(register, 1, 20)
    shutil.rmtree(folder / "tile")
    register.ledger.export(folder)
    register.close()


def delete_checkpoint(folder: Path) -> None:
    (folder / "checkpoint").unlink()


@pytest.mark.parametrize(
    ("change", "code"), [(replace_ledger, "signature-invalid"), (delete_checkpoint, "checkpoint-missing")]
)
def test_another_ledger_is_refused(
    exported: tuple[Path, Verifier, SignedNote],
    tmp_path: Path,
    change: Callable[[Path], None],
    code: str,
) -> None:
    """A ledger that another key signed, or that has no checkpoint, is refused."""
    folder, verifier, _ = exported
    shutil.copytree(folder, tmp_path / "copy")
    change(tmp_path / "copy")
    with raises_code(code):
        list(find_export_errors(read_from(tmp_path / "copy"), verifier))


def test_a_ledger_that_differs_from_a_saved_checkpoint_is_found(tmp_path: Path) -> None:
    """A ledger of the same key with other entries, or fewer, than a saved checkpoint is found."""
    keys = tmp_path / "keys"
    first = Register(tmp_path / "first", keys)
    append_withdrawals(first, 0, 9)
    checkpoint = first.ledger.sign_checkpoint()
    assert checkpoint
    for start, end, message in ((1, 20, "was changed"), (0, 5, "the last are missing")):
        second = Register(tmp_path / f"second {end}", keys)
        append_withdrawals(second, start, end)
        second.ledger.export(tmp_path / f"static {end}")
        (error,) = find_export_errors(
            read_from(tmp_path / f"static {end}"), second.ledger.signer.verifier, [checkpoint]
        )
        assert message in error
        second.close()
    first.close()
