"""GDPRBench on a small scale: each read returns the right records, and each operation adds its ledger entry."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.depth import by_depth

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gdprbench.py"


OPERATIONS = str(by_depth(standard=100, thorough=400))
SEEDS = [str(seed) for seed in range(by_depth(standard=1, thorough=3, quick=1))]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_read_is_right_and_every_operation_has_an_entry(seed: str) -> None:
    """Every read returns the right records and every operation adds an entry: otherwise the script fails."""
    arguments = ("--records", "250", "--operations", OPERATIONS, "--seed", seed)
    result = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert [line.split()[1] for line in result.stdout.splitlines()[4:]] == [
        "controller",
        "customer",
        "processor",
        "regulator",
    ]
