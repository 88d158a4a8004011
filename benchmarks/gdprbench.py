"""Run GDPRBench (Shastri et al., VLDB 2020) over submissions, beside plain stores that enforce and prove nothing.

    python benchmarks/gdprbench.py [--records 100000] [--operations 10000] [--workloads controller,customer,…]

A record is a submission with 100 bytes of data and nine metadata: its form (the purpose), until when it is kept, its
visitor, what is objected to, whether programs may decide by it, who reads it, who may be given it, where it came from,
and its category. What record `n` has of a metadata is `list[n % length]`, as the benchmark's own generator does. What
is written is on the disk when an operation returns, in all of the stores; what Avowal writes of readings is so by rule
R12 of `docs/spec/readings.md`. Time is the benchmark's own, so that what expires does so alike in each run. All that
is read is compared with what a model of the same says.
"""

import argparse
import gc
import os
import shutil
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from gdprbench_stores import Avowal, DuckDB, SQLite
from gdprbench_workloads import LISTS, WORKLOADS, Model, Operation, operations

ROUNDS = {"customer": 5, "regulator": 21}
"""How often a workload that takes seconds is run, in turns with the others: the median is told. Others take minutes."""

TOGETHER = 20
"""How many operations are done one after the other, as by the benchmark's own client, before what they read is checked.

With a check after each, what a store needs has left the processor's caches before the next begins.
"""


def right(read: Any, expected: Any, one: Operation, peer: Any) -> bool:
    """Return whether what was read is what should have been."""
    mine = isinstance(peer, Avowal)
    if one.kind == "read" and expected is None:
        return not read
    if one.kind == "read" and mine:
        submission, fields = read
        said = [(field.value, field.category) for field in fields]
        known = {name: getattr(submission, name) for name in LISTS if name != "category"}
        same = all(known[name] == expected[name] for name in known)
        return bool(same and said == [(expected["data"], expected["category"])])
    if one.kind == "read":
        return bool(
            read == [(f"key{one.number}", expected["data"], *(str(expected[name]) for name in LISTS))]
        )
    if one.kind.startswith("read"):
        found = [peer.numbers[row.reference] for row in read] if mine else [int(row[0][3:]) for row in read]
        return len(found) == len(expected) and set(found) == expected
    return True


def measured(peer: Any, workload: str, records: int, count: int, seed: int) -> tuple[float, int, int]:
    """Run a workload; returns how long its operations took, how many rows were read, and how many reads were wrong."""
    model, processor = Model(records, enforced=isinstance(peer, Avowal)), workload == "processor"
    took, rows, wrong = 0.0, 0, 0
    gc.collect()
    gc.freeze()  # the model is ours: no store is to wait until it was looked through for garbage
    left = operations(workload, records, count, seed)
    while some := list(islice(left, TOGETHER)):
        started = time.perf_counter()
        found = list(map(peer.do, some))
        took += time.perf_counter() - started
        for one, read in zip(some, found, strict=True):
            expected = model.do(one, processor=processor)
            if one.kind == "log":
                wrong += read != one.length
            elif one.kind.startswith("read"):
                rows += len(read) if isinstance(read, list) else bool(read)
                wrong += not right(read, expected, one, peer)
    started = time.perf_counter()
    peer.finish()
    return took + time.perf_counter() - started, rows, wrong


def run(original: Any, folder: Path, workload: str, records: int, count: int, seed: int) -> tuple[float, int]:
    """Run a workload on a copy of a store; returns how long it took, and how many rows were read, all of them right."""
    peer = original.copy(folder, workload)
    os.sync()  # what was copied is on the disk before the clock starts
    before = peer.register.ledger.count_entries() if isinstance(peer, Avowal) else 0
    took, rows, wrong = measured(peer, workload, records, count, seed)
    lacking = peer.lacking(before) if isinstance(peer, Avowal) else []
    peer.close()
    shutil.rmtree(folder)
    if wrong or lacking:
        sys.exit(f"{workload}, {type(peer).__name__}: {wrong} reads were wrong; {lacking}")
    return took, rows


def main() -> None:
    """Load each store once, and run each workload on copies of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--operations", type=int, default=10_000, help="a tenth of that for the regulator")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--peers", default="Avowal,SQLite,DuckDB")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    kinds: list[Any] = [one for one in (Avowal, SQLite, DuckDB) if one.__name__ in chosen.peers]
    with tempfile.TemporaryDirectory() as name:
        loaded, told = [], []
        for kind in kinds:
            started, peer = time.perf_counter(), kind(Path(name) / kind.__name__)
            peer.load(chosen.records)
            peer.finish()
            told.append((time.perf_counter() - started, peer.file.stat().st_size))
            if not isinstance(peer, Avowal):
                peer.close()
            loaded.append(peer)
        print("| | " + " | ".join(one.__name__ for one in kinds) + " |\n|---|" + "---:|" * len(kinds))
        print("| loaded (s) | " + " | ".join(f"{seconds:.0f}" for seconds, _ in told) + " |")
        print("| space (MB) | " + " | ".join(f"{size / 1e6:.0f}" for _, size in told) + " |", flush=True)
        for workload in chosen.workloads.split(","):
            count = chosen.operations // (10 if workload == "regulator" else 1)
            rounds = [
                [run(one, Path(name) / "run", workload, chosen.records, count, chosen.seed) for one in loaded]
                for _ in range(ROUNDS.get(workload, 1))
            ]
            took = [statistics.median(seconds for seconds, _ in runs) for runs in zip(*rounds, strict=True)]
            cells = [
                f"{seconds:.2f} s, {rows:,} rows" + (f", ratio {took[0] / seconds:.2f}" if place else "")
                for place, (seconds, (_, rows)) in enumerate(zip(took, rounds[0], strict=True))
            ]
            print(f"| {workload} ({count:,}) | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
