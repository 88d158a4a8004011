"""The evidence and approvals that each ground requires: duties, which versions are compared by."""

import re
from importlib import resources

import pytest

from avowal.change.draft import TERMS_FILE
from avowal.errors import TermsError
from avowal.policy.bounds import OWN_USE, CompiledTerms
from avowal.policy.compare import ProtectionRelation, compare
from avowal.policy.describe import describe_witnesses, format_duty_name, format_duty_value
from avowal.policy.ground import EvidenceKind
from avowal.policy.language import find_language
from avowal.policy.terms import compile_terms, parse_terms
from avowal.policy.terms_warnings import find_warnings
from avowal.policy.vocabulary import load_vocabulary

PLAIN = (resources.files("avowal.policy") / "examples" / "unless-refused" / TERMS_FILE).read_text(
    encoding="utf-8"
)
LAW = '[[ground]]\nname = "instrument"'
EVIDENCE_OF_LAW = 'evidence = ["instrument", "issuer", "reference", "date", "scope"]'


def compile_with(old: str = "", new: str = "") -> CompiledTerms:
    assert old in PLAIN
    return compile_terms(parse_terms(PLAIN.replace(old, new, 1), "terms"))


def test_each_ground_requires_its_evidence() -> None:
    """The default terms require evidence on every ground; a parent ground stands for its leaves."""
    requirements = compile_with().grounds
    assert set(requirements) == set(load_vocabulary().grounds)
    assert requirements["authorised"] == (("authorisation",), 0)
    assert requirements["checking"] == requirements["industry-abuse-control"] == (("case", "records"), 0)
    assert requirements["instrument"] == (("instrument", "issuer", "reference", "date", "scope"), 1)
    assert {kind for need in requirements.values() for kind in need.evidence} == set(EvidenceKind)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"reference", "date", "scope"]', '"reference", "date"]'),
        ("approvals = 1", "approvals = 0"),
        ('["authorisation"]', '["case"]'),
    ],
)
def test_requiring_less_evidence_is_less_protective(old: str, new: str) -> None:
    """Terms that require less evidence are less protective, and the difference is described in each language."""
    comparison = compare(compile_with(), compile_with(old, new))
    assert not comparison.is_at_least_as_protective
    assert compare(compile_with(old, new), compile_with()).relation in {
        ProtectionRelation.MORE_PROTECTIVE,
        ProtectionRelation.INCOMPARABLE,
    }
    for tag in ("en", "pt-BR", "zh-TW"):
        sentences = describe_witnesses(comparison.looser, find_language(tag))
        assert sentences
        assert not [sentence for sentence in sentences if " needs " in sentence or " approvals: " in sentence]


def test_a_ground_that_opens_is_described_in_each_language() -> None:
    """A ground on which nothing could be disclosed is one difference, whatever evidence it requires."""
    closed = compile_with('[[ground]]\nname = "authorised"\nevidence = ["authorisation"]\n', "")
    for tag, words in (("en", "disclosure on the ground"), ("pt-BR", "divulgação"), ("zh-TW", "揭露")):
        sentences = describe_witnesses(compare(closed, compile_with()).looser, find_language(tag))
        assert (
            len([sentence for sentence in sentences if sentence.startswith(words) or words in sentence]) >= 1
        )
        assert not [sentence for sentence in sentences if "closed" in sentence]


def test_a_ground_without_evidence_gives_a_warning() -> None:
    """Nothing can be disclosed on a ground without evidence, and a warning says so."""
    text = PLAIN.replace('[[ground]]\nname = "authorised"\nevidence = ["authorisation"]\n', "")
    terms = parse_terms(text, "terms")
    assert find_warnings(terms) == [
        "nothing can be disclosed on the ground `authorised`: no [[ground]] names its evidence"
    ]
    compiled = compile_terms(terms)
    assert "authorised" not in compiled.grounds
    assert not [cell for cell in compiled.cells if cell.ground == "authorised"]


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ('name = "instrument"', 'name = "required-by-laws"', "not one of the grounds", "required-by-law"),
        (EVIDENCE_OF_LAW, 'evidence = ["issuers"]', "`issuers`, which is not a kind of evidence", "`issuer`"),
        (EVIDENCE_OF_LAW, "evidence = []", "which is not a kind of evidence", "authorisation"),
        ("approvals = 1", "approvals = 10", "`ground[3].approvals` is `10`", "0 to 9"),
        ("approvals = 1", "approvals = -1", "`ground[3].approvals` is `-1`", "0 to 9"),
        ('name = "instrument"', 'name = "checking"', "names `checking` once more", "one [[ground]]"),
    ],
)
def test_an_invalid_ground_is_refused(old: str, new: str, message: str, hint: str) -> None:
    """The error names the key, and its hint says what to write."""
    with pytest.raises(TermsError) as error_info:
        compile_with(old, new)
    assert message in error_info.value.message
    assert hint in error_info.value.hint


def test_approvals_are_counted_in_persons() -> None:
    """The duty of approvals and their number are written in the language of the reader."""
    assert format_duty_name("instrument approvals") == "approvals for instrument"
    name = format_duty_name("rights-and-safety approvals", find_language("pt-BR"))
    assert name == "aprovações para direitos e segurança"
    assert format_duty_value("instrument approvals", 1) == "1 person"
    assert format_duty_value("instrument approvals", 2, find_language("pt-BR")) == "2 pessoas"


def test_terms_without_grounds_disclose_nothing_on_a_ground() -> None:
    """Terms without a [[ground]] table permit disclosures to nobody but processors."""
    without = re.sub(r"\[\[ground\]\]\n(.+\n)+", "", PLAIN)
    assert "[[ground]]" not in without
    compiled = compile_terms(parse_terms(without, "terms"))
    assert not compiled.grounds
    assert {cell.ground for cell in compiled.cells} == {OWN_USE}
