"""How fast pages' events are taken, beside a bare handler; and that no kill under load loses what was acknowledged.

`python benchmarks/serving.py [kills]`: needs wrk (`apt install wrk`). Wrk's script tells events apart: each is a look.
"""

import contextlib
import http.client
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb

AVOWAL = str(Path(sys.executable).with_name("avowal"))
SECONDS = 10
CONNECTIONS = (256, 64)
MANY = 1_000_000
"""After so many events resident memory is looked at once more."""

KILLS = 50
STORED_SECONDS = 10
"""How long after the last event all of them have to be views."""

SETTINGS = '[site]\nhost = "site.example"\n[serve]\nevents_per_minute = 0\n[store]\nmemory_limit = "200MB"\n'
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SCRIPT = f"""
local n, id = 0, string.match(tostring({{}}), "0x(%x+)")
function request()
  n = n + 1
  wrk.headers["X-Forwarded-For"] = string.format("198.51.%d.%d", (n / 250) % 250, n % 250)
  wrk.headers["User-Agent"] = "{AGENT}"
  return wrk.format("POST", "/collect", wrk.headers, string.format(
    '{{"script_view_token":"%s-%d-xxxxxxxx","url":"https://site.example/p/%d","referrer":"https://www.example.com/","elapsed_ms":1000,"visible_ms":900}}',
    id, n, n % 1000))
end
"""
BARE = """
import asyncio, os, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
import uvicorn
waiting, committing, thread = [], [], ThreadPoolExecutor(1)
file = tempfile.TemporaryFile(dir=sys.argv[2])
def write(size):
    os.write(file.fileno(), b"x" * size)
    os.fdatasync(file.fileno())
async def commit():
    while waiting:
        await asyncio.sleep(0.002)
        group = waiting[:]
        waiting.clear()
        await asyncio.get_running_loop().run_in_executor(thread, write, 200 * len(group))
        for future in group:
            future.set_result(None)
    committing.clear()
async def app(scope, receive, send):
    if scope["type"] == "http":
        await receive()
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        if not committing:
            committing.append(asyncio.create_task(commit()))
        await future
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
uvicorn.run(
    app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="error", lifespan="off")
"""
PORTS = (18_431, 18_432)


@contextlib.contextmanager
def running(folder: Path, port: int, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a folder until the block ends."""
    with (folder / "said").open("ab") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        try:
            while True:
                with contextlib.suppress(OSError):
                    http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
                    break
                time.sleep(0.05)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def told(folder: Path, port: int, connections: int, seconds: int = SECONDS) -> tuple[float, float, int]:
    """Return how many events a second wrk had acknowledged, the p99 in milliseconds, and how many were not."""
    script = folder / "event.lua"
    script.write_text(SCRIPT)
    words = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    out = subprocess.run(
        [*words, f"http://127.0.0.1:{port}/collect"], check=True, capture_output=True, text=True
    ).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]  # wrk always says so
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]  # the same
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit], int(failed[1]) if failed else 0


def resident(process: subprocess.Popen[bytes]) -> int:
    """Return the greatest resident memory of a process, in megabytes."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]  # Linux always says so


def kept(folder: Path) -> tuple[int, int]:
    """Return how many looks and views a folder has."""
    out = subprocess.run([AVOWAL, "status", "--json"], cwd=folder, check=True, capture_output=True).stdout
    counts = json.loads(out)["record_counts"]
    return counts["script_views"], counts["views"]


def speed(folder: Path) -> None:
    """Measure ours beside the bare handler, turn by turn."""
    (folder / "bare.py").write_text(BARE)
    ours = (AVOWAL, "serve", "--port", str(PORTS[1]))
    with (
        running(folder, PORTS[0], sys.executable, "bare.py", str(PORTS[0]), str(folder)),
        running(folder, PORTS[1], *ours) as server,
    ):
        total = 0.0
        for connections in CONNECTIONS:
            bare, _, _ = told(folder, PORTS[0], connections)
            rate, p99, failed = told(folder, PORTS[1], connections)
            total += rate * SECONDS
            print(
                f"{connections} connections: {rate:,.0f} acknowledged events/s, p99 {p99:.0f} ms, {failed} refused; "
                f"a bare handler {bare:,.0f}/s: ratio {rate / bare:.2f}"
            )
        time.sleep(STORED_SECONDS)
        looks, views = kept(folder)
        print(f"{STORED_SECONDS} s later: {looks:,} looks and {views:,} views of some {total:,.0f} events")
        print(f"resident: {resident(server)} MB at the most")
        told(folder, PORTS[1], CONNECTIONS[-1], int((MANY - looks) / rate) + 1)
        time.sleep(STORED_SECONDS)
        looks, views = kept(folder)
        print(f"at the end {looks:,} looks and {views:,} views; resident: {resident(server)} MB at the most")


def killed(folder: Path, times: int) -> None:
    """Kill the server under load, again and again; what it acknowledged has to be there, once."""
    acknowledged: list[str] = []
    stop = threading.Event()

    def send(sender: int) -> None:
        number = 0
        while not stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", PORTS[1], timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException):
                while not stop.is_set():
                    number += 1
                    page = f"/{sender}-{number}"
                    event = {
                        "script_view_token": f"killed-{sender}-{number}",
                        "url": f"https://site.example{page}",
                        "visible_ms": 0,
                    }
                    connection.request("POST", "/collect", json.dumps(event), {"User-Agent": AGENT})
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 202:  # noqa: PLR2004  # what is promised to be kept
                        acknowledged.append(page)
            connection.close()
            time.sleep(0.02)

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for sender in senders:
        sender.start()
    for _ in range(times):
        with running(folder, PORTS[1], AVOWAL, "serve", "--port", str(PORTS[1])) as server:
            time.sleep(1.5)
            server.kill()
    stop.set()
    for sender in senders:
        sender.join()
    subprocess.run([AVOWAL, "retain"], cwd=folder, check=True, capture_output=True)
    with duckdb.connect(folder / "data" / "avowal.duckdb") as store:
        rows = store.execute(
            "SELECT page_path, count(*) FROM script_views WHERE page_path LIKE '/%-%' GROUP BY ALL"
        ).fetchall()
    pages = dict(rows)
    lost, twice = [page for page in acknowledged if page not in pages], [page for page, n in rows if n > 1]
    print(
        f"{times} kills under load: {len(acknowledged):,} acknowledged, {len(lost)} lost, {len(twice)} twice"
    )


def main() -> int:
    """Measure, and return 2 where wrk is missing."""
    if not shutil.which("wrk"):
        print("needs wrk: `apt install wrk`")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([AVOWAL, "init", "."], cwd=folder, check=True, capture_output=True)
        (folder / "avowal.toml").write_text(SETTINGS)
        speed(folder)
        killed(folder, int(sys.argv[1]) if len(sys.argv) > 1 else KILLS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
