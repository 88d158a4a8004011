"""The tool that compares the locked packages with the public advisories."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_known_vulnerability_fails_the_check(audit: ModuleType) -> None:
    """A package with an advisory is named with the version that mends it, and the exit code is 1."""
    advisory = {"id": "PYSEC-2026-1", "fix_versions": ["3.1.7"], "aliases": [], "description": ""}
    lines, code = audit.describe([{"name": "jinja2", "version": "3.1.6", "vulns": [advisory]}])
    assert (lines[0], code) == ("jinja2 3.1.6: PYSEC-2026-1, fixed in 3.1.7", 1)


def test_packages_that_were_not_audited_are_named(audit: ModuleType) -> None:
    """A package whose advisories could not be fetched is not counted as audited."""
    packages = [{"name": "a", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}]
    lines, code = audit.describe(packages)
    assert lines[0].startswith("1 of 2 packages were audited")
    assert lines[1].endswith(": a")
    assert code == 0
