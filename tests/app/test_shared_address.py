"""A site whose visitors all have one private address is told of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from avowal.server.background import BackgroundWorker
from support.site import FIREFOX, GOOGLEBOT, Site, line

DAY = datetime.now(UTC).replace(tzinfo=None, hour=12, minute=0) - timedelta(days=1)


@pytest.mark.parametrize(
    ("addresses", "agent", "is_noticed"),
    [
        (["172.17.0.1"] * 20, None, True),
        (["fd00::1"] * 20, None, True),
        (["172.17.0.1"] * 19, None, False),
        ([*["172.17.0.1"] * 19, "203.0.113.9"], None, False),
        ([f"10.0.0.{number}" for number in range(20)], None, False),
        (["203.0.113.9"] * 20, None, False),
        (["172.17.0.1"] * 20, GOOGLEBOT, False),
    ],
)
def test_the_gateway_of_a_container_is_noticed(
    tmp_path: Path, addresses: list[str], agent: str | None, *, is_noticed: bool
) -> None:
    """`avowal status` says it if 20 requests of people on the newest day have one private address."""
    site = Site(tmp_path).init()
    lines = (
        line(n, start=DAY, address=address, agent=agent or FIREFOX) for n, address in enumerate(addresses)
    )
    site.import_logs(site.log("a.log", *lines))
    day = site.avowal("status", "--json").json()["shared_address_day"]
    assert day == (f"{DAY:%Y-%m-%d}" if is_noticed else None)
    assert ("one private address" in site.avowal("status").out) is is_noticed


def test_a_warning_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The server looks again and again; `/readyz` has the warning as long as it holds."""
    found = [["one private address"], ["one private address"], []]
    worker = BackgroundWorker(bool, list, list, list, bool, find_warnings=lambda: found.pop(0))
    for warnings in (["one private address"], ["one private address"], []):
        worker._warn()
        assert worker.warnings == warnings
    assert len(caplog.records) == 1
