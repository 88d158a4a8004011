"""`avowal verify`: verify the folder, or a proof, a receipt, a package or an exported ledger."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from avowal.app.verification import verify_entry, verify_export, verify_folder
from avowal.cli.options import DataFolderOption, JsonOption, create_app, read_verifier
from avowal.cli.output import print_json, print_line
from avowal.cli.printable import escape_unprintable
from avowal.cli.text_table import create_console
from avowal.clock import utc_now
from avowal.disclose.package import check_package, is_package
from avowal.errors import InvalidInputError
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.receipt import RECEIPT_BYTES_MAX
from avowal.strict import read_text
from avowal.verify.verification import Verification

app = create_app()


@app.command("verify")
def verify(
    path: Annotated[
        Path | None,
        typer.Argument(help="A proof, a receipt, a package or an exported ledger; the folder unless given."),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            "--key", help="The ledger's public key, or the file that contains it; needed with a file."
        ),
    ] = "",
    witness_checkpoints: Annotated[
        list[Path] | None,
        typer.Option(
            "--witness-checkpoint", help="The file of a checkpoint from a witness; can be repeated."
        ),
    ] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Verify the ledger, versions, documents, consents and records of the folder; or a file, offline."""
    notes = [SignedNote.parse(read_text(path, InvalidInputError)) for path in witness_checkpoints or []]
    if path and not key:
        raise InvalidInputError(
            "a file is verified with the ledger's public key",
            "give the key with `--key`",
            code="missing-input",
        )
    if path and not path.exists():
        raise InvalidInputError(
            f"there is no file `{path}`",
            "name a proof, a receipt, a package or an exported ledger",
            code="file-missing",
        )
    if path and path.is_file() and is_package(path):
        _verify_package(path, read_verifier(key), as_json=as_json)
        return
    if path and not path.is_dir():
        _verify_entry(path, read_verifier(key), as_json=as_json)
        return
    if path:
        _print_verification(
            verify_export(path, read_verifier(key), notes), "every tile", with_counts=False, as_json=as_json
        )
        return
    verification = verify_folder(data, notes)
    _print_verification(
        verification, "every version, document, consent and record", with_counts=True, as_json=as_json
    )


def _verify_package(path: Path, verifier: Verifier, *, as_json: bool) -> None:
    """Check the package of a release."""
    manifest, proof = check_package(path, verifier, utc_now())
    summary = manifest.summary
    if as_json:
        print_json({"package": manifest, "entry": proof.index})
        return
    records = ", ".join(f"{count:,} {name}" for name, count in summary.records.items())
    print_line(
        f"valid: {records}, released to {manifest.recipient} on the ground {summary.ground} "
        f"(entry {proof.index} of the ledger)"
    )
    if manifest.row_filter:
        print_line(f"  rows: {manifest.row_filter}")
    print_line(f"  to be deleted by {summary.expires_at:%Y-%m-%d}, or when it is recalled")


def _print_verification(
    verification: Verification, subject: str, *, with_counts: bool, as_json: bool
) -> None:
    """Print the findings, and exit with status 1 if there are any; `subject` says what else was verified."""
    if as_json:
        counts = {"checked": verification.checked} if with_counts else {}
        print_json(
            {
                "valid": verification.holds,
                "entries": verification.entries,
                "findings": verification.findings,
                **counts,
            }
        )
    else:
        console = create_console()
        for finding in verification.findings:
            console.print(escape_unprintable(finding.sentence), style="red", markup=False, soft_wrap=True)
        if verification.holds:
            console.print(
                f"valid: {verification.entries:,} entries of the ledger, and {subject}", soft_wrap=True
            )
            checked = ", ".join(f"{count:,} {name}" for name, count in verification.checked.items())
            if checked:
                console.print(f"  checked: {checked}", markup=False, soft_wrap=True)
    if not verification.holds:
        raise typer.Exit(1)


def _verify_entry(path: Path, verifier: Verifier, *, as_json: bool) -> None:
    """Verify the proof of an entry, or a receipt that contains one, and print the entry."""
    proof, checkpoint = verify_entry(read_text(path, InvalidInputError, RECEIPT_BYTES_MAX), verifier)
    if as_json:
        entry = msgspec.json.decode(proof.entry)
        print_json({"valid": True, "index": proof.index, "size": checkpoint.size, "entry": entry})
        return
    print_line(f"valid: entry {proof.index} of the {checkpoint.size} in {checkpoint.origin} is")
    print_line(proof.entry.decode())
