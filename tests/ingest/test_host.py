"""The host of lines that name none."""

from pathlib import Path

import pytest

from support.site import Site, line

VHOST_LINE = line(2, "/c", host="www.site.example")


def hosts(site: Site) -> list[str | None]:
    """Return the host of each request."""
    return [host for (host,) in site.rows("SELECT host FROM requests ORDER BY request_time")]


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ("", [], None),
        ('[site]\nhost = "site.example"\n', [], "site.example"),
        ('[site]\nother_hosts = ["www.site.example"]\n', [], "www.site.example"),
        ('[site]\nhost = "site.example"\nother_hosts = ["www.site.example"]\n', ["--host", "WWW.site.example"], "www.site.example"),
        ("", ["--host", "site.example"], "site.example"),
    ],
)  # fmt: skip
def test_a_line_without_a_host_has_the_sites_only_one(
    tmp_path: Path, settings: str, options: list[str], expected: str | None
) -> None:
    """The host is that of the settings, or the one that is given."""
    site = Site(tmp_path).init(settings=settings)
    assert site.avowal("import", site.log("access.log", line(0), line(1)), *options).status == 0
    assert hosts(site) == [expected] * 2


def test_a_log_without_hosts_needs_one_where_the_site_has_several(tmp_path: Path) -> None:
    """The import says so and reads nothing; a log that names its hosts needs no help."""
    site = Site(tmp_path).init(settings='[site]\nhost = "site.example"\nother_hosts = ["www.site.example"]\n')
    result = site.avowal("import", site.log("access.log", line(0), line(1)))
    assert (result.status, "--host" in result.out) == (1, True)
    assert hosts(site) == []
    assert site.avowal("import", site.log("vhost.log", VHOST_LINE, VHOST_LINE)).status == 0
    assert hosts(site) == ["www.site.example"] * 2


def test_a_text_that_is_no_host_is_refused(tmp_path: Path) -> None:
    """A host is a name, not an address of a page."""
    site = Site(tmp_path).init()
    result = site.avowal("import", site.log("access.log", line(0)), "--host", "https://site.example/")
    assert (result.status, result.code) == (2, "invalid-host")
