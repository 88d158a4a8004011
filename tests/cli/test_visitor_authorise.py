"""`avowal visitor authorise`: a visitor authorises a release to a recipient, or withdraws the authorisation."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

from support.site import Site
from support.verification import assert_found
from support.visitors import ANN, BEN, PERIOD, site_with_two_visitors

DOCTOR = "Dr. Example"
LETTER = ("--channel", "letter", "--reference", "letter 12")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_two_visitors(tmp_path)


def authorise(site: Site, *arguments: str, recipient: str = DOCTOR) -> dict[str, object]:
    result = site.avowal(
        "visitor", "authorise", ANN, *PERIOD, "--recipient", recipient, *LETTER, *arguments, "--json"
    )
    assert result.status == 0, result.err
    recorded: dict[str, object] = result.json()
    return recorded


def test_authorisations_are_listed_and_withdrawn(site: Site) -> None:
    """They are listed in order, and each has an entry in the ledger that names no person."""
    first = authorise(site, "--categories", "ip-address,view")
    assert first["categories"] == ["ip-address", "view-duration", "view-time"]
    authorise(site, "--categories", "page-path", recipient="Court")
    authorise(site, "--withdraw")
    authorisations = site.avowal("visitor", "show", str(first["visitor"]), "--json").json()["authorisations"]
    assert [
        (authorisation["recipient"], authorisation["given"], authorisation["categories"])
        for authorisation in authorisations
    ] == [
        (DOCTOR, True, ["ip-address", "view-duration", "view-time"]),
        ("Court", True, ["page-path"]),
        (DOCTOR, False, []),
    ]
    text = site.avowal("visitor", "show", str(first["visitor"])).out
    assert f"withdrew the authorisation for `{DOCTOR}`" in text
    tiles = site.folder / "tiles"
    assert site.avowal("ledger", "export", tiles).status == 0
    files = [path.read_bytes() for path in tiles.rglob("*") if path.is_file()]
    assert any(b"authorisation-given" in file for file in files)
    assert not any(DOCTOR.encode() in file for file in files)
    assert site.avowal("verify").status == 0
    export = site.folder / "export.jsonl"
    assert site.avowal("visitor", "export", str(first["visitor"]), "--output", export).status == 0
    check = jsonschema.Draft202012Validator(site.avowal("visitor", "schema").json())
    assert list(check.iter_errors(json.loads(export.read_text().splitlines()[0]))) == []


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["--categories", "ip-adress"], 2, "unknown-name"),
        (["--categories", "referrer"], 1, "not-permitted"),
        ([], 2, "conflicting-options"),
        (["--categories", "page-path", "--withdraw"], 2, "conflicting-options"),
        (["--withdraw"], 1, "authorisation-not-found"),
        (["--categories", "page-path", "--recipient", " "], 2, "missing-input"),
    ],
)
def test_an_invalid_authorisation_is_refused(
    site: Site, arguments: list[str], status: int, code: str
) -> None:
    """An invalid authorisation is not recorded."""
    result = site.avowal("visitor", "authorise", ANN, *PERIOD, "--recipient", DOCTOR, *LETTER, *arguments)
    assert (result.status, result.code) == (status, code), result.err
    assert site.avowal("visitor", "show", ANN, *PERIOD, "--json").json()["authorisations"] == []


def test_an_erasure_deletes_authorisations(site: Site) -> None:
    """Neither the visitor nor the recipient remains; those of other visitors stay, and the ledger is valid."""
    key = str(authorise(site, "--categories", "page-path")["visitor"])
    result = site.avowal(
        "visitor", "authorise", BEN, *PERIOD, "--recipient", "Court", *LETTER, "--categories", "page-path"
    )
    assert result.status == 0, result.err
    result = site.avowal("visitor", "erase", key, "--expected-records", "3", "--json")
    assert result.json()["erased"]["authorisations"] == 1
    for path in site.data.glob("register.sqlite*"):
        assert DOCTOR.encode() not in path.read_bytes()
        assert key.encode() not in path.read_bytes()
    assert len(site.avowal("visitor", "show", BEN, *PERIOD, "--json").json()["authorisations"]) == 1
    assert site.avowal("verify").status == 0


def test_a_changed_authorisation_is_found(site: Site) -> None:
    """Verification finds a recipient that was changed in the register."""
    authorise(site, "--categories", "page-path")
    with closing(sqlite3.connect(site.data / "register.sqlite")) as register, register:
        register.execute("UPDATE authorisation_subjects SET recipient = 'Somebody else'")
    assert_found(site, "authorisation-mismatch", "authorisation 1")
