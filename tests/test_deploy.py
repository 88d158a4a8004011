"""What `deploy/` has is understood by those whom it is for."""

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
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    """Without a word against a key or a value."""
    for unit in DEPLOY.glob("avowal*.*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/avowal/bin/avowal", AVOWAL))
    ran = subprocess.run(
        [SYSTEMD, "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    said = [row for row in ran.stderr.splitlines() if name in row]
    assert not said


@pytest.mark.parametrize("name", ["avowal.service", "Containerfile"])
def test_each_setting_says_what_it_is_for(name: str) -> None:
    """Every block of settings has its sentence before it."""
    blocks = re.split(r"\n(?=#|\n)", (DEPLOY / name).read_text())
    assert sum(block.lstrip().startswith("#") for block in blocks) >= 5
