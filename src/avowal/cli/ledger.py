"""`avowal ledger` and `avowal verify`: proofs that what was promised stayed as it was."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from avowal.app.folder import open_folder_register
from avowal.app.verification import verify_folder
from avowal.change.consent_receipt import check_consent_receipt
from avowal.cli.policy import JsonOption, print_json, print_line
from avowal.clock import utc_now
from avowal.disclose.package import check_package, is_package
from avowal.errors import InvalidInputError, RefusedError
from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.entry import (
    ENTRY_KINDS,
    decode_entry,
)
from avowal.ledger.note import SignedNote, Verifier
from avowal.ledger.witness import find_export_errors as exported_findings
from avowal.ledger.witness import read_checkpoint
from avowal.register.erasures import ERASURE_RECEIPT_SCHEMA as ERASURE
from avowal.register.erasures import check_erasure_receipt as check_erasure
from avowal.register.releases import RELEASE_RECEIPT_SCHEMA as RELEASE
from avowal.register.releases import check_release_receipt as check_release
from avowal.strict import read_text, suggest_nearest
from avowal.verify.verification import Finding, Verification

app = typer.Typer(help="The ledger: what was promised, and that it stayed so.", no_args_is_help=True)
HASH_PATTERN = re.compile(r"\b[0-9a-f]{32,}\b")
DataFolderOption = Annotated[Path | None, typer.Option(help="The data folder.")]


@app.command()
def checkpoint(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Print the signed checkpoint over all entries: to be handed to witnesses, who know the ledger again by it."""
    with closing(open_folder_register(data)) as register:
        note, verifier = register.ledger.sign_checkpoint(), register.ledger.signer.verifier
    if note is None:
        raise RefusedError(
            "the ledger has no entry yet", "`avowal policy adopt` makes the first one", code="ledger-empty"
        )
    if as_json:
        print_json({"checkpoint": str(note), "verifier": str(verifier)})
    else:
        print(note, end="")  # noqa: T201  # the note itself, byte for byte


@app.command()
def cosign(
    file: Annotated[Path, typer.Argument(help="The cosigned checkpoint, or the witness's lines alone.")],
    key: Annotated[str, typer.Option("--key", help="The witness's public key, or its file.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Add a witness's signature to a checkpoint: what is proved under it was seen by the witness, too."""
    witness = _verifier(key)
    with closing(open_folder_register(data)) as register:
        note = register.ledger.add_cosignature(read_text(file, InvalidInputError), witness)
    if as_json:
        print_json({"checkpoint": str(note), "witness": witness.name})
    else:
        print(note, end="")  # noqa: T201  # the note itself, byte for byte


@app.command()
def key(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Print the public key that checks the ledger's signatures: publish it where your visitors find it."""
    with closing(open_folder_register(data)) as register:
        verifier = str(register.ledger.signer.verifier)
    if as_json:
        print_json({"verifier": verifier})
    else:
        print(verifier)  # noqa: T201  # a line to copy


@app.command("list")
def list_entries(
    last: Annotated[int, typer.Option(min=1, max=2**31, help="How many; the newest.")] = 20,
    kind: Annotated[str, typer.Option(help="Of one kind alone, such as `data-accessed`.")] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """List the newest entries, the newest last: what was recorded, and when."""
    if kind and kind not in ENTRY_KINDS:
        raise InvalidInputError(
            f"there is no kind of entry `{kind}`",
            suggest_nearest(kind, list(ENTRY_KINDS), "kinds"),
            code="unknown-name",
        )
    with closing(open_folder_register(data)) as register:
        found = zip(*register.ledger.last_entries(last, kind), strict=True)
        told = [{"entry": number, **msgspec.to_builtins(decode_entry(body))} for number, body in found][::-1]
    if as_json:
        print_json({"entries": told})
        return
    if not told:
        print_line("no entries yet" if not kind else f"no entries of the kind {kind}")
    for one in told:
        number, at, what = (str(one.pop(name)) for name in ("entry", "at", "kind"))
        print_line(f"{number:>6}  {at[:19].replace('T', ' ')}  {what}")
        print_line(f"        {', '.join(_words(one))}")


def _words(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an entry tells, in words that a terminal takes for nothing else; of a hash how it begins."""
    for name, value in told.items():
        if value not in ("", [], {}, None):
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            safe = "".join(one if one.isprintable() else " " for one in text)
            yield f"{name.replace('_', ' ')} {HASH_PATTERN.sub(lambda found: found[0][:8] + '…', safe)}"


@app.command()
def prove(
    entry: Annotated[int, typer.Argument(min=0, help="The entry's number; the first is 0.")],
    to: Annotated[Path | None, typer.Option(help="The file to write; standard output unless given.")] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Write the proof of an entry, which anybody can check offline: `avowal verify PROOF --key KEY`."""
    with closing(open_folder_register(data)) as register:
        receipt = register.ledger.prove_entry(entry)
        verifier = str(register.ledger.signer.verifier)
    if to:
        to.write_text(str(receipt), encoding="utf-8")
    if as_json:
        told = {"entry": msgspec.json.decode(receipt.entry), "proof": str(receipt), "verifier": verifier}
        print_json(told)
    elif not to:
        print(receipt, end="")  # noqa: T201  # the proof itself, byte for byte


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where; a web server may serve it as it is.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Write the ledger as static files (C2SP tlog-tiles): tiles, entries and the checkpoint; only what is new."""
    with closing(open_folder_register(data)) as register:
        new, entries = register.ledger.export(folder), register.ledger.count_entries()
    if as_json:
        print_json({"entries": entries, "new_files": new})
    else:
        Console(highlight=False).print(f"{new} new files in {folder}, of {entries:,} entries", markup=False)


def verify(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A proof, a receipt, a release's package, or an exported ledger; else the folder."
        ),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", help="With one of these: the ledger's public key, or its file.")
    ] = "",
    witness: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that somebody else holds, more than once.")
    ] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Verify the folder: ledger, versions, documents, consents, records; or what was handed out, offline."""
    notes = [SignedNote.parse(read_text(path, InvalidInputError)) for path in witness or []]
    if path and not key:
        raise InvalidInputError(
            "what was handed out is checked with the ledger's public key",
            "give it with `--key`",
            code="missing-input",
        )
    if path and not path.exists():
        raise InvalidInputError(
            f"there is no `{path}`",
            "name a proof, a receipt, a package or an exported ledger",
            code="file-missing",
        )
    if path and path.is_file() and is_package(path):
        _verify_package(path, _verifier(key), as_json=as_json)
        return
    if path and not path.is_dir():
        _verify_proof(path, _verifier(key), as_json=as_json)
        return
    if path:
        _print_verification(
            _verify_export(path, _verifier(key), notes), "every tile", with_counts=False, as_json=as_json
        )
        return
    verification = verify_folder(data, notes)
    _print_verification(
        verification, "every version, document, consent and record", with_counts=True, as_json=as_json
    )


def _verify_package(path: Path, verifier: Verifier, *, as_json: bool) -> None:
    """Check the package of a release."""
    manifest, proof = check_package(path, verifier, utc_now())
    if as_json:
        print_json({"package": manifest, "entry": proof.index})
        return
    records = ", ".join(f"{count:,} {name}" for name, count in manifest.records.items())
    print_line(
        f"holds: {records}, released to {manifest.recipient} on the ground {manifest.ground} "
        f"(entry {proof.index} of the ledger)"
    )
    print_line(f"  to be deleted by {manifest.expires_at:%Y-%m-%d}, or when it is recalled")


def _print_verification(
    verification: Verification, subject: str, *, with_counts: bool, as_json: bool
) -> None:
    """Print what does not hold, and end with status 1 if anything does not; `subject` is what holds with the ledger."""
    if as_json:
        counts = {"checked": verification.checked} if with_counts else {}
        print_json(
            {
                "holds": verification.holds,
                "entries": verification.entries,
                "findings": verification.findings,
                **counts,
            }
        )
    else:
        console = Console(highlight=False)
        for finding in verification.findings:
            console.print(finding.sentence, style="red", markup=False, soft_wrap=True)
        if verification.holds:
            console.print(
                f"all holds: {verification.entries:,} entries of the ledger, and {subject}", soft_wrap=True
            )
            counted = ", ".join(f"{count:,} {name}" for name, count in verification.checked.items())
            if counted:
                console.print(f"  checked: {counted}", markup=False, soft_wrap=True)
    if not verification.holds:
        raise typer.Exit(1)


def _verify_export(folder: Path, verifier: Verifier, notes: list[SignedNote]) -> Verification:
    """Verify an exported ledger."""

    def files(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except FileNotFoundError:
            return None

    size = read_checkpoint(files, verifier).size
    findings = [Finding("export", sentence) for sentence in exported_findings(files, verifier, notes)]
    return Verification(findings, size)


def _verifier(key: str) -> Verifier:
    """Read a public key, or the file that has it."""
    return Verifier.parse(read_text(Path(key), InvalidInputError) if Path(key).is_file() else key)


def _verify_proof(path: Path, verifier: Verifier, *, as_json: bool) -> None:
    text = read_text(path, InvalidInputError)
    if not text.startswith("{"):
        receipt = EntryProof.parse(text)
    elif f'"{ERASURE}"' in text:
        receipt = check_erasure(text, verifier)
    elif f'"{RELEASE}"' in text:
        receipt = check_release(text, verifier)
    else:
        receipt = check_consent_receipt(text, verifier)[0]
    found = receipt.verify(verifier)
    if as_json:
        entry = msgspec.json.decode(receipt.entry)
        print_json({"holds": True, "index": receipt.index, "size": found.size, "entry": entry})
        return
    console = Console(highlight=False)
    console.print(
        f"the proof holds: entry {receipt.index} of the {found.size} in {found.origin} is", markup=False
    )
    console.print(receipt.entry.decode(), markup=False, soft_wrap=True)
