"""Sites with future versions, and the record of where their notices were shown."""

from support.running_server import publish_version, site_in_three_languages
from support.site import Site


def site_with_versions(folder: Site, *days_ahead: int) -> Site:
    """Make a site in three languages, with versions that take effect after these numbers of days."""
    site = site_in_three_languages(folder)
    for days in days_ahead:
        publish_version(site, days)
    return site


def list_displays(site: Site) -> list[tuple[str, bool]]:
    """Return where the last version's notice was shown, and whether only the operator attests it."""
    notices = site.avowal("policy", "notice", "--json").json()[-1]["shown"]
    return [(display["location"], display["attested_by_operator"]) for display in notices]
