"""`avowal visitor show`, `export` and `erase`: the rights of one visitor."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from avowal.register.register import open_register
from avowal.store.duckdb_store import STORE_FILE
from support.site import Site
from support.visitors import ANN, BEN, NOON, PERIOD, site_with_two_visitors


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_two_visitors(tmp_path)


def show_visitor(site: Site, address: str = ANN) -> Any:
    result = site.avowal("visitor", "show", address, *PERIOD, "--json")
    assert result.status == 0, result.err
    return result.json()


def consent_to_second_version(site: Site) -> None:
    terms = site.folder / "policy" / "terms.toml"
    old = next(row for row in terms.read_text().splitlines() if row.startswith("updated = "))
    text = terms.read_text().replace(old, f"updated = {datetime.now(UTC).date()}")
    terms.write_text(text.replace('full = "7 days", prefix', 'full = "6 days", prefix', 1))
    assert site.avowal("policy", "publish").status == 0
    result = site.avowal(
        "visitor", "consent", ANN, *PERIOD, "--channel", "letter", "--reference", "Ann's letter"
    )
    assert result.status == 0, result.err


def test_a_visitor_sees_the_stored_data(site: Site) -> None:
    """The counts, the period and the version of each relation are shown, and the access is recorded."""
    consent_to_second_version(site)
    summary = show_visitor(site)
    assert {name: counts["records"] for name, counts in summary["stored"].items()} == {
        "requests": 3,
        "script_views": 0,
        "events": 0,
        "views": 3,
        "visits": 1,
    }
    assert summary["stored"]["requests"]["versions"] == [1]
    assert summary["stored"]["requests"]["first"] == NOON.isoformat(timespec="seconds")
    assert [(item["version"], item["given"]) for item in summary["consents"]] == [(2, True)]
    assert [item["purpose"] for item in show_visitor(site)["accesses"]] == ["may-see"]
    assert "3 requests" in site.avowal("visitor", "show", summary["visitor"]).out
    assert site.avowal("verify").status == 0


def test_a_visitor_exports_all_data(site: Site) -> None:
    """The export has a line for each record of the visitor, and nothing of other visitors."""
    file = site.folder / "export.jsonl"
    result = site.avowal("visitor", "export", ANN, *PERIOD, "--output", file, "--json")
    assert result.json()["records"] == 7
    head, *records = map(json.loads, file.read_text().splitlines())
    assert head["schema"] == "avowal visitor export 1"
    assert {record["visitor_id"] for record in records} == {head["visitor"]}
    assert [record["page_path"] for record in records if record["relation"] == "requests"] == [
        "/0",
        "/1",
        "/2",
    ]
    assert BEN not in file.read_text()


def test_an_export_satisfies_its_schema(site: Site) -> None:
    """Each line satisfies the schema, which describes every field and refuses other lines."""
    consent_to_second_version(site)
    show_visitor(site)
    file = site.folder / "export.jsonl"
    site.avowal("visitor", "export", ANN, *PERIOD, "--output", file)
    schema = site.avowal("visitor", "schema").json()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    records = [json.loads(text) for text in file.read_text().splitlines()]
    assert [next(check.iter_errors(record), None) for record in records] == [None] * 8
    for record in records:
        assert not check.is_valid({**record, "another": 1})
        assert not check.is_valid({name: record[name] for name in list(record)[:-1]})
    assert all(records[0][name] for name in ("consents", "accesses"))


def test_the_stored_data_is_a_page_to_print(site: Site, tmp_path: Path) -> None:
    """The page has every record, in the given language; for an unknown language it is in English."""
    consent_to_second_version(site)
    for language, title in (
        ("en", "The data we hold about you"),
        ("pt-BR", "Os dados que guardamos sobre você"),
        ("xx", "The data we"),
    ):
        page = tmp_path / f"{language}.html"
        result = site.avowal("visitor", "show", ANN, *PERIOD, "--page", page, "--language", language)
        assert result.status == 0, result.err
        text = page.read_text()
        assert title in text
        assert (
            text.count(f'<td data-heading="{"endereço IP" if language == "pt-BR" else "ip-address"}">{ANN}')
            == 3
        )
        assert "1, now under 2" in text or language == "pt-BR"
        assert BEN not in text


def test_an_erased_visitor_leaves_nothing(site: Site, tmp_path: Path) -> None:
    """No record, no byte and no link from the ledger remains; other visitors stay, and the receipt is valid."""
    consent_to_second_version(site)
    key = show_visitor(site)["visitor"]
    receipt, others = tmp_path / "receipt.json", show_visitor(site, BEN)["stored"]
    result = site.avowal("visitor", "erase", key, "--expected-records", 3, "--receipt", receipt, "--json")
    assert result.status == 0, result.err
    assert result.json()["erased"] == {
        "requests": 3,
        "script_views": 0,
        "events": 0,
        "views": 3,
        "visits": 1,
        "consents": 1,
        "submissions": 0,
        "authorisations": 0,
    }
    assert show_visitor(site, BEN)["stored"] == others
    assert (
        sum(
            relation["records"]
            for relation in site.avowal("visitor", "show", key, "--json").json()["stored"].values()
        )
        == 0
    )
    for path in [*site.data.rglob("*"), *(site.folder / "keys").rglob("*")]:
        data = path.read_bytes() if path.is_file() else b""
        assert ANN.encode() not in data, path
        assert key.encode() not in data, path
        assert b"Ann's letter" not in data, path
    assert site.avowal("verify").status == 0
    verifier = site.avowal("ledger", "key").out.strip()
    empty_folder = tmp_path / "away"
    empty_folder.mkdir()
    result = Site(empty_folder).avowal("verify", receipt, "--key", verifier, "--json")
    assert (result.status, result.json()["entry"]["kind"]) == (0, "erasure-done"), result.err
    original = json.loads(receipt.read_text())
    for change in (
        {"visitors": ["0" * 16]},
        {"erased": {**original["erased"], "requests": 4}},
        {"erased_at": "2026-01-01T00:00:00"},
    ):
        receipt.write_text(json.dumps({**original, **change}))
        result = Site(empty_folder).avowal("verify", receipt, "--key", verifier)
        assert (result.status, result.code) == (1, "receipt-mismatch"), result.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((ANN, *PERIOD, "--expected-records", "2"), "record-count-mismatch"),
        (("0123456789abcdef", "--expected-records", "0"), "records-not-found"),
        (("203.0.113.99", *PERIOD, "--expected-records", "0"), "visitor-not-found"),
        ((ANN, *PERIOD, "--expected-records", "3", "--include-others", "0123456789ab"), "records-changed"),
    ],
)
def test_an_erasure_with_the_wrong_count_or_visitor_is_refused(
    site: Site, arguments: tuple[str, ...], code: str
) -> None:
    """Another number of records, or a visitor without data, is refused."""
    result = site.avowal("visitor", "erase", *arguments)
    assert (result.status, result.code) == (1, code), result.err
    assert len(site.rows("SELECT 1 FROM requests")) == 4


def test_an_interrupted_erasure_is_completed_before_the_next_access(site: Site) -> None:
    """If a process ended between recording and doing an erasure, the next access completes it first."""
    key = show_visitor(site)["visitor"]
    with closing(open_register(site.data, site.folder / "keys", store_file=STORE_FILE)) as register:
        register.erasures.begin([key])
    assert {row["page_path"] for row in site.report("pages")["tables"]["pages"]} == {"/b"}
    assert site.avowal("verify").status == 0
