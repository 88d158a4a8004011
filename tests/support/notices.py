"""Sites with versions to come, and the record of where their notices were shown."""

from support.served import changed, translated
from support.site import Site


def site_with_versions(folder: Site, *later: int) -> Site:
    """Make a site of three languages, with versions that take effect so many days from now."""
    site = translated(folder)
    for days in later:
        changed(site, days)
    return site


def shown_notices(site: Site) -> list[tuple[str, bool]]:
    """Return where the last version's notice was shown, and whether that is the operator's word."""
    told = site.avowal("policy", "notice", "--json").json()[-1]["shown"]
    return [(one["location"], one["attested_by_operator"]) for one in told]
