"""`avowal policy check` and `diff`, as a person or the check of a pull request calls them."""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from support.site import Site

DEFAULT = (resources.files("avowal.policy") / "examples" / "unless-refused" / "terms.toml").read_text(
    encoding="utf-8"
)
WHOLE = 'keep = { full = "7 days", prefix = "90 days" }'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def terms(site: Site, name: str, *changes: tuple[str, str]) -> Path:
    """Write the default terms with changes to a file."""
    text = DEFAULT
    for was, now in changes:
        assert was in text
        text = text.replace(was, now, 1)
    return site.log(name, text)


@pytest.mark.parametrize(
    ("change", "relation", "status"),
    [
        (("[duties]", "# The same terms.\n[duties]"), "same", 0),
        ((WHOLE, 'keep = { full = "3 days", prefix = "90 days" }'), "more protective", 0),
        ((WHOLE, 'keep = { full = "8 days", prefix = "90 days" }'), "less protective", 1),
        ((WHOLE, 'keep = { full = "3 days", prefix = "91 days" }'), "incomparable", 1),
        (("notice-days = 30", "notice-days = 31"), "more protective", 0),
        (("may-see = true", "may-see = false"), "less protective", 1),
        (('keep = "30 minutes"', 'keep = "40 minutes"'), "less protective", 1),
    ],
)
def test_diff_reports_weaker_terms_by_its_exit_status(
    site: Site, change: tuple[str, str], relation: str, status: int
) -> None:
    """The exit status is 1 if the new terms protect less anywhere; text and JSON name the relation."""
    old, new = terms(site, "old.toml"), terms(site, "new.toml", change)
    text = site.avowal("policy", "diff", old, new)
    assert (text.status, text.err) == (status, "")
    assert f": {relation}\n" in text.out
    result = site.avowal("policy", "diff", old, new, "--json")
    assert (result.status, result.json()["relation"]) == (status, relation)


def test_diff_lists_every_difference(site: Site) -> None:
    """The object has every changed cell and precision; the table shows those of one change in one line."""
    old = terms(site, "old.toml")
    new = terms(site, "new.toml", (WHOLE, 'keep = { full = "3 days", prefix = "365 days" }'))
    result: dict[str, Any] = site.avowal("policy", "diff", old, new, "--json").json()
    purposes = ["abuse", "availability", "content", "performance"]
    assert [
        (witness["purpose"], witness["precision"], witness["was"], witness["now"])
        for witness in result["looser"]
    ] == [
        (purpose, precision, 90 * 86_400, 365 * 86_400)
        for purpose in purposes
        for precision in ("country", "prefix")
    ]
    assert [(witness["purpose"], witness["precision"]) for witness in result["stricter"]] == [
        (purpose, "full") for purpose in purposes
    ]
    table_lines = [
        " ".join(line.split()) for line in site.avowal("policy", "diff", old, new).out.splitlines()
    ]
    everyone = "abuse, availability, content, performance operator"
    assert f"ip-address, prefix {everyone} 90 days 365 days" in table_lines
    assert f"ip-address, full {everyone} 7 days 3 days" in table_lines


def test_invalid_terms_are_refused(site: Site) -> None:
    """A missing or invalid file gives exit status 2, as it protects neither more nor less."""
    old = terms(site, "old.toml")
    for invalid in (site.folder / "missing.toml", terms(site, "new.toml", ("ip-address", "ip-adress"))):
        result = site.avowal("policy", "diff", old, invalid)
        assert (result.status, str(invalid) in result.err) == (2, True)
