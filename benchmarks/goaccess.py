"""Measure Avowal beside GoAccess on the same log in the same run, and print the table of docs/performance.md.

    python benchmarks/goaccess.py [--lines 2000000] [--rounds 3]

Each round runs both, one after the other, so that a busy machine slows both; what counts is the ratio. Memory is the
peak of the whole process as the kernel tells it (`ru_maxrss`).
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "build" / "bench"
AVOWAL = Path(sys.executable).parent / "avowal"
COMMAND_SECONDS_MAX = 3600


@dataclass(frozen=True)
class Run:
    """One command's wall time in seconds, and its peak memory in megabytes."""

    seconds: float
    megabytes: float


def run(*words: str | Path, folder: Path = ROOT) -> Run:
    """Run a command to its end; stop everything where it fails."""
    started = time.monotonic()
    with (PLACE / "output.txt").open("wb") as output:
        child = subprocess.Popen([str(word) for word in words], cwd=folder, stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{words[0]} failed:\n{(PLACE / 'output.txt').read_text(errors='replace')[-2000:]}")
    kilobytes = usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss / 1024
    return Run(seconds, kilobytes / 1024)


def made(lines: int) -> Path:
    """Return a log of so many lines, made if it is not there; the same one each time."""
    log = PLACE / f"{lines}.log"
    if not log.exists():
        print(f"making a log of {lines:,} lines …", file=sys.stderr)
        unfinished = log.with_suffix(".new")
        days = str(lines / 300_000)
        end = datetime.now(UTC).date().isoformat()
        run(
            sys.executable,
            ROOT / "examples" / "generate.py",
            unfinished,
            "--lines",
            str(lines),
            "--days",
            days,
            "--end",
            end,
        )
        unfinished.rename(log)
    return log


def avowal(log: Path) -> Run:
    """Import a log into a fresh folder, which stays."""
    folder = PLACE / "folder"
    shutil.rmtree(folder, ignore_errors=True)
    run(AVOWAL, "init", folder)
    return run(AVOWAL, "import", "--json", log, folder=folder)


def goaccess(log: Path) -> Run:
    """Let GoAccess read a log, and write its report."""
    return run("goaccess", log, "--log-format=COMBINED", "--no-progress", "-o", PLACE / "goaccess.json")


def ensure_goaccess() -> None:
    """Install GoAccess where root and apt are there; else say what is missing."""
    if shutil.which("goaccess"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        PLACE.mkdir(parents=True, exist_ok=True)
        run("apt-get", "update")
        run("apt-get", "install", "-y", "goaccess")
        return
    sys.exit(
        "GoAccess is missing: install it (`apt install goaccess`, `brew install goaccess`), and run again"
    )


def query_seconds(folder: Path) -> float:
    """Return how long the queries of the overview take, in the open store."""
    os.chdir(folder)
    from avowal.app.owner_requests import RunReport
    from avowal.app.session import open_session  # imported where it is measured
    from avowal.use.report_request import ReportRequest, parse_filters

    with open_session(None) as at_work:
        question = ReportRequest("overview", filters=parse_filters([]))
        at_work.call(RunReport(question))
        started = time.monotonic()
        at_work.call(RunReport(question))
        return time.monotonic() - started


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ensure_goaccess()
    PLACE.mkdir(parents=True, exist_ok=True)
    log, larger = made(given.lines), made(3 * given.lines)
    pairs = []
    for number in range(given.rounds):
        pairs.append((goaccess(log), avowal(log)))
        seconds = ", ".join(f"{one.seconds:.1f} s" for one in pairs[-1])
        print(f"round {number + 1}: GoAccess, Avowal: {seconds}", file=sys.stderr)
    reports = [run(AVOWAL, "report", "overview", folder=PLACE / "folder") for _ in range(3)]
    query = query_seconds(PLACE / "folder")
    os.chdir(ROOT)
    large = avowal(larger)
    stored = sum(file.stat().st_size for file in (PLACE / "folder" / "data").rglob("*") if file.is_file())

    def lines_a_second(runs: list[Run]) -> str:
        return f"{given.lines / median(one.seconds for one in runs):,.0f}"

    theirs, ours = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ratio = median(their.seconds / our.seconds for their, our in pairs)
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n"
    )
    print(f"| {given.lines:,} lines, {log.stat().st_size / 1e6:,.0f} MB | GoAccess | Avowal | ratio |")
    print("|---|---:|---:|---:|")
    print(f"| lines a second | {lines_a_second(theirs)} | {lines_a_second(ours)} | {ratio:.1f} |")
    peaks = [max(one.megabytes for one in runs) for runs in (theirs, ours)]
    print(f"| peak memory, MB | {peaks[0]:,.0f} | {peaks[1]:,.0f} | |")
    print(f"| peak memory at {3 * given.lines:,} lines, MB | | {large.megabytes:,.0f} | |")
    print(f"| `report overview`: queries, s | | {query:.2f} | |")
    print(f"| `report overview`: whole command, s | | {min(run.seconds for run in reports):.2f} | |")
    print(f"| kept on disk from {3 * given.lines:,} lines, MB | | {stored / 1e6:,.0f} | |")


if __name__ == "__main__":
    main()
