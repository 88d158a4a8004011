"""What `make run` shows: a sample site's log, made for today, collected under the default policy, and what it says.

python examples/sample.py build/sample
"""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
LINES = 60_000
POLICY_AGE = timedelta(days=30)
FORMAT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" '
    '"$http_user_agent" $request_time'
)


def say(*words: str) -> None:
    """Show a command, and run it."""
    shown = " ".join(f"'{word}'" if " " in word else word for word in words)
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}$ avowal {shown}{plain}", flush=True)
    subprocess.run(
        ["avowal", *words], check=True, env={**os.environ, "COLUMNS": os.environ.get("COLUMNS", "110")}
    )


def main() -> None:
    """Make the folder anew, the log for today, and show them."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    say("init", str(folder))
    os.chdir(folder)
    today = datetime.now(UTC).date()
    for file in Path("policy").iterdir():  # the sample's site has had its policy for a while
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(f"{today}", f"{today - POLICY_AGE}"), encoding="utf-8")
    settings = Path("avowal.toml")
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("[collect]\n", f"[collect]\nlog_format = '{FORMAT}'\n"),
        encoding="utf-8",
    )
    script = [sys.executable, str(HERE / "generate.py"), "access.log"]
    subprocess.run([*script, "--lines", str(LINES), "--days", "6.5", "--times"], check=True)
    say("policy", "show")
    say("import", "access.log")
    say("report")
    say("report", "pages", "--limit", "8")
    say("report", "availability", "--limit", "6")
    say("report", "performance", "--limit", "6")
    print(f"\nThe folder is {folder}: `cd {folder}` and try `avowal report --help`.")


if __name__ == "__main__":
    main()
