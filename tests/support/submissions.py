"""A site with a form, and queries of its register."""

from support.site import CommandResult, Site


def order_form(
    fields: str,
    *,
    purposes: str = '"requested-service"',
    needs: str = '"person-name"',
    keep: str = "6 months",
    more: str = "",
) -> str:
    """Return terms with a form `order`, of whose submissions others may receive what the form needs."""
    return f"""
[[collect]]
categories = ["submission"]
keep = {{ full = "{keep}" }}
for = [{purposes}]

[[form]]
name = "order"
fields = {{ {fields} }}
{more}for = ["requested-service"]
needs = [{needs}]

[[disclose]]
categories = ["submission"]
keep = {{ full = "30 days" }}
to = "named-person"
ground = "requested-function"
"""


ORDER_FORM = order_form(
    'name = "person-name", email = "email-address", cv = "uploaded-file"',
    purposes='"requested-service", "content"',
    keep="30 days",
    more='types = ["application/pdf"]\n',
)
"""Terms with a form `order`."""


def object_to(site: Site, reference: str, purposes: str, *options: str) -> CommandResult:
    """Object to purposes of a submission, or withdraw the objection."""
    arguments = ("--purposes", purposes, "--channel", "letter", "--json")
    return site.avowal("submission", "object", reference, *arguments, *options)
