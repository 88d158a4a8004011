"""Adopting and publishing refuse what the template left open, and findings that nobody acknowledged."""

from pathlib import Path

import pytest

from avowal.register.register import PROSE_CHECK_DOCUMENT
from support.site import Site, fill_placeholders


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    assert site.avowal("init", ".", "--languages", "en,pt-BR,zh-TW").status == 0
    return site


def fill(site: Site) -> Path:
    terms = site.folder / "policy" / "terms.toml"
    terms.write_text(fill_placeholders(terms.read_text()))
    return terms


def change_english(site: Site, old: str, new: str) -> None:
    document = site.folder / "policy" / "privacy-policy.en.md"
    assert old in document.read_text()
    document.write_text(document.read_text().replace(old, new))


def test_placeholders_of_the_template_are_refused(site: Site) -> None:
    """What is written in their place is accepted; an import for a trial adopts the template as it is."""
    assert site.avowal("policy", "adopt").code == "placeholder"
    terms = fill(site)
    text = terms.read_text()
    terms.write_text(f"{text}# placeholder\n")
    assert site.avowal("policy", "adopt").code == "placeholder"
    terms.write_text(text)
    assert site.avowal("policy", "adopt").status == 0
    terms.write_text(text.replace("The example project", "The operator of this website"))
    assert site.avowal("policy", "publish").code == "placeholder"


def test_the_example_names_cookies_that_a_site_has_to_confirm(tmp_path: Path) -> None:
    """The cookies of a service that the site may not use are placeholders, too."""
    site = Site(tmp_path)
    assert site.avowal("init", ".", "--example", "unless-refused").status == 0
    terms = site.folder / "policy" / "terms.toml"
    text = terms.read_text().replace('"The operator of this website"', '"Us"')
    terms.write_text(text.replace('"privacy@example.org"', '"privacy@site.example"'))
    result = site.avowal("policy", "adopt")
    assert result.code == "placeholder"
    assert "__cf_bm" in result.err


def test_findings_are_adopted_with_their_hash_alone(site: Site) -> None:
    """The hash is in the ledger, the list on the page; the same list needs no second acknowledgement."""
    fill(site)
    change_english(site, "{keep:ip-address.full}", "three years")
    checked = site.avowal("policy", "check", "--json").json()
    assert len(checked["findings"]) == 1
    assert "three years" in checked["findings"][0]
    assert site.avowal("policy", "adopt").code == "findings-unacknowledged"
    assert site.avowal("import", site.log("a.log", "")).code == "findings-unacknowledged"
    for wrong in ("0" * 64, checked["acknowledgement"][:11]):
        assert site.avowal("policy", "adopt", "--acknowledge", wrong).code == "findings-unacknowledged"
    assert site.avowal("policy", "adopt", "--acknowledge", checked["acknowledgement"][:12]).status == 0
    assert checked["acknowledgement"] in site.avowal("ledger", "list", "--json").out
    assert site.avowal("policy", "page").status == 0
    assert "three years" in (site.folder / "page" / "privacy.en.html").read_text().partition("<aside")[2]
    assert (
        "<li>"
        not in (site.folder / "page" / "privacy.pt-BR.html")
        .read_text()
        .partition("<aside")[2]
        .partition("</aside>")[0]
    )
    change_english(site, "free;", "free for you;")
    assert site.avowal("policy", "publish").status == 0
    change_english(site, "three years", "four years")
    assert site.avowal("policy", "publish").code == "findings-unacknowledged"
    change_english(site, "four years", "{keep:ip-address.full}")
    assert site.avowal("policy", "publish").status == 0
    assert site.avowal("verify").status == 0
    assert PROSE_CHECK_DOCUMENT not in site.avowal("policy", "history", "--json").out


def test_what_nobody_sees_is_no_change(site: Site) -> None:
    """A byte order mark, CRLF and trailing blanks in documents and terms publish nothing, also in reverse."""
    terms = fill(site)
    files = [terms, *(site.folder / "policy").glob("*.md")]
    assert site.avowal("policy", "adopt").status == 0
    originals = {file: file.read_bytes() for file in files}
    for file, content in originals.items():
        file.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"  \r\n") + b"\r\n \r\n")
    outcomes = [site.avowal("policy", "publish", "--json").json()["outcome"]]
    for file, content in originals.items():
        file.write_bytes(content)
    outcomes.append(site.avowal("policy", "publish", "--json").json()["outcome"])
    assert outcomes == ["unchanged", "unchanged"]
