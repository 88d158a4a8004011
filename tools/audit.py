"""Compare the packages in `requirements.lock` with the public advisories, by pip-audit.

    python tools/audit.py [LOCK]

Exits with 1 if a package has a known vulnerability. Packages whose advisories could not be fetched are counted: without
a network, all of them. pip-audit is installed from `tools/audit.lock` into `build/audit`, apart from our own packages.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "tools/audit.lock"
ENVIRONMENT = ROOT / "build/audit"
INSTALLED = ENVIRONMENT / "installed.lock"


def install() -> None:
    """Install pip-audit, unless it is there as the lock says."""
    if INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes():
        return
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK))
    subprocess.run([ENVIRONMENT / "bin/python", "-m", "pip", "install", *options], check=True)
    INSTALLED.write_bytes(LOCK.read_bytes())


def describe(packages: Sequence[Mapping[str, Any]]) -> tuple[list[str], int]:
    """Return what to print about packages, as pip-audit lists them, and the exit code."""
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    lines = [
        f"{package['name']} {package['version']}: {advisory['id']}, "
        f"fixed in {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for package in vulnerable
        for advisory in package["vulns"]
    ]
    audited = len(packages) - len(skipped)
    lines.append(f"{audited} of {len(packages)} packages were audited, {len(vulnerable)} are vulnerable")
    if skipped:
        lines.append(f"not audited, as their advisories could not be fetched: {', '.join(skipped)}")
    return lines, int(bool(vulnerable))


def main(lock: Path) -> int:
    """Audit a lock file, and say what was found."""
    install()
    options = (
        "-r",
        str(lock),
        "--require-hashes",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    )
    done = subprocess.run(
        [ENVIRONMENT / "bin/pip-audit", *options], check=False, capture_output=True, text=True
    )
    if not done.stdout:
        print(f"not audited: {(done.stderr.strip().splitlines() or ['no answer'])[-1][:200]}")
        return 0
    lines, code = describe(json.loads(done.stdout)["dependencies"])
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "requirements.lock"))
