"""Measure what a load costs when one visitor is busy all day: the bytes written, and the time.

Run `python benchmarks/busy_visitor.py [LOADS]`. A server loads what came in every two seconds; each load here has as
many events as one address may send in that time.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from avowal.collect.journal import JournalRow, JournalWriter, list_journals
from avowal.config import ServerSettings
from avowal.store.duckdb_store import DuckDBStore
from avowal.store.interface import Cutoffs, GoverningUpdate, VisitRules

LOADS = 360
"""Twelve minutes of a server."""
LOAD_SECONDS = 2
EVENTS_PER_LOAD = ServerSettings().events_per_minute * LOAD_SECONDS // 60
BEGINNING = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
KEEP_ALL = Cutoffs(*([[datetime.min]] * 4))
BUSY_VISITOR = 2


def load(store: DuckDBStore, folder: Path, number: int) -> None:
    """Load and derive the script views of one load."""
    writer = JournalWriter(folder / "journals")
    moment = BEGINNING + timedelta(seconds=LOAD_SECONDS * number)
    microseconds = int(moment.timestamp()) * 1_000_000
    writer.append(
        [
            JournalRow(
                number * EVENTS_PER_LOAD + event,
                microseconds + event * 1_000_000 * LOAD_SECONDS // EVENTS_PER_LOAD,
                1,
                host="site.example",
                visitor_id=BUSY_VISITOR,
                page_path=f"/{event}",
            )
            for event in range(EVENTS_PER_LOAD)
        ]
    )
    writer.rotate()
    journals = list_journals(folder / "journals")
    store.load_journals(journals)
    store.derive_visits(VisitRules(), KEEP_ALL, GoverningUpdate())
    for journal in journals:
        journal.path.unlink()


def main(loads: int) -> None:
    """Print the bytes and the time of the first loads, and of the last ones."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        store = DuckDBStore(folder, "512MB")
        print(f"{loads} loads of {EVENTS_PER_LOAD} views of one visitor")
        for first in range(0, loads, max(1, loads // 6)):
            numbers = range(first, min(loads, first + max(1, loads // 6)))
            size = sum(path.stat().st_size for path in folder.glob("avowal.duckdb*"))
            started_at = time.perf_counter()
            for number in numbers:
                load(store, folder, number)
            seconds = (time.perf_counter() - started_at) / len(numbers)
            written = sum(path.stat().st_size for path in folder.glob("avowal.duckdb*")) - size
            print(
                f"loads {first + 1} to {numbers[-1] + 1}: {written / len(numbers) / 1_000:.1f} kB and "
                f"{seconds * 1_000:.0f} ms each"
            )
        store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else LOADS)
