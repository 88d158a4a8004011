"""Sites with future versions, and the record of where their notices were shown."""

from support.served import changed, translated
from support.site import Site


def site_with_versions(folder: Site, *later: int) -> Site:
    """Make a site in three languages, with versions that take effect after these numbers of days."""
    site = translated(folder)
    for days in later:
        changed(site, days)
    return site


def shown_notices(site: Site) -> list[tuple[str, bool]]:
    """Return where the last version's notice was shown, and whether only the operator attests it."""
    notices = site.avowal("policy", "notice", "--json").json()[-1]["shown"]
    return [(one["location"], one["attested_by_operator"]) for one in notices]
