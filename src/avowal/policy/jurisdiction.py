"""What the policy of a site still lacks in the European Union, the United Kingdom, Brazil or Taiwan.

A list for the operator's counsel, and no legal advice: it looks at what terms declare, and cannot judge if it is true.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum

from avowal.policy.about import BASIS, LegalBasis, legal_basis_of
from avowal.policy.bounds import OPERATOR, UNIT_SECONDS, CompiledTerms
from avowal.policy.duty import parse_duty_name
from avowal.policy.terms import Terms, compile_terms
from avowal.policy.vocabulary import FULL_PRECISION

NO_ADVICE = (
    "this list is no legal advice: it compares what the terms declare with what these laws ask to be told"
)


class Jurisdiction(StrEnum):
    """A place whose law may hold for a site."""

    EU = "eu"
    UK = "uk"
    BR = "br"
    TW = "tw"


def find_lacks(terms: Terms, jurisdiction: Jurisdiction) -> list[str]:
    """Return a sentence for each thing that the law of a place asks for and terms do not declare."""
    compiled, law = compile_terms(terms), _LAW[jurisdiction]
    return [sentence for check in _CHECKS[jurisdiction] for sentence in check(terms, compiled, law)]


_LAW = {
    Jurisdiction.EU: {
        "basis": "GDPR art. 13(1)(c)",
        "rights": "GDPR art. 13(2)(b)",
        "complaints": "GDPR art. 13(2)(d)",
        "places": "GDPR art. 13(1)(f)",
        "end": "GDPR art. 13(2)(a)",
        "cookie": "ePrivacy Directive art. 5(3)",
    },
    Jurisdiction.UK: {
        "basis": "UK GDPR art. 13(1)(c)",
        "rights": "UK GDPR art. 13(2)(b)",
        "complaints": "UK GDPR art. 13(2)(d) and DPA 2018 s. 164A",
        "places": "UK GDPR art. 13(1)(f)",
        "end": "UK GDPR art. 13(2)(a)",
        "cookie": "PECR reg. 6",
    },
    Jurisdiction.BR: {
        "basis": "LGPD art. 7",
        "rights": "LGPD arts. 9 and 18",
        "complaints": "LGPD art. 18 § 1",
        "places": "LGPD arts. 9 and 33",
        "end": "LGPD arts. 9 II, 15 and 16",
        "cookie": "LGPD art. 8",
    },
    Jurisdiction.TW: {
        "basis": "PDPA arts. 8 and 19",
        "rights": "PDPA arts. 3 and 8",
        "complaints": "PDPA art. 8",
        "places": "PDPA art. 8 I (4)",
        "end": "PDPA arts. 8 and 11 III",
        "cookie": "PDPA art. 19",
    },
}
"""The article that asks for each thing."""

_Check = Callable[[Terms, CompiledTerms, dict[str, str]], Iterator[str]]


def _check_basis(_: Terms, compiled: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    purposes = sorted({cell.purpose for cell in compiled.cells if cell.recipient == OPERATOR})
    missing = [purpose for purpose in purposes if not legal_basis_of(compiled.duties, purpose)]
    if missing:
        yield f"the legal basis of {', '.join(missing)}: declare it in [legal-basis] ({law['basis']})"


def _check_rights(names: tuple[str, ...]) -> _Check:
    def check(_: Terms, compiled: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
        missing = [name for name in names if not compiled.duties.get(name)]
        if missing:
            yield f"the rights {', '.join(missing)}: declare them in [duties] ({law['rights']})"

    return check


def _check_complaints(terms: Terms, _: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    if not terms.about.complaints:
        yield f"the authority to complain to: `about.complaints` ({law['complaints']})"


def _check_places(terms: Terms, _: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    if not terms.about.places:
        yield f"where data is processed: `about.places`, and `about.transfers` with a safeguard ({law['places']})"


def _check_ends(_: Terms, compiled: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    endless = [
        category
        for category in compiled.collected_categories
        if None in compiled.retention_ages(category).values()
    ]
    if endless:
        yield f"an end, or the criterion of one, for {', '.join(endless)}: they have no end set ({law['end']})"


def _check_cookies(terms: Terms, _: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    names = [cookie.name for cookie in terms.cookies if cookie.basis == "unless-refused"]
    if names:
        yield (
            f"prior consent for {', '.join(names)}, set `unless-refused`; where it is not strictly necessary, use "
            f"`if-accepted` ({law['cookie']})"
        )


def _check_representative(terms: Terms, _: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    del law
    if not terms.about.representative:
        yield "a representative, if the controller is elsewhere: `about.representative` (art. 27)"


def _check_officer(terms: Terms, _: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    del law
    if not terms.about.data_protection_officer:
        yield "the encarregado and how to reach them: `about.data-protection-officer` (LGPD arts. 9 IV and 41)"


def _check_access_logs(_: Terms, compiled: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    del law
    for category in ("ip-address", "request-time"):
        age = compiled.retention_ages(category).get(FULL_PRECISION, 0)
        if age is not None and age < 6 * UNIT_SECONDS["month"]:
            yield (
                f"`{category}` for six months, if the site is run for profit: companies have to keep access logs "
                "(Marco Civil art. 15)"
            )


def _check_taiwan_basis(_: Terms, compiled: CompiledTerms, law: dict[str, str]) -> Iterator[str]:
    foreign = sorted(
        purpose
        for purpose, kind, basis in map(parse_duty_name, compiled.duties)
        if (kind, basis) == (BASIS, LegalBasis.LEGITIMATE_INTERESTS)
    )
    if foreign:
        yield (
            f"another legal basis for {', '.join(foreign)}: `legitimate-interests` is none of Taiwan's; `contract`, "
            f"`consent` or `no-harm` may be ({law['basis']})"
        )


_EU_RIGHTS = ("may-see", "may-correct", "may-erase", "may-restrict", "may-object", "may-receive")
_EUROPEAN_CHECKS = (
    _check_basis,
    _check_rights(_EU_RIGHTS),
    _check_complaints,
    _check_places,
    _check_ends,
    _check_cookies,
    _check_representative,
)
_CHECKS: dict[Jurisdiction, tuple[_Check, ...]] = {
    Jurisdiction.EU: _EUROPEAN_CHECKS,
    Jurisdiction.UK: _EUROPEAN_CHECKS,
    Jurisdiction.BR: (
        _check_basis,
        _check_rights(_EU_RIGHTS),
        _check_complaints,
        _check_places,
        _check_ends,
        _check_officer,
        _check_access_logs,
    ),
    Jurisdiction.TW: (
        _check_basis,
        _check_taiwan_basis,
        _check_rights(("may-see", "may-correct", "may-erase", "may-restrict")),
        _check_complaints,
        _check_places,
        _check_ends,
        _check_cookies,
    ),
}
