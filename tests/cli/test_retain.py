"""`avowal retain`: no file in the folder contains data that is past its retention period."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.site import Site, line, tamper
from support.templates import make_once

TODAY = datetime.now(UTC).replace(tzinfo=None)
ADDRESS = "203.0.113.77"


@make_once
def site_with_stricter_version(folder: Path) -> Site:
    """Make a site whose second version keeps addresses whole for two days, and one that came four days ago."""
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    old = f"updated = {(TODAY - timedelta(days=40)).date()}"
    terms.write_text(terms.read_text().replace("updated = 2026-11-22", old))
    assert site.avowal("policy", "adopt").status == 0
    log = site.log("a.log", *(line(n, start=TODAY - timedelta(days=4), address=ADDRESS) for n in range(50)))
    site.import_logs(log)
    log.unlink()
    text = terms.read_text().replace(old, f"updated = {datetime.now(UTC).date()}")
    terms.write_text(text.replace('full = "7 days", prefix', 'full = "2 days", prefix', 1))
    assert site.avowal("policy", "publish").status == 0
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_stricter_version(tmp_path)


def files_with_address(site: Site) -> list[str]:
    """Return the files that have the address."""
    return [
        str(path.relative_to(site.folder))
        for path in site.folder.rglob("*")
        if path.is_file() and ADDRESS.encode() in path.read_bytes()
    ]


def test_retention_removes_the_bytes_of_expired_data(site: Site) -> None:
    """A file contains the address before, and only its network afterwards."""
    assert files_with_address(site)
    assert site.avowal("retain", "--json").json()["removed"] == [
        {"relation": "requests", "category": "ip-address", "version": 1, "records": 50}
    ]
    assert files_with_address(site) == []
    assert set(site.rows("SELECT ip_address FROM requests")) == {("203.0.113.0/24",)}
    assert "nothing is past its retention period" in site.avowal("retain").out
    entry = site.avowal("ledger", "prove", 2, "--json").json()["entry"]
    assert (entry["kind"], entry["removed_records"]) == (
        "retention-run",
        [{"relation": "requests", "category": "ip-address", "version": 1, "records": 50}],
    )
    assert site.avowal("verify").status == 0


def test_follow_enforces_retention(site: Site) -> None:
    """`avowal follow` enforces retention when it begins, and once a day."""
    (site.folder / "b.log").write_text(line(0, start=TODAY))
    with site.start("follow", site.folder / "b.log") as following:
        following.wait_for("50 records past their retention period were coarsened or deleted")
        assert site.avowal("retain", "--json").json()["removed"] == []
    assert files_with_address(site) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE retention_runs SET removed_records = '[]'",
        "UPDATE retention_runs SET run_number = 9",
        "DELETE FROM retention_runs",
    ],
)
def test_a_changed_retention_run_is_found(site: Site, statement: str) -> None:
    """Verification finds a retention run that was changed or deleted in the register."""
    site.avowal("retain")
    tamper(site, statement)
    assert site.avowal("verify").status == 1
