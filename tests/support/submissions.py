"""A site with a form, and queries of its register."""

from support.site import CommandResult, Site

ORDER_FORM = """
[[collect]]
categories = ["submission"]
keep = { full = "30 days" }
for = ["requested-service", "content"]

[[form]]
name = "order"
fields = { name = "person-name", email = "email-address", cv = "uploaded-file" }
types = ["application/pdf"]
for = ["requested-service"]
needs = ["person-name"]

[[disclose]]
categories = ["submission"]
keep = { full = "30 days" }
to = "named-person"
ground = "requested-function"
"""
"""Terms with a form `order`."""


def object_to(site: Site, reference: str, purposes: str, *options: str) -> CommandResult:
    """Object to purposes of a submission, or withdraw the objection."""
    arguments = ("--purposes", purposes, "--channel", "letter", "--json")
    return site.avowal("submission", "object", reference, *arguments, *options)
