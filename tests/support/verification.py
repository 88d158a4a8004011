"""The findings of `avowal verify`."""

from support.site import Site


def verify_findings(site: Site, *arguments: object) -> list[dict[str, str]]:
    """Verify a folder with a violation; returns the code and sentence of each finding."""
    ran = site.avowal("verify", *arguments, "--json")
    assert (ran.status, "Traceback" in ran.err) == (1, False), ran.out + ran.err
    findings: list[dict[str, str]] = ran.json()["findings"]
    return findings


def assert_found(site: Site, code: str, part: str = "", *arguments: object) -> None:
    """Assert that a finding has a code, and that its sentence contains a text."""
    findings = verify_findings(site, *arguments)
    assert any(finding["code"] == code and part in finding["sentence"] for finding in findings), findings
