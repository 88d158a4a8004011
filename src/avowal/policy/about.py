"""What terms say about the site besides their rules: legal bases of purposes, places, transfers, complaints.

Places, transfers, persons and authorities are descriptive: they are published with the document, and can be corrected
without a new version. A legal basis is a promise: another one makes another version (B11 in `docs/spec/terms.md`).
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec
from babel import Locale

from avowal import strict
from avowal.errors import TermsError
from avowal.policy.vocabulary import Vocabulary

BASIS = "basis"
"""The middle word of the duty that stands for the legal basis of a purpose: `content basis consent`."""


class LegalBasis(StrEnum):
    """A legal basis of a purpose: GDPR art. 6(1), LGPD art. 7, and Taiwan's PDPA art. 19."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    LEGITIMATE_INTERESTS = "legitimate-interests"
    LEGAL_CLAIMS = "legal-claims"
    VITAL_INTERESTS = "vital-interests"
    NO_HARM = "no-harm"


class Safeguard(StrEnum):
    """What protects data that is transferred to another country."""

    ADEQUACY = "adequacy"
    STANDARD_CLAUSES = "standard-clauses"
    BINDING_RULES = "binding-rules"
    CONSENT = "consent"


class Transfer(msgspec.Struct, frozen=True):
    """A transfer of data to another country, and its safeguard."""

    country: str = msgspec.field(name="to")
    safeguard: str


class About(msgspec.Struct, frozen=True, rename="kebab"):
    """The table `[about]`. Everything in it is shown on the policy's page, and decides nothing."""

    representative: str = ""
    data_protection_officer: str = ""
    complaints: str = ""
    """The authority to complain to, and how to reach it."""
    places: list[str] = msgspec.field(default_factory=list)
    """The countries where data is processed, as codes of ISO 3166-1."""
    transfers: list[Transfer] = msgspec.field(default_factory=list)


def check_about(about: About) -> None:
    """Check countries and safeguards. Raises TermsError with the key that is not valid."""
    countries = {f"about.places[{number}]": code for number, code in enumerate(about.places)}
    for number, transfer in enumerate(about.transfers):
        countries[f"about.transfers[{number}].to"] = transfer.country
        if transfer.safeguard not in [*Safeguard]:
            raise TermsError(
                f"`about.transfers[{number}].safeguard` is `{transfer.safeguard}`, which is not a safeguard",
                strict.suggest_nearest(transfer.safeguard, [*Safeguard], "safeguards"),
                code="unknown-name",
            )
    known = Locale("en").territories
    for key, code in countries.items():
        if len(code) != 2 or code not in known:  # noqa: PLR2004  # codes have two letters
            raise TermsError(
                f"`{key}` is `{code}`, which is not the code of a country",
                "use two letters of ISO 3166-1, such as `BR`; `EU` is the European Union",
                code="unknown-name",
            )


def compile_legal_bases(legal_bases: Mapping[str, str], vocabulary: Vocabulary) -> Iterator[str]:
    """Yield the name of the duty of each purpose with a legal basis. Raises TermsError with the key."""
    named: dict[str, str] = {}
    for word, basis in legal_bases.items():
        purposes = vocabulary.expand("purposes", word)
        if not purposes:
            raise TermsError(
                f"`legal-basis.{word}` is not one of the purposes",
                vocabulary.suggest_word("purposes", word),
                code="unknown-name",
            )
        if basis not in [*LegalBasis]:
            raise TermsError(
                f"`legal-basis.{word}` is `{basis}`, which is not a legal basis",
                strict.suggest_nearest(basis, [*LegalBasis], "legal bases"),
                code="unknown-name",
            )
        for purpose in purposes:
            if named.setdefault(purpose, basis) != basis:
                raise TermsError(
                    f"`legal-basis` names two for `{purpose}`",
                    "name one for each purpose",
                    code="duplicate-name",
                )
    for purpose, basis in sorted(named.items()):
        yield f"{purpose} {BASIS} {basis}"


def legal_basis_of(duties: Mapping[str, int], purpose: str) -> str:
    """Return the legal basis of a purpose; empty if none is declared."""
    before = f"{purpose} {BASIS} "
    return next((name.removeprefix(before) for name in duties if name.startswith(before)), "")
