"""The terms of a policy: the rules in `terms.toml`, and their compilation to bounds.

`terms.toml` has short rules with parents of words and ages in words. They compile to cells (category, purpose,
recipient, ground), each with the greatest age at each precision, and to duties; cookies are cells too. Two files have
the same meaning if and only if their compiled terms have the same identity.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

import msgspec

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.about import About, check_about, compile_legal_bases
from avowal.policy.bounds import (
    COOKIE_PREFIX,
    FOREVER,
    GROUND_ONLY_PURPOSE,
    OPERATOR,
    OWN_USE,
    PROCESSOR,
    THIRD_PARTY,
    UNIT_SECONDS,
    Age,
    AgeByPrecision,
    Cell,
    CompiledTerms,
    merge_longest_ages,
)
from avowal.policy.form import SUBMISSION_TIME_CATEGORY, Form, check_forms, compile_form_needs
from avowal.policy.ground import Ground, GroundRequirements, compile_grounds
from avowal.policy.vocabulary import FULL_PRECISION, Vocabulary, WordKind, load_vocabulary

COOKIE_BASIS_PRECISIONS = {
    "never": (),
    "if-accepted": ("if-accepted",),
    "unless-refused": ("if-accepted", "unless-refused"),
}
"""The precisions that each basis of a cookie permits, from coarse to fine (B5)."""

DUTY_LIMITS = {"notice_days": (0, 3650), "smallest_group": (1, 1_000_000)}
"""The smallest and the largest value of duties with an amount: days and visitors."""


class CollectRule(msgspec.Struct, frozen=True):
    """A table `[[collect]]`: categories, how long they are kept at each precision, and for which purposes."""

    categories: list[str]
    max_ages: dict[str, str] = msgspec.field(name="keep")
    purposes: list[str] = msgspec.field(name="for")


class DiscloseRule(msgspec.Struct, frozen=True):
    """A table `[[disclose]]`: categories that a kind of recipient may receive on a ground, up to an age.

    A processor acts for the operator, so its rules have purposes and no ground.
    """

    categories: list[str]
    max_ages: dict[str, str] = msgspec.field(name="keep")
    recipient: str = msgspec.field(name="to")
    ground: str = ""
    purposes: list[str] = msgspec.field(name="for", default_factory=list)


class CookieRule(msgspec.Struct, frozen=True):
    """A table `[[cookie]]`: a cookie, and when it may be set."""

    name: str
    purposes: list[str] = msgspec.field(name="for")
    max_age: str = msgspec.field(name="keep")
    basis: Literal["unless-refused", "if-accepted", "never"]
    party: Literal["first", "third"]


class Duties(msgspec.Struct, frozen=True, rename="kebab", omit_defaults=True):
    """The table `[duties]`: what the site owes to visitors. A duty at its default value is not hashed."""

    may_refuse_cookies: bool = False
    may_see: bool = False
    may_erase: bool = False
    notice_days: int = 0
    smallest_group: int = 1
    may_correct: bool = False
    may_restrict: bool = False
    may_object: bool = False
    may_receive: bool = False


class Terms(msgspec.Struct, frozen=True):
    """The file `terms.toml`. Each key is described in `docs/terms.md`."""

    vocabulary: int
    controller: str
    contact: str
    updated_on: date = msgspec.field(name="updated")
    languages: list[str]
    collect_rules: list[CollectRule] = msgspec.field(name="collect", default_factory=list)
    disclose_rules: list[DiscloseRule] = msgspec.field(name="disclose", default_factory=list)
    cookies: list[CookieRule] = msgspec.field(name="cookie", default_factory=list)
    forms: list[Form] = msgspec.field(name="form", default_factory=list)
    grounds: list[Ground] = msgspec.field(name="ground", default_factory=list)
    duties: Duties = Duties()
    legal_bases: dict[str, str] = msgspec.field(name="legal-basis", default_factory=dict)
    """The legal basis of purposes, or of their parents."""
    about: About = About()


def load_terms(path: Path) -> Terms:
    """Load and check a file of terms.

    Raises TermsError with the file, the key and the nearest valid word if it is not valid.
    """
    return parse_terms(strict.read_text(path, TermsError), str(path))


def parse_terms(text: str, source_name: str) -> Terms:
    """Parse and check the text of a file of terms, which errors name by `source_name`. Raises as `load_terms` does."""
    terms = strict.parse_toml(text, Terms, source_name=source_name, error_type=TermsError)
    try:
        compile_terms(terms)
    except TermsError as error:
        raise TermsError(f"{source_name}: {error.message}", error.hint, code=error.code) from None
    return terms


@lru_cache(maxsize=16)
def parse_published_terms(text: str) -> Terms:
    """Parse terms as they were published, for what their bounds do not say: controller, languages, fields of forms.

    Nothing is compiled or checked again: what they permit is what they were compiled to then (B10).
    """
    return strict.parse_toml(text, Terms, source_name="the published terms", error_type=TermsError)


def compile_terms(terms: Terms) -> CompiledTerms:
    """Compile terms to bounds.

    If several rules are about one cell, the longest age holds at each precision. A precision that a rule does not name
    has the age of the next finer one. A closed ground has no cells. Raises TermsError with the key that is not valid.
    """
    words = load_vocabulary(terms.vocabulary)
    _check_values(terms)
    check_about(terms.about)
    grounds = compile_grounds(terms.grounds, words)
    cells = compile_cells(
        words, ("collect", OPERATOR, terms.collect_rules), ("disclose", terms.disclose_rules), grounds
    )
    if len({cookie.name for cookie in terms.cookies}) < len(terms.cookies):
        raise TermsError(
            "`cookie` names one cookie twice", "write one [[cookie]] for each", code="duplicate-name"
        )
    for number, cookie in enumerate(terms.cookies):
        cells.update(_compile_cookie(words, f"cookie[{number}]", cookie))
    owed = {name: int(owes) for name, owes in msgspec.to_builtins(terms.duties).items()}
    owed |= dict.fromkeys(compile_legal_bases(terms.legal_bases, words), 1)
    compiled = CompiledTerms(cells, owed, grounds, compile_form_needs(terms.forms, words), words.identity)
    check_forms(terms.forms, compiled, words)
    return compiled


REQUIRED_TIME_CATEGORIES = {
    "visit-duration": "visit-time",
    "view-duration": "view-time",
    "interaction": "view-time",
    "page-quality": "view-time",
    "submission": SUBMISSION_TIME_CATEGORY,
}
"""The category of the time that each category, or the children of a parent, needs: without it there is no age."""


def compile_cells(
    vocabulary: Vocabulary,
    collect_table: tuple[str, str, Sequence[CollectRule]],
    disclose_table: tuple[str, Sequence[DiscloseRule]],
    grounds: Mapping[str, GroundRequirements],
) -> dict[Cell, AgeByPrecision]:
    """Compile rules to cells: what a recipient uses for its own purposes, and what it discloses to others.

    `collect_table` has the name of its table, the recipient and the rules; `disclose_table` the name and the rules.
    `grounds` has what is required on each ground; the others are closed. Raises TermsError with the key that is not
    valid.
    """
    cells: dict[Cell, AgeByPrecision] = {}
    for cell, ages in _compile_rules(vocabulary, collect_table, disclose_table):
        if cell.ground == OWN_USE or cell.ground in grounds:
            cells[cell] = merge_longest_ages(cells.get(cell, {}), ages)
    return cells


def _compile_rules(
    words: Vocabulary,
    collect_table: tuple[str, str, Sequence[CollectRule]],
    disclose_table: tuple[str, Sequence[DiscloseRule]],
) -> Iterator[tuple[Cell, AgeByPrecision]]:
    """Yield the cells of all rules, one rule after the other."""
    table, recipient, collect_rules = collect_table
    for number, collect_rule in enumerate(collect_rules):
        yield from _compile_rule(words, f"{table}[{number}]", collect_rule, recipient, [OWN_USE])
    table, disclose_rules = disclose_table
    for number, disclose_rule in enumerate(disclose_rules):
        key = f"{table}[{number}]"
        grounds = _find_grounds(words, key, disclose_rule)
        yield from _compile_rule(words, key, disclose_rule, disclose_rule.recipient, grounds)


def parse_age(text: str, key: str) -> Age:
    """Parse an age: `7 days`, `12 months`, `forever`.

    >>> parse_age("2 weeks", "keep.full")
    1209600
    """
    if text == FOREVER:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5}) ([a-z]+?)s?", text, re.ASCII)
    if match is None or match[2] not in UNIT_SECONDS:
        units = ", ".join(f"{unit}s" for unit in UNIT_SECONDS)
        raise TermsError(
            f"`{key}` is `{text}`, which is not an age", f"write `forever`, or a whole number of {units}"
        )
    return int(match[1]) * UNIT_SECONDS[match[2]]


def normalize_language_tag(text: str) -> str:
    """Return a language tag in the case of RFC 5646, section 2.1.1; empty if it is not a language tag.

    >>> normalize_language_tag("zh-hant-tw")
    'zh-Hant-TW'
    """
    if not _LANGUAGE.fullmatch(text):
        return ""
    first, *rest = text.lower().split("-")
    cased = (part.title() if part.isalpha() and len(part) == 4 else part for part in rest)  # noqa: PLR2004
    return "-".join([first, *(part.upper() if len(part) == 2 else part for part in cased)])  # noqa: PLR2004


_LANGUAGE = re.compile(
    r"[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?(-([a-z0-9]{5,8}|\d[a-z0-9]{3}))*", re.IGNORECASE | re.ASCII
)
"""Language, script, region, variants."""


def _check_values(terms: Terms) -> None:
    for key in ("controller", "contact"):
        if not getattr(terms, key).strip():
            raise TermsError(f"`{key}` is empty", "name the controller, and how to reach them")
    if not terms.languages:
        raise TermsError("`languages` is empty", 'name the languages of the document: `languages = ["en"]`')
    for number, tag in enumerate(terms.languages):
        if tag != normalize_language_tag(tag):
            meant = normalize_language_tag(tag.replace("_", "-"))
            hint = f"did you mean `{meant}`?" if meant else "use a tag such as `en`, `pt-BR` or `zh-Hant-TW`"
            raise TermsError(f"`languages[{number}]` is `{tag}`, which is not a language tag", hint)
    for key, (least, most) in DUTY_LIMITS.items():
        value = getattr(terms.duties, key)
        if not least <= value <= most:
            raise TermsError(f"`duties.{key.replace('_', '-')}` is `{value}`", f"write {least} to {most}")


def _expand_words(vocabulary: Vocabulary, kind: WordKind, named: list[str], key: str) -> list[str]:
    """Return the leaves that words stand for, each once and sorted. Raises TermsError if a word is unknown."""
    for word in named:
        if not vocabulary.expand(kind, word):
            raise TermsError(
                f"`{key}` is `{word}`, which is not one of the {kind}",
                vocabulary.suggest_word(kind, word),
                code="unknown-name",
            )
    if not named:
        raise TermsError(f"`{key}` is empty", vocabulary.suggest_word(kind, ""))
    return sorted({leaf for word in named for leaf in vocabulary.expand(kind, word)})


def _find_grounds(vocabulary: Vocabulary, key: str, rule: DiscloseRule) -> list[str]:
    _expand_words(vocabulary, "recipients", [rule.recipient], f"{key}.to")
    if rule.recipient == OPERATOR:
        raise TermsError(f"`{key}.to` is the operator", "what it does itself stands under [[collect]]")
    if rule.recipient != PROCESSOR:
        return _expand_words(vocabulary, "grounds", [rule.ground] if rule.ground else [], f"{key}.ground")
    if rule.ground:
        raise TermsError(
            f"`{key}.ground` is `{rule.ground}`, but a processor acts for the operator",
            "take the ground away, and name the purposes of its service in `for`",
        )
    _expand_words(vocabulary, "purposes", rule.purposes, f"{key}.for")
    return [OWN_USE]


def _compile_rule(
    words: Vocabulary, key: str, rule: CollectRule | DiscloseRule, recipient: str, grounds: list[str]
) -> Iterator[tuple[Cell, AgeByPrecision]]:
    """Yield the cells of one rule."""
    alone = isinstance(rule, DiscloseRule) and not rule.purposes
    purposes = (
        [GROUND_ONLY_PURPOSE] if alone else _expand_words(words, "purposes", rule.purposes, f"{key}.for")
    )
    for category in _expand_words(words, "categories", rule.categories, f"{key}.categories"):
        ages = _compile_ages(words.categories[category].precisions, rule.max_ages, category, f"{key}.keep")
        for purpose, ground in product(purposes, grounds):
            yield Cell(category, purpose, recipient, ground), ages


def _compile_ages(
    precisions: tuple[str, ...], keep: Mapping[str, str], category: str, key: str
) -> AgeByPrecision:
    """Return the age at each precision, from the coarsest to the finest that is named."""
    for named in keep:
        if named not in precisions:
            hint = strict.suggest_nearest(named, list(precisions), f"precisions of `{category}`")
            raise TermsError(f"`{key}.{named}` is not a precision of `{category}`", hint)
    if not keep:
        raise TermsError(f"`{key}` is empty", f'say how long: `keep = {{ {FULL_PRECISION} = "90 days" }}`')
    ages: dict[str, Age] = {}
    finer: Age = 0
    for precision in reversed(precisions):
        age = parse_age(keep[precision], f"{key}.{precision}") if precision in keep else finer
        if age is not None and (finer is None or age < finer):
            raise TermsError(
                f"`{key}.{precision}` is shorter than a finer precision of `{category}`",
                "what is known exactly is known coarsely, too: keep the coarser as long or longer",
            )
        finer = age
        if age != 0:
            ages[precision] = age
    return dict(reversed(ages.items()))


def _compile_cookie(
    vocabulary: Vocabulary, key: str, cookie: CookieRule
) -> Iterator[tuple[Cell, AgeByPrecision]]:
    """Yield the cells of a cookie (B5)."""
    if not re.fullmatch(r"[!#$%&'+.^_`|~0-9A-Za-z-]+\*?", cookie.name):
        raise TermsError(
            f"`{key}.name` is `{cookie.name}`, which is not a cookie's name",
            "use letters, digits, `-` and `_`; `*` at its end stands for any rest",
        )
    setter = OPERATOR if cookie.party == "first" else THIRD_PARTY
    ages = dict.fromkeys(COOKIE_BASIS_PRECISIONS[cookie.basis], parse_age(cookie.max_age, f"{key}.keep"))
    for purpose in _expand_words(vocabulary, "purposes", cookie.purposes, f"{key}.for"):
        if ages:
            yield Cell(f"{COOKIE_PREFIX}{cookie.name}", purpose, setter, OWN_USE), ages
