"""A site with every kind of record that `avowal verify` checks."""

import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from avowal.register.register import open_register
from avowal.store.duckdb_store import STORE_FILE
from avowal.store.interface import RemovedRecords
from support.disclosures import (
    ANN,
    DISCLOSED_FORM,
    NOW,
    PERIOD,
    RECENT,
    add_user,
    approve_release,
    disclose_attack,
    disclose_to_court,
    site_with_attack,
)
from support.processors import CONTRACT, add_processor
from support.site import CHROME, CommandResult, Site, line
from support.submissions import object_to
from support.templates import make_once

UPLOAD_FORM = DISCLOSED_FORM.replace(
    '"message" }', '"message", cv = "uploaded-file" }\ntypes = ["application/pdf"]', 1
)
AUTHORISED = ("--recipient", "Dr. Example", "--categories", "page-path")


@make_once
def complete_site(folder: Path, more: str = "") -> Site:
    """Make a site with rows in every table of its register that has rows at rest; `more` is added to its terms."""
    site = site_with_attack(folder, UPLOAD_FORM + more)
    for name in ("bea", "cyd"):
        add_user(site, name, "--disclose")
    _run(site, "query", "--purpose", "abuse", "--as", "bea", "SELECT visitor_id FROM requests")
    _run(site, "report", "overview")
    _release_data(site)
    add_processor(site, CONTRACT)
    _run(site, "processor", "key", "guard")
    (folder / "out").mkdir()
    _run(site, "processor", "feed", "guard", "--destination", "out")
    site.import_logs(site.log("c.log", line(0, start=RECENT, address="192.0.2.9", agent=CHROME)))
    key = site.avowal("visitor", "show", "192.0.2.9", *PERIOD, "--json").json()["visitor"]
    _run(site, "visitor", "erase", key, "--expected-records", "1")
    _record_submissions(site)
    _publish_versions(site)
    with closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register:
        register.retention_runs.record(1, [RemovedRecords(1, "requests", "browser", 1, 2, NOW)], NOW)
    result = site.avowal("verify", "--json")
    assert result.status == 0, result.out
    checked = result.json()["checked"]
    assert {
        "releases": 3,
        "approvals": 1,
        "refusals": 1,
        "pages of feeds": 1,
        "erasures": 1,
    }.items() <= checked.items()
    return site


def _run(site: Site, *arguments: object) -> CommandResult:
    result = site.avowal(*arguments)
    assert result.status == 0, result.err
    return result


def _release_data(site: Site) -> None:
    """Make three releases, one of which needed an approval, and one request that is refused."""
    _run(site, "visitor", "authorise", ANN, *PERIOD, *AUTHORISED, "--channel", "letter")
    mine = ("--subject", ANN, *PERIOD, "--ground", "authorised", *AUTHORISED)
    _run(site, "disclose", *mine, "--package", "a.zip")
    assert disclose_attack(site, "--package", "b.zip").status == 0
    assert disclose_attack(site, "--package", "no.zip", rows="requests WHERE status > 0").status == 1
    sealed = disclose_to_court(site, "--sealed-until", f"{(NOW + timedelta(60)).date()}")
    reference = sealed.json()["reference"]
    assert approve_release(site, reference, "bea").status == 0
    _run(site, "release", "make", reference, "--package", "c.zip")


def _record_submissions(site: Site) -> None:
    """Record two submissions with files, an objection, a correction and a restriction."""
    (site.folder / "cv.pdf").write_bytes(b"%PDF-1.7\n%%EOF")
    for name in ("Ann Example", "Ben Example"):
        fields = ("--field", f"name={name}", "--field", "text=Send two.", "--file", "cv=cv.pdf")
        result = _run(site, "submission", "add", "order", "--channel", "letter", *fields, "--json")
        reference = result.json()["reference"]
        assert object_to(site, reference, "content").status == 0
        _run(site, "submission", "correct", reference, "--field", f"name={name}!", "--channel", "letter")
        _run(site, "submission", "set", reference, "--readers", "bea", "--channel", "letter")


def _publish_versions(site: Site) -> None:
    """Publish a version that a visitor consents to, and a later one that is withdrawn."""
    for days_ahead, full_days in ((40, 30), (80, 40)):
        terms = site.folder / "policy" / "terms.toml"
        text = re.sub(
            r"(?m)^updated = \S+", f"updated = {(NOW + timedelta(days_ahead)).date()}", terms.read_text()
        )
        terms.write_text(
            re.sub(r'full = "\d+ days", prefix', f'full = "{full_days} days", prefix', text, count=1)
        )
        _run(site, "policy", "publish", "--accept-weaker")
    _run(site, "policy", "record-posting", 2, "--place", "https://example.org/")
    statement = ("--channel", "letter", "--reference", "letter 1")
    _run(site, "visitor", "consent", ANN, *PERIOD, "--version", 2, *statement)
    _run(site, "policy", "withdraw", "3")
