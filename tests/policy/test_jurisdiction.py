"""What a site in a place would still lack is listed with the article that asks for it."""

from importlib import resources
from pathlib import Path

import pytest

from avowal.policy.jurisdiction import Jurisdiction, find_lacks
from avowal.policy.terms import load_terms, parse_terms
from support.site import Site

POLICIES = Path(str(resources.files("avowal.policy")))
COMPLETE = """
vocabulary = 2
controller = "Us"
contact = "privacy@site.example"
updated = 2026-11-22
languages = ["en"]
[[collect]]
categories = ["request-time", "ip-address", "status", "bot"]
keep = { full = "6 months" }
for = ["abuse"]
[legal-basis]
abuse = "legal-obligation"
[about]
complaints = "Authority"
representative = "Representative"
data-protection-officer = "Officer"
places = ["BR"]
[duties]
may-see = true
may-correct = true
may-erase = true
may-restrict = true
may-object = true
may-receive = true
"""


@pytest.mark.parametrize("place", list(Jurisdiction))
def test_complete_terms_lack_nothing(place: Jurisdiction) -> None:
    """Terms that declare all of it have no lack."""
    assert find_lacks(parse_terms(COMPLETE, "terms"), place) == []


@pytest.mark.parametrize(
    ("place", "old", "new", "lack"),
    [
        ("eu", 'abuse = "legal-obligation"', "", "GDPR art. 13(1)(c)"),
        ("uk", 'complaints = "Authority"', "", "s. 164A"),
        ("br", "6 months", "7 days", "Marco Civil"),
        ("br", 'data-protection-officer = "Officer"', "", "encarregado"),
        ("tw", '"legal-obligation"', '"legitimate-interests"', "none of Taiwan's"),
        ("tw", 'places = ["BR"]', "", "PDPA"),
        ("eu", "6 months", "forever", "no end set"),
        ("uk", "may-object = true", "", "may-object"),
    ],
)
def test_what_is_missing_is_listed(place: str, old: str, new: str, lack: str) -> None:
    """Each missing thing is one sentence."""
    assert old in COMPLETE
    lacks = find_lacks(parse_terms(COMPLETE.replace(old, new), "terms"), Jurisdiction(place))
    assert lacks
    assert all(lack in sentence for sentence in lacks)


def test_a_cookie_without_prior_consent_is_named() -> None:
    """The example with a cookie lacks consent in the EU."""
    terms = load_terms(POLICIES / "examples" / "unless-refused" / "terms.toml")
    assert any("__Host-avowal" in sentence for sentence in find_lacks(terms, Jurisdiction.EU))


def test_the_command_says_that_it_is_no_legal_advice(tmp_path: Path) -> None:
    """`avowal policy check --for` prints the list; another place is refused."""
    site = Site(tmp_path)
    assert site.avowal("init", ".").status == 0
    out = site.avowal("policy", "check", "--for", "eu").out
    assert "no legal advice" in out
    assert "for eu: the legal basis" in out
    assert site.avowal("policy", "check", "--for", "tw", "--json").json()["lacks"]
    assert site.avowal("policy", "check", "--for", "us").status == 2
