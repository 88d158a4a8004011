"""Measure the whole proof beside counting the same records, and a feed beside writing them as they are.

    python benchmarks/proof.py [--records 10000000] [--fed 200000]

The folder is made as an operator makes one; its requests are put straight into the store, as importing is not measured.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

AVOWAL = str(Path(sys.executable).with_name("avowal"))
CONTRACT = """
vocabulary = 2
processor = "Example Ltd"
contact = "privacy@example.com"
service = ["third-party-service"]
begins = 2026-01-01
receive = [
    { categories = ["ip-address"], keep = { full = "3 days" }, for = ["third-party-service"] },
    { categories = ["request-time", "page-path", "status"], keep = { full = "7 days" }, for = ["third-party-service"] },
]
duties = { may-see = true, may-erase = true, smallest-group = 5 }
"""
FILL = """
INSERT INTO requests BY NAME
SELECT $now - to_seconds((range * 500000 // $records)::BIGINT) AS request_time, 'www.example.org' AS host,
       hash(range // 8) & 18446744073709551614 AS visitor_id, '203.0.113.' || (range % 250) AS ip_address,
       'view' AS request_kind, 'GET' AS method, '/page/' || (range * 7919 % 5000) AS page_path, 200 AS status,
       (range % 90000)::BIGINT AS bytes, 'Firefox' AS browser,
       1 AS version, 1 AS governing, 1 AS load_number, range + 1 AS record_number
FROM range($records)
"""
PLAIN = "SELECT version, count(*), min(request_time), max(request_time), max(governing) FROM requests GROUP BY version"


def avowal(folder: Path, *arguments: str) -> float:
    """Run a command, which has to end well; returns how long it took."""
    started = time.perf_counter()
    subprocess.run([AVOWAL, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def site(folder: Path, records: int) -> None:
    """Make a folder with records of the last days, and a processor."""
    now = datetime.now(UTC).replace(tzinfo=None)
    avowal(folder, "init", ".")
    terms = folder / "policy" / "terms.toml"
    begins = f"updated = {(now - timedelta(days=40)).date()}"
    terms.write_text(re.sub(r"(?m)^updated = \S+", begins, terms.read_text()))
    avowal(folder, "policy", "adopt")
    avowal(folder, "retain")
    with duckdb.connect(folder / "data" / "avowal.duckdb") as store:
        store.execute(FILL, {"now": now, "records": records})
        store.execute("UPDATE record_numbers SET last_number = ? WHERE relation = 'requests'", [records])
        store.execute("UPDATE derivation_state SET last_load = 1")
    (folder / "policy" / "processors").mkdir()
    (folder / "policy" / "processors" / "one.toml").write_text(CONTRACT)
    avowal(folder, "processor", "add", "one")


def straight(folder: Path, sql: str) -> float:
    """Ask the store straight, a process of its own like the command; returns how long it took."""
    code = f"import duckdb; duckdb.connect({str(folder / 'data' / 'avowal.duckdb')!r}).execute({sql!r}).fetchall()"
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Make two folders, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--fed", type=int, default=200_000)
    chosen = parser.parse_args()
    print("| | Avowal | straight | ratio |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site(folder, chosen.records)
        mine, plain = avowal(folder, "verify"), straight(folder, PLAIN)
        print(f"| {chosen.records:,} records verified | {mine:.1f} s | {plain:.1f} s | {mine / plain:.1f} |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site(folder, chosen.fed)
        (folder / "out").mkdir()
        mine = avowal(folder, "processor", "feed", "one", "--destination", "out")
        lines = sum(len(path.read_bytes().splitlines()) for path in (folder / "out").iterdir())
        told = "SELECT request_time, ip_address, page_path, status FROM requests"
        copied = f"COPY ({told}) TO '{folder / 'plain.json'}'"
        plain = straight(folder, copied)
        print(f"| {chosen.fed:,} records fed | {mine:.1f} s | {plain:.1f} s | {mine / plain:.1f} |")
        print(f"| of those in a second | {chosen.fed / mine:,.0f} | {chosen.fed / plain:,.0f} | |")
    print(json.dumps({"lines": lines}))


if __name__ == "__main__":
    main()
