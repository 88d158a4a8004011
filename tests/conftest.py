"""What holds for all tests: how thorough they are, and where their files lie."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.depth import PROFILES
from support.kills import KillServer

MEMORY = Path("/dev/shm")  # noqa: S108  # folders in it are made with names that nobody can guess
MEMORY_BYTES_MIN = 2 << 30

for name, examples in PROFILES.items():
    settings.register_profile(name, max_examples=examples, deadline=None)  # no test is timed
settings.load_profile("standard")


if (
    "TMPDIR" not in os.environ
    and os.access(MEMORY, os.W_OK)
    and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN
):
    # Temporary files lie in memory, where a sync takes no time. It changes no result: what a killed process has written
    # stays there also unsynced, and no test cuts the power.
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None


@pytest.fixture(scope="session")
def kill_server() -> Iterator[KillServer]:
    """Start what forks commands that are killed."""
    server = KillServer()
    yield server
    server.close()
