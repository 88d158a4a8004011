import random
import re
import tomllib
from dataclasses import fields
from datetime import date
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.about import About
from avowal.policy.bounds import (
    FOREVER,
    GROUND_ONLY_PURPOSE,
    OPERATOR,
    OWN_USE,
    PROCESSOR,
    UNIT_SECONDS,
    Cell,
    CompiledTerms,
    FormNeeds,
    parse_canonical,
)
from avowal.policy.form import Form
from avowal.policy.ground import EvidenceKind, Ground, GroundRequirements
from avowal.policy.terms import (
    CollectRule,
    CookieRule,
    DiscloseRule,
    Duties,
    Terms,
    compile_terms,
    load_terms,
    normalize_language_tag,
    parse_age,
)
from avowal.policy.terms_warnings import find_warnings
from avowal.policy.vocabulary import NEWEST_VOCABULARY, WordKind, load_vocabulary
from support.errors import raises_code

DAY = UNIT_SECONDS["day"]
DEFAULT = Path(str(resources.files("avowal.policy") / "examples" / "unless-refused" / "terms.toml"))
DOCS = Path(__file__).parents[2] / "docs" / "terms.md"
HEAD = (
    'vocabulary = 2\ncontroller = "A"\ncontact = "a@example.org"\nupdated = 2026-11-22\nlanguages = ["en"]\n'
)
ADDRESS = '[[collect]]\ncategories = ["ip-address"]\nkeep = { full = "7 days" }\nfor = ["abuse"]\n'


def own_use_cell(category: str, purpose: str) -> Cell:
    """Return the cell of the operator's own use."""
    return Cell(category, purpose, OPERATOR, OWN_USE)


def terms_with(**parts: Any) -> Terms:
    """Return terms that consist of these rules and duties alone."""
    return Terms(NEWEST_VOCABULARY, "A", "a@example.org", date(2026, 11, 22), ["en"], **parts)


def compile_rules(*lines: CollectRule) -> CompiledTerms:
    """Compile terms with these collection rules."""
    return compile_terms(terms_with(collect_rules=list(lines)))


def vocabulary_words(kind: WordKind) -> st.SearchStrategy[list[str]]:
    """Draw one or more words of a kind, leaves and parents."""
    words = load_vocabulary().words(kind)
    parents = sorted({parent for word in words.values() for parent in word.parents})
    return st.lists(st.sampled_from([*words, *parents]), min_size=1, max_size=3, unique=True)


AGES = st.one_of(st.just(FOREVER), st.integers(1, 400).map(lambda days: f"{days} days"))


def age_seconds(age: str) -> float:
    """Return an age in seconds; infinity for an age without end."""
    parsed = parse_age(age, "")
    return float("inf") if parsed is None else parsed


@st.composite
def collected_ages(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    """Draw categories and ages: several categories at `full`, or one at its precisions."""
    if draw(st.booleans()):
        return draw(vocabulary_words("categories")), {"full": draw(AGES)}
    category = draw(st.sampled_from(sorted(load_vocabulary().categories)))
    precisions = load_vocabulary().categories[category].precisions
    kept_precisions = [precision for precision in precisions if draw(st.booleans())] or list(precisions)
    ages = sorted((draw(AGES) for _ in kept_precisions), key=age_seconds, reverse=True)
    return [category], dict(zip(kept_precisions, ages, strict=True))


COLLECT = st.builds(
    lambda what, purposes: CollectRule(what[0], what[1], purposes),
    collected_ages(),
    vocabulary_words("purposes"),
)
DISCLOSE = st.builds(
    lambda what, to, ground, purposes: DiscloseRule(what[0], what[1], to, ground, purposes),
    collected_ages(),
    st.sampled_from(sorted(set(load_vocabulary().recipients) - {OPERATOR, PROCESSOR})),
    vocabulary_words("grounds").map(lambda grounds: grounds[0]),
    st.one_of(st.just([]), vocabulary_words("purposes")),
)
PROCESSED = st.builds(
    lambda what, purposes: DiscloseRule(what[0], what[1], PROCESSOR, "", purposes),
    collected_ages(),
    vocabulary_words("purposes"),
)
COOKIE = st.builds(
    CookieRule,
    st.sampled_from(["a", "b", "c_*"]),
    vocabulary_words("purposes"),
    AGES,
    st.sampled_from(["unless-refused", "if-accepted", "never"]),
    st.sampled_from(["first", "third"]),
)
TERMS = st.builds(
    terms_with,
    collect_rules=st.lists(COLLECT, max_size=4),
    disclose_rules=st.lists(st.one_of(DISCLOSE, PROCESSED), max_size=3),
    cookies=st.lists(COOKIE, max_size=3, unique_by=lambda cookie: cookie.name),
    grounds=st.lists(
        st.builds(
            Ground,
            st.sampled_from(sorted(load_vocabulary().grounds)),
            st.lists(st.sampled_from(list(EvidenceKind)), min_size=1, max_size=2),
            st.integers(0, 9),
        ),
        max_size=4,
        unique_by=lambda ground: ground.name,
    ),
    duties=st.builds(
        Duties, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 90), st.integers(1, 9)
    ),
)


def leaves(kind: WordKind, words: list[str]) -> list[str]:
    """Return the leaves of words."""
    return [leaf for word in words for leaf in load_vocabulary().expand(kind, word)]


def split_by_leaf(line: Any) -> list[Any]:
    """Split a rule into one rule for each leaf category and leaf purpose."""
    purposes = [[purpose] for purpose in leaves("purposes", line.purposes)] or [[]]
    return [
        msgspec.structs.replace(line, categories=[category], purposes=purpose)
        for category, purpose in product(leaves("categories", line.categories), purposes)
    ]


@given(TERMS, st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_change_the_identity(terms: Terms, chance: random.Random) -> None:
    """The order of rules, and of words in a rule, does not change the identity."""

    def shuffled(items: list[Any]) -> list[Any]:
        return chance.sample(items, len(items))

    def shuffle_rule(rule: Any) -> Any:
        ages = dict(shuffled(list(rule.max_ages.items())))
        return msgspec.structs.replace(
            rule, categories=shuffled(rule.categories), purposes=shuffled(rule.purposes), max_ages=ages
        )

    other = msgspec.structs.replace(
        terms,
        collect_rules=shuffled([shuffle_rule(rule) for rule in terms.collect_rules]),
        disclose_rules=shuffled([shuffle_rule(rule) for rule in terms.disclose_rules]),
        cookies=shuffled(terms.cookies),
    )
    assert compile_terms(other).encode_canonical() == compile_terms(terms).encode_canonical()


@given(TERMS)
def test_parents_and_long_rules_are_abbreviations(terms: Terms) -> None:
    """One rule for each leaf, and one rule with parents or several words, have the same identity."""
    other = msgspec.structs.replace(
        terms,
        collect_rules=[leaf for line in terms.collect_rules for leaf in split_by_leaf(line)]
        + terms.collect_rules[:1],
        disclose_rules=[leaf for line in terms.disclose_rules for leaf in split_by_leaf(line)]
        + terms.disclose_rules,
    )
    assert compile_terms(other).identity == compile_terms(terms).identity


@given(TERMS, st.text(min_size=1).filter(str.strip), st.dates())
def test_names_dates_and_languages_do_not_change_the_identity(terms: Terms, prose: str, day: date) -> None:
    """Another controller, contact, date or language does not change the identity."""
    other = msgspec.structs.replace(
        terms, controller=prose, contact=prose, updated_on=day, languages=["pt-BR"]
    )
    assert compile_terms(other).identity == compile_terms(terms).identity


@given(TERMS, TERMS)
def test_the_identity_depends_on_the_bounds_alone(old: Terms, new: Terms) -> None:
    """Two terms have the same identity exactly if their cells, duties and grounds are equal."""
    first, second = compile_terms(old), compile_terms(new)
    same = (first.cells, first.duties, first.grounds) == (second.cells, second.duties, second.grounds)
    assert (first.identity == second.identity) == same


@given(TERMS, st.data())
def test_each_change_of_cells_or_duties_changes_the_identity(terms: Terms, data: st.DataObject) -> None:
    """A changed age, cell, duty or vocabulary gives another identity."""
    compiled = compile_terms(terms)
    changes: list[dict[str, Any]] = [
        {"duties": {**compiled.duties, "may-see": 1 - compiled.duties.get("may-see", 0)}},
        {"duties": {**compiled.duties, "notice-days": compiled.duties.get("notice-days", 0) + 1}},
        {"vocabulary_identity": "other"},
        {"grounds": {**compiled.grounds, "other": GroundRequirements((EvidenceKind.CASE,), 0)}},
        {"form_needs": {"order": FormNeeds(frozenset({"message"}), frozenset({"content"}))}},
    ]
    if compiled.cells:
        cell = data.draw(st.sampled_from(sorted(compiled.cells)))
        rest = {other_cell: ages for other_cell, ages in compiled.cells.items() if other_cell != cell}
        finest = list(compiled.cells[cell])[-1]
        changes += [
            {"cells": rest},
            {"cells": {**rest, cell: {**compiled.cells[cell], finest: 1}}},
            {"cells": {**rest, cell._replace(purpose="other"): compiled.cells[cell]}},
        ]
    change = data.draw(st.sampled_from(changes))
    parts = {field.name: getattr(compiled, field.name) for field in fields(compiled)}
    assert CompiledTerms(**{**parts, **change}).identity != compiled.identity


@given(TERMS)
def test_a_finer_precision_is_never_kept_longer(terms: Terms) -> None:
    """What is permitted at a precision is permitted at each coarser one for at least as long."""
    for cell, ages in compile_terms(terms).cells.items():
        words = load_vocabulary().categories
        precisions = (
            ("if-accepted", "unless-refused") if cell.cookie_name else words[cell.category].precisions
        )
        assert tuple(ages) == precisions[: len(ages)]
        limits = [float("inf") if age is None else age for age in ages.values()]
        assert limits == sorted(limits, reverse=True)
        assert limits[-1] > 0


@given(TERMS)
def test_the_retention_age_is_the_longest_age_of_any_purpose(terms: Terms) -> None:
    """A category is kept exactly as long as some purpose of the operator may use it."""
    compiled = compile_terms(terms)
    for category in load_vocabulary().categories:
        ages = [
            compiled.max_age_coarsest(own_use_cell(category, purpose))
            for purpose in compiled.collection_purposes(category)
        ]
        coarsest = next(iter(compiled.retention_ages(category).values()), 0)
        assert coarsest == (
            None if None in ages else max((age for age in ages if age is not None), default=0)
        )
        assert (category in compiled.collected_categories) == bool(compiled.retention_ages(category))


def test_a_rule_compiles_to_one_cell_for_each_leaf() -> None:
    """A rule compiles to a cell for each leaf category, purpose and ground."""
    compiled = compile_terms(
        terms_with(
            collect_rules=[CollectRule(["visit"], {"full": "7 days"}, ["content", "abuse"])],
            disclose_rules=[
                DiscloseRule(["status"], {"full": "1 hour"}, "authority", "fraud-or-misuse"),
                DiscloseRule(["status"], {"full": "1 hour"}, "processor", "", ["third-party-service"]),
            ],
            grounds=[Ground("fraud-or-misuse", ["case"])],
        )
    )
    assert compiled.cells == {
        Cell("visit-duration", "abuse", OPERATOR, OWN_USE): {"full": 7 * DAY},
        Cell("visit-duration", "content", OPERATOR, OWN_USE): {"full": 7 * DAY},
        Cell("visit-time", "abuse", OPERATOR, OWN_USE): {"full": 7 * DAY},
        Cell("visit-time", "content", OPERATOR, OWN_USE): {"full": 7 * DAY},
        Cell("status", GROUND_ONLY_PURPOSE, "authority", "checking"): {"full": 3600},
        Cell("status", GROUND_ONLY_PURPOSE, "authority", "industry-abuse-control"): {"full": 3600},
        Cell("status", "third-party-service", PROCESSOR, OWN_USE): {"full": 3600},
    }


@pytest.mark.parametrize(
    ("keep", "ages"),
    [
        ({"full": "7 days"}, {"country": 7 * DAY, "prefix": 7 * DAY, "full": 7 * DAY}),
        ({"full": "7 days", "prefix": "90 days"}, {"country": 90 * DAY, "prefix": 90 * DAY, "full": 7 * DAY}),
        ({"full": "1 day", "country": FOREVER}, {"country": None, "prefix": DAY, "full": DAY}),
        ({"prefix": "1 day"}, {"country": DAY, "prefix": DAY}),
        ({"full": FOREVER}, {"country": None, "prefix": None, "full": None}),
    ],
)
def test_an_unnamed_precision_has_the_age_of_the_next_finer_one(
    keep: dict[str, str], ages: dict[str, int | None]
) -> None:
    """A precision that is not named is kept as long as the next finer one, and not at all if there is none."""
    assert compile_rules(CollectRule(["ip-address"], keep, ["abuse"])).retention_ages("ip-address") == ages


def test_the_longer_of_two_ages_applies() -> None:
    """If two rules cover one cell, the longer age applies at each precision; other purposes are not affected."""
    compiled = compile_rules(
        CollectRule(["ip-address"], {"full": "7 days"}, ["abuse"]),
        CollectRule(["ip-address"], {"prefix": "30 days"}, ["operate"]),
        CollectRule(["ip-address"], {"country": FOREVER}, ["content"]),
    )
    assert compiled.cells[Cell("ip-address", "abuse", OPERATOR, OWN_USE)] == {
        "country": 30 * DAY,
        "prefix": 30 * DAY,
        "full": 7 * DAY,
    }
    assert compiled.retention_ages("ip-address") == {"country": None, "prefix": 30 * DAY, "full": 7 * DAY}
    assert compiled.max_age_coarsest(own_use_cell("ip-address", "content")) is None
    assert compiled.max_age_coarsest(own_use_cell("ip-address", "performance")) == 30 * DAY


def test_an_undeclared_category_is_never_kept() -> None:
    """A category that is only disclosed, and not collected, may not be kept or used."""
    compiled = compile_terms(
        terms_with(disclose_rules=[DiscloseRule(["status"], {"full": "1 hour"}, "public", "required-by-law")])
    )
    assert compiled.collected_categories == compiled.collection_purposes("status") == []
    assert compiled.retention_ages("status") == {}
    assert compiled.max_age_coarsest(own_use_cell("status", "abuse")) == 0


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("1 second", 1),
        ("2 minutes", 120),
        ("36 hours", 36 * 3600),
        ("1 day", DAY),
        ("2 weeks", 14 * DAY),
        ("12 months", 360 * DAY),
        ("1 year", 365 * DAY),
        ("forever", None),
    ],
)
def test_an_age_is_a_number_of_seconds(text: str, age: int | None) -> None:
    """A month has 30 days and a year 365; `forever` has no end."""
    assert parse_age(text, "") == age


@pytest.mark.parametrize(
    "text", ["", "7", "0 days", "-1 days", "1.5 days", "7days", "7 Days", "7 dayss", "1 moon", "\u0667 days"]
)
def test_an_invalid_age_is_refused(text: str) -> None:
    """The error names the key, and its hint lists the valid forms."""
    with raises_code("invalid-terms") as error_info:
        compile_rules(CollectRule(["status"], {"full": text}, ["abuse"]))
    assert "`collect[0].keep.full`" in error_info.value.message
    assert "`forever`" in error_info.value.hint
    assert "days" in error_info.value.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (ADDRESS.replace("ip-a", "ip_a"), "`collect[0].categories` is `ip_address`", "`ip-address`"),
        (ADDRESS.replace('"ip-address"', ""), "`collect[0].categories` is empty", "ip-address"),
        (ADDRESS.replace("abuse", "abuses"), "`collect[0].for` is `abuses`", "`abuse`"),
        (ADDRESS.replace('"abuse"', ""), "`collect[0].for` is empty", "availability"),
        (
            ADDRESS.replace("full =", "ful ="),
            "`collect[0].keep.ful` is not a precision of `ip-address`",
            "`full`",
        ),
        (ADDRESS.replace('full = "7 days"', ""), "`collect[0].keep` is empty", "how long"),
        (ADDRESS.replace("}", ', prefix = "1 day" }'), "`collect[0].keep.prefix` is shorter", "coarser"),
        (
            ADDRESS.replace('"7 days" }', '"forever", prefix = "1 day" }'),
            "`collect[0].keep.prefix` is shorter",
            "coarser",
        ),
        (
            ADDRESS.replace('["ip-address"]', '["ip-address", "status"]').replace("full", "prefix"),
            "`collect[0].keep.prefix` is not a precision of `status`",
            "full",
        ),
        (ADDRESS.replace('keep = { full = "7 days" }\n', ""), "`collect[0].keep` is missing", "reference"),
        (ADDRESS.replace("for", "fro"), "`collect[0].fro` is not a known key", "`for`"),
        (ADDRESS.replace("collect", "colect"), "`colect` is not a known key", "`collect`"),
    ],
)
def test_an_invalid_collection_rule_is_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """The error names the file and the key, and its hint the nearest valid word."""
    assert_refused(tmp_path, HEAD + text, message, hint)


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ('"authority"', '"authorities"', "`disclose[0].to` is `authorities`", "`authority`"),
        ('"authority"', '"operator"', "`disclose[0].to` is the operator", "[[collect]]"),
        ('"authority"', '"processor"', "`disclose[0].ground` is `required-by-law`", "`for`"),
        (
            '"required-by-law"',
            '"required-by-laws"',
            "`disclose[0].ground` is `required-by",
            "`required-by-law`",
        ),
        ('ground = "required-by-law"', "", "`disclose[0].ground` is empty", "authorised, requested-function"),
        ('"unless-refused"', '"unless-refuse"', "`cookie[0].basis` is `unless-refuse`", "`unless-refused`"),
        ('"first"', '"second"', "`cookie[0].party` is `second`", "first, third"),
        ('"12 months"', '"session"', "`cookie[0].keep` is `session`", "`forever`"),
        ('"a"', '"*"', "`cookie[0].name` is `*`", "letters"),
        ('["content"]', "[]", "`cookie[0].for` is empty", "content"),
        ("notice-days = 30", "notice-days = -1", "`duties.notice-days` is `-1`", "0 to 3650"),
        ("notice-days = 30", f"notice-days = {10**20}", "`duties.notice-days` is `1000", "0 to 3650"),
        ("notice-days = 30", "smallest-group = 0", "`duties.smallest-group` is `0`", "1 to 1000000"),
        ("may-see = true", 'may-see = "true"', "`duties.may-see`: expected `bool`", "without quotes"),
        ('["en"]', '["english"]', "`languages[0]` is `english`", "`pt-BR`"),
        ('["en"]', '["pt_br"]', "`languages[0]` is `pt_br`", "`pt-BR`"),
        ('["en"]', "[]", "`languages` is empty", "languages"),
        ('"A"', '" "', "`controller` is empty", "name the controller"),
        ("vocabulary = 2", "vocabulary = 3", "`vocabulary` is `3`", "`2`"),
    ],
)
def test_invalid_terms_are_refused(tmp_path: Path, old: str, new: str, message: str, hint: str) -> None:
    """The error names the file and the key, and its hint the nearest valid word."""
    text = (
        HEAD
        + '[[disclose]]\ncategories = ["visit"]\nkeep = { full = "7 days" }\nto = "authority"\n'
        + 'ground = "required-by-law"\n[[cookie]]\nname = "a"\nfor = ["content"]\nkeep = "12 months"\n'
        + 'basis = "unless-refused"\nparty = "first"\n[duties]\nmay-see = true\nnotice-days = 30\n'
    )
    assert old in text
    assert_refused(tmp_path, text.replace(old, new), message, hint)


def assert_refused(tmp_path: Path, text: str, message: str, hint: str) -> None:
    """Assert how a file of terms is refused."""
    path = tmp_path / "terms.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TermsError) as error_info:
        load_terms(path)
    assert error_info.value.message.startswith(str(path))
    assert message in error_info.value.message
    assert hint in error_info.value.hint


def test_a_disclosure_to_a_processor_has_to_name_purposes() -> None:
    """A processor receives data for purposes, as it has no ground of its own."""
    with raises_code("invalid-terms") as error_info:
        compile_terms(terms_with(disclose_rules=[DiscloseRule(["status"], {"full": "1 day"}, PROCESSOR)]))
    assert "`disclose[0].for`" in error_info.value.message


def test_a_cookie_declared_twice_is_refused() -> None:
    """Two rules for one cookie are refused, as they could contradict each other."""
    cookie = CookieRule("a", ["content"], "1 day", "never", "first")
    with raises_code("duplicate-name"):
        compile_terms(terms_with(cookies=[cookie, cookie]))


@pytest.mark.parametrize("tag", ["en", "pt-BR", "zh-TW", "zh-Hant-TW", "es-419", "de-1996", "sl-rozaj", "ar"])
def test_a_language_tag_is_normalised(tag: str) -> None:
    """A tag of RFC 5646 is accepted in any case, and written in the usual one."""
    assert normalize_language_tag(tag.lower()) == normalize_language_tag(tag.upper()) == tag


@pytest.mark.parametrize(
    "tag", ["", "e", "english", "pt_BR", "en-", "-en", "en US", "en-U", "no!", "\u0440\u0443"]
)
def test_an_invalid_language_tag_is_recognised(tag: str) -> None:
    """A text that is not a tag of RFC 5646 gives an empty one."""
    assert normalize_language_tag(tag) == ""


def test_the_default_terms_are_valid() -> None:
    """The default terms are valid without warnings, and keep data as long as they say."""
    terms = load_terms(DEFAULT)
    compiled = compile_terms(terms)
    assert find_warnings(terms) == []
    assert compiled.retention_ages("ip-address") == {"country": 90 * DAY, "prefix": 90 * DAY, "full": 7 * DAY}
    assert compiled.retention_ages("referrer") == {"site": None, "page": None}
    assert compiled.retention_ages("visitor-id") == {"day": None, "full": 360 * DAY}
    assert compiled.retention_ages("page-query") == {}
    assert compiled.collection_purposes("status") == ["abuse", "availability", "content", "performance"]


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([], "nothing is collected"),
        (["status"], "`request-time`"),
        (["status"], "`bot`"),
        (["status"], "may-refuse-cookies"),
        (["visit-duration"], "without `visit-time`"),
        (["view-duration"], "without `view-time`"),
        (["interaction"], "`download` is collected without `view-time`"),
        (["web-vitals"], "without `view-time`"),
        (["message"], "without `submission-time`"),
        (["visit"], "`visitor-id`"),
        (["view"], "`request-kind`"),
    ],
)
def test_terms_under_which_something_cannot_work_give_a_warning(categories: list[str], message: str) -> None:
    """Terms may be valid while something cannot work under them; a warning says what."""
    collect = [CollectRule([category], {"full": "1 day"}, ["operate"]) for category in categories]
    cookie = [CookieRule("a", ["content"], "1 day", "unless-refused", "first")]
    terms = terms_with(collect_rules=collect, cookies=cookie)
    assert any(message in warning for warning in find_warnings(terms))


def test_the_docs_describe_every_key() -> None:
    """Each key has a heading in the reference, and each example there is valid."""
    text = DOCS.read_text(encoding="utf-8")
    tables = {
        "collect": CollectRule,
        "disclose": DiscloseRule,
        "cookie": CookieRule,
        "form": Form,
        "ground": Ground,
        "duties": Duties,
        "about": About,
    }
    keys = [name for name in Terms.__struct_encode_fields__ if name not in tables]
    keys += [f"{name}.{field}" for name, table in tables.items() for field in table.__struct_encode_fields__]
    assert [key for key in keys if f"\n### `{key}`\n" not in text] == []
    for example in re.findall(r"```toml\n(\[\[.+?)```", text, re.DOTALL):
        data = {**tomllib.loads(HEAD), **tomllib.loads(example)}
        compile_terms(strict.convert_toml(data, Terms, source_name="the example", error_type=TermsError))


@given(TERMS)
def test_the_canonical_form_is_complete(terms: Terms) -> None:
    """The canonical form contains each cell, cookie and owed duty, and no duty that is not owed."""
    compiled = compile_terms(terms)
    parsed_terms = parse_canonical(compiled.encode_canonical())
    assert parsed_terms == compiled
    assert [list(ages) for ages in parsed_terms.cells.values()] == [
        list(ages) for _, ages in sorted(compiled.cells.items())
    ]
    assert {
        name: value for name, value in msgspec.to_builtins(terms.duties).items() if value
    } == parsed_terms.duties
    assert parsed_terms.vocabulary_identity == load_vocabulary().identity
