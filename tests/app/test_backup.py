"""A backup of a folder in use, and its restore: nothing that was erased or has expired comes back unnoticed."""

import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from avowal.app import restore
from avowal.app.backup import MANIFEST_FILE
from avowal.clock import utc_now
from support.complete_site import complete_site
from support.disclosures import BEN, PERIOD
from support.moved_clock import moved_clock
from support.running_server import SAME_ORIGIN, SITE, site_in_three_languages, start_server
from support.site import CommandResult, Site, line, read_store, wait_until

TOKENS = [f"{number:020d}" for number in range(40)]


def run(site: Site, *arguments: object) -> CommandResult:
    result = site.avowal(*arguments)
    assert result.status == 0, result.err
    return result


def move_away(site: Site) -> Path:
    """Move the data folder away, as an operator does before a restore."""
    old = site.folder / f"data.old{len(list(site.folder.glob('data.old*')))}"
    site.data.rename(old)
    return old


def find_codes(site: Site, *arguments: object) -> list[str]:
    """Return the codes of the findings of a verification."""
    return [finding["code"] for finding in site.avowal("verify", "--json", *arguments).json()["findings"]]


def key_of(site: Site, address: str) -> str:
    """Return the key of the visitor who had an address on the day of the recent requests."""
    key: str = run(site, "visitor", "show", address, *PERIOD, "--json").json()["visitor"]
    return key


@pytest.fixture
def complete(tmp_path: Path) -> Site:
    """Return a site with every kind of record, and a backup of it in `copy`."""
    site = complete_site(tmp_path)
    run(site, "backup", "copy")
    return site


def test_a_backup_restores_everything_elsewhere(
    complete: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In an empty folder of another machine, a restored backup verifies and holds what was stored; salts are not in it."""
    elsewhere = Site(tmp_path_factory.mktemp("elsewhere"))
    restored = run(elsewhere, "restore", complete.folder / "copy", "--json").json()
    assert read_store(elsewhere) == read_store(complete)
    assert (restored["findings"], restored["entry"]["last_entries"]) == ([], restored["entry_number"])
    assert find_codes(elsewhere) == []
    assert not (complete.folder / "copy" / "keys" / "salts.json").exists()
    assert (elsewhere.folder / "policy" / "terms.toml").read_text() == (
        complete.folder / "policy" / "terms.toml"
    ).read_text()
    files = {path.name for path in (complete.data / "files").iterdir()}
    assert files == {path.name for path in (elsewhere.data / "files").iterdir()} != set()
    assert "repeat each erasure after it" in run_again(elsewhere, complete.folder / "copy").out


def run_again(site: Site, backup: Path) -> CommandResult:
    """Restore a backup once more, with keys as new as itself."""
    move_away(site)
    shutil.rmtree(site.folder / "keys")
    return run(site, "restore", backup)


def test_an_older_copy_is_refused_until_it_is_restored(complete: Site) -> None:
    """The restore says in the ledger what it takes the place of, and a checkpoint of that is found and explained."""
    run(complete, "user", "add", "dee", "--purposes", "abuse")
    complete.import_logs(complete.log("late.log", line(0, "/late")))
    run(complete, "query", "--purpose", "abuse", "--as", "dee", "SELECT visitor_id FROM requests")
    witness = complete.folder / "witness.note"
    witness.write_text(run(complete, "ledger", "checkpoint").out)
    last_sequence = int((complete.folder / "keys" / "register.seal").read_text().split()[0])
    newest = move_away(complete)
    shutil.copytree(complete.folder / "copy" / "data", complete.data)
    assert complete.avowal("status").code in {"register-outdated", "ledger-mismatch"}
    shutil.rmtree(complete.data)

    restored = run(complete, "restore", "copy", "--json").json()
    entry = restored["entry"]
    assert entry["last_entries"] > restored["entry_number"]
    assert entry["last_sequence"] == last_sequence > entry["sequence"]
    assert int((complete.folder / "keys" / "register.seal").read_text().split()[0]) > last_sequence
    assert (restored["findings"], find_codes(complete)) == ([], [])
    assert run(complete, "verify", "--json").json()["checked"]["restored backups"] == 1
    result = complete.avowal("verify", "--witness-checkpoint", witness)
    assert (result.status, find_codes(complete, "--witness-checkpoint", witness)) == (1, ["ledger-replaced"])
    assert "names this checkpoint" in result.out
    listed = run(complete, "ledger", "list", "--json").out
    assert '"backup-restored"' in listed
    assert_copies_are_refused(complete, newest)


def assert_copies_are_refused(site: Site, newest: Path) -> None:
    """Assert that neither the data that was replaced, nor its store, nor the backup can be put back in silence."""
    restored = move_away(site)
    for data, store in ((newest, newest), (site.folder / "copy" / "data",) * 2, (restored, newest)):
        shutil.copytree(data, site.data)
        shutil.copyfile(store / "avowal.duckdb", site.data / "avowal.duckdb")
        result = site.avowal("status")
        assert result.code in {"register-outdated", "ledger-mismatch", "store-mismatch"}, result.err
        shutil.rmtree(site.data)
    restored.rename(site.data)


def test_what_was_erased_since_is_erased_again(complete: Site) -> None:
    """A visitor and a submission that were erased after the backup do not come back, and the ledger has it."""
    key = key_of(complete, BEN)
    reference = run(complete, "submission", "list", "--json").json()["submissions"][0]["reference"]
    run(complete, "visitor", "erase", key, "--expected-records", "4")
    run(complete, "submission", "erase", reference)
    move_away(complete)
    restored = run(complete, "restore", "copy", "--json").json()
    assert (restored["entry"]["listed_erasures"], restored["erased_again"]) == (2, 2)
    assert restored["knows_erasures"]
    stored = run(complete, "visitor", "show", key, "--json").json()["stored"]
    assert {relation["records"] for relation in stored.values()} == {0}
    submissions = run(complete, "submission", "list", "--json").json()["submissions"]
    assert reference not in {submission["reference"] for submission in submissions}
    assert find_codes(complete) == []
    lists = (complete.folder / "keys" / "erased.list").read_text()
    assert key not in lists
    assert reference not in lists


def test_a_damaged_list_of_erasures_stops_the_next_one(complete: Site) -> None:
    """Nothing is erased while the list is damaged, whatever is in it, and `verify` names it."""
    reference = run(complete, "submission", "list", "--json").json()["submissions"][0]["reference"]
    with (complete.folder / "keys" / "erased.list").open("ab") as file:
        file.write("é\n".encode())
    assert complete.avowal("submission", "erase", reference).code == "key-damaged"
    assert "erased.list" in complete.avowal("verify").out


def test_what_expired_since_is_deleted_before_anything_is_answered(complete: Site) -> None:
    """A backup that is restored months later holds nothing past its retention period, and verifies."""
    move_away(complete)
    with moved_clock(utc_now() + timedelta(days=200)):
        restored = run(complete, "restore", "copy", "--json").json()
        assert restored["expired_records"] > 0
        assert find_codes(complete) == []
    with moved_clock(utc_now() + timedelta(days=500)):
        move_away(complete)
        assert complete.avowal("restore", "copy").code == "backup-too-old"


def append_to(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda copy: append_to(copy / "data" / "avowal.duckdb"), "backup-damaged"),
        (lambda copy: append_to(copy / "data" / "register.sqlite"), "backup-damaged"),
        (lambda copy: next((copy / "data" / "files").iterdir()).unlink(), "backup-damaged"),
        (lambda copy: (copy / MANIFEST_FILE).write_text("{}"), "backup-damaged"),
        (
            lambda copy: (copy / MANIFEST_FILE).write_text(
                (copy / MANIFEST_FILE).read_text().replace('"made_at": "20', '"made_at": "21')
            ),
            "backup-damaged",
        ),
        (
            lambda copy: (copy / MANIFEST_FILE).write_text(
                (copy / MANIFEST_FILE).read_text().replace('"code": "', '"code": "é')
            ),
            "backup-damaged",
        ),
        (lambda copy: (copy / "keys" / "ledger.key").write_bytes(b"y" * 32), "backup-mismatch"),
        (lambda copy: (copy / MANIFEST_FILE).unlink(), "not-a-backup"),
    ],
)
def test_a_changed_backup_is_refused(complete: Site, change: Callable[[Path], Any], code: str) -> None:
    """A backup that was changed, or is of another ledger, is refused, and the folder stays without data."""
    move_away(complete)
    change(complete.folder / "copy")
    result = complete.avowal("restore", "copy")
    assert (result.status in {1, 2}, result.code) == (True, code), result.err
    assert not complete.data.exists()


def test_an_interrupted_restore_is_given_again(complete: Site) -> None:
    """After a crash at any step nothing is in force, and the next restore says the same of what was there before."""
    witness = run(complete, "ledger", "checkpoint").out
    run(complete, "report", "overview")
    last_sequence = int((complete.folder / "keys" / "register.seal").read_text().split()[0])
    move_away(complete)
    for step in ("_record", "_erase_again", "verify_open_folder", "sync_folder"):
        with mock.patch.object(restore, step, side_effect=OSError(5, "Input/output error")):
            assert complete.avowal("restore", "copy").status != 0
        if step != "sync_folder":
            assert not complete.data.exists()
    move_away(complete) if complete.data.exists() else None
    entry = run(complete, "restore", "copy", "--json").json()["entry"]
    assert (entry["last_sequence"], bool(entry["last_root"])) == (last_sequence, True)
    assert str(entry["last_entries"]) == witness.splitlines()[1]
    assert find_codes(complete) == []
    assert not (complete.folder / "keys" / "restore.json").exists()


def test_a_copy_of_a_data_folder_can_be_restored(complete: Site) -> None:
    """A snapshot of the file system is as good as a backup, with the keys that are there."""
    shutil.copytree(complete.data, complete.folder / "snapshot")
    run(complete, "report", "overview")
    move_away(complete)
    restored = run(complete, "restore", "snapshot", "--json").json()
    assert (restored["entry"]["made_at"], restored["findings"]) == (None, [])
    assert find_codes(complete) == []


def test_existing_folders_are_not_overwritten(complete: Site) -> None:
    """A backup needs a new folder, and a restore one without data; keys may be apart."""
    assert complete.avowal("backup", "copy").code == "file-exists"
    result = complete.avowal("restore", "copy")
    assert (result.code, "data.old" in result.err) == ("folder-not-empty", True)
    run(complete, "backup", "apart", "--keys", "apart-keys")
    assert not (complete.folder / "apart" / "keys").exists()
    move_away(complete)
    shutil.rmtree(complete.folder / "keys")
    assert complete.avowal("restore", "apart").status == 1
    run(complete, "restore", "apart", "--keys", "apart-keys")
    assert find_codes(complete) == []


def test_a_backup_of_a_server_that_collects_loses_nothing(tmp_path: Path) -> None:
    """Each event that was acknowledged before the backup is in it once, also after a kill, but for what was erased."""
    site = site_in_three_languages(Site(tmp_path))
    with start_server(site) as server:
        for number, token in enumerate(TOKENS):
            url = f"https://{SITE}/{number}"
            assert server.send_event(script_view_token=token, url=url).status == 202
            if number in {10, 20, 30}:
                with site.start("backup", f"copy{number}") as command:
                    wait_until(lambda: command.process.poll() is not None, "the backup")
                    assert command.process.poll() == 0, command.read_output()
        form = f"script_views={TOKENS[5]}".encode()
        assert server.request("POST", "/privacy/me/tab/erasure", form, SAME_ORIGIN).status == 200
        server.command.process.send_signal(signal.SIGKILL)
    for number in (10, 20, 30):
        move_away(site)
        run(site, "restore", f"copy{number}")
        rows = run(site, "query", "--purpose", "abuse", "--json", "SELECT page_path FROM views").json()[
            "rows"
        ]
        assert sorted(int(row["page_path"][1:]) for row in rows) == [
            page for page in range(number + 1) if page != 5
        ]
        assert find_codes(site) == []
