"""A processor with a contract, for tests of feeds and of verification."""

from support.site import Site

CONTRACT = """
vocabulary = 2
processor = "Example Flood Protection Ltd"
contact = "privacy@protection.example"
service = ["third-party-service"]
begins = 2026-01-01
receive = [
    { categories = ["ip-address"], keep = { full = "3 days" }, for = ["third-party-service"] },
    { categories = ["request-time", "page-path"], keep = { full = "7 days" }, for = ["third-party-service"] },
]
duties = { may-see = true, may-erase = true, smallest-group = 5 }
"""
"""A contract that the default terms allow."""


def add_processor(site: Site, text: str) -> None:
    """Register the processor `guard` with a contract."""
    path = site.folder / "policy" / "processors" / "guard.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    result = site.avowal("processor", "add", "guard")
    assert result.status == 0, result.err
