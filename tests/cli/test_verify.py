"""`avowal verify` and `avowal ledger`: every change that bypasses the register is found and named."""

import base64
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from avowal.ledger.checkpoint import EntryProof
from avowal.ledger.note import COSIGNATURE_TYPE, SignedNote, Signer, Verifier
from avowal.ledger.receipt import RECEIPT_BYTES_MAX
from avowal.policy.bounds import OPERATOR
from avowal.register.register import Register
from avowal.verify.checks import verify_register
from support.errors import raises_code
from support.site import Site, line, tamper
from support.templates import make_once
from support.verification import assert_found

TODAY = datetime.now(UTC).replace(tzinfo=None)
VERSIONS = ("7 days", "6 days", "5 days")


@make_once
def site_with_three_versions(folder: Path) -> Site:
    """Make a site with three versions, the first with a corrected document, and two requests."""
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text().replace(
        "updated = 2026-11-22", f"updated = {(TODAY - timedelta(days=40)).date()}"
    )
    terms.write_text(text)
    assert site.avowal("policy", "adopt").status == 0
    page = next((site.folder / "policy").glob("*.md"))
    page.write_text(f"{page.read_text()}\nBetter words.\n")
    assert site.avowal("policy", "publish").status == 0
    for age in VERSIONS[1:]:
        text = text.replace(
            f"updated = {(TODAY - timedelta(days=40)).date()}", f"updated = {datetime.now(UTC).date()}"
        )
        terms.write_text(text.replace('full = "7 days"', f'full = "{age}"', 1))
        assert site.avowal("policy", "publish").status == 0
    site.import_logs(
        site.log(
            "access.log",
            line(0, start=TODAY - timedelta(days=3)),
            line(1, start=datetime.now(UTC).replace(tzinfo=None)),
        )
    )
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_three_versions(tmp_path)


def test_an_unchanged_folder_is_valid(site: Site) -> None:
    """All entries, versions, documents and records are valid, and the ledger has an entry for every change."""
    result = site.avowal("verify", "--json")
    report = result.json()
    checked_counts = report.pop("checked")
    assert (result.status, report) == (0, {"valid": True, "entries": 4, "findings": []})
    assert (checked_counts["publications"], checked_counts["records"], checked_counts["columns"] > 100) == (
        3,
        2,
        True,
    )  # those of requests and of all other tables
    assert "valid: 4 entries" in site.avowal("verify").out
    kinds = [site.avowal("ledger", "prove", number, "--json").json()["entry"]["kind"] for number in range(4)]
    assert kinds == ["version-published", "documents-corrected", "version-published", "version-published"]


SWAP = "UPDATE entries SET body = (SELECT body FROM entries AS other WHERE other.entry = 3 - entries.entry) WHERE entry IN (1, 2)"

TAMPERING = {
    "a byte of an entry": (
        ["UPDATE entries SET body = replace(body, 'version', 'versioN') WHERE entry = 0"],
        "ledger-damaged",
        "entry 0",
    ),
    "an entry and its hash": (
        [
            "UPDATE entries SET body = x'7b7d' WHERE entry = 3",
            "UPDATE nodes SET hash = zeroblob(32) WHERE level = 0 AND position = 3",
        ],
        "ledger-damaged",
        "entry 3",
    ),
    "a node": (
        ["UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND position = 1"],
        "ledger-damaged",
        "level 1, place 1",
    ),
    "a node gone": (["DELETE FROM nodes WHERE level = 2"], "ledger-damaged", "level 2, place 0"),
    "the last entry gone": (
        [
            "DELETE FROM entries WHERE entry = 3",
            "DELETE FROM nodes WHERE (level = 0 AND position = 3) OR (level = 1 AND position = 1) OR level = 2",
        ],
        "entries-missing",
        "",
    ),
    "an entry in the middle gone": (
        ["DELETE FROM entries WHERE entry = 1"],
        "ledger-damaged",
        "entry 1",
    ),
    "two entries swapped": ([SWAP], "ledger-damaged", "entry 1"),
    "a promise": (
        [
            "UPDATE publications SET canonical_terms = replace(canonical_terms, '604800', '804800') WHERE number = 1"
        ],
        "version-identity-mismatch",
        "version 1",
    ),
    "a promise and its identity": (
        ["UPDATE publications SET identity = printf('%064d', 7) WHERE number = 2"],
        "version-mismatch",
        "version 2",
    ),
    "a promise that its text does not say": (
        [
            "UPDATE publications SET canonical_terms = replace(canonical_terms, '604800', '804800') WHERE number = 1"
        ],
        "version-terms-mismatch",
        "version 1",
    ),
    "a text that means something else": (
        ["UPDATE publications SET terms_text = replace(terms_text, '7 days', '8 days') WHERE number = 1"],
        "version-terms-mismatch",
        "version 1",
    ),
    "rules of another program": (
        [
            """UPDATE publications SET canonical_terms = replace(canonical_terms, '"compilation":1', '"compilation":2')"""
        ],
        "version-terms-mismatch",
        "version 1",
    ),
    "the file of terms": (
        ["UPDATE publications SET terms_text = terms_text || ' ' WHERE number = 3"],
        "version-mismatch",
        "version 3",
    ),
    "a date": (
        ["UPDATE publications SET effective_at = '2020-01-01 00:00:00.000000' WHERE number = 1"],
        "version-mismatch",
        "version 1",
    ),
    "a version gone": (
        ["DELETE FROM publications WHERE number = 3"],
        "version-mismatch",
        "",
    ),
    "a version withdrawn": (
        ["INSERT INTO withdrawals VALUES (3, '2026-11-22 00:00:00.000000')"],
        "withdrawal-mismatch",
        "",
    ),
    "a document": (
        ["UPDATE documents SET text = text || ' ' WHERE document = 1"],
        "document-mismatch",
        "version 1 in `en`",
    ),
    "a document and its hash": (
        ["UPDATE documents SET language = 'fr' WHERE document = 2"],
        "document-mismatch",
        "version 1 in `fr`",
    ),
    "a document gone": (
        ["DELETE FROM documents WHERE document = 2"],
        "document-mismatch",
        "",
    ),
    "a notice": (
        [
            "UPDATE notices SET canonical_json = replace(canonical_json, 'was 7 days', 'was 5 days') WHERE publication = 2"
        ],
        "version-mismatch",
        "version 2",
    ),
    "a notice gone": (["DELETE FROM notices WHERE publication = 2"], "version-mismatch", "version 2"),
    "where a notice was shown": (
        ["INSERT INTO notice_displays VALUES (1, 2, 1, 'nowhere', 0, '2026-11-22 00:00:00.000000')"],
        "notice-display-mismatch",
        "",
    ),
    "a checkpoint": (
        ["UPDATE checkpoints SET note = replace(note, 'avowal/', 'avov/') WHERE size = 4"],
        "checkpoint-invalid",
        "",
    ),
}


@pytest.mark.parametrize("change", TAMPERING)
def test_every_change_is_named(site: Site, change: str) -> None:
    """Every change that bypasses the register is found, whatever else was changed to hide it."""
    statements, code, part = TAMPERING[change]
    tamper(site, *statements)
    assert_found(site, code, part)


def hidden_entry(site: Site) -> None:
    """Put another entry in the ledger, and mend every hash above it."""
    from avowal.ledger.tree import hash_leaf, hash_node  # as a forger would

    with sqlite3.connect(site.data / "register.sqlite") as file:
        bodies = [body for (body,) in file.execute("SELECT body FROM entries ORDER BY entry")]
        bodies[0] = bodies[0].replace(b'"version":1', b'"version":9')
        leaves = [hash_leaf(body) for body in bodies]
        pairs = [hash_node(*leaves[:2]), hash_node(*leaves[2:])]
        for name, level in (("entries_forbid_update", None), ("nodes_forbid_update", None)):
            assert level is None
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE entries SET body = ? WHERE entry = 0", [bodies[0]])
        for height, values in enumerate([leaves, pairs, [hash_node(*pairs)]]):
            for place, value in enumerate(values):
                file.execute(
                    "UPDATE nodes SET hash = ? WHERE level = ? AND position = ?", [value, height, place]
                )
    file.close()


def rolled_back(site: Site) -> None:
    """Put an older copy of the register in its place."""
    older = sqlite3.connect(site.folder / "older.sqlite")
    older.close()
    tamper(
        site,
        "DELETE FROM entries WHERE entry = 3",
        "DELETE FROM nodes WHERE (level = 0 AND position = 3) OR (level = 1 AND position = 1) OR level = 2",
        "DELETE FROM publications WHERE number = 3",
        "DELETE FROM documents WHERE publication = 3",
        "DELETE FROM checkpoints WHERE size = 4",
    )


@pytest.mark.parametrize("change", [hidden_entry, rolled_back])
def test_a_ledger_that_differs_from_its_checkpoint_is_refused_at_the_start(
    site: Site, change: Callable[[Site], None]
) -> None:
    """A command refuses a ledger that differs from its signed checkpoint."""
    change(site)
    for arguments in (
        ["report"],
        ["import", site.folder / "access.log"],
        ["policy", "publish"],
        ["ledger", "checkpoint"],
    ):
        result = site.avowal(*arguments)
        assert (result.status, result.code) == (1, "ledger-mismatch"), arguments
    assert site.avowal("verify").status == 1


def test_a_witness_finds_a_rollback_of_the_whole_folder(site: Site, tmp_path: Path) -> None:
    """After data and keys were both restored from a backup, a newer checkpoint of a witness proves it."""
    copies = [(name, tmp_path.with_name(f"{tmp_path.name}-{name}")) for name in ("data", "keys")]
    for name, copy in copies:
        shutil.copytree(site.folder / name, copy, ignore=shutil.ignore_patterns("*.sock"))
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(terms.read_text().replace('full = "5 days"', 'full = "4 days"', 1))
    assert site.avowal("policy", "publish").status == 0
    checkpoint = site.log("held.checkpoint", site.avowal("ledger", "checkpoint").out)
    assert site.avowal("verify", "--witness-checkpoint", checkpoint).status == 0
    for name, copy in copies:
        shutil.rmtree(site.folder / name)
        shutil.copytree(copy, site.folder / name)
    assert site.avowal("verify").status == 0
    assert_found(
        site, "entries-missing", "a witness holds covers 5 entries", "--witness-checkpoint", checkpoint
    )


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (
            "UPDATE requests SET version = 7, governing = 7 WHERE version = 1",
            "record-version-unknown",
        ),
        ("UPDATE requests SET version = 3, governing = 3", "record-version-mismatch"),
        (
            "UPDATE requests SET version = 1, governing = 1, request_time = request_time + INTERVAL 4 DAY",
            "record-version-mismatch",
        ),
        ("UPDATE requests SET governing = 9", "record-governing-mismatch"),
        (
            "UPDATE requests SET ip_address = '192.0.2.9', request_time = request_time - INTERVAL 20 DAY",
            "record-overdue",
        ),
    ],
)
def test_a_record_with_the_wrong_version_is_found(site: Site, statement: str, code: str) -> None:
    """A record with another version than the one in force at its time is found."""
    with duckdb.connect(site.data / "avowal.duckdb") as store:
        store.execute(statement)
    assert_found(site, code)


def test_a_proof_is_verified_with_only_the_key(site: Site, tmp_path: Path) -> None:
    """A visitor with two files and no folder verifies that the version was published; a changed file is refused.

    The entry is printed whole, in one line.
    """
    proof, key = tmp_path / "version.tlog-proof", tmp_path / "key"
    assert site.avowal("ledger", "prove", 2, "--output", proof).status == 0
    key.write_text(site.avowal("ledger", "key").out)
    empty_folder = tmp_path / "away"
    empty_folder.mkdir()
    visitor = Site(empty_folder)
    result = visitor.avowal("verify", proof, "--key", key)
    assert result.status == 0
    assert "entry 2 of the 4" in result.out
    assert json.loads(result.out.splitlines()[-1])["version"] == 2
    assert (
        visitor.avowal("verify", proof, "--key", key.read_text().strip(), "--json").json()["entry"]["version"]
        == 2
    )
    assert list(empty_folder.iterdir()) == []
    text = proof.read_text()
    body = base64.b64decode(text.splitlines()[1].removeprefix("extra "))
    forged_body = base64.b64encode(body.replace(b'"version":2', b'"version":3')).decode()
    proof.write_text(text.replace(base64.b64encode(body).decode(), forged_body))
    result = visitor.avowal("verify", proof, "--key", key)
    assert (result.status, result.code) == (1, "proof-mismatch")
    assert visitor.avowal("verify", proof).status == 2
    assert site.avowal("ledger", "prove", 4).status == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("{}", "invalid-receipt"),
        ('{"schema": "avowal erasure 2", "proof": {}}', "invalid-receipt"),
        ('{"schema": ["avowal erasure 1"]}', "invalid-receipt"),
        ('{"note": "avowal erasure 1", "schema_version": "x"}', "invalid-receipt"),
        ('{"schema": "avowal erasure 1", "schema": "avowal erasure 1"}', "invalid-receipt"),
        ('{"schema": "avowal erasure 1", "proof": {"salt": "00", "tlog_proof": ""}}', "invalid-receipt"),
        ("{" * 100_000, "invalid-receipt"),
        ("[]", "invalid-proof"),
        ("PK\3\4", "invalid-package"),
        (" " * (RECEIPT_BYTES_MAX + 1), "input-too-long"),
    ],
)
def test_what_is_no_receipt_is_refused(site: Site, tmp_path: Path, content: str, code: str) -> None:
    """A file that is no receipt, no proof and no package is refused before more than its limit is read."""
    path = tmp_path / "receipt.json"
    path.write_text(content)
    result = site.avowal("verify", path, "--key", site.avowal("ledger", "key").out.strip())
    assert (result.status == 0, result.code) == (False, code), result.err


def test_verify_reads_every_file_of_an_export(site: Site, tmp_path: Path) -> None:
    """A file that somebody added to the tiles of an export is a finding."""
    folder, key = tmp_path / "export", site.avowal("ledger", "key").out.strip()
    assert site.avowal("ledger", "export", folder).status == 0
    assert site.avowal("verify", folder, "--key", key).status == 0
    (folder / "tile" / "0" / "notes.txt").write_text("forged")
    result = site.avowal("verify", folder, "--key", key, "--json")
    assert [finding["code"] for finding in result.json()["findings"]] == ["export-mismatch"]


def test_a_lost_ledger_or_key_is_never_replaced(site: Site) -> None:
    """Without its key nothing is signed, without the register no command works, and neither is created again."""
    key = site.folder / "keys" / "ledger.key"
    key_bytes = key.read_bytes()
    key.unlink()
    for arguments in (["policy", "publish"], ["ledger", "checkpoint"], ["report"]):
        result = site.avowal(*arguments)
        assert (result.status, result.code) == (1, "key-missing")
    assert not key.exists()
    key.touch(0o600)
    key.write_bytes(key_bytes)
    assert site.avowal("verify").status == 0


DAMAGE = {
    "no checkpoint": ("ledger.checkpoint", b"", "is damaged"),
    "no text": ("ledger.checkpoint", b"\xff\xfe", "`avowal verify --witness-checkpoint`"),
    "another's": ("ledger.checkpoint", b"a\n1\nb\n\n\xe2\x80\x94 a AAAA\n", "not a checkpoint"),
    "no key": ("ledger.key", b"", "ledger.key` is damaged"),
    "another key": ("ledger.key", bytes(32), "not signed by this ledger"),
}


@pytest.mark.parametrize("change", DAMAGE)
def test_damaged_keys_are_refused_with_a_hint(site: Site, change: str) -> None:
    """A damaged key or checkpoint causes no crash, and nothing is signed."""
    name, data, message = DAMAGE[change]
    (site.folder / "keys" / name).write_bytes(data)
    for arguments in (["report"], ["policy", "publish"], ["verify"], ["ledger", "checkpoint"]):
        result = site.avowal(*arguments)
        assert result.status == 1, arguments
        assert message in result.err + result.out, arguments


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "missing", "--key", "x"],
        ["verify", "--witness-checkpoint", "missing"],
        ["verify", "--witness-checkpoint", "policy"],
        ["verify", "policy", "--key", "x"],
        ["ledger", "prove", "0", "--output", "missing/folder/proof"],
        ["ledger", "export", "/proc/none"],
        ["policy", "page", "--output-folder", "/proc/none"],
    ],
)
def test_unusable_files_are_refused(site: Site, arguments: list[str]) -> None:
    """A missing file, a folder or an unwritable place gives a message and a hint."""
    result = site.avowal(*arguments)
    assert result.status in {1, 2}
    assert len(result.err.splitlines()) == 2, result.err


def test_a_cosigned_checkpoint_is_stored(site: Site) -> None:
    """The proofs under a cosigned checkpoint have the line of the witness; an unsigned one is refused."""
    witness, other = (
        Signer(f"witness.example/{name}", bytes([name]) * 32, COSIGNATURE_TYPE) for name in (1, 2)
    )
    checkpoint = SignedNote.parse(site.avowal("ledger", "checkpoint").out)
    line = witness.sign(checkpoint.text, 1_790_000_000)
    cosigned_file = site.log("whole", str(SignedNote(checkpoint.text, (*checkpoint.signature_lines, line))))
    bare = site.log("bare", other.sign(checkpoint.text, 1_790_000_000))
    for file, signer in ((cosigned_file, witness), (bare, other), (cosigned_file, witness)):
        result = site.avowal("ledger", "cosign", file, "--key", signer.verifier)
        assert result.status == 0, result.err
    proof = EntryProof.parse(site.avowal("ledger", "prove", 1).out)
    ledger = Verifier.parse(site.avowal("ledger", "key").out)
    assert proof.verify(ledger, [witness.verifier, other.verifier]).size == 4
    assert len(proof.checkpoint.signature_lines) == 3
    assert site.avowal("verify", "--witness-checkpoint", cosigned_file).status == 0
    result = site.avowal("ledger", "cosign", bare, "--key", witness.verifier)
    assert (result.status, result.code) == (1, "signature-missing"), result.err
    text = checkpoint.text.replace("\n4\n", "\n5\n")
    foreign = site.log("foreign", str(SignedNote(text, (witness.sign(text, 1),))))
    result = site.avowal("ledger", "cosign", foreign, "--key", witness.verifier)
    assert (result.status, result.code) == (1, "checkpoint-mismatch"), result.err


def test_the_newest_entries_are_listed(site: Site) -> None:
    """The list has the given number of entries, of one kind or of all, and identifies no person."""
    for address in ("192.0.2.1", "192.0.2.2"):
        sql = f"SELECT visitor_id FROM requests WHERE ip_address = '{address}'"
        assert site.avowal("query", sql, "--purpose", "abuse").status == 0
    entries = site.avowal("ledger", "list", "--json").json()["entries"]
    assert [entry["entry"] for entry in entries] == list(range(6))
    kind = "version-published"
    assert [entry["kind"] for entry in entries] == [
        *(kind, "documents-corrected", kind, kind),
        *("data-accessed", "data-accessed"),
    ]
    assert entries[-1] == {"entry": 5, **site.avowal("ledger", "prove", 5, "--json").json()["entry"]}
    newest = site.avowal("ledger", "list", "--count", 1, "--json").json()["entries"]
    assert newest == entries[-1:]
    of_kind = site.avowal("ledger", "list", "--kind", kind, "--count", 2, "--json").json()["entries"]
    assert [entry["entry"] for entry in of_kind] == [2, 3]
    text = " ".join(site.avowal("ledger", "list").out.split())
    assert all(word in text for word in ("data-accessed", "purpose abuse", entries[-1]["commitment"][:8]))
    assert not any(word in text for word in (entries[-1]["commitment"], "192.0.2"))
    assert (
        site.avowal("ledger", "list", "--kind", "release-made").out == "no entries of the kind release-made\n"
    )


def test_a_missing_entry_is_refused(site: Site) -> None:
    """If an entry is missing, the list is refused, as the number of an entry is its position."""
    tamper(site, "DELETE FROM entries WHERE entry = 1")
    result = site.avowal("ledger", "list", "--count", 3)
    assert (result.status, result.code) == (1, "ledger-damaged"), result.err
    entries = site.avowal("ledger", "list", "--count", 2, "--json").json()["entries"]
    assert [entry["entry"] for entry in entries] == [2, 3]


def test_a_folder_is_verified_while_others_write(site: Site) -> None:
    """The verification sees the folder as it was at one moment."""
    with closing(Register(site.data, site.folder / "keys")) as register:
        is_stopped = threading.Event()

        def writes() -> None:
            for number in range(100_000):
                if is_stopped.is_set():
                    return
                register.readers.record_access(OPERATOR, "abuse", 1, 1, f"{number}", TODAY)
                register.ledger.sign_checkpoint()

        writing = threading.Thread(target=writes)
        writing.start()
        try:
            with closing(Register(site.data, site.folder / "keys")) as other:
                grown = [other.ledger.count_entries() for _ in range(20) if verify_register(other, []).holds]
        finally:
            is_stopped.set()
            writing.join()
    assert (len(grown), grown == sorted(grown), grown[0] < grown[-1]) == (20, True, True)


def test_a_file_without_a_key_is_not_quoted(site: Site) -> None:
    """The error about a file that is not a key quotes nothing from it."""
    (site.folder / "proof").write_text("{}")
    (site.folder / "access.log").write_text(line(1, "/?secret=1", address="203.0.113.9"))
    result = site.avowal("verify", "proof", "--key", site.folder / "access.log")
    assert (result.status, "secret" in result.err + result.out) == (1, False), result.err
    assert result.code == "invalid-verifier-key"


def test_an_entry_too_large_for_a_tile_is_refused(site: Site) -> None:
    """Neither the entry nor the change that it describes is recorded."""
    with closing(Register(site.data, site.folder / "keys")) as register:
        before = register.ledger.count_entries()
        with raises_code("input-too-long"):
            register.readers.record_access(OPERATOR, "x" * 70_000, 1, 1, "", TODAY)
        assert register.ledger.count_entries() == before


@pytest.mark.parametrize("table", ["nodes", "entries", "releases", "publications"])
def test_a_register_without_a_table_is_reported(site: Site, table: str) -> None:
    """Verification names the missing table; every other command gives an error and does nothing."""
    tamper(site, f"DROP TABLE {table}")
    assert_found(site, "register-schema-mismatch", f"`{table}`")
    for arguments in (["ledger", "list"], ["release", "list"], ["policy", "history"]):
        result = site.avowal(*arguments)
        assert "Traceback" not in result.err, result.err
        assert result.status == 0 or "avowal verify" in result.err, result.err


def test_a_missing_file_is_not_verified(site: Site) -> None:
    """The error says what can be verified."""
    result = site.avowal("verify", "nothing", "--key", "x")
    assert (result.status, result.code) == (2, "file-missing"), result.err


def test_an_unknown_kind_or_number_of_an_entry_is_refused(site: Site) -> None:
    """The hint names the nearest kind."""
    result = site.avowal("ledger", "list", "--kind", "data-accesse")
    assert (result.status, result.code) == (2, "unknown-name")
    assert "did you mean `data-accessed`?" in result.err
    assert site.avowal("ledger", "list", "--count", 0).status == 2
