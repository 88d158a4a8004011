"""What the shares of log and script in the views tell about how both are set up."""

FEW_PAIRS_NOTE = (
    "fewer than half of the views that could be in both the log and the script are in both. Likely causes: they name "
    "different hosts (see `site.host` and `avowal import --host`); visitors reach one over IPv4, the other over IPv6; "
    "the log has the address of a CDN or proxy in place of the visitor's; a proxy strips a prefix from the path"
)


def has_few_pairs(paired: int | None, script_only: int | None, log_only: int | None) -> bool:
    """Return whether fewer than half of the views are in both sources, of those of the source that has fewer.

    None stands for a number that is not told.
    """
    if paired is None or script_only is None or log_only is None:
        return False
    return 2 * paired < min(paired + script_only, paired + log_only)
