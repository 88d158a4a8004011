"""The files in `deploy/` are valid and explained."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.site import AVOWAL

DEPLOY = Path(__file__).parents[1] / "deploy"
SYSTEMD = shutil.which("systemd-analyze") or ""


@pytest.mark.skipif(not SYSTEMD, reason="needs systemd-analyze: `apt install systemd`")
@pytest.mark.parametrize("name", ["avowal.service", "avowal-retain.service", "avowal-retain.timer"])
def test_systemd_accepts_the_units(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` reports nothing about the units."""
    for unit in DEPLOY.glob("avowal*.*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/avowal/bin/avowal", AVOWAL))
    result = subprocess.run(
        [SYSTEMD, "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    messages = [row for row in result.stderr.splitlines() if name in row]
    assert not messages


@pytest.mark.parametrize("name", ["avowal.service", "Containerfile"])
def test_deploy_files_explain_their_settings(name: str) -> None:
    """Blocks of settings begin with a comment that explains them."""
    blocks = re.split(r"\n(?=#|\n)", (DEPLOY / name).read_text())
    assert sum(block.lstrip().startswith("#") for block in blocks) >= 5
