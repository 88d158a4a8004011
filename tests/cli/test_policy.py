"""`avowal policy`, as a person or a check of a pull request calls it."""

from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from support.site import Site

DEFAULT = (resources.files("avowal.policy") / "defaults" / "terms.toml").read_text(encoding="utf-8")
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
        (("[duties]", "# The same promise.\n[duties]"), "same", 0),
        ((WHOLE, 'keep = { full = "3 days", prefix = "90 days" }'), "more protective", 0),
        ((WHOLE, 'keep = { full = "8 days", prefix = "90 days" }'), "less protective", 1),
        ((WHOLE, 'keep = { full = "3 days", prefix = "91 days" }'), "incomparable", 1),
        (("notice-days = 30", "notice-days = 31"), "more protective", 0),
        (("may-see = true", "may-see = false"), "less protective", 1),
        (('keep = "30 minutes"', 'keep = "40 minutes"'), "less protective", 1),
    ],
)
def test_a_check_of_a_pull_request_can_ask(
    site: Site, change: tuple[str, str], relation: str, status: int
) -> None:
    """The exit status is 1 where the new terms are less protective in anything; the relation is said in either form."""
    old, new = terms(site, "old.toml"), terms(site, "new.toml", change)
    ran = site.avowal("policy", "diff", old, new)
    assert (ran.status, ran.err) == (status, "")
    assert f": {relation}\n" in ran.out
    told = site.avowal("policy", "diff", old, new, "--json")
    assert (told.status, told.json()["relation"]) == (status, relation)


def test_every_witness_is_told(site: Site) -> None:
    """The object has every cell and precision that changed; the table folds those of one change into a line."""
    old = terms(site, "old.toml")
    new = terms(site, "new.toml", (WHOLE, 'keep = { full = "3 days", prefix = "365 days" }'))
    told: dict[str, Any] = site.avowal("policy", "diff", old, new, "--json").json()
    purposes = ["abuse", "availability", "content", "performance"]
    assert [(one["purpose"], one["precision"], one["was"], one["now"]) for one in told["looser"]] == [
        (purpose, precision, 90 * 86_400, 365 * 86_400)
        for purpose in purposes
        for precision in ("country", "prefix")
    ]
    assert [(one["purpose"], one["precision"]) for one in told["stricter"]] == [
        (purpose, "full") for purpose in purposes
    ]
    shown = [" ".join(line.split()) for line in site.avowal("policy", "diff", old, new).out.splitlines()]
    everyone = "abuse, availability, content, performance operator"
    assert f"ip-address, prefix {everyone} 90 days 365 days" in shown
    assert f"ip-address, full {everyone} 7 days 3 days" in shown


def test_what_does_not_check_is_misuse(site: Site) -> None:
    """A file that is missing or no terms is told with exit status 2: it is neither more nor less protective."""
    old = terms(site, "old.toml")
    for wrong in (site.folder / "missing.toml", terms(site, "new.toml", ("ip-address", "ip-adress"))):
        ran = site.avowal("policy", "diff", old, wrong)
        assert (ran.status, str(wrong) in ran.err) == (2, True)
