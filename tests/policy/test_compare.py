"""Comparing promises, and what governs a record: against the model, which enumerates what is permitted."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avowal.policy import terms as terms_module
from avowal.policy.bounds import (
    COOKIE_PREFIX,
    OPERATOR,
    OWN_USE,
    THIRD_PARTY,
    UNIT_SECONDS,
    Bounds,
    Cell,
    parse_canonical,
)
from avowal.policy.compare import (
    ProtectionRelation,
    Witness,
    compare,
    meet,
)
from avowal.policy.terms import (
    CollectRule,
    CookieRule,
    DiscloseRule,
    Duties,
    Terms,
    compile_terms,
)
from avowal.policy.vocabulary import load_vocabulary
from support import model_terms as promises
from support.depth import by_depth
from support.model_terms import DAYS, PRECISIONS, UNIVERSE, Permission, Promise, Setting, Undone, promise
from support.record_bounds import compute_age_steps, compute_record_bounds, is_age_permitted

DAY = UNIT_SECONDS["day"]


def written(**parts: Any) -> Terms:
    """Return terms that promise what is given, and nothing else."""
    return Terms(1, "A", "a@example.org", date(2026, 11, 22), ["en"], **parts)


def joined(one: Terms, other: Terms) -> Terms:
    """Return terms that say all that both say; the cookies are those of the first."""
    return msgspec.structs.replace(
        one,
        collect_rules=[*one.collect_rules, *other.collect_rules],
        disclose_rules=[*one.disclose_rules, *other.disclose_rules],
    )


@st.composite
def kept(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    """Draw categories and ages, the coarser precision no shorter than the finer."""
    category = draw(st.sampled_from(["ip-address", "visit", "visit-time"]))
    precisions = PRECISIONS.get(category, ("full",))
    chosen = draw(st.sets(st.sampled_from(precisions), min_size=1))
    ages = sorted(
        draw(st.lists(st.sampled_from(list(DAYS)), min_size=len(chosen), max_size=len(chosen))),
        key=lambda age: DAYS[age],
    )
    fine_first = [precision for precision in reversed(precisions) if precision in chosen]
    return [category], dict(zip(fine_first, ages, strict=True))


PURPOSE = st.lists(st.sampled_from(["availability", "abuse", "operate"]), min_size=1, max_size=2, unique=True)
COLLECT = st.builds(lambda what, purposes: CollectRule(what[0], what[1], purposes), kept(), PURPOSE)
DISCLOSE = st.one_of(
    st.builds(
        lambda what, ground, purposes: DiscloseRule(what[0], what[1], "authority", ground, purposes),
        kept(),
        st.sampled_from(["instrument", "legal-rights", "required-by-law"]),
        st.one_of(st.just([]), PURPOSE),
    ),
    st.builds(
        lambda what, purposes: DiscloseRule(what[0], what[1], "processor", "", purposes), kept(), PURPOSE
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
TERMS = st.builds(
    written,
    collect_rules=st.lists(COLLECT, max_size=3),
    disclose_rules=st.lists(DISCLOSE, max_size=2),
    cookies=st.lists(COOKIES, max_size=2, unique_by=lambda cookie: cookie.name),
    duties=DUTIES,
)
VERSIONS = st.lists(TERMS, min_size=1, max_size=4)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Terms], int, set[int]]:
    """Draw versions, the number that a record was collected under, and those that its person consented to."""
    versions = draw(VERSIONS)
    numbers = st.integers(1, len(versions))
    return versions, draw(numbers), draw(st.sets(numbers))


def where(one: Permission) -> tuple[Cell | str, str]:
    """Return the cell and precision, or the duty, that a permission of the model is about."""
    if isinstance(one, Undone):
        return one.duty.replace("_", "-"), ""
    if isinstance(one, Setting):
        setter = OPERATOR if one.party == "first" else THIRD_PARTY
        return Cell(f"{COOKIE_PREFIX}{one.name}", one.purpose, setter, OWN_USE), one.basis
    return Cell(one.category, one.purpose, one.recipient, one.ground), one.precision


def allowed(bounds: Bounds) -> Promise:
    """Return all of the model's universe that bounds permit."""

    def allows(one: Permission) -> bool:
        about, precision = where(one)
        if isinstance(one, Undone):
            return bounds.duties.get(str(about), 0) < one.level
        assert isinstance(about, Cell)
        greatest = bounds.max_age(about, precision)
        return greatest is None or one.age * DAY <= greatest

    return frozenset(one for one in UNIVERSE if allows(one))


def alike(one: Bounds, other: Bounds) -> bool:
    return (one.cells, one.duties) == (other.cells, other.duties)


def compiled(versions: Sequence[Terms]) -> list[Bounds]:
    return [compile_terms(terms) for terms in versions]


many = partial(settings, deadline=None)


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS)
def test_comparing_is_comparing_what_is_permitted(old: Terms, new: Terms) -> None:
    """The relation is that of the sets, and the witnesses are all the places where these differ, and no others."""
    before, after = promise(old), promise(new)
    found = compare(compile_terms(old), compile_terms(new))
    assert (found.relation is ProtectionRelation.SAME) <= (before == after)
    places = {where(one) for one in UNIVERSE}
    for witnesses, differing in ((found.looser, after - before), (found.stricter, before - after)):
        told = {(witness.rule, witness.precision) for witness in witnesses} & places
        assert told == {where(one) for one in differing}
    if before != after:
        expected = {
            (True, True): ProtectionRelation.INCOMPARABLE,
            (True, False): ProtectionRelation.LESS_PROTECTIVE,
            (False, True): ProtectionRelation.MORE_PROTECTIVE,
        }[bool(after - before), bool(before - after)]
        assert found.relation in {expected, ProtectionRelation.INCOMPARABLE}
    assert found.is_at_least_as_protective == (
        found.relation in {ProtectionRelation.SAME, ProtectionRelation.MORE_PROTECTIVE}
    )


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS)
def test_terms_permit_what_is_written(terms: Terms) -> None:
    """What terms come to is what their lines permit, also when read again from the canonical form."""
    assert allowed(compile_terms(terms)) == promise(terms)
    assert allowed(parse_canonical(compile_terms(terms).encode_canonical())) == promise(terms)


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS, TERMS)
def test_protecting_at_least_as_much_is_a_partial_order(one: Terms, two: Terms, three: Terms) -> None:
    """Every promise protects as much as itself; two that protect as much as each other are one; and it is transitive."""
    a, b, c = compiled([one, two, three])
    assert compare(a, a).relation is ProtectionRelation.SAME
    assert (compare(a, b).is_at_least_as_protective and compare(b, a).is_at_least_as_protective) == (
        compare(a, b).relation is ProtectionRelation.SAME
    )
    assert compare(
        a, meet(meet(a, b), c)
    ).is_at_least_as_protective  # a chain, as three drawn ones are hardly ever
    if compare(c, b).is_at_least_as_protective and compare(b, a).is_at_least_as_protective:
        assert compare(c, a).is_at_least_as_protective
    mirrored = {
        ProtectionRelation.LESS_PROTECTIVE: ProtectionRelation.MORE_PROTECTIVE,
        ProtectionRelation.MORE_PROTECTIVE: ProtectionRelation.LESS_PROTECTIVE,
    }
    assert compare(b, a).relation is mirrored.get(compare(a, b).relation, compare(a, b).relation)


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS, TERMS)
def test_the_meet_is_the_greatest_lower_bound(one: Terms, two: Terms, three: Terms) -> None:
    """It permits what both permit and nothing else, and whatever protects as much as both protects as much as it."""
    a, b, c = compiled([one, two, three])
    both = meet(a, b)
    assert allowed(both) == promise(one) & promise(two)
    assert compare(a, both).is_at_least_as_protective
    assert compare(b, both).is_at_least_as_protective
    assert compare(both, meet(both, c)).is_at_least_as_protective
    assert (compare(a, c).is_at_least_as_protective and compare(b, c).is_at_least_as_protective) == compare(
        both, c
    ).is_at_least_as_protective
    assert alike(meet(a, a), a)
    assert alike(both, meet(b, a))
    assert alike(meet(both, c), meet(a, meet(b, c)))


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(TERMS, TERMS, TERMS)
def test_the_meet_is_distributive(one: Terms, two: Terms, three: Terms) -> None:
    """Meeting what two files say together is the same as meeting each, and saying that together."""
    collected = [msgspec.structs.replace(terms, cookies=[], duties=Duties()) for terms in (one, two, three)]
    first, second, third = collected
    together = allowed(meet(compile_terms(joined(first, second)), compile_terms(third)))
    a, b, c = compiled(collected)
    assert together == allowed(meet(a, c)) | allowed(meet(b, c))


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(histories())
def test_what_governs_is_what_the_recursion_says(history: tuple[list[Terms], int, set[int]]) -> None:
    """The closed form is the recursion of G2, and never permits more than what is posted now."""
    versions, collected, consented = history
    later = {number for number in consented if number > collected}
    governs = compute_record_bounds(compiled(versions), collected, consented)
    assert allowed(governs) == promises.governing([promise(terms) for terms in versions], collected, later)
    assert compare(compile_terms(versions[-1]), governs).is_at_least_as_protective


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(histories(), TERMS)
def test_governing_only_gets_stricter(history: tuple[list[Terms], int, set[int]], more: Terms) -> None:
    """A version without consent never loosens; the same again changes nothing; more consent never permits less."""
    versions, collected, consented = history
    known = compiled(versions)
    before = compute_record_bounds(known, collected, consented)
    assert compare(
        before, compute_record_bounds([*known, compile_terms(more)], collected, consented)
    ).is_at_least_as_protective
    assert alike(compute_record_bounds([*known, known[-1]], collected, consented), before)
    for number in range(1, len(known) + 1):
        assert compare(
            compute_record_bounds(known, collected, {*consented, number}), before
        ).is_at_least_as_protective
    for number in range(
        1, collected + 1
    ):  # of what was collected later, consent to what was before says nothing
        assert compute_record_bounds(known, collected, {number}) == compute_record_bounds(known, collected)


@many(max_examples=by_depth(standard=130, thorough=2_000))
@given(VERSIONS)
def test_steps_permit_what_governs(versions: list[Terms]) -> None:
    """The theorem: what governs a record permits an age exactly if the steps do, at the record's governing number."""
    known = compiled(versions)
    climbed = compute_age_steps(known)
    for number in range(1, len(known) + 1):
        governs = compute_record_bounds(known, number)
        for one in UNIVERSE:
            if not isinstance(one, Undone):
                about, precision = where(one)
                assert isinstance(about, Cell)
                of_it = climbed.get(about, {}).get(precision, ())
                greatest = governs.max_age(about, precision)
                assert is_age_permitted(of_it, number, one.age * DAY) == (
                    greatest is None or one.age * DAY <= greatest
                )
    for of_cell in climbed.values():
        for of_it in of_cell.values():
            numbers = [step.governing for step in of_it]
            ages = [float("inf") if step.age is None else step.age for step in of_it]
            assert (numbers, ages) == (sorted(set(numbers)), sorted(set(ages)))


ADDRESSES = Cell("ip-address", "abuse", OPERATOR, OWN_USE)


def addresses(**keep: str) -> Bounds:
    return compile_terms(written(collect_rules=[CollectRule(["ip-address"], keep, ["abuse"])]))


def test_shorter_whole_and_longer_in_part_is_incomparable() -> None:
    """Whole addresses for a shorter, networks for a longer time: neither protects as much as the other."""
    found = compare(addresses(full="7 days", prefix="90 days"), addresses(full="3 days", prefix="365 days"))
    assert found.relation is ProtectionRelation.INCOMPARABLE
    assert found.stricter == (Witness(ADDRESSES, "full", 7 * DAY, 3 * DAY),)
    assert found.looser == (
        Witness(ADDRESSES, "country", 90 * DAY, 365 * DAY),
        Witness(ADDRESSES, "prefix", 90 * DAY, 365 * DAY),
    )


def test_the_examples_of_the_rules() -> None:
    """What docs/spec/terms.md says of ages in a history holds."""
    history = [addresses(full=age) for age in ("7 days", "90 days", "30 days")]
    assert compute_record_bounds(history, 1).max_age(ADDRESSES, "full") == 7 * DAY
    assert compute_record_bounds(history, 1, {2}).max_age(ADDRESSES, "full") == 30 * DAY
    assert compute_age_steps(history)[ADDRESSES]["full"] == ((1, 7 * DAY), (2, 30 * DAY))


def test_a_renamed_word_is_one_removed_and_one_added() -> None:
    """The new name permits what nobody promised: the version is incomparable."""
    one, other = (
        Bounds({Cell(word, "abuse", OPERATOR, OWN_USE): {"full": None}}, {})
        for word in ("address", "ip-address")
    )
    assert compare(one, other).relation is ProtectionRelation.INCOMPARABLE


def test_a_new_leaf_permits_nothing_to_older_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A purpose that a later vocabulary puts beneath one that older terms name is none of theirs; it may have two parents."""
    line = CollectRule(["ip-address"], {"full": "7 days"}, ["operate"])
    old = compile_terms(written(collect_rules=[line]))
    words = load_vocabulary()
    leaf = msgspec.structs.replace(words.purposes["abuse"], parents=("operate", "advertise"))
    newer = msgspec.structs.replace(words, purposes={**words.purposes, "profiling": leaf})
    monkeypatch.setattr(terms_module, "load_vocabulary", lambda _: newer)
    for parent in ("operate", "advertise"):
        now = compile_terms(written(collect_rules=[msgspec.structs.replace(line, purposes=[parent])]))
        assert "profiling" in now.collection_purposes("ip-address")
        assert "profiling" not in parse_canonical(old.encode_canonical()).collection_purposes("ip-address")
        assert {
            witness.rule.purpose for witness in compare(old, now).looser if isinstance(witness.rule, Cell)
        } == {"profiling"}
        assert "profiling" not in meet(old, now).collection_purposes("ip-address")


def test_every_basis_of_a_cookie_is_between_its_neighbours() -> None:
    """`never` protects most, then `if-accepted`; a cookie of somebody else is another one."""

    def cookie(basis: Any, keep: str = "1 month", party: Any = "first") -> Bounds:
        return compile_terms(written(cookies=[CookieRule("a", ["abuse"], keep, basis, party)]))

    order = [cookie(basis) for basis in ("never", "if-accepted", "unless-refused")]
    for (i, one), (j, other) in product(enumerate(order), enumerate(order)):
        assert compare(one, other).is_at_least_as_protective == (j <= i)
    found = compare(cookie("if-accepted", "5 days"), cookie("unless-refused", "2 days"))
    assert found.relation is ProtectionRelation.INCOMPARABLE
    assert (
        compare(cookie("if-accepted"), cookie("if-accepted", party="third")).relation
        is ProtectionRelation.INCOMPARABLE
    )
