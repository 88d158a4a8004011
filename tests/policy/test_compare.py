"""Comparison of terms and the bounds of a record, checked against a model that enumerates what is permitted."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.change.draft import TERMS_FILE
from avowal.policy import terms as terms_module
from avowal.policy.bounds import (
    COMPILATION,
    COOKIE_PREFIX,
    OPERATOR,
    OWN_USE,
    THIRD_PARTY,
    UNIT_SECONDS,
    Bounds,
    Cell,
    parse_canonical,
)
from avowal.policy.compare import ProtectionRelation, Witness, compare, meet
from avowal.policy.duty import parse_duty_name
from avowal.policy.form import Form
from avowal.policy.ground import Ground
from avowal.policy.terms import (
    CollectRule,
    CookieRule,
    DiscloseRule,
    Duties,
    Terms,
    compile_terms,
    load_terms,
)
from avowal.policy.vocabulary import load_vocabulary
from support import model_terms as promises
from support.depth import by_depth
from support.errors import raises_code
from support.model_terms import (
    DAYS,
    PRECISIONS,
    UNIVERSE,
    CookieUse,
    Disclosure,
    FormRelease,
    Permission,
    Permissions,
    ReducedDuty,
    Use,
    find_permissions,
)
from support.record_bounds import compute_age_steps, compute_record_bounds, is_age_permitted

DAY = UNIT_SECONDS["day"]
DEFAULT = Path(str(resources.files("avowal.policy") / "examples" / "unless-refused" / TERMS_FILE))


def terms_with(**parts: Any) -> Terms:
    """Return terms that consist of these rules and duties alone."""
    return Terms(2, "A", "a@example.org", date(2026, 11, 22), ["en"], **parts)


def combine_terms(first: Terms, second: Terms) -> Terms:
    """Return terms with the rules of both; the cookies are those of the first."""
    return msgspec.structs.replace(
        first,
        collect_rules=[*first.collect_rules, *second.collect_rules],
        disclose_rules=[*first.disclose_rules, *second.disclose_rules],
    )


@st.composite
def collected_ages(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    """Draw a category and its ages; a coarser precision is kept at least as long as a finer one."""
    category = draw(st.sampled_from(["ip-address", "visit", "visit-time"]))
    precisions = PRECISIONS.get(category, ("full",))
    kept_precisions = draw(st.sets(st.sampled_from(precisions), min_size=1))
    ages = sorted(
        draw(
            st.lists(
                st.sampled_from(list(DAYS)), min_size=len(kept_precisions), max_size=len(kept_precisions)
            )
        ),
        key=lambda age: DAYS[age],
    )
    fine_first = [precision for precision in reversed(precisions) if precision in kept_precisions]
    return [category], dict(zip(fine_first, ages, strict=True))


PURPOSE = st.lists(st.sampled_from(["availability", "abuse", "operate"]), min_size=1, max_size=2, unique=True)
COLLECT = st.builds(lambda what, purposes: CollectRule(what[0], what[1], purposes), collected_ages(), PURPOSE)
DISCLOSE = st.one_of(
    st.builds(
        lambda what, ground, purposes: DiscloseRule(what[0], what[1], "authority", ground, purposes),
        collected_ages(),
        st.sampled_from(["instrument", "legal-rights", "required-by-law"]),
        st.one_of(st.just([]), PURPOSE),
    ),
    st.builds(
        lambda what, purposes: DiscloseRule(what[0], what[1], "processor", "", purposes),
        collected_ages(),
        PURPOSE,
    ),
)
COOKIES = st.builds(
    CookieRule,
    st.sampled_from(promises.COOKIES),
    PURPOSE,
    st.sampled_from(list(DAYS)),
    st.sampled_from(["never", "if-accepted", "unless-refused"]),
    st.sampled_from(["first", "third"]),
)
DUTIES = st.builds(
    Duties,
    may_refuse_cookies=st.booleans(),
    may_see=st.booleans(),
    notice_days=st.sampled_from([0, 10, 30, 50]),
    smallest_group=st.sampled_from([1, 3, 5]),
)
GROUND_RULES = st.builds(
    Ground,
    st.sampled_from(promises.GROUNDS),
    st.lists(st.sampled_from(promises.EVIDENCE), min_size=1, unique=True),
    st.sampled_from(promises.APPROVALS),
)
FORM_RULES = st.builds(
    Form,
    st.sampled_from(promises.FORMS),
    st.just({"text": "message"}),
    st.lists(st.sampled_from(promises.PURPOSES), min_size=1, unique=True),
    needed_categories=st.lists(st.sampled_from(promises.NEEDED), max_size=2),
)
SUBMITTED = CollectRule(["message", "submission-time"], {"full": "forever"}, ["operate"])
"""What the forms ask for."""
TERMS = st.builds(
    terms_with,
    collect_rules=st.lists(COLLECT, max_size=3).map(lambda rules: [*rules, SUBMITTED]),
    disclose_rules=st.lists(DISCLOSE, max_size=2),
    cookies=st.lists(COOKIES, max_size=2, unique_by=lambda cookie: cookie.name),
    forms=st.lists(FORM_RULES, max_size=2, unique_by=lambda form: form.name),
    grounds=st.lists(GROUND_RULES, max_size=2, unique_by=lambda ground: ground.name),
    duties=DUTIES,
)
VERSIONS = st.lists(TERMS, min_size=1, max_size=4)


@st.composite
def policy_histories(draw: st.DrawFn) -> tuple[list[Terms], int, set[int]]:
    """Draw versions, the version that a record was collected under, and the versions that were consented to."""
    versions = draw(VERSIONS)
    numbers = st.integers(1, len(versions))
    return versions, draw(numbers), draw(st.sets(numbers))


def locate_permission(permission: Permission) -> tuple[Cell | str, str]:
    """Return the cell and precision, the duty, ground or form that a permission of the model is about."""
    if isinstance(permission, ReducedDuty):
        return permission.duty.replace("_", "-"), ""
    if isinstance(permission, Disclosure):
        return f"ground {permission.ground}", ""
    if isinstance(permission, FormRelease):
        return f"form {permission.form}", ""
    if isinstance(permission, CookieUse):
        setter = OPERATOR if permission.party == "first" else THIRD_PARTY
        return Cell(
            f"{COOKIE_PREFIX}{permission.name}", permission.purpose, setter, OWN_USE
        ), permission.basis
    return Cell(
        permission.category, permission.purpose, permission.recipient, permission.ground
    ), permission.precision


def locate_witness(witness: Witness) -> tuple[Cell | str, str]:
    """Return what a witness is about, as `locate_permission` does."""
    if isinstance(witness.rule, Cell):
        return witness.rule, witness.precision
    subject, _, _ = parse_duty_name(witness.rule)
    if not subject:
        return witness.rule, ""
    return f"{'form' if witness.rule.startswith('form ') else 'ground'} {subject}", ""


def enumerate_permissions(bounds: Bounds) -> Permissions:
    """Return all permissions of the model's universe that bounds grant."""

    def is_permitted(permission: Permission) -> bool:
        if isinstance(permission, Disclosure):
            required = bounds.grounds.get(permission.ground)
            return (
                required is not None
                and permission.evidence >= {*required.evidence}
                and permission.approvals >= required.approvals
            )
        if isinstance(permission, FormRelease):
            needs = bounds.form_needs.get(permission.form)
            return (
                needs is not None
                and permission.category in needs.categories
                and permission.objection not in needs.purposes
            )
        subject, precision = locate_permission(permission)
        if isinstance(permission, ReducedDuty):
            return bounds.duties.get(str(subject), 0) < permission.level
        assert isinstance(subject, Cell)
        max_age = bounds.max_age(subject, precision)
        return max_age is None or permission.age * DAY <= max_age

    return frozenset(permission for permission in UNIVERSE if is_permitted(permission))


def are_equal(first: Bounds, second: Bounds) -> bool:
    parts = ("cells", "duties", "grounds", "form_needs")
    return all(getattr(first, part) == getattr(second, part) for part in parts)


def compile_all(versions: Sequence[Terms]) -> list[Bounds]:
    return [compile_terms(terms) for terms in versions]


model_settings = partial(settings, deadline=None)


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS)
def test_comparing_terms_compares_the_sets_of_what_they_permit(old: Terms, new: Terms) -> None:
    """The relation is that of the sets, and the witnesses are exactly the places where the sets differ."""
    before, after = find_permissions(old), find_permissions(new)
    comparison = compare(compile_terms(old), compile_terms(new))
    assert (comparison.relation is ProtectionRelation.SAME) <= (before == after)
    places = {locate_permission(permission) for permission in UNIVERSE}
    for witnesses, differing in ((comparison.looser, after - before), (comparison.stricter, before - after)):
        reported = {locate_witness(witness) for witness in witnesses} & places
        assert reported == {locate_permission(permission) for permission in differing}
    if before != after:
        expected = {
            (True, True): ProtectionRelation.INCOMPARABLE,
            (True, False): ProtectionRelation.LESS_PROTECTIVE,
            (False, True): ProtectionRelation.MORE_PROTECTIVE,
        }[bool(after - before), bool(before - after)]
        assert comparison.relation in {expected, ProtectionRelation.INCOMPARABLE}
    assert comparison.is_at_least_as_protective == (
        comparison.relation in {ProtectionRelation.SAME, ProtectionRelation.MORE_PROTECTIVE}
    )


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS)
def test_compiled_terms_permit_what_their_rules_permit(terms: Terms) -> None:
    """Compiled terms permit what their rules permit, before and after they are encoded and parsed again."""
    assert enumerate_permissions(compile_terms(terms)) == find_permissions(terms)
    assert enumerate_permissions(
        parse_canonical(compile_terms(terms).encode_canonical())
    ) == find_permissions(terms)


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS, TERMS)
def test_protecting_at_least_as_much_is_a_partial_order(first: Terms, second: Terms, third: Terms) -> None:
    """The relation is reflexive, antisymmetric and transitive."""
    a, b, c = compile_all([first, second, third])
    assert compare(a, a).relation is ProtectionRelation.SAME
    assert (compare(a, b).is_at_least_as_protective and compare(b, a).is_at_least_as_protective) == (
        compare(a, b).relation is ProtectionRelation.SAME
    )
    assert compare(
        a, meet(meet(a, b), c)
    ).is_at_least_as_protective  # a chain, which three drawn terms hardly ever are
    if compare(c, b).is_at_least_as_protective and compare(b, a).is_at_least_as_protective:
        assert compare(c, a).is_at_least_as_protective
    mirrored = {
        ProtectionRelation.LESS_PROTECTIVE: ProtectionRelation.MORE_PROTECTIVE,
        ProtectionRelation.MORE_PROTECTIVE: ProtectionRelation.LESS_PROTECTIVE,
    }
    assert compare(b, a).relation is mirrored.get(compare(a, b).relation, compare(a, b).relation)


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS, TERMS)
def test_the_meet_is_the_greatest_lower_bound(first: Terms, second: Terms, third: Terms) -> None:
    """The meet permits what both terms permit, and terms as protective as both are as protective as their meet."""
    a, b, c = compile_all([first, second, third])
    lower_bound = meet(a, b)
    assert enumerate_permissions(lower_bound) == find_permissions(first) & find_permissions(second)
    assert compare(a, lower_bound).is_at_least_as_protective
    assert compare(b, lower_bound).is_at_least_as_protective
    assert compare(lower_bound, meet(lower_bound, c)).is_at_least_as_protective
    assert (compare(a, c).is_at_least_as_protective and compare(b, c).is_at_least_as_protective) == compare(
        lower_bound, c
    ).is_at_least_as_protective
    assert are_equal(meet(a, a), a)
    assert are_equal(lower_bound, meet(b, a))
    assert are_equal(meet(lower_bound, c), meet(a, meet(b, c)))


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS, TERMS)
def test_the_meet_distributes_over_combined_rules(one: Terms, two: Terms, three: Terms) -> None:
    """The meet of combined rules permits the same as the combination of their meets."""
    grounds = [Ground("required-by-law", ["case"])]
    all_terms = [
        msgspec.structs.replace(terms, cookies=[], duties=Duties(), grounds=grounds, forms=[])
        for terms in (one, two, three)
    ]
    first, second, third = all_terms
    together = enumerate_permissions(meet(compile_terms(combine_terms(first, second)), compile_terms(third)))
    a, b, c = compile_all(all_terms)
    assert together == enumerate_permissions(meet(a, c)) | enumerate_permissions(meet(b, c))


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(policy_histories())
def test_the_bounds_of_a_record_match_the_recursive_definition(
    history: tuple[list[Terms], int, set[int]],
) -> None:
    """The closed form equals the recursion of rule G2, and never permits more than the newest version."""
    versions, collected, consented = history
    later = {number for number in consented if number > collected}
    governs = compute_record_bounds(compile_all(versions), collected, consented)
    assert enumerate_permissions(governs) == promises.governing(
        [find_permissions(terms) for terms in versions], collected, later
    )
    assert compare(compile_terms(versions[-1]), governs).is_at_least_as_protective


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(policy_histories(), TERMS)
def test_the_bounds_of_a_record_only_loosen_by_consent(
    history: tuple[list[Terms], int, set[int]], new_terms: Terms
) -> None:
    """A new version without consent never loosens a record's bounds, and consent never tightens them."""
    versions, collected, consented = history
    bounds = compile_all(versions)
    before = compute_record_bounds(bounds, collected, consented)
    assert compare(
        before, compute_record_bounds([*bounds, compile_terms(new_terms)], collected, consented)
    ).is_at_least_as_protective
    assert are_equal(compute_record_bounds([*bounds, bounds[-1]], collected, consented), before)
    for number in range(1, len(bounds) + 1):
        assert compare(
            compute_record_bounds(bounds, collected, {*consented, number}), before
        ).is_at_least_as_protective
    for number in range(1, collected + 1):  # consent to an earlier version does not change later records
        assert compute_record_bounds(bounds, collected, {number}) == compute_record_bounds(bounds, collected)


@model_settings(max_examples=by_depth(standard=130, thorough=2_000))
@given(VERSIONS)
def test_age_steps_permit_what_the_bounds_of_a_record_permit(versions: list[Terms]) -> None:
    """The age steps permit an age at a governing number exactly if the bounds of such a record do."""
    bounds = compile_all(versions)
    all_steps = compute_age_steps(bounds)
    for number in range(1, len(bounds) + 1):
        governs = compute_record_bounds(bounds, number)
        for permission in UNIVERSE:
            if isinstance(permission, CookieUse | Use):
                cell, precision = locate_permission(permission)
                assert isinstance(cell, Cell)
                steps = all_steps.get(cell, {}).get(precision, ())
                max_age = governs.max_age(cell, precision)
                assert is_age_permitted(steps, number, permission.age * DAY) == (
                    max_age is None or permission.age * DAY <= max_age
                )
    for steps_by_precision in all_steps.values():
        for steps in steps_by_precision.values():
            numbers = [step.governing for step in steps]
            ages = [float("inf") if step.age is None else step.age for step in steps]
            assert (numbers, ages) == (sorted(set(numbers)), sorted(set(ages)))


ADDRESSES = Cell("ip-address", "abuse", OPERATOR, OWN_USE)


def addresses(**keep: str) -> Bounds:
    return compile_terms(terms_with(collect_rules=[CollectRule(["ip-address"], keep, ["abuse"])]))


def test_a_shorter_full_age_and_a_longer_prefix_age_are_incomparable() -> None:
    """If addresses are kept for less and their networks for longer, neither version is more protective."""
    comparison = compare(
        addresses(full="7 days", prefix="90 days"), addresses(full="3 days", prefix="365 days")
    )
    assert comparison.relation is ProtectionRelation.INCOMPARABLE
    assert comparison.stricter == (Witness(ADDRESSES, "full", 7 * DAY, 3 * DAY),)
    assert comparison.looser == (
        Witness(ADDRESSES, "country", 90 * DAY, 365 * DAY),
        Witness(ADDRESSES, "prefix", 90 * DAY, 365 * DAY),
    )


def test_the_examples_of_the_specification_hold() -> None:
    """The ages that docs/spec/terms.md computes for a history of versions are computed."""
    history = [addresses(full=age) for age in ("7 days", "90 days", "30 days")]
    assert compute_record_bounds(history, 1).max_age(ADDRESSES, "full") == 7 * DAY
    assert compute_record_bounds(history, 1, {2}).max_age(ADDRESSES, "full") == 30 * DAY
    assert compute_age_steps(history)[ADDRESSES]["full"] == ((1, 7 * DAY), (2, 30 * DAY))


def test_a_renamed_category_makes_versions_incomparable() -> None:
    """A renamed category is one removed category and one added category."""
    old, new = (
        Bounds({Cell(category, "abuse", OPERATOR, OWN_USE): {"full": None}}, {})
        for category in ("address", "ip-address")
    )
    assert compare(old, new).relation is ProtectionRelation.INCOMPARABLE


def test_older_terms_do_not_permit_a_newer_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms that name a parent purpose do not permit a purpose that a later vocabulary adds to that parent."""
    rule = CollectRule(["ip-address"], {"full": "7 days"}, ["operate"])
    old = compile_terms(terms_with(collect_rules=[rule]))
    vocabulary = load_vocabulary()
    leaf = msgspec.structs.replace(vocabulary.purposes["abuse"], parents=("operate", "advertise"))
    newer = msgspec.structs.replace(vocabulary, purposes={**vocabulary.purposes, "profiling": leaf})
    monkeypatch.setattr(terms_module, "load_vocabulary", lambda _: newer)
    for parent in ("operate", "advertise"):
        now = compile_terms(terms_with(collect_rules=[msgspec.structs.replace(rule, purposes=[parent])]))
        assert "profiling" in now.collection_purposes("ip-address")
        assert "profiling" not in parse_canonical(old.encode_canonical()).collection_purposes("ip-address")
        assert {
            witness.rule.purpose for witness in compare(old, now).looser if isinstance(witness.rule, Cell)
        } == {"profiling"}
        assert "profiling" not in meet(old, now).collection_purposes("ip-address")


def test_cookie_bases_are_ordered_by_protection() -> None:
    """`never` protects most, then `if-accepted`, then `unless-refused`; a third party's cookie is another cookie."""

    def cookie(basis: Any, keep: str = "1 month", party: Any = "first") -> Bounds:
        return compile_terms(terms_with(cookies=[CookieRule("a", ["abuse"], keep, basis, party)]))

    order = [cookie(basis) for basis in ("never", "if-accepted", "unless-refused")]
    for (first_index, first), (second_index, second) in product(enumerate(order), enumerate(order)):
        assert compare(first, second).is_at_least_as_protective == (second_index <= first_index)
    comparison = compare(cookie("if-accepted", "5 days"), cookie("unless-refused", "2 days"))
    assert comparison.relation is ProtectionRelation.INCOMPARABLE
    assert (
        compare(cookie("if-accepted"), cookie("if-accepted", party="third")).relation
        is ProtectionRelation.INCOMPARABLE
    )


CASE = Ground("checking", ["case"])
ADDRESSES_CHECKED = DiscloseRule(["ip-address"], {"full": "7 days"}, "abuse-community", "checking")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([], [CASE], ProtectionRelation.LESS_PROTECTIVE),
        ([CASE], [], ProtectionRelation.MORE_PROTECTIVE),
        ([CASE], [Ground("checking", ["case", "records"])], ProtectionRelation.MORE_PROTECTIVE),
        ([CASE], [Ground("checking", ["records"])], ProtectionRelation.INCOMPARABLE),
        ([CASE], [Ground("checking", ["case"], 1)], ProtectionRelation.MORE_PROTECTIVE),
        ([Ground("checking", ["case"], 9)], [], ProtectionRelation.MORE_PROTECTIVE),
    ],
)
@pytest.mark.parametrize("disclosed", [[], [ADDRESSES_CHECKED]])
def test_a_ground_without_evidence_protects_most(
    old: list[Ground], new: list[Ground], expected: ProtectionRelation, disclosed: list[DiscloseRule]
) -> None:
    """A ground without evidence has no cells, and is as if all evidence and approvals were required on it (B8)."""
    before, after = (
        compile_terms(terms_with(disclose_rules=disclosed, grounds=grounds)) for grounds in (old, new)
    )
    assert compare(before, after).relation is expected
    both = meet(before, after)
    assert compare(before, both).is_at_least_as_protective
    assert compare(after, both).is_at_least_as_protective
    if not (old and new):
        assert not both.grounds
        assert not both.cells


def order_form(needs: list[str], purposes: list[str]) -> Bounds:
    """Return the bounds of terms with a form that needs these categories."""
    form = Form("order", {"text": "message"}, purposes, needed_categories=needs)
    return compile_terms(terms_with(collect_rules=[SUBMITTED], forms=[form]))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (([], ["abuse"]), (["message"], ["abuse"]), ProtectionRelation.LESS_PROTECTIVE),
        ((["message"], ["abuse"]), (["submission"], ["abuse"]), ProtectionRelation.LESS_PROTECTIVE),
        ((["message"], ["abuse"]), (["person-name"], ["abuse"]), ProtectionRelation.INCOMPARABLE),
        ((["message"], ["operate"]), (["message"], ["abuse"]), ProtectionRelation.LESS_PROTECTIVE),
        ((["message"], ["abuse"]), ([], ["abuse"]), ProtectionRelation.MORE_PROTECTIVE),
        (([], ["abuse"]), ([], ["operate"]), ProtectionRelation.SAME),
    ],
)
def test_a_form_that_needs_more_protects_less(
    old: tuple[list[str], list[str]], new: tuple[list[str], list[str]], expected: ProtectionRelation
) -> None:
    """What others may receive for a form, and the objections that forbid it, are part of the bounds (B9)."""
    before, after = order_form(*old), order_form(*new)
    assert compare(before, after).relation is expected


def test_a_category_that_a_form_needs_is_not_stricter_than_one_that_it_does_not() -> None:
    """A value may not be moved to a category that others may receive for a form (R10)."""
    bounds = order_form(["message"], ["abuse"])
    assert not bounds.is_at_least_as_strict("message", "submission-time")
    assert bounds.is_at_least_as_strict("submission-time", "message")


def test_bounds_of_an_unknown_compilation_are_refused() -> None:
    """Terms that other rules compiled are refused, instead of being read by rules that they were not made by (B10)."""
    compiled = compile_terms(terms_with(collect_rules=[SUBMITTED]))
    text = compiled.encode_canonical()
    assert text.count(b'"compilation":1,') == 1
    with raises_code("unknown-compilation"):
        parse_canonical(text.replace(b'"compilation":1,', b'"compilation":2,'))


def test_compilation_1_is_what_terms_were_published_with() -> None:
    """The bounds of the default terms have the identity of compilation 1; other rules need another number (B10)."""
    terms = load_terms(DEFAULT)
    assert COMPILATION == 1
    form = Form("order", {"text": "message"}, ["content"], needed_categories=["submission"])
    kept = CollectRule(["submission"], {"full": "30 days"}, ["content"])
    complete = msgspec.structs.replace(terms, forms=[form], collect_rules=[*terms.collect_rules, kept])
    assert (
        compile_terms(complete).identity == "059feed129c35865b3cdc3070f30122a521e644b610cb9951a4eff0b51689a08"
    )
