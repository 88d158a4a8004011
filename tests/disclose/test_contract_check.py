"""Contracts of processors: one that protects less than the terms is insufficient (`docs/spec/processors.md`)."""

import re
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal.change.draft import TERMS_FILE
from avowal.disclose.contract_check import ContractComparison, compare_contract
from avowal.errors import TermsError
from avowal.policy.bounds import OPERATOR, OWN_USE, PROCESSOR, Bounds, Cell
from avowal.policy.compare import compare
from avowal.policy.contract import compile_contract, parse_contract, select_processor_bounds
from avowal.policy.terms import compile_terms, parse_terms
from support.errors import raises_code
from support.site import Site, tamper
from support.verification import assert_found

DOCS = Path(__file__).parents[2] / "docs" / "terms.md"
TERMS = compile_terms(
    parse_terms(
        (resources.files("avowal.policy") / "examples" / "unless-refused" / TERMS_FILE).read_text(
            encoding="utf-8"
        ),
        "terms",
    )
)
DAY = date(2026, 6, 1)
CONTRACT = """
vocabulary = 2
processor = "Example Flood Protection Ltd"
contact = "privacy@protection.example"
service = ["third-party-service"]
begins = 2026-01-01
receive = [
    { categories = ["ip-address", "request-time"], keep = { full = "7 days" }, for = ["third-party-service"] },
]
duties = { may-see = true, may-erase = true, smallest-group = 5 }
"""


def check_contract(old: str = "", new: str = "", day: date = DAY) -> ContractComparison:
    assert old in CONTRACT
    return compare_contract(parse_contract(CONTRACT.replace(old, new), "contract"), TERMS, day)


def test_a_contract_that_protects_as_much_is_sufficient() -> None:
    """A contract that permits as much as the terms let a processor of its service have, or less, is sufficient."""
    assert check_contract().is_sufficient
    assert check_contract('"7 days"', '"1 day"').is_sufficient
    assert check_contract('"ip-address", ', "").is_sufficient


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '"7 days"',
            '"8 days"',
            [("ip-address", "country"), ("ip-address", "prefix"), ("ip-address", "full")],
        ),
        ('"request-time"]', '"request-time", "referrer"]', [("referrer", "site"), ("referrer", "full")]),
        ("may-erase = true, ", "", ["may-erase"]),
        ("smallest-group = 5", "smallest-group = 4", ["smallest-group"]),
        (
            "duties",
            (
                'onward = [{ categories = ["status"], keep = { full = "9 days" }, to = "processor",'
                ' for = ["third-party-service"] }]\nduties'
            ),
            [("status", "full")],
        ),
        (
            "duties",
            'onward = [{ categories = ["bytes"], keep = { full = "1 day" }, to = "public", ground = "authorised" }]\nground = [{ name = "authorised", evidence = ["authorisation"] }]\nduties',
            [("bytes", "full")],
        ),
    ],
)
def test_each_weaker_rule_of_a_contract_is_listed(
    old: str, new: str, expected: list[tuple[str, str] | str]
) -> None:
    """Each cell and each duty in which a contract protects less than the terms is listed (P2)."""
    comparison = check_contract(old, new)
    rules = {
        (difference.rule.category, difference.precision)
        if isinstance(difference.rule, Cell)
        else difference.rule
        for difference in comparison.looser
    }
    assert set(expected) <= rules
    assert not comparison.is_sufficient


def test_onward_disclosure_may_not_exceed_the_terms() -> None:
    """A contract may disclose to an authority on a ground what the terms permit, and nothing older."""
    onward = (
        'onward = [{ categories = ["ip-address"], keep = { full = "7 days" }, to = "authority",'
        ' ground = "required-by-law" }]\n'
        'ground = [{ name = "required-by-law", '
        'evidence = ["instrument", "issuer", "reference", "date", "scope", "claim", "danger"], approvals = 1 }]\nduties'
    )
    assert check_contract("duties", onward).is_sufficient
    assert not check_contract("duties", onward.replace("7 days", "8 days")).is_sufficient
    assert not check_contract("duties", onward.replace('"issuer", ', "")).is_sufficient
    assert not check_contract("duties", onward.replace("approvals = 1", "approvals = 0")).is_sufficient
    with raises_code("invalid-terms"):
        check_contract("duties", onward.replace('name = "required-by-law"', 'name = "authorised"'))


@pytest.mark.parametrize(
    ("old", "new", "day", "code"),
    [
        ('for = ["third-party-service"]', 'for = ["content"]', DAY, "purpose-outside-service"),
        (
            'service = ["third-party-service"]',
            'service = ["content"]',
            DAY,
            "service-not-permitted",
        ),
        ("", "", date(2025, 12, 31), "not-begun"),
        ("begins", "ends = 2026-05-31\nbegins", DAY, "ended"),
    ],
)
def test_a_contract_may_be_insufficient_for_other_reasons(old: str, new: str, day: date, code: str) -> None:
    """A purpose outside its service (P3), or a day outside its term (P4), makes a contract insufficient."""
    comparison = check_contract(old, new, day)
    assert code in [reason.code for reason in comparison.reasons]
    assert not comparison.is_sufficient


def test_a_contract_may_hold_for_one_day() -> None:
    """The first and the last day of a contract, which may be the same one, belong to its term."""
    assert check_contract("begins", "ends = 2026-01-01\nbegins", date(2026, 1, 1)).is_sufficient


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"ip-address"', '"ip-adress"', "`receive[0].categories` is `ip-adress`"),
        ('service = ["third-party-service"]', 'service = ["third-party"]', "`service` is `third-party`"),
        ('service = ["third-party-service"]', "service = []", "`service` is ``"),
        ('"7 days"', '"a week"', "which is not an age"),
        ('processor = "Example Flood Protection Ltd"', 'processor = " "', "`processor` is empty"),
        ("begins", "ends = 2025-05-31\nbegins", "before it begins"),
        ("vocabulary = 2", "vocabulary = 9", "`vocabulary` is `9`"),
        ("contact", "contacts", "`contacts`"),
    ],
)
def test_an_invalid_contract_is_refused(old: str, new: str, message: str) -> None:
    """An invalid contract is refused with the key that is wrong."""
    with pytest.raises(TermsError) as refused:
        parse_contract(CONTRACT.replace(old, new), "contract")
    assert message in refused.value.message


CELLS = st.builds(
    Cell,
    st.sampled_from(["ip-address", "status"]),
    st.sampled_from(["content", "third-party-service"]),
    st.sampled_from([OPERATOR, PROCESSOR]),
    st.just(OWN_USE),
)
BOUNDS = st.dictionaries(CELLS, st.dictionaries(st.just("full"), st.none() | st.integers(1, 9), min_size=1))


@given(BOUNDS, BOUNDS)
def test_a_sufficient_contract_permits_no_more_than_the_terms(
    terms: dict[Cell, dict[str, int | None]], contract: dict[Cell, dict[str, int | None]]
) -> None:
    """Whatever a sufficient contract permits, the terms permit a processor of that service for as long."""
    permitted = select_processor_bounds(Bounds(terms, {}), {"third-party-service"})
    if compare(permitted, Bounds(contract, {})).is_at_least_as_protective:
        for cell, ages in contract.items():
            assert (cell.recipient, cell.purpose) == (PROCESSOR, "third-party-service")
            allowed = terms[cell]["full"]
            assert allowed is None or (ages["full"] is not None and ages["full"] <= allowed)


def test_the_documented_contract_is_sufficient() -> None:
    """The example contract in the docs is sufficient under the default terms."""
    examples = re.findall(r"```toml\n(.+?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [text for text in examples if "receive = [" in text]
    contract = parse_contract(example, "the example")
    assert compare_contract(contract, TERMS, DAY).is_sufficient
    assert compile_contract(contract).cells


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path).init()
    folder = site.folder / "policy" / "processors"
    folder.mkdir()
    (folder / "shield.toml").write_text(CONTRACT)
    (folder / "greedy.toml").write_text(CONTRACT.replace("7 days", "90 days"))
    assert site.avowal("policy", "adopt").status == 0
    return site


def test_a_processor_is_added_or_refused(site: Site) -> None:
    """An insufficient contract is refused and changes nothing; a sufficient one can be added and removed."""
    result = site.avowal("processor", "check", "--json")
    assert (
        result.status,
        {name: processor["is_sufficient"] for name, processor in result.json()["processors"].items()},
    ) == (
        1,
        {"greedy": False, "shield": True},
    )
    assert "ip-address, request-time, full" in "; ".join(
        result.json()["processors"]["greedy"]["weaker_rules"]
    )
    check = site.avowal("processor", "check", "greedy")
    assert (check.status, "not sufficient" in check.out, "90 days" in check.out) == (1, True, True)
    assert site.avowal("processor", "check", "shield").status == 0
    refused = site.avowal("processor", "add", "greedy")
    assert (refused.status, refused.code) == (1, "contract-insufficient")
    assert site.avowal("processor", "add", "shield").status == 0
    assert [
        processor["name"] for processor in site.avowal("processor", "list", "--json").json()["processors"]
    ] == ["shield"]
    assert site.avowal("processor", "remove", "greedy").status == 1
    assert site.avowal("processor", "remove", "shield").status == 0
    assert site.avowal("processor", "list", "--json").json()["processors"] == []
    assert site.avowal("verify").status == 0


def test_only_a_contract_in_its_folder_is_read(site: Site) -> None:
    """A name without a contract is refused, and so is a path that leads out of the folder of contracts."""
    (site.folder / "policy" / "elsewhere.toml").write_text(CONTRACT)
    for name in ("nobody", "../elsewhere", "../../nothing"):
        refused = site.avowal("processor", "add", name)
        assert (refused.status, refused.code) == (2, "contract-not-found"), name


def test_stricter_terms_make_a_contract_insufficient(site: Site) -> None:
    """Publishing, the list and the status report an insufficient contract until a stricter one is added (P6)."""
    assert site.avowal("processor", "add", "shield").status == 0
    terms = site.folder / "policy" / "terms.toml"
    text = re.sub(r"updated = .*", f"updated = {datetime.now(UTC).date()}", terms.read_text(), count=1)
    strict = text.replace(
        'keep = { full = "7 days" }\nto = "processor"', 'keep = { full = "3 days" }\nto = "processor"'
    )
    assert strict != text
    terms.write_text(strict)
    result = site.avowal("policy", "publish", "--json")
    assert (result.status, result.json()["deficient_processors"]) == (0, ["shield"])
    (processor,) = site.avowal("processor", "list", "--json").json()["processors"]
    assert (processor["is_sufficient"], "was 3 days" in "; ".join(processor["weaker_rules"])) == (False, True)
    assert site.avowal("status", "--json").json()["deficient_processors"] == ["shield"]
    assert "not sufficient" in site.avowal("status").out
    contract = site.folder / "policy" / "processors" / "shield.toml"
    contract.write_text(CONTRACT.replace("7 days", "3 days"))
    assert site.avowal("processor", "add", "shield").status == 0
    assert site.avowal("status", "--json").json()["deficient_processors"] == []
    assert site.avowal("verify").status == 0


def test_an_ended_contract_is_insufficient(site: Site) -> None:
    """A contract is insufficient from the day after its last one."""
    contract = site.folder / "policy" / "processors" / "shield.toml"
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    contract.write_text(f"ends = {yesterday}\n{CONTRACT}")
    refused = site.avowal("processor", "add", "shield")
    assert refused.status == 1
    assert f"it ended on {yesterday}" in site.avowal("processor", "check", "shield").out


def test_a_changed_contract_is_found_by_verify(site: Site) -> None:
    """A contract that was changed in the register is found by `avowal verify`."""
    assert site.avowal("processor", "add", "shield").status == 0
    tamper(site, "UPDATE processors SET contract_text = replace(contract_text, '7 days', '9 days')")
    assert_found(site, "processor-mismatch", "`shield`")
