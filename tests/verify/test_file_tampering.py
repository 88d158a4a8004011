"""Whatever somebody without the signing key does to a file of a folder is found by `avowal verify`, or stands in a list.

The files are those that a folder with every kind of record has, so a new file is tampered with as well.
"""

import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from avowal.collect.journal import JournalRow, JournalWriter
from avowal.register.register import open_register
from avowal.store.duckdb_store import STORE_FILE
from support.complete_site import complete_site
from support.site import Site

Change = Callable[[Path, Path, Path], object]
"""Changes a file; gets it, the same file of some time ago, and that of another folder."""


PAGE_BYTES = 4096


def flip_bits(file: Path) -> None:
    """Flip a bit in the middle of a file; in that of each page but the first, if it has pages, as many are unused."""
    data = bytearray(file.read_bytes())
    is_small = len(data) <= 2 * PAGE_BYTES
    places = [len(data) // 2] if is_small else range(PAGE_BYTES * 3 // 2, len(data), PAGE_BYTES)
    for place in places:
        data[place] ^= 1
    file.write_bytes(data)


def replace_by_other(file: Path, _: Path, other: Path) -> None:
    """Replace a file by that of another folder, which may be named after what it holds."""
    shutil.copy(other if other.exists() else next(other.parent.iterdir()), file)


CHANGES: dict[str, Change] = {
    "removed": lambda file, *_: file.unlink(),
    "truncated": lambda file, *_: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "older": lambda file, older, _: older.exists() and shutil.copy(older, file),
    "of another folder": replace_by_other,
    "bits flipped": lambda file, *_: flip_bits(file),
}

OLDER_NUMBER = (
    "whoever can put back files in `keys/` gets past what is kept there: a witness finds that of the ledger"
)
REWRITTEN = "says only when the folder was verified, and each verification writes it anew"
SALTS = "random numbers of two days: visitors of these days count twice, and nothing is disclosed"
TORN = "a process that is killed leaves an incomplete last frame as well"
PROCESS = "the number of a process, for messages"
NOT_FOUND = {
    ("register.seal", "older"): OLDER_NUMBER,
    ("ledger.checkpoint", "older"): OLDER_NUMBER,
    ("journal", "truncated"): TORN,
    (
        "journal",
        "of another folder",
    ): "of journals, names are bound, and not what they say: as of the store's records",
    **{("verified.json", change): REWRITTEN for change in CHANGES},
    **{("salts.json", change): SALTS for change in CHANGES},
    **{("lock", change): PROCESS for change in CHANGES},
}
"""By file and change, why `avowal verify` does not find it; `docs/security.md` says the same."""


def name_of(file: Path) -> str:
    """Return the name by which the list has a file: names of uploads and journals are random."""
    return {"files": "upload", "journals": "journal"}.get(file.parent.name, file.name)


def write_journal(site: Site) -> None:
    """Write a journal of three frames, which was not loaded yet."""
    with closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register:
        writer = JournalWriter(site.data / "journals", register.stores.note_journal)
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        for number in range(3):
            writer.append([JournalRow(number, now, 1, page_path="/")])
        writer.rotate()


def list_files(site: Site) -> list[str]:
    """Return the files that Avowal keeps in a folder, but those that are empty."""
    files = [path for name in ("data", "keys") for path in (site.folder / name).rglob("*") if path.is_file()]
    files = [path for path in files if path.stat().st_size]
    return sorted(str(path.relative_to(site.folder)) for path in files)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_a_file_is_found(change: str, tmp_path: Path) -> None:
    """A file that is removed, truncated, older, another folder's or damaged is found, unless the list says why not."""
    site, older, other = (
        complete_site(tmp_path / name, text)
        for name, text in (("site", ""), ("older", ""), ("other", "# another\n"))
    )
    assert site.avowal("user", "add", "dan", "--purposes", "abuse").status == 0
    assert site.avowal("report").status == 0
    write_journal(site)
    write_journal(other)
    missed = []
    for name in list_files(site):
        copy = Site(shutil.copytree(site.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock")))
        file, before = copy.folder / name, (copy.folder / name).read_bytes()
        CHANGES[change](file, older.folder / name, other.folder / name)
        if not file.exists() or file.read_bytes() != before:
            result = copy.avowal("verify", "--json")
            codes = (
                [finding["code"] for finding in result.json()["findings"]] if result.out else [result.code]
            )
            if not (result.status == 1 and all(codes)) and (name_of(file), change) not in NOT_FOUND:
                missed.append(name)
        shutil.rmtree(copy.folder)
    assert not missed
