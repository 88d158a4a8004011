"""Measure the ledger and the comparison of terms, and print the table of docs/performance.md.

    python benchmarks/ledger.py [--entries 1000000]

There is no peer to measure beside, so these are times of one machine; the ratio to writing the same rows without a
tree says what the ledger itself costs.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from statistics import median

from avowal.ledger.entry import DocumentsCorrected
from avowal.ledger.tree import check_inclusion, hash_leaf
from avowal.policy.compare import compare
from avowal.policy.terms import compile_terms, load_terms
from avowal.register.ledger_storage import append_entries, extend_tree
from avowal.register.register import Register

BATCH = 1000


def entries(start: int, count: int) -> list[DocumentsCorrected]:
    """Make entries of the usual size."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return [
        DocumentsCorrected(number, f"{number:064x}", {"en": f"{number:064x}"}, now)
        for number in range(start, start + count)
    ]


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return the median time of doing something."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)


def fill(register: Register, count: int) -> None:
    """Append entries in durable batches."""
    for start in range(0, count, BATCH):
        with register.database.transaction() as connection:
            append_entries(connection, entries(start, BATCH))
            extend_tree(connection)


def plain(folder: Path, count: int) -> None:
    """Write rows of the same size in durable batches, and nothing else."""
    with sqlite3.connect(folder / "plain.sqlite", isolation_level=None) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
        file.execute("CREATE TABLE rows (row INTEGER PRIMARY KEY, body BLOB)")
        for start in range(0, count, BATCH):
            file.execute("BEGIN")
            file.executemany(
                "INSERT INTO rows VALUES (?, ?)", [(start + at, bytes(260)) for at in range(BATCH)]
            )
            file.execute("COMMIT")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    count = parser.parse_args().entries
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        register = Register(folder, folder / "keys")
        filled, rows = seconds(lambda: fill(register, count)), seconds(lambda: plain(folder, count))
        register.ledger.sign_checkpoint()
        receipt = register.ledger.prove_entry(count // 3)
        proved = seconds(lambda: register.ledger.prove_inclusion(count // 3, count), 200)
        root = register.ledger.compute_root(count)
        checked = seconds(
            lambda: check_inclusion(count // 3, count, hash_leaf(receipt.entry), receipt.path_hashes, root),
            200,
        )
        tree = seconds(lambda: list(register.ledger.find_errors()))
        register.close()
    terms = compile_terms(load_terms(Path(str(resources.files("avowal.policy") / "defaults" / "terms.toml"))))
    compared = seconds(lambda: compare(terms, terms), 200)
    print(f"| {count:,} entries | |")
    print("|---|---:|")
    print(f"| appended, entries a second, in durable batches of {BATCH:,} | {count / filled:,.0f} |")
    print(f"| the same rows without a ledger, a second | {count / rows:,.0f} |")
    print(f"| a proof made, ms | {proved * 1000:.2f} |")
    print(f"| a proof checked, ms | {checked * 1000:.2f} |")
    print(f"| the whole ledger verified, s | {tree:.1f} |")
    print(f"| the default terms compared, {len(terms.cells)} cells, ms | {compared * 1000:.2f} |")


if __name__ == "__main__":
    main()
