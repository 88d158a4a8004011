"""Forms in the terms: each asks for what is collected for its purposes, and for nothing else."""

from importlib import resources

import pytest

from avowal.change.draft import TERMS_FILE
from avowal.errors import TermsError
from avowal.policy.form import Form
from avowal.policy.terms import Terms, compile_terms, parse_terms
from support.errors import raises_code

PLAIN = (resources.files("avowal.policy") / "defaults" / TERMS_FILE).read_text(encoding="utf-8")
COLLECT = (
    '[[collect]]\ncategories = ["submission"]\nkeep = { full = "30 days" }\nfor = ["requested-service"]\n'
)
FORM = """
[[form]]
name = "contact"
fields = { email = "email-address", text = "message", cv = "uploaded-file" }
required = ["email"]
for = ["requested-service"]
types = ["application/pdf"]
largest = "2 MB"
"""


def parsed(form: str = FORM, collect: str = COLLECT) -> Terms:
    return parse_terms(f"{PLAIN}\n{collect}{form}", "terms.toml")


def test_a_form_says_what_it_asks_for() -> None:
    """Its categories, its fields for files, and how large these may be."""
    (form,) = parsed().forms
    assert form.categories == ["email-address", "message", "submission-time", "uploaded-file"]
    assert (form.file_fields, form.file_bytes_max) == (["cv"], 2_000_000)
    assert form.find_uncollected_categories(["message", "submission-time"]) == [
        "email-address",
        "uploaded-file",
    ]


def test_a_form_is_no_promise() -> None:
    """Terms with it promise what they do without: the same version."""
    with_form, without = parsed(), parsed("")
    assert compile_terms(with_form).identity == compile_terms(without).identity
    assert isinstance(with_form.forms[0], Form)


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        ('name = "contact"', 'name = "Contact us"', "which is not a form's name", "lower case"),
        (
            '{ email = "email-address", text = "message", cv = "uploaded-file" }',
            "{}",
            "has 0 fields",
            "1 to 100",
        ),
        ("email =", '"e mail" =', "is not a field's name", "a letter"),
        (
            '"email-address"',
            '"e-mail-address"',
            "which visitors do not submit",
            "did you mean `email-address`?",
        ),
        ('"email-address"', '"ip-address"', "which visitors do not submit", ""),
        ('"email-address"', '"submission-time"', "which visitors do not submit", ""),
        ('["email"]', '["mail"]', "which is not a field of it", "did you mean `email`?"),
        ('for = ["requested-service"]\ntypes', "for = []\ntypes", "`form[0].for` is empty", ""),
        (
            'for = ["requested-service"]\ntypes',
            'for = ["content"]\ntypes',
            "not collected for content",
            "[[collect]]",
        ),
        (
            'for = ["requested-service"]\ntypes',
            'for = ["conten"]\ntypes',
            "not one of the purposes",
            "`content`",
        ),
        ('types = ["application/pdf"]\n', "", "without `types`", "media types"),
        (', cv = "uploaded-file"', "", "without `types`", "media types"),
        ('["application/pdf"]', '["pdf"]', "which is not a media type", "image/png"),
        ('"2 MB"', '"2 megabytes"', "which is not a size", "`10 MB`"),
        ('"2 MB"', '"0 MB"', "which is not a size", "`10 MB`"),
        (FORM, FORM + FORM, "names one form twice", "one [[form]]"),
    ],
)
def test_wrong_forms_are_refused(old: str, new: str, said: str, hint: str) -> None:
    """With the key that is wrong, and the remedy."""
    assert old in FORM
    with pytest.raises(TermsError) as refused:
        parsed(FORM.replace(old, new))
    assert said in refused.value.message
    assert hint in refused.value.hint


def test_what_is_asked_for_has_to_be_collected() -> None:
    """And its time, by which it goes."""
    for words in (
        '"message", "submission-time", "uploaded-file"',
        '"message", "email-address", "uploaded-file"',
    ):
        with raises_code("not-collected"):
            parsed(collect=COLLECT.replace('"submission"', words))
