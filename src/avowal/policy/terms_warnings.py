"""Warnings about terms that are valid, but leave something out or contradict themselves."""

from avowal.policy.ground import find_closed_grounds
from avowal.policy.terms import REQUIRED_TIME_CATEGORIES, Terms, compile_terms
from avowal.policy.vocabulary import load_vocabulary


def find_warnings(terms: Terms) -> list[str]:
    """Return warnings about valid terms that leave something out, or contradict themselves."""
    compiled = compile_terms(terms)
    declared = set(compiled.collected_categories)
    if not declared:
        return ["nothing is collected"]
    warnings = []
    if "request-time" not in declared:
        warnings.append("`request-time` is not collected: no record can be kept to an age, so none is kept")
    warnings += [
        f"`{category}` is collected without `{time_category}`: there will be none"
        for word, time_category in REQUIRED_TIME_CATEGORIES.items()
        for category in load_vocabulary().expand("categories", word)
        if category in declared and time_category not in declared
    ]
    if {"visit-time", "view-duration"} & declared and "visitor-id" not in declared:
        warnings.append("`visitor-id` is not collected: visits and durations cannot be derived")
    if "bot" not in declared:
        warnings.append(
            "`bot` is not collected: requests of bots are dropped, as they would count as people's"
        )
    if "view-time" in declared and "request-kind" not in declared:
        warnings.append("`request-kind` is not collected: views cannot be told from other requests")
    disclosed = [line.ground for line in terms.disclose_rules if line.ground]
    leaves = [
        leaf for word in disclosed for leaf in load_vocabulary(terms.vocabulary).expand("grounds", word)
    ]
    warnings += [
        f"nothing can be disclosed on the ground `{ground}`: no [[ground]] names its evidence"
        for ground in find_closed_grounds(leaves, compiled.grounds)
    ]
    if not terms.duties.may_refuse_cookies and any(
        cookie.basis == "unless-refused" for cookie in terms.cookies
    ):
        warnings.append("`duties.may-refuse-cookies` is false, though a cookie is set `unless-refused`")
    return warnings
