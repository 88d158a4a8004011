"""Support of tests of disclosures: a site with an attack in its log, its grounds, and packages."""

import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from avowal.ledger.release_entry import RequestSummary
from avowal.register.release_requests import ReleaseRequest, RequestDetails
from support.site import CHROME, GOOGLEBOT, CommandResult, Site, line
from support.submissions import order_form
from support.templates import make_once

ANN, BEN = "203.0.113.77", "203.0.113.88"
NOW = datetime.now(UTC).replace(tzinfo=None)
RECENT = (NOW - timedelta(days=2)).replace(hour=12, minute=0, second=0, microsecond=0)
"""When the recent requests begin."""
PERIOD = ("--since", f"{RECENT.date()}", "--until", f"{RECENT.date()}")
"""The options for the day of the recent requests."""


def read_package(package: Path) -> dict[str, bytes]:
    """Return the files of a package, by name."""
    with zipfile.ZipFile(package) as file:
        return {name: file.read(name) for name in file.namelist()}


def verify_elsewhere(site: Site, package: Path) -> CommandResult:
    """Verify a package or receipt outside its site, with the key of the site."""
    key = site.avowal("ledger", "key").out.strip()
    away = site.folder / "away"
    away.mkdir(exist_ok=True)
    return Site(away).avowal("verify", package, "--key", key, "--json")


CAROL = "203.0.113.99"
ATTACK = "requests WHERE page_path LIKE '/wp-%' AND status = 404"
"""The records of the attack."""
COURT_ORDER = {
    "instrument": "order",
    "issuer": "District Court of Example",
    "date": f"{RECENT.date()}",
    "scope": "requests of the address in the two days",
}
"""Evidence of a court order."""
COURT_REQUEST = {
    "ground": "required-by-law",
    "recipient": "District Court",
    "subject": ANN,
    "since": f"{RECENT.date()}",
    "until": f"{RECENT.date()}",
    "evidence_reference": "1 A 23/26",
    "evidence": {
        "instrument": "order",
        "issuer": "District Court",
        "date": "2026-01-02",
        "scope": "requests",
    },
    "categories": ["page-path"],
}
"""A request of a release to a court, as a program sends it."""
DISCLOSED_FORM = order_form(
    'name = "person-name", email = "email-address", text = "message"', needs='"person-name", "message"'
)
"""Terms with a form whose submissions may be disclosed."""


@make_once
def site_with_attack(folder: Path, other_terms: str = "") -> Site:
    """Make a site whose log contains an ordinary visitor, two attackers and a crawler."""
    site = Site(folder).init()
    terms = site.folder / "policy" / "terms.toml"
    text = re.sub(r"updated = .*", f"updated = {(NOW - timedelta(40)).date()}", terms.read_text(), count=1)
    terms.write_text(text + other_terms)
    site.import_logs(
        site.log(
            "a.log",
            *(line(n, f"/{n}", start=RECENT, address=ANN, agent=CHROME) for n in range(3)),
            *(line(n, "/wp-login.php", start=RECENT, address=BEN, status=404) for n in range(4)),
            *(line(n, "/wp-admin", start=RECENT, address=CAROL, agent=CHROME, status=404) for n in range(2)),
            line(5, "/robots.txt", start=RECENT, address="198.51.100.9", agent=GOOGLEBOT),
        )
    )
    return site


def disclose(
    site: Site, ground: str, *arguments: object, recipient: str = "cert@example", **evidence: str
) -> CommandResult:
    """Run `avowal disclose` on a ground with its evidence."""
    options = [word for kind, text in evidence.items() for word in ("--evidence", f"{kind}={text}")]
    return site.avowal(
        "disclose", "--ground", ground, "--recipient", recipient, *options, *arguments, "--json"
    )


def disclose_attack(site: Site, *arguments: object, rows: str = ATTACK) -> CommandResult:
    """Disclose the records of the attack."""
    options = ("--rows", rows, "--reference", "case 12", "--categories", "ip-address,page-path,status")
    return disclose(site, "fraud-or-misuse", *options, *arguments)


def disclose_to_court(site: Site, *arguments: object, subject: str = ANN, **evidence: str) -> CommandResult:
    """Disclose the records of a visitor under a court order."""
    options = (
        "--subject",
        subject,
        *PERIOD,
        "--reference",
        "1 A 23/26",
        "--categories",
        "ip-address,page-path",
    )
    return disclose(
        site,
        "required-by-law",
        *options,
        *arguments,
        recipient="District Court",
        **{**COURT_ORDER, **evidence},
    )


def request_release(visitor: str, categories: list[str], now: datetime) -> ReleaseRequest:
    """Return a request for the release of categories of a visitor, on the visitor's authorisation."""
    return ReleaseRequest(
        RequestSummary(
            reference="0" * 24,
            ground="authorised",
            recipient_kind="named-person",
            categories=categories,
            evidence_kinds=[],
            version=1,
            required_approvals=0,
            requested_at=now,
        ),
        RequestDetails(
            recipient="Dr. Example",
            recipient_contact="",
            visitor=visitor,
            row_filter="",
            evidence={},
            requester="operator",
            expires_days=30,
        ),
    )


def add_user(site: Site, name: str, *options: str) -> None:
    """Add a user with a password."""
    assert site.avowal("user", "add", name, "--purposes", "abuse", *options).status == 0
    password = b"four words for nobody\n"
    assert site.avowal("user", "password", name, "--stdin", stdin=password).status == 0


def approve_release(
    site: Site, reference: str, name: str, password: bytes = b"four words for nobody\n"
) -> CommandResult:
    """Approve a release as a user."""
    return site.avowal("release", "approve", reference, "--as", name, "--stdin", "--json", stdin=password)
