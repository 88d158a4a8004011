"""Forms in the terms: a form may only ask for categories that are collected for its purposes."""

from importlib import resources

import pytest

from avowal.change.draft import TERMS_FILE
from avowal.errors import TermsError
from avowal.policy.form import Form
from avowal.policy.terms import Terms, compile_terms, parse_terms
from support.errors import raises_code

PLAIN = (resources.files("avowal.policy") / "examples" / "unless-refused" / TERMS_FILE).read_text(
    encoding="utf-8"
)
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


def parse_with_form(form: str = FORM, collect: str = COLLECT) -> Terms:
    return parse_terms(f"{PLAIN}\n{collect}{form}", "terms.toml")


def test_a_form_lists_its_categories_and_files() -> None:
    """A form lists its categories, its file fields and the size limit of a file."""
    (form,) = parse_with_form().forms
    assert form.categories == ["email-address", "message", "submission-time", "uploaded-file"]
    assert (form.file_fields, form.file_bytes_max) == (["cv"], 2_000_000)
    assert form.find_uncollected_categories(["message", "submission-time"]) == [
        "email-address",
        "uploaded-file",
    ]


def test_a_form_that_needs_nothing_does_not_change_the_identity_of_terms() -> None:
    """Terms with and without a form are the same version, unless others may receive something of it."""
    with_form, without = parse_with_form(), parse_with_form("")
    assert compile_terms(with_form).identity == compile_terms(without).identity
    assert isinstance(with_form.forms[0], Form)
    needing = parse_with_form(f'{FORM}needs = ["message"]\n')
    assert compile_terms(needing).identity != compile_terms(without).identity


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
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
def test_an_invalid_form_is_refused(old: str, new: str, message: str, hint: str) -> None:
    """The error names the key, and its hint says what to write."""
    assert old in FORM
    with pytest.raises(TermsError) as error_info:
        parse_with_form(FORM.replace(old, new))
    assert message in error_info.value.message
    assert hint in error_info.value.hint


def test_the_categories_of_a_form_have_to_be_collected() -> None:
    """A form is refused if one of its categories, or the time of submission, is not collected."""
    for categories in (
        '"message", "submission-time", "uploaded-file"',
        '"message", "email-address", "uploaded-file"',
    ):
        with raises_code("not-collected"):
            parse_with_form(collect=COLLECT.replace('"submission"', categories))
