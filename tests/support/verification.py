"""The findings of `avowal verify`."""

from support.site import Site


def verify_findings(site: Site, *arguments: object) -> list[dict[str, str]]:
    """Verify a folder with a violation; returns the code and sentence of each finding."""
    result = site.avowal("verify", *arguments, "--json")
    assert (result.status, "Traceback" in result.err) == (1, False), result.out + result.err
    findings: list[dict[str, str]] = result.json()["findings"]
    return findings


def assert_found(site: Site, code: str, text: str = "", *arguments: object) -> None:
    """Assert that a finding has a code, and that its sentence contains a text."""
    findings = verify_findings(site, *arguments)
    assert any(finding["code"] == code and text in finding["sentence"] for finding in findings), findings
