"""What `avowal verify` finds in a folder."""

from support.site import Site


def verify_findings(site: Site, *arguments: object) -> list[dict[str, str]]:
    """Verify a folder in which something does not hold; returns each finding's code and sentence."""
    ran = site.avowal("verify", *arguments, "--json")
    assert (ran.status, "Traceback" in ran.err) == (1, False), ran.out + ran.err
    findings: list[dict[str, str]] = ran.json()["findings"]
    return findings


def assert_found(site: Site, code: str, part: str = "", *arguments: object) -> None:
    """Assert that a finding has a code, and names something in its sentence."""
    findings = verify_findings(site, *arguments)
    assert any(finding["code"] == code and part in finding["sentence"] for finding in findings), findings
