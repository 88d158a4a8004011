"""`avowal ledger`: the signed log of versions, notices, consents, accesses, releases and erasures."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from avowal.app.folder import open_folder_register
from avowal.cli.options import DataFolderOption, JsonOption, create_app, read_verifier
from avowal.cli.output import print_json, print_line
from avowal.cli.text_table import create_console
from avowal.errors import InvalidInputError, RefusedError
from avowal.ledger.entry import ENTRY_KINDS, decode_entry
from avowal.strict import read_text, suggest_nearest

app = create_app(is_group=True)

HASH_PATTERN = re.compile(r"\b[0-9a-f]{32,}\b")


@app.command()
def checkpoint(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Print the signed checkpoint over all entries, for witnesses, who can verify later ledgers against it."""
    with closing(open_folder_register(data)) as register:
        note, verifier = register.ledger.sign_checkpoint(), register.ledger.signer.verifier
    if note is None:
        raise RefusedError(
            "the ledger has no entry yet", "`avowal policy adopt` adds the first one", code="ledger-empty"
        )
    if as_json:
        print_json({"checkpoint": str(note), "verifier": str(verifier)})
    else:
        print(note, end="")  # noqa: T201  # the note itself, byte for byte


@app.command()
def cosign(
    file: Annotated[Path, typer.Argument(help="The cosigned checkpoint, or only the lines of the witness.")],
    key: Annotated[str, typer.Option("--key", help="The public key of the witness, or its file.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Add the signature of a witness to a checkpoint. Proofs under it show that the witness saw it."""
    witness = read_verifier(key)
    with closing(open_folder_register(data)) as register:
        note = register.ledger.add_cosignature(read_text(file, InvalidInputError), witness)
    if as_json:
        print_json({"checkpoint": str(note), "witness": witness.name})
    else:
        print(note, end="")  # noqa: T201  # the note itself, byte for byte


@app.command("key")
def print_key(as_json: JsonOption = False, data: DataFolderOption = None) -> None:
    """Print the public key that verifies the signatures of the ledger, for publication on the site."""
    with closing(open_folder_register(data)) as register:
        verifier = str(register.ledger.signer.verifier)
    if as_json:
        print_json({"verifier": verifier})
    else:
        print(verifier)  # noqa: T201  # a line to copy


@app.command("list")
def list_entries(
    count: Annotated[int, typer.Option(min=1, max=2**31, help="The number of entries.")] = 20,
    kind: Annotated[
        str, typer.Option(help="The kind of the entries, such as `data-accessed`; all kinds unless given.")
    ] = "",
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """List the newest entries, the newest last."""
    if kind and kind not in ENTRY_KINDS:
        raise InvalidInputError(
            f"there is no kind of entry `{kind}`",
            suggest_nearest(kind, list(ENTRY_KINDS), "kinds"),
            code="unknown-name",
        )
    with closing(open_folder_register(data)) as register:
        newest = [
            (number, decode_entry(body))
            for number, body in zip(*register.ledger.last_entries(count, kind), strict=True)
        ][::-1]
    if as_json:
        entries = [{"entry": number, **msgspec.to_builtins(entry)} for number, entry in newest]
        print_json({"entries": entries})
        return
    if not newest:
        print_line("no entries yet" if not kind else f"no entries of the kind {kind}")
    for number, entry in newest:
        fields = msgspec.to_builtins(entry)
        print_line(f"{number:>6}  {entry.at:%Y-%m-%d %H:%M:%S}  {fields.pop('kind')}")
        fields = {**fields.pop("summary", {}), **fields}
        fields.pop("at", None)
        print_line(f"        {', '.join(_format_fields(fields))}")


def _format_fields(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of an entry as printable text; a hash is shortened."""
    for name, value in fields.items():
        if value not in ("", [], {}, None):
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            yield f"{name.replace('_', ' ')} {HASH_PATTERN.sub(lambda match: match[0][:8] + '…', text)}"


@app.command()
def prove(
    entry: Annotated[int, typer.Argument(min=0, help="The number of the entry; the first entry is 0.")],
    output: Annotated[
        Path | None, typer.Option(help="The file to write; standard output unless given.")
    ] = None,
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Write the proof of an entry, which `avowal verify PROOF --key KEY` verifies offline."""
    with closing(open_folder_register(data)) as register:
        proof = register.ledger.prove_entry(entry)
        verifier = str(register.ledger.signer.verifier)
    if output:
        output.write_text(str(proof), encoding="utf-8")
    if as_json:
        body = msgspec.json.decode(proof.entry)
        print_json({"entry": body, "proof": str(proof), "verifier": verifier})
    elif not output:
        print(proof, end="")  # noqa: T201  # the proof itself, byte for byte


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder to write to; a web server can serve it.")],
    as_json: JsonOption = False,
    data: DataFolderOption = None,
) -> None:
    """Export the ledger as static files (C2SP tlog-tiles). Only new files are written."""
    with closing(open_folder_register(data)) as register:
        new_files, entries = register.ledger.export(folder), register.ledger.count_entries()
    if as_json:
        print_json({"entries": entries, "new_files": new_files})
    else:
        create_console().print(
            f"wrote {new_files} new files to {folder}; the ledger has {entries:,} entries", markup=False
        )
