"""Settings of all tests: how many examples they try, which are slow, and where their files are."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.depth import PROFILES
from support.kills import KillServer
from support.templates import TEMPLATE_FOLDERS

MEMORY = Path("/dev/shm")  # noqa: S108  # folders in it are made with names that nobody can guess
MEMORY_BYTES_MIN = 2 << 30

SLOW = (
    "app/test_old_records.py",
    "change/test_draft.py",
    "change/test_kills.py",
    "cli/test_privacy.py",
    "cli/test_verify.py",
    "disclose/test_cookie_audit.py",
    "disclose/test_evidence.py",
    "disclose/test_feed.py",
    "disclose/test_grounds.py",
    "disclose/test_release.py",
    "disclose/test_versions.py",
    "endpoints",
    "ingest/test_follower.py",
    "ingest/test_kills.py",
    "ingest/test_order.py",
    "ingest/test_syslog.py",
    "keep/test_enforcement.py",
    "logs/test_servers.py",
    "register/test_gdprbench.py",
    "store/test_query_process.py",
    "server",
    "verify",
    "web",
)
"""Tests that a quick run leaves out: kills, real servers, real browsers, and tests that make many sites."""

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


@pytest.fixture(scope="session", autouse=True)
def _template_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    TEMPLATE_FOLDERS.append(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="session")
def kill_server() -> Iterator[KillServer]:
    """Start the server that forks commands which are then killed."""
    server = KillServer()
    yield server
    server.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect slow tests in a quick run, unless they are named in its arguments."""
    if settings.get_current_profile_name() != "quick" or config.args_source is pytest.Config.ArgsSource.ARGS:
        return
    slow = [Path(__file__).parent / name for name in SLOW]
    left_out = [item for item in items if any(item.path.is_relative_to(path) for path in slow)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]
