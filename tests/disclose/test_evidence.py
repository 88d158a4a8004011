"""The evidence of a release: which is accepted for its ground, and whom it is about."""

from datetime import timedelta
from pathlib import Path

import pytest

from support.disclosures import NOW, disclose_to_court, site_with_attack
from support.registers import read_rows
from support.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_attack(tmp_path)


@pytest.mark.parametrize(
    ("evidence", "arguments", "status", "code"),
    [
        ({"date": f"{(NOW + timedelta(3)).date()}"}, (), 1, "evidence-invalid"),
        ({"date": "soon"}, (), 2, "invalid-time"),
        ({"scope": " "}, (), 1, "evidence-missing"),
        ({"case": "12"}, (), 2, "unknown-evidence"),
        ({}, ("--reference", " "), 1, "evidence-missing"),
        ({}, ("--sealed-until", "2020-01-01"), 2, "invalid-time"),
        ({}, ("--recipient-kind", "abuse-community"), 1, "recipient-not-permitted"),
        ({}, ("--recipient-kind", "authorities"), 2, "unknown-name"),
        ({}, ("--recipient", " "), 2, "missing-input"),
    ],
)
def test_invalid_evidence_is_refused(
    site: Site, evidence: dict[str, str], arguments: tuple[str, ...], status: int, code: str
) -> None:
    """Insufficient evidence is refused and recorded; an input error is refused only."""
    result = disclose_to_court(site, *arguments, **evidence)
    assert (result.status, result.code) == (status, code), result.err
    assert len(read_rows(site, "release_refusals")) == (1 if status == 1 else 0)
    assert read_rows(site, "release_requests") == []


@pytest.mark.parametrize(
    ("subject", "reason", "code"),
    [
        ("203.0.113.0/24", "other-subjects", "selection-too-broad"),
        ("0123456789abcdef", "unknown-subject", "records-not-found"),
        ("192.0.2.200", "unknown-subject", "visitor-not-found"),
    ],
)
def test_a_release_about_an_unidentified_person_is_refused(
    site: Site, subject: str, reason: str, code: str
) -> None:
    """An unknown visitor, an address that nobody had, and an address range are refused."""
    result = disclose_to_court(site, subject=subject)
    assert (result.status, result.code) == (1, code), result.err
    assert read_rows(site, "release_refusals", "reason") == [(reason,)]
