"""What a disclosure needs on each ground: as duties, which the law of versions guards."""

import re
from importlib import resources

import pytest

from avowal.change.draft import TERMS_FILE
from avowal.errors import TermsError
from avowal.policy.bounds import CompiledTerms
from avowal.policy.compare import ProtectionRelation, compare
from avowal.policy.describe import describe_witnesses, format_duty_value
from avowal.policy.ground import EvidenceKind, parse_ground_requirements
from avowal.policy.language import find_language
from avowal.policy.terms import compile_terms, find_warnings, parse_terms
from avowal.policy.vocabulary import load_vocabulary

PLAIN = (resources.files("avowal.policy") / "defaults" / TERMS_FILE).read_text(encoding="utf-8")
LAW = '[[ground]]\nname = "instrument"'
EVIDENCE_OF_LAW = 'evidence = ["instrument", "issuer", "reference", "date", "scope"]'


def compiled(old: str = "", new: str = "") -> CompiledTerms:
    assert old in PLAIN
    return compile_terms(parse_terms(PLAIN.replace(old, new, 1), "terms"))


def test_each_ground_has_its_evidence() -> None:
    """A parent stands for its leaves; the default terms name evidence for every ground."""
    found = parse_ground_requirements(compiled().duties)
    assert set(found) == set(load_vocabulary().grounds)
    assert found["authorised"] == (("authorisation",), 0)
    assert found["checking"] == found["industry-abuse-control"] == (("case", "records"), 0)
    assert found["instrument"] == (("instrument", "issuer", "reference", "date", "scope"), 1)
    assert {kind for need in found.values() for kind in need.evidence} == set(EvidenceKind)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"reference", "date", "scope"]', '"reference", "date"]'),
        ("approvals = 1", "approvals = 0"),
        ('["authorisation"]', '["case"]'),
    ],
)
def test_less_evidence_protects_less(old: str, new: str) -> None:
    """And more of it protects more; the difference is told in words."""
    found = compare(compiled(), compiled(old, new))
    assert not found.is_at_least_as_protective
    assert compare(compiled(old, new), compiled()).relation in {
        ProtectionRelation.MORE_PROTECTIVE,
        ProtectionRelation.INCOMPARABLE,
    }
    for tag in ("en", "pt-BR", "zh-TW"):
        sentences = describe_witnesses(found.looser, find_language(tag))
        assert sentences
        assert not [sentence for sentence in sentences if " needs " in sentence or " approvals: " in sentence]


def test_a_ground_without_evidence_brings_a_warning() -> None:
    """Nothing can be disclosed on it."""
    text = PLAIN.replace('[[ground]]\nname = "authorised"\nevidence = ["authorisation"]\n', "")
    terms = parse_terms(text, "terms")
    assert find_warnings(terms) == [
        "nothing can be disclosed on the ground `authorised`: no [[ground]] names its evidence"
    ]
    assert "authorised" not in parse_ground_requirements(compile_terms(terms).duties)


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        ('name = "instrument"', 'name = "required-by-laws"', "not one of the grounds", "required-by-law"),
        (EVIDENCE_OF_LAW, 'evidence = ["issuers"]', "`issuers`, which is not a kind of evidence", "`issuer`"),
        (EVIDENCE_OF_LAW, "evidence = []", "which is not a kind of evidence", "authorisation"),
        ("approvals = 1", "approvals = 10", "`ground[3].approvals` is `10`", "0 to 9"),
        ("approvals = 1", "approvals = -1", "`ground[3].approvals` is `-1`", "0 to 9"),
        ('name = "instrument"', 'name = "checking"', "names `checking` once more", "one [[ground]]"),
    ],
)
def test_wrong_grounds_are_refused(old: str, new: str, said: str, hint: str) -> None:
    """With the key that is wrong, and the remedy."""
    with pytest.raises(TermsError) as refused:
        compiled(old, new)
    assert said in refused.value.message
    assert hint in refused.value.hint


def test_approvals_are_counted_in_persons() -> None:
    """In the reader's language."""
    assert format_duty_value("instrument approvals", 1) == "1 person"
    assert format_duty_value("instrument approvals", 2, find_language("pt-BR")) == "2 pessoas"


def test_terms_of_before_are_what_they_were() -> None:
    """Without a ground they have the identity that they had."""
    without = re.sub(r"\[\[ground\]\]\n(.+\n)+", "", PLAIN)
    assert "[[ground]]" not in without
    assert not parse_ground_requirements(compile_terms(parse_terms(without, "terms")).duties)
